//! Guards: what another tool keeps (Flux, Argo CD, Helm, a pipeline), protected at admission without moving it to us.
//!
//! There is no Git to ask, so the cluster is: what the tool's managers own of an object *before* an edit, with the values it has,
//! is what was last known to be right (`claims`). That becomes a [`Managed`] like any other, whose [`Sync`] names a [`Tool`], and
//! [`judge`](super::judge) and exclusions do the rest. Nothing is marked and nothing is healed: the tool does that.
//!
//! # What is not guarded
//! An object that no manager of the guard has written, whatever its labels: those of a Deployment are on its Pods, too, and
//! deleting one of these is no edit of what the tool keeps. Nor what is created: nothing is known of it yet.

mod claims;
mod tool;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

pub use tool::Tool;

use super::declaration::Declaration;
use super::exclude::{Exclusions, LabelMap, Labels, Surroundings, annotation, glob};
use super::fields::{Entry, entries};
use super::manifest::{Lines, Manifest, Origin};
use super::object::ObjectKey;
use super::snapshot::{Managed, Mode, Sync, Undeclared};
use super::who::User;

/// One guard of the `DriftPolicy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Its name.
    pub name: Arc<str>,
    /// Which objects.
    pub objects: Selection,
    /// Field managers, as globs, whose fields count as declared.
    pub managers: Arc<[String]>,
    /// Users and groups, as globs, that may write.
    pub writers: Vec<String>,
    /// What is done about an edit.
    pub mode: Mode,
    /// What is done about fields people add.
    pub undeclared: Undeclared,
}

/// Which objects a guard is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Resources; any, if none is named.
    pub resources: Vec<GroupResource>,
    /// Conditions on labels.
    pub labels: Labels,
    /// Annotations, all of which are there.
    pub annotations: Vec<String>,
    /// Namespaces, as globs; anywhere, if none is named. Then cluster-scoped objects count, too.
    pub namespaces: Vec<String>,
}

/// A resource in its group; `*` stands for any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupResource {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural, as in URLs.
    pub plural: String,
}

/// Groups no guard is about.
pub const VITAL_GROUPS: [&str; 4] =
    ["coordination.k8s.io", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io"];
/// Likewise of the core group.
pub const VITAL: [&str; 2] = ["events", "nodes"];
/// Namespaces whose repair depends on nobody; besides them, our own.
pub const SPARED: [&str; 2] = ["kube-system", "kube-node-lease"];

// === impl Guard ===

impl Guard {
    /// Could an object served there be one of its own?
    pub fn is_about(&self, group: &str, plural: &str, namespace: Option<&str>) -> bool {
        let namespaces = &self.objects.namespaces;
        let is_there = |namespace: &str| namespaces.iter().any(|pattern| glob(pattern, namespace));
        self.names(group, plural) && (namespaces.is_empty() || namespace.is_some_and(is_there))
    }

    /// Is this one of its resources, wherever it is?
    pub fn names(&self, group: &str, plural: &str) -> bool {
        let resources = &self.objects.resources;
        !is_vital(group, plural)
            && (resources.is_empty() || resources.iter().any(|resource| resource.is(group, plural)))
    }

    /// May this user write what it guards?
    pub fn lets_write(&self, user: &User) -> bool {
        self.mode == Mode::Off || user.is_named_by(&self.writers)
    }

    /// Is this object, of which metadata are enough, selected, and has the tool written it?
    pub fn keeps(&self, object: &Value) -> bool {
        self.objects.select(object) && entries(object).any(|entry| is_theirs(&self.managers, &entry))
    }

    /// The version in which the tool wrote this object, as its entries say.
    pub fn version_of<'o>(&self, object: &'o Value) -> Option<&'o str> {
        let theirs = entries(object).find(|entry| is_theirs(&self.managers, entry));
        theirs.map(|entry| entry.version).filter(|version| !version.is_empty())
    }

    /// What the tool declares of this object, which is whole; `None` if it is not selected, or the tool has not written it.
    pub fn ward(&self, key: &ObjectKey, plural: &str, object: &Value, around: &Surroundings) -> Option<Managed> {
        if !self.is_about(&key.group, plural, key.namespace.as_deref()) || !self.objects.select(object) {
            return None;
        }
        let (owned, values) = claims::claims(object, &self.managers, &self.objects.marks())?;
        let declaration = Declaration::of_fields(&owned, &values);
        let manifest = manifest(key, object, &declaration);
        let own = annotation::rule(&manifest.value).ok().flatten().into_iter().collect();
        let exclusions = Exclusions::resolve(own, &manifest, &declaration, around);
        let sync = Arc::new(self.sync(object));
        Some(Managed { sync, manifest: Arc::new(manifest.into()), declaration, exclusions, resource: plural.into() })
    }

    fn sync(&self, object: &Value) -> Sync {
        Sync {
            name: self.name.to_string(),
            repository: String::new(),
            target: String::new(),
            revision: String::new(),
            mode: self.mode,
            undeclared: self.undeclared,
            self_heal: false,
            suspension: None,
            rollback: None,
            tool: Some(Arc::new(Tool::of(self, object))),
        }
    }
}

// === impl Selection ===

impl Selection {
    fn select(&self, object: &Value) -> bool {
        let annotations = object.pointer("/metadata/annotations");
        let has = |name: &String| annotations.is_some_and(|annotations| annotations.get(name).is_some());
        self.labels.select(&labels_of(object)) && self.annotations.iter().all(has)
    }

    /// The labels and annotations by which it selects: taking one away, or adding one, would escape.
    fn marks(&self) -> BTreeMap<&'static str, Vec<&str>> {
        let labels = self.labels.0.iter().map(|condition| condition.key.as_str()).collect();
        let annotations = self.annotations.iter().map(String::as_str).collect();
        BTreeMap::from([("f:labels", labels), ("f:annotations", annotations)])
    }
}

// === impl GroupResource ===

impl GroupResource {
    fn is(&self, group: &str, plural: &str) -> bool {
        (self.group == "*" || self.group == group) && (self.plural == "*" || self.plural == plural)
    }
}

/// Without these no cluster lives: leases and Events of every controller, what nodes report, questions about rights. A guard may
/// select every kind, and a label may be on anything.
pub fn is_vital(group: &str, plural: &str) -> bool {
    VITAL_GROUPS.contains(&group) || (group.is_empty() && VITAL.contains(&plural))
}

/// Is this the entry of a tool that goes by one of these names? What it reports through subresources, it does not declare.
pub fn is_theirs(managers: &[String], entry: &Entry<'_>) -> bool {
    entry.subresource.is_empty() && managers.iter().any(|pattern| glob(pattern, entry.manager))
}

/// What the tool declares, as it would stand in Git.
fn manifest(key: &ObjectKey, object: &Value, declaration: &Declaration) -> Manifest {
    let mut value: Map<_, _> =
        declaration.sections.iter().map(|(name, node)| (name.to_string(), node.value())).collect();
    for identity in ["apiVersion", "kind"] {
        value.insert(identity.to_owned(), object[identity].clone());
    }
    let mut value = Value::Object(value);
    value["metadata"]["name"] = json!(key.name);
    if let Some(namespace) = &key.namespace {
        value["metadata"]["namespace"] = json!(namespace);
    }
    Manifest { key: key.clone(), value, origin: Origin { file: "".into(), lines: Lines::leaf(0) } }
}

fn labels_of(object: &Value) -> LabelMap {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests;
