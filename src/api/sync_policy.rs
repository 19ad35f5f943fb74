//! The `syncPolicy` of a `GitSync`: what Holdfast may do by itself, and how it tries again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the cluster is made equal to Git.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SyncPolicy {
    /// What happens without anybody asking.
    #[serde(default)]
    pub automated: Automated,
    /// Switches written as `Name=true` or `Name=false`. `CreateNamespace` (off) creates the destination namespace;
    /// `Validate` (on) asks the API server about a whole commit before any of it is written; `PruneLast` (off) deletes what
    /// left Git only when all that was written is ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// Labels and annotations of the destination namespace, with `CreateNamespace=true`. A Namespace that Git declares has
    /// those of its manifest instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_namespace: Option<ManagedNamespace>,
    /// How long a wave may take to become ready before that is reported, such as `5m`. It is waited for all the same.
    #[serde(default = "five_minutes")]
    #[schemars(length(max = 64), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    pub wave_timeout: String,
    /// What becomes of the dependents of an object that is pruned: `Background` deletes them after it, `Foreground` before it,
    /// `Orphan` not at all.
    #[serde(default)]
    pub prune_propagation: PrunePropagation,
    /// What happens when a sync fails.
    #[serde(default)]
    pub retry: Retry,
}

/// Metadata of the destination namespace.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ManagedNamespace {
    /// Labels, such as those of Pod security. Set anew with every commit; others stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations. Set anew with every commit; others stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What becomes of the dependents of an object that is deleted.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PrunePropagation {
    /// They go after it.
    #[default]
    Background,
    /// They go before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// What happens without anybody asking.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Automated {
    /// Delete objects that have left Git. Off unless asked for: it is the one thing Git cannot undo.
    #[serde(default)]
    pub prune: bool,
    /// Undo drift as soon as it is seen. `false` only reports it. Commits are applied either way.
    #[serde(default = "yes")]
    pub self_heal: bool,
}

/// What happens when a sync fails.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Failures in a row after which the sync is reported as `Stalled`. It goes on trying, at `backoff.maxDuration`.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u32,
    /// How long to wait between tries.
    #[serde(default)]
    pub backoff: Backoff,
}

/// A wait that grows with every failure.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// Wait after the first failure, such as `2s`.
    #[serde(default = "two_seconds")]
    #[schemars(length(max = 64), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    pub duration: String,
    /// Each further wait is this many times the one before.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 100))]
    pub factor: u32,
    /// No wait is longer than this.
    #[serde(default = "three_minutes")]
    #[schemars(length(max = 64), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    pub max_duration: String,
}

// === defaults ===

impl Default for SyncPolicy {
    fn default() -> Self {
        Self {
            automated: Automated::default(),
            sync_options: Vec::new(),
            managed_namespace: None,
            wave_timeout: five_minutes(),
            prune_propagation: PrunePropagation::default(),
            retry: Retry::default(),
        }
    }
}

impl Default for Automated {
    fn default() -> Self {
        Self { prune: false, self_heal: true }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { limit: five(), backoff: Backoff::default() }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { duration: two_seconds(), factor: two(), max_duration: three_minutes() }
    }
}

fn yes() -> bool {
    true
}

fn five() -> u32 {
    5
}

fn two() -> u32 {
    2
}

fn two_seconds() -> String {
    "2s".to_owned()
}

fn five_minutes() -> String {
    "5m".to_owned()
}

fn three_minutes() -> String {
    "3m".to_owned()
}
