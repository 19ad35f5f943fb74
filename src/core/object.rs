//! Which object: the identity that Git, the API server and an admission review agree on.
//!
//! The API *version* is deliberately absent. `apps/v1` and `apps/v1beta1` address one stored object, so a key with the
//! version in it would let an edit through another served version walk past the guard.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Group, kind, namespace and name; unique within a cluster. Cluster-scoped objects have no namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectKey {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind, as written in manifests (`Deployment`).
    pub kind: String,
    /// Namespace, or `None` for a cluster-scoped object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

// === impl ObjectKey ===

impl ObjectKey {
    /// Reads the identity out of a whole object. `None` when kind or name is missing.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let namespace = text("/metadata/namespace").filter(|namespace| !namespace.is_empty());
        Some(Self {
            group: group_of(text("/apiVersion")?).to_owned(),
            kind: text("/kind")?.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: text("/metadata/name").filter(|name| !name.is_empty())?.to_owned(),
        })
    }
}

impl fmt::Display for ObjectKey {
    /// `Deployment.apps prod/api`, `Namespace prod`: the form used in messages and records.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, kind, namespace, name } = self;
        write!(f, "{kind}")?;
        if !group.is_empty() {
            write!(f, ".{group}")?;
        }
        match namespace {
            Some(namespace) => write!(f, " {namespace}/{name}"),
            None => write!(f, " {name}"),
        }
    }
}

/// The group half of an `apiVersion`: `apps` of `apps/v1`, empty for `v1`.
pub fn group_of(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}
