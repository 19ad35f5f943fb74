//! Who paused a sync: written by `/mutate/own`, checked by `/validate/own`, and by nobody else.
//!
//! The stamp follows `spec.suspend`: a pause that is new or changed is that of whoever makes the edit, one that stays keeps its
//! stamp, and without a pause there is none.

use super::specs::{Spec, Specs};
use crate::core::names::SUSPENDED_BY;
use crate::core::stamp::Write;
use crate::webhook::answer::{Reason, Refusal};
use crate::webhook::object::Object;
use crate::webhook::review::{Operation, Review};

/// What is to be written so that the stamp is true; a refusal if somebody typed one that is not.
pub(in crate::webhook) fn stamps(review: &Review<'_>) -> Result<Vec<Write>, Refusal> {
    let (wanted, found) = (wanted(review), stamp(review.object.as_ref()));
    let is_typed = found.is_some() && found != stamp(review.old_object.as_ref());
    match wanted {
        wanted if wanted == found => Ok(Vec::new()),
        _ if is_typed => Err(forged()),
        Some(user) => Ok(vec![Write::Set(SUSPENDED_BY, user.to_owned())]),
        None => Ok(vec![Write::Remove(SUSPENDED_BY)]),
    }
}

/// Why what would be stored is not true, if it is not.
pub(in crate::webhook) fn refusal(review: &Review<'_>) -> Option<Refusal> {
    let writes = matches!(review.operation, Operation::Create | Operation::Update);
    (writes && wanted(review) != stamp(review.object.as_ref())).then(forged)
}

fn wanted<'r>(review: &'r Review<'_>) -> Option<&'r str> {
    let suspend = |spec: Option<Spec>| match spec {
        Some(Spec::Sync(spec)) => spec.suspend,
        _ => None,
    };
    let Specs { old, new } = Specs::read(review);
    let (old, new) = (suspend(old), suspend(new));
    match new {
        None => None,
        new if new == old => stamp(review.old_object.as_ref()),
        Some(_) => Some(&review.user_info.user.name),
    }
}

fn stamp<'r>(object: Option<&'r Object<'_>>) -> Option<&'r str> {
    object?.metadata.fields.get("annotations")?.get(SUSPENDED_BY)?.as_str()
}

fn forged() -> Refusal {
    let message =
        format!("{SUSPENDED_BY} says who paused the sync; Holdfast stamps it, and it cannot be written by hand.");
    Refusal { reason: Reason::Forbidden, message }
}
