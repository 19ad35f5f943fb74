//! Reviews of our own kinds: what cannot run is refused when it is written, with the words of the reader that would run it, and
//! what makes us guard less takes a right.
//!
//! None of this needs a snapshot: the sync that keeps the first one from being built must be open to repair. Once there is one,
//! a `GitSync` that Git itself declares is besides guarded like any other object.

pub(super) mod ending;
pub(super) mod loosen;
mod specs;
pub(super) mod stamp;

use std::fmt::Write;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::answer::{Reason, Refusal};
use super::review::{Operation, Review};
use crate::api::{DriftPolicy, DriftPolicySpec, FieldError, GitSync, GitSyncSpec, Policy, SyncPlan};
use crate::core::names::GROUP;
use specs::{Spec, Specs};

/// Why what is written cannot run, if it cannot. A spec that stays as it was is not looked at again: an object that was
/// stored while nobody looked can still be labelled and deleted.
pub(super) fn refusal(review: &Review<'_>, now: Timestamp) -> Option<Refusal> {
    let writes = matches!(review.operation, Operation::Create | Operation::Update);
    if review.kind.group != GROUP || !writes || !review.sub_resource.is_empty() {
        return None;
    }
    let spec = review.object.as_ref()?.section("spec");
    let before = review.old_object.as_ref().and_then(|old| old.section("spec"));
    if before.is_some() && before == spec {
        return None;
    }
    let mut faults = faults(&review.kind.kind, review.object_name(), spec.unwrap_or("{}"));
    faults.extend(over(review, now));
    (!faults.is_empty()).then(|| Refusal { reason: Reason::Invalid, message: message(review, &faults) })
}

fn faults(kind: &str, name: &str, spec: &str) -> Vec<FieldError> {
    let read = match kind {
        "GitSync" => {
            parse::<GitSyncSpec>(spec).and_then(|spec| SyncPlan::try_from(&GitSync::new(name, spec)).map(drop))
        }
        "DriftPolicy" => {
            parse::<DriftPolicySpec>(spec).and_then(|spec| Policy::try_from(&DriftPolicy::new(name, spec)).map(drop))
        }
        _ => Ok(()),
    };
    read.err().unwrap_or_default()
}

/// A rollback that is over when it is written does nothing, and whoever writes it should know. One that stays as it was may be.
fn over(review: &Review<'_>, now: Timestamp) -> Option<FieldError> {
    let rollback = |spec: Option<Spec>| match spec {
        Some(Spec::Sync(spec)) => spec.rollback,
        _ => None,
    };
    let Specs { old, new } = Specs::read(review);
    let new = rollback(new)?;
    let is_over = new.until.parse::<Timestamp>().is_ok_and(|until| until <= now);
    (is_over && rollback(old).as_ref() != Some(&new)).then(|| FieldError {
        field: "spec.rollback.until".to_owned(),
        reason: format!("{} is over already", new.until),
        remedy: "write an end that is to come".to_owned(),
    })
}

fn parse<T: DeserializeOwned>(spec: &str) -> Result<T, Vec<FieldError>> {
    serde_json::from_str(spec).map_err(|error| {
        let remedy = "see kubectl explain for the fields and their types".to_owned();
        vec![FieldError { field: "spec".to_owned(), reason: format!("cannot be read: {error}"), remedy }]
    })
}

fn message(review: &Review<'_>, faults: &[FieldError]) -> String {
    let namespace = review.object_namespace().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let mut message = format!("{} {namespace}{} cannot be run as written:", &*review.kind.kind, review.object_name());
    for fault in faults {
        let _ = write!(message, "\n  {fault}");
    }
    message
}
