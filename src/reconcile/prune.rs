//! Deleting what left Git: only after a complete reading, only what says it is ours, never most of it at once.
//!
//! A *stray* is an object that carries our tracking-id and that Git does not declare, nor any other sync. Strays that are kept stay known, so that
//! each is reported once and shown in the status.

use serde_json::Value;

use super::keeper::Keeper;
use super::plan::{is_tracked_by, is_within_limit, may_prune};
use crate::cluster::{Error, Kind};
use crate::core::object::ObjectKey;
use crate::core::window::Action;

/// An object that left Git and is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// How to address it.
    pub kind: Kind,
    /// Why it is kept, once that is known.
    pub kept: Option<String>,
}

/// What a look at a stray shows.
enum Finding {
    /// Gone, going, or never ours.
    NotOurs,
    /// Not to be deleted, for this reason.
    Keep(String),
    /// To be deleted: exactly the object with this uid.
    Delete(String),
}

// === impl Keeper ===

impl Keeper {
    /// An object that says it is ours came into sight, and nobody declared it then.
    pub(super) async fn see_tracked(&mut self, key: ObjectKey, version: u64, api_version: &str, kind: &str) {
        if let Some(heard) = &mut self.heard {
            // The first pass takes stock of it.
            heard.of(&key, version);
            return;
        }
        match self.entries.get(&key) {
            Some(entry) if version <= entry.judged => {}
            Some(_) => self.miss(key).await,
            None => self.see_stray(key, api_version, kind).await,
        }
    }

    /// An undeclared object that says it is ours came into sight.
    pub(super) async fn see_stray(&mut self, key: ObjectKey, api_version: &str, kind: &str) {
        let Ok(Some(kind)) = self.context.cluster.kind(api_version, kind).await else { return };
        if let std::collections::hash_map::Entry::Vacant(e) = self.strays.entry(key) {
            e.insert(Stray { kind, kept: None });
            self.prune().await;
        }
    }

    /// Deletes every stray that may be deleted, if anything may be deleted now.
    pub(super) async fn prune(&mut self) {
        if self.strays.is_empty() || !self.may_prune_now() {
            return;
        }
        match self.try_prune().await {
            Ok(()) => {}
            Err(error) if error.is_not_leading() => self.interrupt(),
            Err(error) => self.fail("PruneFailed", error.to_string()),
        }
    }

    fn may_prune_now(&self) -> bool {
        let wanted = self.plan.as_ref().is_some_and(|plan| plan.prune);
        // Until every sync was read, nobody knows what another one declares.
        let all_read = self.context.publisher.is_complete();
        wanted
            && all_read
            && self.observed.is_some()
            && self.problems.is_empty()
            && self.failure.is_none()
            && !self.is_paused()
            && !self.is_closed(Action::Prune, self.observed.as_deref())
            && self.leads()
    }

    async fn try_prune(&mut self) -> Result<(), Error> {
        let mut doomed = Vec::new();
        for (key, stray) in self.strays.clone() {
            match self.look_at(&key, &stray.kind).await? {
                Finding::NotOurs => drop(self.strays.remove(&key)),
                Finding::Keep(why) => self.keep_stray(key, stray, why),
                Finding::Delete(uid) => doomed.push((key, stray.kind, uid)),
            }
        }
        if !is_within_limit(doomed.len(), self.entries.len()) {
            self.fail("PruneLimit", too_many(doomed.len(), self.entries.len()));
            return Ok(());
        }
        let revision = self.observed.clone().unwrap_or_default();
        for (key, kind, uid) in doomed {
            self.context.cluster.delete(&kind, &key, &uid).await?;
            self.context.pruned(&self.name, &revision, &key, None);
            self.strays.remove(&key);
        }
        Ok(())
    }

    async fn look_at(&self, key: &ObjectKey, kind: &Kind) -> Result<Finding, Error> {
        let Some(object) = self.context.cluster.get(kind, key).await? else { return Ok(Finding::NotOurs) };
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let taken_over = self.context.publisher.is_claimed_by_other(&self.name, key);
        if taken_over || text("/metadata/deletionTimestamp").is_some() || !is_tracked_by(&self.name, key, &object) {
            return Ok(Finding::NotOurs);
        }
        Ok(match may_prune(key, &object) {
            Err(kept) => Finding::Keep(kept.to_string()),
            Ok(()) => Finding::Delete(text("/metadata/uid").unwrap_or_default()),
        })
    }

    fn keep_stray(&mut self, key: ObjectKey, stray: Stray, why: String) {
        if stray.kept.as_ref() != Some(&why) {
            let revision = self.observed.clone().unwrap_or_default();
            self.context.pruned(&self.name, &revision, &key, Some(why.clone()));
            self.strays.insert(key, Stray { kept: Some(why), ..stray });
        }
    }
}

/// What is said when more left Git at once than may be deleted.
pub fn too_many(doomed: usize, declared: usize) -> String {
    let all = doomed + declared;
    format!(
        "{doomed} of {all} objects left Git at once, which looks like an accident; nothing was deleted. Put them back, or \
         remove them in smaller steps"
    )
}
