//! The end of a `GitSync` that says what is to become of its objects: they lose our marks, or they go with it.
//!
//! A finalizer holds the `GitSync` until that is done; one without `deletionPolicy` has none, ends at once and leaves everything as it is.
//! What is to be done is read off the cluster, not off Git: a repository that is gone must not keep a `GitSync` from going. Nor must
//! anything else when its whole namespace is being deleted, where accounts and roles go in no particular order.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::keeper::Keeper;
use super::plan::{is_tracked_by, may_prune, stage};
use super::prune::JUDGEMENTS;
use super::status::Failure;
use crate::api::DeletionPolicy;
use crate::cluster::{Error, Kind};
use crate::core::names::{FINALIZER, MANAGED_LABEL, TRACKING_ID};
use crate::core::object::ObjectKey;
use crate::core::state::State;
use crate::core::waves::wave;

/// Before it is asked again what other syncs declare, after a start: until each was read, what is let go may be another's to keep.
const PAUSE: Duration = Duration::from_secs(1);

// === impl Keeper ===

impl Keeper {
    /// Sees to the finalizer; `true` if the `GitSync` is at its end.
    pub(super) async fn mind_the_end(&mut self) -> bool {
        let Some(sync) = self.sync.as_ref().filter(|_| self.leads()) else { return false };
        let finalizers = sync.metadata.finalizers.clone().unwrap_or_default();
        let is_held = finalizers.iter().any(|finalizer| finalizer == FINALIZER);
        let ends = sync.metadata.deletion_timestamp.is_some();
        let outcome = match (ends, is_held, sync.spec.deletion_policy) {
            (true, true, policy) => self.take_leave(policy.unwrap_or_default()).await,
            (false, false, Some(_)) => self.finalizer(true).await,
            (false, true, None) => self.finalizer(false).await,
            _ => Ok(()),
        };
        if let Err(error) = outcome {
            self.fail("DeletionFailed", error.to_string());
            self.try_again_to_end();
        }
        ends && is_held
    }

    /// Is the `GitSync` being deleted? Of what kinds it has objects is known from before then: an end that fails half-way has to
    /// find the rest.
    pub(super) fn ends(&self) -> bool {
        self.sync.as_ref().is_some_and(|sync| sync.metadata.deletion_timestamp.is_some())
    }

    /// Goes on with an end that failed; `true` if there is one.
    pub(super) async fn is_at_its_end(&mut self) -> bool {
        self.ends() && self.plan.is_none() && self.mind_the_end().await
    }

    fn try_again_to_end(&mut self) {
        let count = self.failure.as_ref().map_or(1, |Failure { count, .. }| *count);
        self.retry = Some(Instant::now() + Duration::from_secs(u64::from(count.min(30))));
    }

    /// Nothing is declared any more: neither guarded nor healed, and no stray is pruned by anything but this.
    async fn take_leave(&mut self, policy: DeletionPolicy) -> Result<(), Error> {
        let kinds: HashSet<_> = self.entries.values().map(|entry| entry.kind.clone()).collect();
        let mut kinds: Vec<_> = kinds.into_iter().chain(self.strays.values().map(|stray| stray.kind.clone())).collect();
        for (api_version, kind) in self.kinds_before() {
            kinds.extend(self.context.cluster.kind(api_version, kind).await?);
        }
        (self.plan, self.rollout, self.retry) = (None, None, None);
        self.context.publisher.reads_no_more(&self.name);
        self.context.publisher.declare(&self.name, Vec::new(), &HashSet::new(), &self.resolved);
        if !self.context.publisher.is_complete() {
            self.retry = Some(Instant::now() + PAUSE);
            return Ok(());
        }
        let ours = self.all_of_ours(kinds).await?;
        self.entries.clear();
        self.strays.clear();
        for (key, kind, object) in ours {
            match self.part_with(&key, &kind, object, policy).await {
                Err(error) if self.namespace_goes().await => tracing::warn!(sync = self.name, %error, "left as it is"),
                done => done?,
            }
        }
        self.finalizer(false).await
    }

    /// What carries our marks, in the order in which it goes: what was written last first.
    async fn all_of_ours(&self, kinds: Vec<Kind>) -> Result<Vec<(ObjectKey, Kind, Value)>, Error> {
        let mut ours = std::collections::HashMap::new();
        for kind in kinds.into_iter().collect::<HashSet<_>>() {
            for object in self.context.cluster.list_managed(&kind).await? {
                let Some(key) = ObjectKey::of(&object) else { continue };
                if self.is_ours_alone(&key, &object) {
                    ours.insert(key, (kind.clone(), object));
                }
            }
        }
        let mut ours: Vec<_> = ours.into_iter().map(|(key, (kind, object))| (key, kind, object)).collect();
        ours.sort_by_key(|(key, _, object)| (Reverse(stage(key)), Reverse(wave(object))));
        Ok(ours)
    }

    /// Does it carry our mark, and no other sync declare it?
    fn is_ours_alone(&self, key: &ObjectKey, object: &Value) -> bool {
        is_tracked_by(&self.name, key, object) && !self.context.publisher.is_claimed_by_other(&self.name, key)
    }

    /// Does to an object what is to become of it, as it was judged: what somebody has written since (another sync that takes it over,
    /// a person who says `prune: disabled`) is judged anew.
    async fn part_with(
        &self,
        key: &ObjectKey,
        kind: &Kind,
        mut object: Value,
        policy: DeletionPolicy,
    ) -> Result<(), Error> {
        for _ in 1..JUDGEMENTS {
            match self.part_with_judged(key, kind, &object, policy).await {
                Err(error) if error.is_conflict() => {}
                done => return done,
            }
            match self.cluster.get(kind, key).await? {
                Some(anew) if self.is_ours_alone(key, &anew) => object = anew,
                _ => return Ok(()),
            }
        }
        self.part_with_judged(key, kind, &object, policy).await
    }

    async fn part_with_judged(
        &self,
        key: &ObjectKey,
        kind: &Kind,
        object: &Value,
        policy: DeletionPolicy,
    ) -> Result<(), Error> {
        let kept = may_prune(key, object).map_err(|kept| kept.to_string());
        match (policy, kept) {
            (DeletionPolicy::Delete, Ok(())) => self.delete_ours(key, kind, object).await,
            (DeletionPolicy::Delete, Err(kept)) => self.unmark(key, kind, object, &kept).await,
            (DeletionPolicy::Orphan, _) => self.unmark(key, kind, object, "deletionPolicy is Orphan").await,
        }
    }

    async fn delete_ours(&self, key: &ObjectKey, kind: &Kind, object: &Value) -> Result<(), Error> {
        if object.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(());
        }
        let record = self.context.pruned(&self.name, &self.last_revision(), key);
        let delete = self.cluster.delete_as_judged(kind, key, object, self.propagation());
        self.context.on_record(record, delete).await?;
        self.context.metrics.prunes.inc();
        Ok(())
    }

    /// Takes our marks off an object, which then belongs to whoever likes.
    async fn unmark(&self, key: &ObjectKey, kind: &Kind, object: &Value, why: &str) -> Result<(), Error> {
        let state = State::whole(object);
        let pointer = |name: &str| name.replace('/', "~1");
        let test = |path: &str| json!({"op": "test", "path": path, "value": object.pointer(path)});
        let id = format!("/metadata/annotations/{}", pointer(TRACKING_ID));
        let mut operations = vec![test("/metadata/uid"), test(&id), json!({"op": "remove", "path": id})];
        if state.label(MANAGED_LABEL).is_some() {
            operations.push(json!({"op": "remove", "path": format!("/metadata/labels/{}", pointer(MANAGED_LABEL))}));
        }
        let patch = serde_json::from_value(Value::Array(operations)).expect("these are operations");
        let record = self.context.kept(&self.name, &self.last_revision(), key, why);
        match self.context.on_record(record, self.cluster.patch(kind, key, patch)).await {
            // Gone: there is nothing of ours.
            Err(error) if error.is_not_found() => Ok(()),
            done => done.map(drop),
        }
    }

    /// The commit that was read, or made real, last.
    fn last_revision(&self) -> String {
        self.observed.clone().or_else(|| self.synced.clone()).unwrap_or_default()
    }

    /// Is the namespace of the `GitSync` being deleted?
    async fn namespace_goes(&self) -> bool {
        let name = self.key().namespace.unwrap_or_default();
        let key = ObjectKey { group: String::new(), kind: "Namespace".to_owned(), namespace: None, name };
        let Ok(Some(kind)) = self.context.cluster.kind("v1", "Namespace").await else { return false };
        let namespace = self.context.cluster.get(&kind, &key).await;
        namespace.is_ok_and(|namespace| {
            namespace.is_none_or(|namespace| namespace.pointer("/metadata/deletionTimestamp").is_some())
        })
    }

    /// Puts our finalizer on the `GitSync`, or takes it off; in our own name.
    async fn finalizer(&self, on: bool) -> Result<(), Error> {
        let Some(kind) = self.context.cluster.kind("holdfast.dev/v1alpha1", "GitSync").await? else { return Ok(()) };
        let Some(sync) = &self.sync else { return Ok(()) };
        let before = sync.metadata.finalizers.clone().unwrap_or_default();
        let mut after: Vec<_> = before.iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
        after.extend(on.then(|| FINALIZER.to_owned()));
        let patch = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": sync.metadata.resource_version},
            {"op": "add", "path": "/metadata/finalizers", "value": after},
        ]);
        let patch = serde_json::from_value(patch).expect("these are operations");
        match self.context.cluster.patch(&kind, &self.key(), patch).await {
            // It has changed meanwhile, which is on its way here.
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
            done => done.map(drop),
        }
    }
}
