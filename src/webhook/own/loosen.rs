//! Who may make us guard less: which rights an edit of our own kinds takes, and what is said of it.

use jiff::Timestamp;

use super::specs::{Spec, Specs};
use crate::api::DriftPolicySpec;
use crate::api::loosening::{Loosened, of_policy, of_sync, pauses, rolls_back};
use crate::core::names::{CONFIRM_PRUNE, GROUP};
use crate::core::object::ObjectKey;
use crate::evidence::record::{Actor, Field, Kind, Record};
use crate::webhook::object::Object;
use crate::webhook::review::{Operation, Review};
use crate::webhook::upstream::{LOOSEN_VERB, Right, SUSPEND_VERB};

/// An edit that makes us guard less.
pub(in crate::webhook) struct Loosening {
    /// The rights it takes.
    pub rights: Vec<Right>,
    key: ObjectKey,
    verb: &'static str,
    /// What it does to the guard.
    does: &'static str,
    by: Actor,
    found: Vec<Loosened>,
}

// === impl Loosening ===

impl Loosening {
    /// What an edit loosens, if anything. What cannot be read was never in force, so nothing is loosened by changing it.
    pub(in crate::webhook) fn of(review: &Review<'_>) -> Option<Self> {
        let paused = paused(review);
        let loosened: Vec<_> = loosened(review).into_iter().chain(confirmed(review)).collect();
        let right = |verb| Right {
            verb,
            resource: if review.kind.kind == "GitSync" { "gitsyncs" } else { "driftpolicies" },
            namespace: review.object_namespace().unwrap_or_default().to_owned(),
            name: review.object_name().to_owned(),
        };
        let mut rights = Vec::new();
        rights.extend((!paused.is_empty()).then(|| right(SUSPEND_VERB)));
        rights.extend((!loosened.is_empty()).then(|| right(LOOSEN_VERB)));
        let found: Vec<_> = paused.into_iter().chain(loosened).collect();
        let (verb, does) = (verb(review.operation), "would guard less than it does");
        (!found.is_empty()).then(|| Self { rights, key: key(review), verb, does, by: actor(review), found })
    }

    /// The deletion of an object that takes these along.
    pub(super) fn of_deletion(right: Right, key: ObjectKey, by: Actor, found: Vec<Loosened>) -> Self {
        Self { rights: vec![right], key, verb: "DELETE", does: "takes along what guards", by, found }
    }

    /// What whoever lacks a right is told.
    pub(in crate::webhook) fn message(&self, lacking: &Right) -> String {
        let user = self.by.user.as_deref().unwrap_or_default();
        format!("{} {}, and user \"{user}\" lacks the verb {lacking}:\n  {}", self.key, self.does, self.words("\n  "))
    }

    /// The record of it, passed or refused; by somebody of this team.
    pub(in crate::webhook) fn record(self, kind: Kind, team: Option<String>, now: Timestamp) -> Record {
        let sync = (self.key.kind == "GitSync")
            .then(|| format!("{}/{}", self.key.namespace.as_deref().unwrap_or_default(), self.key.name));
        let field = |loosened: &Loosened| Field {
            path: loosened.field.clone(),
            git: None,
            live: Some(loosened.to.clone().into()),
            why: Some("loosened".to_owned()),
        };
        Record {
            sync,
            reason: Some(self.words("; ")),
            fields: self.found.iter().map(field).collect(),
            object: Some(self.key),
            by: Some(Actor { team, ..self.by }),
            verb: Some(self.verb.to_owned()),
            ..Record::new(kind, now)
        }
    }

    fn words(&self, between: &str) -> String {
        self.found.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
    }
}

/// Whoever asks.
pub(super) fn actor(review: &Review<'_>) -> Actor {
    let user = &review.user_info.user;
    let manager = review.manager().map(str::to_owned);
    Actor { user: Some(user.name.clone()), groups: user.groups.clone(), team: None, manager }
}

/// What keeps commits out for a while: a pause, and a rollback.
fn paused(review: &Review<'_>) -> Vec<Loosened> {
    let Specs { old, new } = Specs::read(review);
    let old = match old {
        Some(Spec::Sync(old)) => Some(old),
        _ => None,
    };
    let Some(Spec::Sync(new)) = new else { return Vec::new() };
    let paused = pauses(old.as_ref().and_then(|old| old.suspend.as_ref()), new.suspend.as_ref());
    let rolled_back = rolls_back(old.as_ref().and_then(|old| old.rollback.as_ref()), new.rollback.as_ref());
    paused.into_iter().chain(rolled_back).collect()
}

fn loosened(review: &Review<'_>) -> Vec<Loosened> {
    let Specs { old, new } = Specs::read(review);
    match (old, new) {
        _ if review.operation == Operation::Delete => gone(review).into_iter().collect(),
        (Some(Spec::Sync(old)), Some(Spec::Sync(new))) => of_sync(&old, &new),
        (Some(Spec::Policy(old)), Some(Spec::Policy(new))) => of_policy(&old, &new),
        (None, Some(Spec::Policy(new))) if review.operation == Operation::Create => {
            of_policy(&DriftPolicySpec::default(), &new)
        }
        _ => Vec::new(),
    }
}

/// That more than usual may be deleted, at a commit. Taking it back loosens nothing.
fn confirmed(review: &Review<'_>) -> Option<Loosened> {
    let of = |object: Option<&Object<'_>>| {
        let text = object?.metadata.get("annotations")?.get(CONFIRM_PRUNE)?.as_str()?;
        Some(text.to_owned())
    };
    let (old, new) = (of(review.old_object.as_ref()), of(review.object.as_ref())?);
    (old.as_ref() != Some(&new)).then(|| Loosened {
        field: format!("metadata.annotations[{CONFIRM_PRUNE}]"),
        from: old.unwrap_or_else(|| "nothing".to_owned()),
        to: new,
    })
}

/// A deletion; one that is under way already loosens nothing more.
fn gone(review: &Review<'_>) -> Option<Loosened> {
    let old = review.old_object.as_ref()?;
    let terminating = old.is_terminating();
    let all = |text: &str| text.to_owned();
    (!terminating).then(|| Loosened { field: all("it"), from: all("in force"), to: all("deleted") })
}

fn key(review: &Review<'_>) -> ObjectKey {
    ObjectKey {
        group: GROUP.to_owned(),
        kind: review.kind.kind.to_string(),
        namespace: review.object_namespace().map(str::to_owned),
        name: review.object_name().to_owned(),
    }
}

fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "CREATE",
        Operation::Delete => "DELETE",
        Operation::Update | Operation::Connect => "UPDATE",
    }
}
