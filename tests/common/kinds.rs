//! The schema the model of the API server goes by: how a list or map merges, told from the name of its field alone.
//!
//! Kubernetes names its fields so regularly that a name decides; generated objects use names made for the purpose
//! (`keyed…`, `set…`, `atomic…`, `selector…`).

use serde_json::{Value, json};

/// How the value of a field merges with another manager's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Maps field by field; scalars as a whole.
    Granular,
    /// As a whole, whatever it is.
    Atomic,
    /// A list whose elements are told apart by these fields.
    Keyed(&'static [&'static str]),
    /// A list of scalars without order.
    Set,
}

/// How the field `name` merges, given a value of it.
pub fn merge_of(name: &str, value: &Value) -> Merge {
    match value {
        Value::Array(elements) => list(name, elements),
        Value::Object(_) if is_atomic_map(name) => Merge::Atomic,
        _ => Merge::Granular,
    }
}

/// The value an absent key field has. A `name` that is the empty text is not written at all.
pub fn key_default(name: &str) -> Option<Value> {
    match name {
        "protocol" => Some(json!("TCP")),
        "name" => Some(json!("")),
        _ => None,
    }
}

/// The fields the API server fills in when nobody says anything: place (fields only) and value.
pub fn defaults(kind: &str) -> &'static [(&'static [&'static str], u64)] {
    match kind {
        "Deployment" | "StatefulSet" => &[(&["spec", "replicas"], 1)],
        "Thing" => &[(&["spec", "replicas"], 1), (&["spec", "limit"], 1)],
        _ => &[],
    }
}

fn list(name: &str, elements: &[Value]) -> Merge {
    match name {
        "ports" if elements.iter().any(|port| port.get("port").is_some()) => Merge::Keyed(&["port", "protocol"]),
        "ports" => Merge::Keyed(&["containerPort", "protocol"]),
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "webhooks" => Merge::Keyed(&["name"]),
        "volumeMounts" => Merge::Keyed(&["mountPath"]),
        "hostAliases" => Merge::Keyed(&["ip"]),
        "conditions" => Merge::Keyed(&["type"]),
        "ownerReferences" => Merge::Keyed(&["uid"]),
        "finalizers" => Merge::Set,
        name if name.starts_with("keyed") => Merge::Keyed(&["name"]),
        name if name.starts_with("set") => Merge::Set,
        _ => Merge::Atomic,
    }
}

fn is_atomic_map(name: &str) -> bool {
    matches!(name, "selector" | "podSelector" | "namespaceSelector" | "nodeSelector" | "scaleTargetRef" | "roleRef")
        || name.starts_with("selector")
}
