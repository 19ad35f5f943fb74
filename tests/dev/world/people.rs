//! Who acts in a world, and what each may do.
//!
//! Kubernetes has no users of its own: names and groups come from the API server's token file, rights from RBAC. The
//! rights are written out as verbs instead of bound to the built-in `edit` role, because that role is filled by a
//! controller some time after the start, and because `break-glass` must be the one verb that tells alice from oncall.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::layout::{Layout, write_atomically};
use super::pki::Pki;

/// The field manager of everything a world itself puts into the cluster.
pub const FIELD_MANAGER: &str = "holdfast-dev";

/// Someone, or something, with a kubeconfig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// In `system:masters`: may do everything, break glass included.
    Administrator,
    /// A developer: may edit everything in the namespaces handed to her team, but not break glass.
    Alice,
    /// Like alice, and may break glass on every `GitSync`.
    Oncall,
    /// The controller manager. Its controllers act under service accounts of their own.
    ControllerManager,
    /// Holdfast's service account.
    Holdfast,
}

impl Person {
    /// Those the token file names. Holdfast is a real service account and gets a real token.
    const KNOWN_BY_TOKEN: [Self; 4] = [Self::Administrator, Self::Alice, Self::Oncall, Self::ControllerManager];

    /// The user name, as admission reviews and audit logs show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Alice => "alice",
            Self::Oncall => "oncall",
            Self::ControllerManager => "system:kube-controller-manager",
            Self::Holdfast => "system:serviceaccount:holdfast-system:holdfast",
        }
    }

    fn groups(self) -> &'static str {
        match self {
            Self::Administrator => "system:masters",
            Self::Alice => "team-shop",
            Self::Oncall => "team-shop,oncall",
            Self::ControllerManager | Self::Holdfast => "",
        }
    }

    /// The kubeconfig of this person.
    pub fn kubeconfig(self, layout: &Layout) -> PathBuf {
        let file = match self {
            Self::ControllerManager => "controller-manager.kubeconfig".to_owned(),
            Self::Holdfast => "holdfast.kubeconfig".to_owned(),
            person => format!("{}.kubeconfig", person.name()),
        };
        layout.root().join(file)
    }

    /// Writes a kubeconfig that verifies the server and authenticates by `token`. JSON is YAML.
    pub fn write_kubeconfig(self, layout: &Layout, pki: &Pki, server: &str, token: &str) -> Result<()> {
        write_kubeconfig(&self.kubeconfig(layout), self.name(), pki, server, token)
    }
}

/// Likewise, for whoever goes by this name, in this file.
pub fn write_kubeconfig(file: &std::path::Path, name: &str, pki: &Pki, server: &str, token: &str) -> Result<()> {
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "dev", "cluster": {"server": server, "certificate-authority": pki.authority()}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": name, "namespace": "default"}}],
        "current-context": "dev",
    });
    write_atomically(file, format!("{kubeconfig:#}\n"))
}

/// The API server's token file: `token,user,uid,"groups"`.
pub fn write_token_file(layout: &Layout, pki: &Pki) -> Result<PathBuf> {
    let line = |person: Person| {
        let (name, groups) = (person.name(), person.groups());
        Ok(format!("{},{name},{name},\"{groups}\"\n", pki.token(name)?))
    };
    let lines: Vec<String> = Person::KNOWN_BY_TOKEN.into_iter().map(line).collect::<Result<_>>()?;
    let file = layout.secrets().join("tokens.csv");
    write_atomically(&file, lines.concat())?;
    Ok(file)
}

/// Kubeconfigs for everybody the token file names.
pub fn write_kubeconfigs(layout: &Layout, pki: &Pki, server: &str) -> Result<()> {
    Person::KNOWN_BY_TOKEN
        .into_iter()
        .try_for_each(|person| person.write_kubeconfig(layout, pki, server, &pki.token(person.name())?))
}

/// What the groups may do across the cluster: look around, and for oncall break glass.
pub fn cluster_rights() -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        cluster_role("dev:developer", &json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": [
            "get", "list", "watch", "create", "update", "patch", "delete", "deletecollection",
        ]}])),
        cluster_role("dev:look-around", &json!([
            {"apiGroups": ["holdfast.dev"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get", "list", "watch"]},
        ])),
        cluster_role("dev:break-glass", &json!([
            {"apiGroups": ["holdfast.dev"], "resources": ["gitsyncs", "driftpolicies"], "verbs": ["break-glass"]},
        ])),
        binding("ClusterRoleBinding", None, "dev:look-around", "team-shop"),
        binding("ClusterRoleBinding", None, "dev:break-glass", "oncall"),
    ]})
}

/// A namespace handed to alice's team, who may then edit everything in it.
pub fn team_namespace(namespace: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        binding("RoleBinding", Some(namespace), "dev:developer", "team-shop"),
    ]})
}

fn cluster_role(name: &str, rules: &Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules})
}

fn binding(kind: &str, namespace: Option<&str>, role: &str, group: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": role, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
    })
}
