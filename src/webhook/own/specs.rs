//! The specs of our own kinds on both sides of a review, as typed.

use serde::de::DeserializeOwned;

use crate::api::{DriftPolicySpec, GitSyncSpec};
use crate::webhook::object::Object;
use crate::webhook::review::Review;

/// A spec of one of our kinds.
pub(super) enum Spec {
    /// Of a `GitSync`.
    Sync(Box<GitSyncSpec>),
    /// Of a `DriftPolicy`.
    Policy(Box<DriftPolicySpec>),
}

/// Both sides; `None` where there is none, or none that can be read.
pub(super) struct Specs {
    /// Before.
    pub old: Option<Spec>,
    /// After.
    pub new: Option<Spec>,
}

// === impl Specs ===

impl Specs {
    pub(super) fn read(review: &Review<'_>) -> Self {
        let read = |object: &Option<Object<'_>>| Spec::read(&review.kind.kind, object.as_ref()?);
        Self { old: read(&review.old_object), new: read(&review.object) }
    }
}

// === impl Spec ===

impl Spec {
    fn read(kind: &str, object: &Object<'_>) -> Option<Self> {
        let spec = object.section("spec").unwrap_or("{}");
        match kind {
            "GitSync" => parse(spec).map(Self::Sync),
            "DriftPolicy" => parse(spec).map(Self::Policy),
            _ => None,
        }
    }
}

fn parse<T: DeserializeOwned>(spec: &str) -> Option<T> {
    serde_json::from_str(spec).ok()
}
