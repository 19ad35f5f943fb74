//! Objects of syncs that could not be read. Nobody knows what Git says of them, so edits get no decision, and `failurePolicy` decides.
//!
//! Their marks tell whose they are; a `Scale` and an eviction do not show those, so the object is asked for. What a namespace holds that is
//! deleted is not.

use super::review::Review;
use super::subject::{Subject, place};
use super::upstream::{Unanswered, Upstream};
use crate::core::names::{TRACKING_ID, tracked_by};
use crate::core::object::ObjectKey;
use crate::core::snapshot::Snapshot;
use crate::core::state::State;

/// The sync that keeps the reviewed object, if it could not be read.
pub(super) async fn keeper(
    review: &Review<'_>,
    snapshot: &Snapshot,
    upstream: &dyn Upstream,
) -> Result<Option<String>, Unanswered> {
    let (key, id) = match (&*review.sub_resource, Subject::of(review, snapshot)) {
        ("scale" | "eviction", _) => {
            let object = upstream.object(&place(review)).await?.unwrap_or_default();
            (ObjectKey::of(&object), State::whole(&object).annotation(TRACKING_ID).map(str::to_owned))
        }
        (_, Subject::Object(key)) => {
            let before = review.old_object.as_ref();
            (Some(key), before.and_then(|before| before.annotation(TRACKING_ID)).map(str::to_owned))
        }
        _ => return Ok(None),
    };
    let Some((key, id)) = key.zip(id).filter(|(key, _)| snapshot.get(key).is_none()) else { return Ok(None) };
    Ok(tracked_by(&id, &key).filter(|sync| snapshot.is_unread(sync)).map(str::to_owned))
}
