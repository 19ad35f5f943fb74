//! Whether a live object says already what an apply of a manifest would answer.
//!
//! It is walked along our own ownership, with everybody else's at hand: only that tells an empty of Git's that others fill from one
//! that an earlier commit has filled.

use serde_json::Value;

use crate::core::fields::{self, Fields};
use crate::core::lookup::Children;
use crate::core::path::{Path, Step};
use crate::core::value::{is_nothing, same};

/// Where a walk along an object stands. It costs nothing before it is asked.
pub(super) struct Place<'a> {
    object: &'a Value,
    up: Option<(&'a Self, &'a Step)>,
}

/// Identity is written in manifests but never owned.
enum Depth {
    Root,
    Metadata,
    Inside,
}

// === impl Place ===

impl<'a> Place<'a> {
    /// The object itself.
    pub(super) fn root(object: &'a Value) -> Self {
        Self { object, up: None }
    }

    /// One step down.
    pub(super) fn below(&'a self, step: &'a Step) -> Self {
        Self { object: self.object, up: Some((self, step)) }
    }

    /// Somebody owns a part of it, so it is no value that is compared whole.
    pub(super) fn has_parts(&self) -> bool {
        let path = self.path();
        let inside = |fields: Fields<'_>| fields.at(&path).is_some_and(|fields| fields.children().next().is_some());
        fields::entries(self.object).any(|entry| inside(entry.fields))
    }

    fn path(&self) -> Path {
        let mut steps = Vec::new();
        let mut here = self;
        while let Some((up, step)) = here.up {
            steps.push(step.clone());
            here = up;
        }
        steps.reverse();
        Path::new(steps)
    }

    fn depth(&self) -> Depth {
        match self.up {
            None => Depth::Root,
            Some((above, step)) if above.up.is_none() && step.is_field("metadata") => Depth::Metadata,
            Some(_) => Depth::Inside,
        }
    }
}

// === impl Depth ===

impl Depth {
    fn is_identity(&self, name: &str) -> bool {
        match self {
            Self::Root => matches!(name, "apiVersion" | "kind"),
            Self::Metadata => matches!(name, "name" | "namespace"),
            Self::Inside => false,
        }
    }
}

/// Do the manifest, our owned paths and the live values agree completely? An empty of Git's that is filled agrees only where it
/// is certain that others may fill it; else it may be what an earlier commit wrote.
pub(super) fn says_the_same(owned: Fields<'_>, written: &Value, live: &Value, place: &Place<'_>) -> bool {
    if owned.is_leaf() {
        let open = is_nothing(Some(written)) && (live.is_object() || live.is_array()) && place.has_parts();
        return open || same(written, live);
    }
    let mut steps = 0;
    let (written_children, live_children) = (Children::of(written), Children::of(live));
    let owned_agrees = owned.children().all(|(step, below)| {
        steps += 1;
        match (written_children.find_as_written(&step), live_children.find(&step)) {
            (Some(written), Some(live)) => says_the_same(below, written, live, &place.below(&step)),
            (Some(written), None) => below.is_leaf() && is_nothing(Some(written)),
            (None, _) => false,
        }
    });
    owned_agrees && steps == claims(written, &place.depth())
}

/// How many children of a manifest node an apply would claim.
fn claims(written: &Value, depth: &Depth) -> usize {
    match written {
        Value::Object(fields) => fields.keys().filter(|name| !depth.is_identity(name)).count(),
        Value::Array(elements) => elements.len(),
        _ => 0,
    }
}
