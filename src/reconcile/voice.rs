//! How a keeper makes itself heard: its `GitSync`'s status, and its share of the gauges.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::entry::Entry;
use super::keeper::Keeper;
use super::status::{Facts, status};
use super::tally::Count;
use crate::api::GitSyncStatus;
use crate::api::meaning::Suspension;
use crate::cluster::events::{Note, reference};
use crate::cluster::{Error, clock};
use crate::core::names::GROUP;
use crate::core::object::ObjectKey;

// === impl Keeper ===

impl Keeper {
    /// Writes the status if it is not what was written last.
    pub(super) async fn report(&mut self) {
        let now = clock::now();
        self.count();
        // What left Git is looked for by these, after a restart and by `holdfast diff`.
        let left = self.strays.values().map(|stray| stray.kind.name());
        let kinds = self.entries.values().map(|entry| entry.kind.name()).chain(left);
        let kinds: BTreeSet<_> = kinds.chain(self.away.names().cloned()).collect();
        let facts = Facts {
            generation: self.sync.as_ref().and_then(|sync| sync.metadata.generation),
            observed: self
                .newest()
                .or(self.windows.held())
                .or(self.observed.as_ref())
                .map(String::as_str)
                .or(self.status.observed_revision.as_deref()),
            enforced: self.in_force(),
            synced: self.synced.as_deref(),
            entries: &mut self.entries.values(),
            undeclared: self.undeclared(),
            shared: &self.shared(),
            problems: &self.problems,
            failure: self.failure.as_ref(),
            limit: self.plan.as_ref().map_or(1, |plan| plan.retry.limit),
            waiting: self.waits_for(),
            paused: self.pause(now).map(Suspension::words),
            rolled_back: self.rollback_words(),
            pinned: self.pinned_revision(),
            kept_out: self.kept_out(),
            window: self.window_words(),
            waits: self.held_words(),
            fighting: self.fight_words(),
            kinds: if self.observed.is_none() || self.ends() {
                self.status.kinds.clone()
            } else {
                kinds.into_iter().collect()
            },
            history: self.history.entries(),
            handled: self.requests.handled(),
        };
        let status = status(facts, &self.status, now);
        if status != self.status && self.sync.is_some() && self.leads() && !self.knows_nothing_yet() {
            match self.write_status(&status).await {
                Ok(()) => self.status = status,
                Err(error) if error.is_not_found() => {}
                Err(error) => tracing::warn!(sync = self.name, %error, "failed to write the status; trying again"),
            }
        }
    }

    /// After a start, until the first look: of what the status says, nothing is known to be otherwise. Without objects all would seem
    /// well.
    fn knows_nothing_yet(&self) -> bool {
        let said_before = !self.status.conditions.is_empty();
        said_before && self.heard.is_some() && self.failure.is_none() && self.windows.held().is_none()
    }

    /// Says which commit is going to be made real, and of which kinds there are going to be objects, before the first of them is written:
    /// whoever starts after this process was killed looks by these for what left Git meanwhile, and does not take back what was written.
    pub(super) async fn announce(&mut self, revision: &str, entries: &HashMap<ObjectKey, Entry>) -> Result<(), Error> {
        let mut status = self.status.clone();
        let kinds: BTreeSet<_> =
            status.kinds.into_iter().chain(entries.values().map(|entry| entry.kind.name())).collect();
        status.kinds = kinds.into_iter().collect();
        if self.declares_otherwise(entries) {
            status.enforced_revision = Some(revision.to_owned());
        }
        let writes = self.sync.is_some() && self.leads() && !self.is_paused() && !self.keeps_out(revision);
        if status == self.status || !writes {
            return Ok(());
        }
        match self.write_status(&status).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => self.status = status,
        }
        Ok(())
    }

    /// Is this something else than what is declared now?
    fn declares_otherwise(&self, entries: &HashMap<ObjectKey, Entry>) -> bool {
        let is_known = |(key, entry): (&ObjectKey, &Entry)| {
            self.entries.get(key).is_some_and(|known| known.fingerprint == entry.fingerprint)
        };
        entries.len() != self.entries.len() || !entries.iter().all(is_known)
    }

    /// Publishes an Event about the `GitSync`.
    pub(super) fn note(&self, note: Note) {
        if let Some(sync) = &self.sync {
            let about = reference(&self.key(), "holdfast.dev/v1alpha1", sync.metadata.uid.as_deref());
            self.context.events.publish(about, note);
        }
    }

    /// The `GitSync` itself.
    pub(super) fn key(&self) -> ObjectKey {
        let (namespace, name) = self.name.split_once('/').unwrap_or_default();
        ObjectKey {
            group: GROUP.to_owned(),
            kind: "GitSync".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }

    fn count(&self) {
        let count = |is: fn(&Entry) -> bool| i64::try_from(self.entries.values().filter(|entry| is(entry)).count());
        self.context.tally.set(
            &self.name,
            Some(Count {
                drifted: count(|entry| entry.drifted.is_some()).unwrap_or(i64::MAX),
                open: count(|entry| entry.glass.is_some()).unwrap_or(i64::MAX),
                waiting: !self.waiting().is_empty(),
                fighting: i64::try_from(self.fighting()).unwrap_or(i64::MAX),
                ready: self.synced.is_some()
                    && self.waits_for().is_none()
                    && self.failure.is_none()
                    && self.problems.is_empty()
                    && self.lost.is_empty(),
            }),
        );
    }

    /// Absent fields are spelled out as null: a merge patch keeps what it does not mention.
    async fn write_status(&self, status: &GitSyncStatus) -> Result<(), Error> {
        let Some(kind) = self.context.cluster.kind("holdfast.dev/v1alpha1", "GitSync").await? else { return Ok(()) };
        let mut value = serde_json::to_value(status).expect("a status is plain data");
        for field in [
            "drift",
            "kinds",
            "observedRevision",
            "syncedRevision",
            "enforcedRevision",
            "rollback",
            "history",
            "handledRequest",
        ] {
            value.as_object_mut().map(|fields| fields.entry(field).or_insert(Value::Null));
        }
        self.context.cluster.patch_status(&kind, &self.key(), &json!({ "status": value })).await?;
        Ok(())
    }
}
