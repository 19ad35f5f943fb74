//! Which object a review is about, and whether that is any of our business.

use super::review::{Operation, Resource, Review};
use super::upstream::Place;
use crate::core::object::ObjectKey;
use crate::core::snapshot::Snapshot;

/// What a review is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// An object itself.
    Object(ObjectKey),
    /// The replicas of this object, through its `scale` subresource.
    Scale(ObjectKey),
    /// The deletion of this object, through its `eviction` subresource.
    Eviction(ObjectKey),
    /// Another subresource, a stream, or an object without a name yet: Git declares nothing about those.
    NotOurs,
}

// === impl Subject ===

impl Subject {
    /// What this review is about. The kind behind a `scale` is known only of objects Git declares; of others it does not matter.
    pub(super) fn of(review: &Review<'_>, snapshot: &Snapshot) -> Self {
        let name = review.object_name();
        if name.is_empty() || review.operation == Operation::Connect {
            return Self::NotOurs;
        }
        match &*review.sub_resource {
            // Through `status` one may write metadata, and so the marks, of most kinds; `resize` shows all of a Pod.
            "" | "status" | "resize" => Self::Object(key(review, &review.kind.group, &review.kind.kind)),
            "scale" => parent(review, snapshot).map_or(Self::NotOurs, Self::Scale),
            "eviction" if review.operation == Operation::Create => {
                let parent = parent(review, snapshot).filter(|parent| snapshot.get(parent).is_some());
                parent.map_or(Self::NotOurs, Self::Eviction)
            }
            _ => Self::NotOurs,
        }
    }
}

/// The object whose subresource this is.
fn parent(review: &Review<'_>, snapshot: &Snapshot) -> Option<ObjectKey> {
    let group = &review.resource.group;
    snapshot.kind_of(group, &review.resource.plural).map(|kind| key(review, group, kind))
}

fn key(review: &Review<'_>, group: &str, kind: &str) -> ObjectKey {
    ObjectKey {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: review.object_namespace().map(str::to_owned),
        name: review.object_name().to_owned(),
    }
}

/// Where the reviewed object, or the parent of the reviewed subresource, is served.
pub(super) fn place(review: &Review<'_>) -> Place {
    Place::of(&review.resource, review.object_namespace(), review.object_name())
}

// === impl Place ===

impl Place {
    pub(super) fn of(resource: &Resource<'_>, namespace: Option<&str>, name: &str) -> Self {
        Self {
            group: resource.group.to_string(),
            version: resource.version.to_string(),
            resource: resource.plural.to_string(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }
}
