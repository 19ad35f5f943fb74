//! Who paused a sync, and who rolled it back: written by `/mutate/own`, checked by `/validate/own`, and by nobody else.
//!
//! A stamp follows what it speaks of (`spec.suspend`, `spec.rollback`): a pause or a rollback that is new or changed is that of
//! whoever makes the edit, one that stays keeps its stamp, and without one there is none.

use super::specs::{Spec, Specs};
use crate::api::GitSyncSpec;
use crate::core::names::{ROLLED_BACK_BY, SUSPENDED_BY};
use crate::core::stamp::Write;
use crate::webhook::answer::{Reason, Refusal};
use crate::webhook::object::Object;
use crate::webhook::review::{Operation, Review};

/// The stamps, and what they say.
const STAMPS: [(&str, &str); 2] = [(SUSPENDED_BY, "who paused the sync"), (ROLLED_BACK_BY, "who rolled the sync back")];

/// What is to be written so that the stamps are true; a refusal if somebody typed one that is not.
pub(in crate::webhook) fn stamps(review: &Review<'_>) -> Result<Vec<Write>, Refusal> {
    let mut writes = Vec::new();
    for (name, says) in STAMPS {
        let (wanted, found) = (wanted(review, name), stamp(review.object.as_ref(), name));
        let is_typed = found.is_some() && found != stamp(review.old_object.as_ref(), name);
        match wanted {
            wanted if wanted == found => {}
            _ if is_typed => return Err(forged(name, says)),
            Some(user) => writes.push(Write::Set(name, user.to_owned())),
            None => writes.push(Write::Remove(name)),
        }
    }
    Ok(writes)
}

/// Why what would be stored is not true, if it is not.
pub(in crate::webhook) fn refusal(review: &Review<'_>) -> Option<Refusal> {
    let writes = matches!(review.operation, Operation::Create | Operation::Update);
    let is_false = |name| writes && wanted(review, name) != stamp(review.object.as_ref(), name);
    STAMPS.into_iter().find(|(name, _)| is_false(name)).map(|(name, says)| forged(name, says))
}

fn wanted<'r>(review: &'r Review<'_>, name: &str) -> Option<&'r str> {
    let Specs { old, new } = Specs::read(review);
    match spoken_of(new, name) {
        None => None,
        new if new == spoken_of(old, name) => stamp(review.old_object.as_ref(), name),
        Some(_) => Some(&review.user_info.user.name),
    }
}

/// What the stamp of this name speaks of.
fn spoken_of(spec: Option<Spec>, name: &str) -> Option<serde_json::Value> {
    let Some(Spec::Sync(spec)) = spec else { return None };
    let GitSyncSpec { suspend, rollback, .. } = *spec;
    let value = if name == SUSPENDED_BY { serde_json::to_value(suspend?) } else { serde_json::to_value(rollback?) };
    Some(value.expect("what was read can be written"))
}

fn stamp<'r>(object: Option<&'r Object<'_>>, name: &str) -> Option<&'r str> {
    object?.metadata.get("annotations")?.get(name)?.as_str()
}

fn forged(name: &str, says: &str) -> Refusal {
    let message = format!("{name} says {says}; Holdfast stamps it, and it cannot be written by hand.");
    Refusal { reason: Reason::Forbidden, message }
}
