//! What is kept, and how it is edited: Deployments and `ConfigMap`s, of the size people have.

use std::path::Path;

use anyhow::{Context, Result};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

/// Where it lives in the cluster.
pub const NAMESPACE: &str = "bench";
/// The `GitSync`.
pub const SYNC: &str = "bench";
/// Where it lies in Git.
pub const FOLDER: &str = "bench";
/// How many objects there are.
pub const OBJECTS: u32 = DEPLOYMENTS + CONFIG_MAPS;

const DEPLOYMENTS: u32 = 150;
const CONFIG_MAPS: u32 = 350;

/// The one commits change; no edit touches it.
const COMMITTED: u32 = CONFIG_MAPS - 1;

/// What is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its replicas.
    Deployment,
    /// Its value `level`.
    ConfigMap,
}

/// One slipped edit.
pub struct Edit {
    /// Of what.
    pub kind: Kind,
    /// Of which.
    pub name: String,
    /// Git's value.
    pub declared: Value,
    /// The value of the edit.
    pub slipped: Value,
}

// === impl Kind ===

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Deployment, Self::ConfigMap];

    /// How a client asks for it.
    pub fn resource(self) -> ApiResource {
        ApiResource::from_gvk(&match self {
            Self::Deployment => GroupVersionKind::gvk("apps", "v1", "Deployment"),
            Self::ConfigMap => GroupVersionKind::gvk("", "v1", "ConfigMap"),
        })
    }

    /// The value that is edited, in an object of this kind.
    pub fn value_of(self, object: &DynamicObject) -> Option<&Value> {
        object.data.pointer(match self {
            Self::Deployment => "/spec/replicas",
            Self::ConfigMap => "/data/level",
        })
    }
}

// === impl Edit ===

impl Edit {
    /// The edit as a merge patch.
    pub fn patch(&self) -> Value {
        match self.kind {
            Kind::Deployment => json!({"spec": {"replicas": self.slipped}}),
            Kind::ConfigMap => json!({"data": {"level": self.slipped}}),
        }
    }
}

/// Edits by turns, each of an object of its own.
pub fn edits() -> impl Iterator<Item = Edit> {
    (0..DEPLOYMENTS).flat_map(|number| [edit(Kind::Deployment, number), edit(Kind::ConfigMap, number)])
}

fn edit(kind: Kind, number: u32) -> Edit {
    let (declared, slipped) = match kind {
        Kind::Deployment => (json!(1), json!(2)),
        Kind::ConfigMap => (json!("info"), json!("debug")),
    };
    Edit { kind, name: name(number), declared, slipped }
}

/// Writes all of it into a working clone.
pub fn write(files: &Path) -> Result<()> {
    let deployments = (0..DEPLOYMENTS).map(|number| (format!("deployment-{number}"), deployment(number)));
    let config_maps = (0..CONFIG_MAPS).map(|number| (format!("config-{number}"), config_map(number, &json!("info"))));
    deployments.chain(config_maps).try_for_each(|(file, object)| write_file(files, &file, &object))
}

/// Writes the one that commits change.
pub fn write_one(files: &Path, value: &Value) -> Result<()> {
    write_file(files, &format!("config-{COMMITTED}"), &config_map(COMMITTED, value))
}

fn write_file(files: &Path, name: &str, object: &Value) -> Result<()> {
    let folder = files.join(FOLDER);
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join(format!("{name}.yaml")), format!("{object:#}")));
    written.with_context(|| format!("failed to write {name}"))
}

fn name(number: u32) -> String {
    format!("service-{number}")
}

fn config_map(number: u32, level: &Value) -> Value {
    let data = json!({"level": level, "region": "eu-west-1", "listen": ":8080", "timeout": "30s"});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name(number)}, "data": data})
}

fn deployment(number: u32) -> Value {
    let labels = json!({"app.kubernetes.io/name": name(number)});
    let container = |name: &str, port: u16| {
        json!({
            "name": name, "image": format!("registry.example.com/shop/{name}:1.4.2"),
            "ports": [{"name": name, "containerPort": port}],
            "env": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "REGION", "value": "eu-west-1"}],
            "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
        })
    };
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name(number), "labels": labels},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container("app", 8080), container("proxy", 15001)]}},
        },
    })
}
