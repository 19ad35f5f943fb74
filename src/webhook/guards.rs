//! Reviews of what is guarded for another tool: what it declares is read off the object before the edit, and the edit is then judged
//! like any other, by a snapshot of that one object.
//!
//! Whatever needs no judgement passes before anything is read: controllers are never denied, writers may write, and what we manage
//! ourselves is judged by Git. Of a `scale` and an eviction neither labels nor owners are shown, so for kinds that a guard is about the
//! object is asked for once. What a namespace holds that is to be deleted is in no snapshot, so it is looked for. Nobody waits for
//! that longer than the API server waits for us, and no answer is no verdict.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::no_decision::NoDecision;
use super::object::{Field, Metadata, Object};
use super::parts::parse;
use super::review::{Review, Unreadable};
use super::subject::{Subject, place};
use super::upstream::{Kept, Place, Unanswered, Upstream};
use crate::core::exclude::Surroundings;
use crate::core::guard::{Guard, SPARED};
use crate::core::judge::Rules;
use crate::core::names::LAST_APPLIED;
use crate::core::object::ObjectKey;
use crate::core::snapshot::{Managed, Mode, Snapshot};
use crate::core::who::{Class, User};

/// All that tells what other tools keep.
pub(super) struct Guards<'a> {
    /// The guards.
    pub rules: Arc<Rules>,
    /// What exclusions depend on.
    pub around: Arc<Surroundings>,
    /// What is ours.
    pub snapshot: &'a Snapshot,
}

// === impl Guards ===

impl Guards<'_> {
    /// What an edit of an object that this guard has selected is judged by, if by anything. A guard that nobody knows is one the
    /// policy no longer has.
    pub(super) fn of_object(&self, name: &str, review: &Review<'_>) -> Result<Option<Arc<Snapshot>>, Unreadable> {
        let guard = self.rules.guards.iter().find(|guard| *guard.name == *name);
        let (Some(guard), Some(old)) = (guard.filter(|guard| self.minds(guard, review)), &review.old_object) else {
            return Ok(None);
        };
        let Subject::Object(key) = Subject::of(review, self.snapshot) else { return Ok(None) };
        if self.snapshot.get(&key).is_some() {
            return Ok(None);
        }
        let old = whole(review, old)?;
        Ok(guard.ward(&key, &review.resource.plural, &old, &self.around).map(alone))
    }

    /// The same for an edit of replicas, and for an eviction. Of several guards, one that refuses counts before one that warns.
    pub(super) async fn of_subresource(
        &self,
        review: &Review<'_>,
        upstream: &dyn Upstream,
    ) -> Result<Option<Arc<Snapshot>>, Unanswered> {
        let guards: Vec<_> = self.rules.guards.iter().filter(|guard| self.minds(guard, review)).collect();
        let is_ours = || match Subject::of(review, self.snapshot) {
            Subject::Scale(key) | Subject::Eviction(key) => self.is_ours(&key),
            Subject::Object(_) | Subject::NotOurs => false,
        };
        if guards.is_empty() || is_ours() {
            return Ok(None);
        }
        let Some(object) = as_written(&guards, &place(review), upstream).await? else { return Ok(None) };
        let is_going = review.sub_resource == "eviction" && object.pointer("/metadata/deletionTimestamp").is_some();
        let Some(key) = ObjectKey::of(&object).filter(|key| !is_going && !self.is_ours(key)) else { return Ok(None) };
        let wards = guards.iter().filter_map(|guard| guard.ward(&key, &review.resource.plural, &object, &self.around));
        Ok(wards.min_by_key(|ward| ward.sync.mode != Mode::Deny).map(alone))
    }

    /// The same for the deletion of a namespace, by what it holds. What Git declares there counts first; a namespace that is itself
    /// kept is judged by its guard, like any object.
    pub(super) async fn of_namespace(
        &self,
        review: &Review<'_>,
        upstream: &dyn Upstream,
    ) -> Result<Option<Arc<Snapshot>>, NoDecision> {
        let (name, user) = (review.object_name(), &review.user_info.user);
        let Some(old) = review.old_object.as_ref().filter(|old| !old.is_terminating()) else { return Ok(None) };
        if !self.is_guarded(user) || self.is_spared(name) || self.snapshot.held_by(name) > 0 {
            return Ok(None);
        }
        let guards: Vec<_> = self.rules.guards.iter().filter(|guard| !guard.lets_write(user)).collect();
        if let (false, Subject::Object(key)) = (guards.is_empty(), Subject::of(review, self.snapshot)) {
            let namespace = whole(review, old)?;
            let is_kept = |guard: &&Guard| guard.ward(&key, "namespaces", &namespace, &self.around).is_some();
            if self.is_ours(&key) || guards.iter().any(is_kept) {
                return Ok(None);
            }
        }
        // All at once, and the first that refuses is enough: whoever asks does not wait for one after the other.
        let asked = guards.into_iter().map(async |guard| (guard, upstream.kept(guard, name).await));
        let mut answers: FuturesUnordered<_> = asked.collect();
        let (mut warned, mut unanswered) = (None, None);
        while let Some((guard, answer)) = answers.next().await {
            match answer.map(|kept| self.ward_of(guard, &kept?)) {
                Ok(Some(ward)) if ward.sync.mode == Mode::Deny => return Ok(Some(alone(ward))),
                Ok(ward) => warned = warned.or(ward),
                Err(error) => unanswered = Some(error),
            }
        }
        unanswered.map_or(Ok(warned.map(alone)), |error| Err(error.into()))
    }

    fn ward_of(&self, guard: &Guard, Kept { plural, object }: &Kept) -> Option<Managed> {
        guard.ward(&ObjectKey::of(object)?, plural, object, &self.around)
    }

    fn minds(&self, guard: &Guard, review: &Review<'_>) -> bool {
        let user = &review.user_info.user;
        guard.is_about(&review.resource.group, &review.resource.plural, review.object_namespace())
            && !guard.lets_write(user)
            && self.is_guarded(user)
    }

    fn is_guarded(&self, user: &User) -> bool {
        matches!(self.rules.identities.class(user), Class::Automation | Class::Person)
    }

    /// Are these objects out of every guard's reach, because the namespace is?
    fn is_spared(&self, namespace: &str) -> bool {
        SPARED.contains(&namespace) || self.rules.identities.ourselves.0 == namespace
    }

    fn is_ours(&self, key: &ObjectKey) -> bool {
        self.snapshot.get(key).is_some()
    }
}

fn alone(ward: Managed) -> Arc<Snapshot> {
    Arc::new(Snapshot::new([Arc::new(ward)]))
}

/// The object whose subresource this is, in the version in which a tool writes it: its entries say nothing of another.
async fn as_written(guards: &[&Guard], place: &Place, upstream: &dyn Upstream) -> Result<Option<Value>, Unanswered> {
    let Some(object) = upstream.object(place).await? else { return Ok(None) };
    let written = guards.iter().find_map(|guard| guard.version_of(&object));
    let version = written.and_then(|version| version.rsplit('/').next()).filter(|version| *version != place.version);
    let Some(version) = version.map(str::to_owned) else { return Ok(Some(object)) };
    let elsewhere = upstream.object(&Place { version, ..place.clone() }).await?;
    Ok(Some(elsewhere.unwrap_or(object)))
}

/// All of an object of a review but its status.
fn whole(review: &Review<'_>, object: &Object<'_>) -> Result<Value, Unreadable> {
    let Metadata { fields, managed_fields, last_applied } = &object.metadata;
    let fields = fields.iter().map(|Field { name, value, .. }| (name.to_string(), Value::clone(value)));
    let mut metadata = Value::Object(fields.collect());
    if let Some(raw) = managed_fields {
        metadata["managedFields"] = parse("metadata", raw)?;
    }
    if let Some(raw) = last_applied {
        metadata["annotations"][LAST_APPLIED] = parse("metadata", raw)?;
    }
    let (group, version) = (&*review.resource.group, &*review.resource.version);
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut whole = json!({"apiVersion": api_version, "kind": &*review.kind.kind, "metadata": metadata});
    for (name, outline) in &object.sections {
        whole[&**name] = parse(name, outline.text)?;
    }
    Ok(whole)
}
