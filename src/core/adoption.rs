//! Objects that another tool kept before us: who counts as such a tool, and what of its ownership becomes ours.
//!
//! An object is adopted once: when it carries neither our entry in `managedFields` nor a tracking-id of its own. From then on a
//! tool that is still at work on it is a manager like any other, so two tools that say the same do not take ownership from each
//! other for ever.
//!
//! # What is taken over
//! Everything a former tool owns of the object's content, defaults included: what it would go on owning could never leave the
//! object with Git, and a container it owns would stay without the image that was ours. What it declared and Git does not is then
//! a leftover like our own, and goes with the first apply, whatever the policy says of undeclared fields: that speaks of what
//! people add to what Git says, and here Git replaces what was said before.
//!
//! # What is left
//! Labels, annotations, finalizers and owners that Git does not declare stay with the former tool: others select by them, and a
//! tool that still runs would only write its marks again. So does what rules exclude, and `replicas` Git leaves out. Two
//! annotations do go: copies of the whole object (of a Secret, too) that nobody keeps up to date from now on.

use serde_json::{Map, Value};

use super::compare::Kind;
use super::declaration::Declaration;
use super::exclude::{Exclusions, glob};
use super::fields::{Entry, step};
use super::names::{TRACKING_ID, tracked_by};
use super::object::ObjectKey;
use super::path::{Path, Step};
use super::state::State;
use super::undeclared::is_left_alone;

/// Field managers, as globs, of tools that write whole objects: kubectl's (`before-first-apply` is the API server's word for
/// whoever wrote without one), Helm and Flux's Helm controller, Flux, Argo CD with either way of applying, Config Sync, Fleet,
/// Terraform, Pulumi, Tanka. What people edit with (`kubectl-edit`, `kubectl-patch`) is not among them.
const FORMER: [&str; 17] = [
    "kubectl",
    "kubectl-create",
    "kubectl-replace",
    "kubectl-client-side-apply",
    "kubectl-last-applied",
    "before-first-apply",
    "helm",
    "helm-controller",
    "kustomize-controller",
    "flux",
    "argocd-controller",
    "argocd-application-controller",
    "configsync.gke.io",
    "fleetagent",
    "Terraform",
    "pulumi-kubernetes*",
    "tanka",
];

/// Annotations in which kubectl and Fleet keep a copy of what they last applied.
pub const COPIES: [&str; 2] = ["kubectl.kubernetes.io/last-applied-configuration", "objectset.rio.cattle.io/applied"];

/// Is this an object that nobody manages for us yet?
pub fn is_foreign(state: &State<'_>) -> bool {
    let is_tracked = || {
        let key = ObjectKey::of(state.object)?;
        tracked_by(state.annotation(TRACKING_ID)?, &key).map(drop)
    };
    !state.owners().any(|entry| entry.is_ours()) && is_tracked().is_none()
}

/// Is this the entry of a tool that wrote the object as a whole?
pub fn is_former(entry: &Entry<'_>) -> bool {
    entry.subresource.is_empty() && FORMER.iter().any(|pattern| glob(pattern, entry.manager))
}

/// What decides about each place a former tool owns.
#[derive(Clone, Copy)]
pub struct Adoption<'a> {
    /// What Git declares.
    pub declaration: &'a Declaration,
    /// What is somebody else's business.
    pub exclusions: &'a Exclusions,
    /// The object as it is.
    pub live: &'a Value,
}

/// A former tool's `fieldsV1`, taken apart.
#[derive(Debug, Default, PartialEq)]
pub struct Share {
    /// What becomes ours.
    pub ours: Map<String, Value>,
    /// What stays with the tool.
    pub theirs: Map<String, Value>,
}

/// What becomes of one owned place.
#[derive(Clone, Copy)]
enum Fate {
    Ours,
    Theirs,
    /// The object has no such place in the version Git declares it in: an entry in another version.
    Nobody,
}

// === impl Adoption ===

impl Adoption<'_> {
    /// Takes a former tool's `fieldsV1` apart.
    pub fn share(self, fields: &Value) -> Share {
        self.below(fields, &mut Vec::new())
    }

    fn below(self, fields: &Value, steps: &mut Vec<Step>) -> Share {
        let mut share = Share::default();
        for (name, below) in fields.as_object().into_iter().flatten() {
            if name == "." {
                share.give(self.fate(steps), name, Value::Object(Map::new()));
                continue;
            }
            let Some(step) = step(name) else { continue };
            steps.push(step);
            if below.as_object().is_none_or(Map::is_empty) {
                share.give(self.fate(steps), name, below.clone());
            } else {
                let Share { ours, theirs } = self.below(below, steps);
                share.put(name, ours, theirs);
            }
            steps.pop();
        }
        share
    }

    fn fate(self, steps: &[Step]) -> Fate {
        let path = Path::new(steps.to_vec());
        let undeclared = self.declaration.find(&path).is_none();
        if path.starts_with_fields(&["status"])
            || (undeclared && (path.starts_with_fields(&["metadata"]) || is_left_alone(Kind::Leftover, &path)))
            || self.is_excluded(&path)
        {
            Fate::Theirs
        } else if path.find(self.live).is_some() {
            Fate::Ours
        } else {
            Fate::Nobody
        }
    }

    /// A list element that Git does not declare goes as a whole, whatever is excluded inside it.
    fn is_excluded(self, path: &Path) -> bool {
        let goes_whole = |end: usize| {
            let element = Path::new(path.steps()[..end].to_vec());
            matches!(element.steps().last(), Some(Step::Key(_)))
                && self.declaration.find(&element).is_none()
                && !self.exclusions.cover(&element)
        };
        self.exclusions.cover(path) && !(1..=path.steps().len()).any(goes_whole)
    }
}

// === impl Share ===

impl Share {
    fn give(&mut self, fate: Fate, name: &str, below: Value) {
        match fate {
            Fate::Ours => drop(self.ours.insert(name.to_owned(), below)),
            Fate::Theirs => drop(self.theirs.insert(name.to_owned(), below)),
            Fate::Nobody => {}
        }
    }

    /// What owns nothing is left out: an empty node would read as a leaf.
    fn put(&mut self, name: &str, ours: Map<String, Value>, theirs: Map<String, Value>) {
        for (into, below) in [(&mut self.ours, ours), (&mut self.theirs, theirs)] {
            if !below.is_empty() {
                into.insert(name.to_owned(), Value::Object(below));
            }
        }
    }
}
