//! What a `GitSync` reports.
//!
//! Counts and the drifted objects, never a list of every object: a status is read by people and watched by dashboards, and
//! one that grows with the repository would be rewritten on every change of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::object::ObjectKey;

/// Observed state of a `GitSync`.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GitSyncStatus {
    /// Generation of the spec this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What `kubectl get` shows under REVISION: the short synced commit or, before there is one, the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Newest commit read from the repository, as a full SHA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_revision: Option<String>,
    /// Commit the cluster was last made, or found, equal to, as a full SHA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced_revision: Option<String>,
    /// Commit that is enforced, as a full SHA: what edits are judged by and drift is healed to. The newest, unless it was refused,
    /// waits for a window, or somebody rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforced_revision: Option<String>,
    /// The commit a rollback pins, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<PinnedRevision>,
    /// How many objects Git declares.
    #[serde(default)]
    pub objects: u32,
    /// How many of them differ from Git right now.
    #[serde(default)]
    pub drifted: u32,
    /// The objects that differ, and why they are not healed. Shortened when there are many; `drifted` has the full count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<DriftedObject>,
    /// Kinds this sync has objects of, as `apiVersion/Kind`: where to look, after a restart, for what has left Git since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// The `holdfast.dev/sync-requested` that was answered last: what is said here is from after that look at Git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled_request: Option<String>,
    /// The last commits that were made real, or refused; the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub history: Vec<HistoryEntry>,
    /// `Ready`, `Synced` and `Stalled` always; `Suspended`, `RolledBack`, `BreakGlass`, `WindowClosed`, `Fighting`, `Conflict` and
    /// `RuleError` while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// The commit a rollback pins.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PinnedRevision {
    /// As it was asked for.
    pub requested: String,
    /// Which commit that is, as a full SHA: a tag that is moved meanwhile moves nothing.
    pub revision: String,
    /// Commit that was enforced before, as a full SHA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What became of a commit.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The commit, as a full SHA.
    pub revision: String,
    /// When that was.
    pub at: Time,
    /// What became of it.
    pub outcome: CommitOutcome,
    /// The name of its author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Why it was refused, or rolled back to; shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What became of a commit.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The cluster was made, or found, equal to it.
    Synced,
    /// It was refused before anything of it was written.
    Refused,
    /// The cluster was made, or found, equal to it because somebody rolled back to it.
    RolledBack,
}

/// An object that differs from Git.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DriftedObject {
    /// Which object.
    pub object: ObjectRef,
    /// The fields that differ; empty when the whole object is missing or unwanted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// When the difference was first seen.
    pub since: Time,
    /// Who made it, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why it has not been healed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Group, kind, namespace and name of an object.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// API group; absent for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; absent for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

// === impl ObjectRef ===

impl From<&ObjectKey> for ObjectRef {
    fn from(key: &ObjectKey) -> Self {
        let ObjectKey { group, kind, namespace, name } = key.clone();
        Self { group, kind, namespace, name }
    }
}
