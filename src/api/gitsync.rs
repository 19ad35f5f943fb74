//! `GitSync`: one folder of one repository, kept equal to one namespace of the cluster.
//!
//! The shape is the one people know from an Argo CD `Application`, so that moving over is renaming, not redesigning. Only what
//! has an effect today is in the schema: a field that is accepted and ignored is a promise nobody keeps.

#![allow(clippy::duplicated_attributes, reason = "each printer column has a type of its own")]

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IgnoreRule, SyncPolicy, SyncWindow, status::GitSyncStatus};

/// Keeps a part of the cluster equal to a folder in Git.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "holdfast.dev",
    version = "v1alpha1",
    kind = "GitSync",
    plural = "gitsyncs",
    shortname = "gs",
    category = "holdfast",
    category = "gitops",
    namespaced,
    status = "GitSyncStatus",
    derive = "PartialEq",
    doc = "Keeps a part of the cluster equal to a folder in Git: what differs is refused at admission or healed afterwards."
)]
#[kube(printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"))]
#[kube(printcolumn(
    name = "Revision",
    type_ = "string",
    json_path = ".status.revision",
    description = "Commit the cluster is equal to, or why there is none yet"
))]
#[kube(printcolumn(name = "Objects", type_ = "integer", json_path = ".status.objects"))]
#[kube(printcolumn(name = "Drifted", type_ = "integer", json_path = ".status.drifted"))]
#[kube(printcolumn(name = "Mode", type_ = "string", json_path = ".spec.admission.mode"))]
#[kube(printcolumn(name = "Suspended until", type_ = "string", json_path = ".spec.suspend.until", priority = 1))]
#[kube(printcolumn(
    name = "Suspended by",
    type_ = "string",
    json_path = r".metadata.annotations.holdfast\.dev/suspended-by",
    priority = 1
))]
#[kube(printcolumn(name = "Rolled back until", type_ = "string", json_path = ".spec.rollback.until", priority = 1))]
#[kube(printcolumn(
    name = "Rolled back by",
    type_ = "string",
    json_path = r".metadata.annotations.holdfast\.dev/rolled-back-by",
    priority = 1
))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
#[kube(printcolumn(
    name = "Message",
    type_ = "string",
    json_path = ".status.conditions[?(@.type==\"Ready\")].message",
    priority = 1
))]
#[serde(rename_all = "camelCase")]
pub struct GitSyncSpec {
    /// Where the manifests are.
    pub source: Source,
    /// Where they go.
    pub destination: Destination,
    /// Service account, in the GitSync's own namespace, whose rights apply: everything is read, tried out, written and deleted as
    /// this account. Without it, with Holdfast's own rights, or those of `--default-service-account`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
    /// What happens to manual edits of managed objects when they are made.
    #[serde(default)]
    pub admission: Admission,
    /// How the cluster is made equal to Git.
    #[serde(default)]
    pub sync_policy: SyncPolicy,
    /// Fields that are somebody else's business: never denied, never healed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<IgnoreRule>,
    /// Times at which commits are, or are not, made real, drift undone, and what left Git deleted. Beyond these, the windows of
    /// the `DriftPolicy` hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub sync_windows: Vec<SyncWindow>,
    /// What becomes of the objects when this is deleted: `Orphan` takes Holdfast's marks off them, `Delete` deletes them. Without it they
    /// stay as they are. With it the deletion waits for a running Holdfast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Pauses this sync: nothing is written, and edits are marked instead of denied. Needs a reason, an end, and the verb
    /// `suspend`; who paused it is stamped in the annotation `holdfast.dev/suspended-by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<Suspend>,
    /// Pins an older commit for a while: the cluster is made equal to it and kept so, and newer commits wait. Needs a reason, an
    /// end, and the verb `suspend`; who rolled back is stamped in the annotation `holdfast.dev/rolled-back-by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
}

/// A folder in a Git repository, at a revision.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The repository, as an `https://`, `http://`, `ssh://` or `file://` URL without credentials in it, or as
    /// `git@host:path`, which is ssh.
    #[serde(rename = "repoURL")]
    #[schemars(length(min = 1, max = 2048), extend("x-kubernetes-validations" = [{
        "rule": "self.matches('^(https?|ssh|file)://.+') || self.matches('^[^/:@]+@[^/:@]+:.+')",
        "message": "must be an https://, http://, ssh:// or file:// URL, or user@host:path"
    }]))]
    pub repo_url: String,
    /// Branch, tag, full commit SHA, `HEAD` for the repository's default branch, or a range of versions such as
    /// `>=1.2 <2` or `semver:1.x`: then the newest tag in it.
    #[serde(default = "head")]
    #[schemars(length(min = 1, max = 256))]
    pub target_revision: String,
    /// Folder inside the repository; everything below it is read. `.` is the whole repository.
    #[serde(default = "whole_repository")]
    #[schemars(length(min = 1, max = 1024), extend("x-kubernetes-validations" = [{
        "rule": "!self.startsWith('/') && !self.split('/').exists(part, part == '..')",
        "message": "must be relative to the repository and must not contain '..'"
    }]))]
    pub path: String,
    /// How often the repository is asked for a new commit, such as `30s`, `2m` or `1h30m`. At least `1s`.
    #[serde(default = "half_a_minute")]
    #[schemars(length(max = 64), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    pub interval: String,
    /// The Secret with what it takes to read the repository, in the namespace of this `GitSync`. Keys: `username` and
    /// `password`, or `bearerToken`; `ca.crt` for an https server with a CA of its own; `identity` (a private key) and
    /// `known_hosts` for ssh; `webhookSecret` for push webhooks. A change of it is taken up at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
}

/// A Secret in the same namespace.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// A namespace of this cluster.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// Namespace of every namespaced object whose manifest does not name one.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: String,
}

/// What happens to manual edits when they are made.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    /// What to do with an edit that would move an object away from Git: `Deny` refuses it, `Warn` lets it pass with a
    /// warning to the person, `Annotate` lets it pass and marks the object, `Off` lets it pass (quote it: YAML reads a
    /// bare Off as false). What was let pass is healed afterwards if `syncPolicy.automated.selfHeal` says so.
    #[serde(default)]
    pub mode: Mode,
    /// What to do with fields Git says nothing about, added by a person: `Deny` and `Warn` as above (never stricter than
    /// `mode`), `Allow` leaves them alone. Labels and annotations may always be added; controllers may add what they like.
    #[serde(default)]
    pub undeclared: Undeclared,
}

/// What admission does with an edit that moves an object away from Git.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Refuse it.
    #[default]
    Deny,
    /// Let it pass with a warning.
    Warn,
    /// Let it pass and mark the object.
    Annotate,
    /// Let it pass.
    Off,
}

/// What admission does with undeclared fields added by a person.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Undeclared {
    /// Refuse them.
    #[default]
    Deny,
    /// Let them pass with a warning.
    Warn,
    /// Leave them alone.
    Allow,
}

/// What becomes of the objects of a `GitSync` that is deleted.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DeletionPolicy {
    /// They stay, and lose Holdfast's marks.
    #[default]
    Orphan,
    /// They go.
    Delete,
}

/// A pause with a reason and an end.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Suspend {
    /// Why, for whoever finds it later: a ticket and a few words.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// When the sync takes over again by itself, as an RFC 3339 time such as `2026-12-01T10:00:00Z`.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
}

/// A pause with content: an older commit, with a reason and an end.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// The commit: its id, the first 7 digits of it or more, or a tag. It must be in the history of what `targetRevision` is
    /// now, or stand in `status.history` as synced.
    #[schemars(length(min = 1, max = 256))]
    pub revision: String,
    /// Why, for whoever finds it later: a ticket and a few words.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
    /// When the newest commit takes over again by itself, as an RFC 3339 time such as `2026-12-01T10:00:00Z`.
    #[schemars(extend("format" = "date-time"))]
    pub until: String,
}

// === defaults ===

fn head() -> String {
    "HEAD".to_owned()
}

fn whole_repository() -> String {
    ".".to_owned()
}

fn half_a_minute() -> String {
    "30s".to_owned()
}
