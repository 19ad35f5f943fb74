//! What makes an object ours, and what an edit does to it: marks, claims and finalizers.

use serde_json::Value;

use super::super::manifest::Kept;
use super::super::names::{IGNORE, MANAGED_LABEL, MANUAL_EDIT, TRACKING_ID, tracked_by};
use super::super::object::ObjectKey;
use super::super::path::Path;
use super::super::state::State;

/// Is this one of the two marks every managed object carries?
pub fn is_mark(path: &Path) -> bool {
    path.spells(&["metadata", "labels", MANAGED_LABEL]) || path.spells(&["metadata", "annotations", TRACKING_ID])
}

/// The manual-edit mark says who edited. Only `/mutate` writes it, and it writes the truth; a mark that names somebody else was
/// typed.
pub(super) fn forges_mark(old: &State<'_>, new: &State<'_>, user: &str) -> bool {
    let mark = new.annotation(MANUAL_EDIT);
    let names_user = |mark: &str| {
        let mark: Option<Value> = serde_json::from_str(mark).ok();
        mark.is_some_and(|mark| mark.get("user").is_some_and(|named| named == user))
    };
    mark.is_some_and(|mark| old.annotation(MANUAL_EDIT) != Some(mark) && !names_user(mark))
}

/// A tracking-id that names the object itself is a claim, and only we make it. A copy's id names the original: harmless.
///
/// Without our label an edit is not reviewed, so the id may be there already when the label comes: that is when it is made.
pub(super) fn claims_to_be_managed(key: &ObjectKey, old: Option<&State<'_>>, new: &State<'_>) -> bool {
    let claim = new.annotation(TRACKING_ID);
    let is_labelled = |state: &State<'_>| state.label(MANAGED_LABEL) == Some("true");
    let is_new = old.is_none_or(|old| old.annotation(TRACKING_ID) != claim || (is_labelled(new) && !is_labelled(old)));
    is_new && claim.is_some_and(|id| tracked_by(id, key).is_some())
}

/// Would something else own the object, and take it along when it goes?
pub(super) fn moves_owners(old: &State<'_>, new: &State<'_>) -> bool {
    old.metadata("ownerReferences") != new.metadata("ownerReferences")
}

/// Is this where finalizers stand? On an object that is going already, taking one away is the only way out, also of those
/// that Git declares: nobody would put it back.
pub(super) fn is_finalizer(path: &Path) -> bool {
    path.starts_with_fields(&["metadata", "finalizers"])
}

/// Does it add a finalizer, or take one away, that Git says nothing of? Those are between controllers, and one too many
/// keeps an object from ever going. What Git declares is judged like any other field.
pub(super) fn moves_finalizers(git: &Kept, old: &State<'_>, new: &State<'_>) -> bool {
    let (old, new) = (finalizers(old), finalizers(new));
    if old == new {
        return false; // what nearly every edit does is to be known without reading the manifest
    }
    let git = git.value();
    let git = finalizers(&State::whole(&git));
    let moved = |these: &[&Value], others: &[&Value]| {
        these.iter().any(|finalizer| !others.contains(finalizer) && !git.contains(finalizer))
    };
    moved(&old, &new) || moved(&new, &old)
}

fn finalizers<'a>(state: &State<'a>) -> Vec<&'a Value> {
    state.metadata("finalizers").and_then(Value::as_array).into_iter().flatten().collect()
}

/// Does it bring a rule of its own that Git does not say? It would have no effect, and look as if it had.
pub(super) fn exempts_itself(git: &Kept, old: Option<&State<'_>>, new: &State<'_>) -> bool {
    let (before, rule) = (old.and_then(|old| old.annotation(IGNORE)), new.annotation(IGNORE));
    rule.is_some() && rule != before && rule != State::whole(&git.value()).annotation(IGNORE)
}
