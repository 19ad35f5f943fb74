//! Reviews of what is guarded for another tool: what it declares is read off the object before the edit, and the edit is then judged
//! like any other, by a snapshot of that one object.
//!
//! Whatever needs no judgement passes before anything is read: controllers are never denied, writers may write, and what we manage
//! ourselves is judged by Git. Of a `scale` neither labels nor owners are shown, so for kinds that a guard is about the object is
//! asked for once. Nobody waits for that longer than the API server waits for us, and no answer is no verdict.

use std::sync::Arc;

use serde_json::{Value, json};

use super::object::{Metadata, Object};
use super::parts::parse;
use super::review::{Review, Unreadable};
use super::subject::{Subject, place};
use super::upstream::{Unanswered, Upstream};
use crate::core::exclude::Surroundings;
use crate::core::guard::Guard;
use crate::core::judge::Rules;
use crate::core::names::LAST_APPLIED;
use crate::core::object::ObjectKey;
use crate::core::snapshot::{Managed, Mode, Snapshot};
use crate::core::who::Class;

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

    /// The same for an edit of replicas. Of several guards, one that refuses counts before one that warns.
    pub(super) async fn of_scale(
        &self,
        review: &Review<'_>,
        upstream: &dyn Upstream,
    ) -> Result<Option<Arc<Snapshot>>, Unanswered> {
        let guards: Vec<_> = self.rules.guards.iter().filter(|guard| self.minds(guard, review)).collect();
        if guards.is_empty() || matches!(Subject::of(review, self.snapshot), Subject::Scale(key) if self.is_ours(&key))
        {
            return Ok(None);
        }
        let Some(object) = upstream.object(&place(review)).await? else { return Ok(None) };
        let Some(key) = ObjectKey::of(&object).filter(|key| !self.is_ours(key)) else { return Ok(None) };
        let wards = guards.iter().filter_map(|guard| guard.ward(&key, &review.resource.plural, &object, &self.around));
        Ok(wards.min_by_key(|ward| ward.sync.mode != Mode::Deny).map(alone))
    }

    fn minds(&self, guard: &Guard, review: &Review<'_>) -> bool {
        let user = &review.user_info.user;
        let is_guarded = || matches!(self.rules.identities.class(user), Class::Automation | Class::Person);
        guard.is_about(&review.resource.group, &review.resource.plural, review.object_namespace())
            && !guard.lets_write(user)
            && is_guarded()
    }

    fn is_ours(&self, key: &ObjectKey) -> bool {
        self.snapshot.get(key).is_some()
    }
}

fn alone(ward: Managed) -> Arc<Snapshot> {
    Arc::new(Snapshot::new([Arc::new(ward)]))
}

/// All of an object of a review but its status.
fn whole(review: &Review<'_>, object: &Object<'_>) -> Result<Value, Unreadable> {
    let Metadata { fields, managed_fields, last_applied } = &object.metadata;
    let mut metadata = Value::Object(fields.clone());
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
