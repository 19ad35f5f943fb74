//! Everything a cluster needs to run Holdfast, as typed values.
//!
//! Printed by `holdfast render` and committed under `deploy/`; a test compares the two. The webhook configurations are not
//! here: the running process writes them itself, because only it knows its certificate and which kinds Git declares. Until it
//! does, nothing is guarded and nothing is blocked.

mod rbac;
mod workload;

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::Serialize;

use crate::api;

/// What to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Part {
    /// The namespace Holdfast runs in.
    Namespace,
    /// Its kinds.
    Crds,
    /// Its service account and rights, and roles for people.
    Rbac,
    /// The program itself: Deployment, `PodDisruptionBudget` and Service.
    Workload,
}

/// What may differ from one installation to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The namespace Holdfast runs in.
    pub namespace: String,
    /// The image of the program.
    pub image: String,
}

/// One object, and why it is there.
pub(crate) struct Document {
    why: &'static str,
    value: serde_json::Value,
}

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
#[error("failed to write YAML")]
pub struct Error(#[from] serde_saphyr::ser::Error);

// === impl Installation ===

impl Default for Installation {
    fn default() -> Self {
        let image = concat!("holdfast:", env!("CARGO_PKG_VERSION"));
        Self { namespace: "holdfast-system".to_owned(), image: image.to_owned() }
    }
}

// === impl Part ===

impl Part {
    /// All of them, in the order in which they must be applied.
    pub const ALL: [Self; 4] = [Self::Namespace, Self::Crds, Self::Rbac, Self::Workload];

    fn documents(self, installation: &Installation) -> Vec<Document> {
        match self {
            Self::Namespace => vec![namespace(&installation.namespace)],
            Self::Crds => api::definitions().iter().map(|crd| Document::new("", crd)).collect(),
            Self::Rbac => rbac::documents(&installation.namespace),
            Self::Workload => workload::documents(installation),
        }
    }
}

// === impl Document ===

impl Document {
    pub(crate) fn new(why: &'static str, object: &impl Serialize) -> Self {
        let value = serde_json::to_value(object).expect("Kubernetes types are plain data");
        Self { why, value }
    }

    fn print(&self) -> Result<String, Error> {
        let comment: String = self.why.lines().map(|line| format!("# {}\n", line.trim())).collect::<Vec<_>>().concat();
        Ok(format!("---\n{comment}{}", serde_saphyr::to_string(&self.value)?))
    }
}

/// The chosen parts as YAML, in the order in which they must be applied.
pub fn render(installation: &Installation, parts: &[Part]) -> Result<String, Error> {
    let chosen = Part::ALL.into_iter().filter(|part| parts.contains(part));
    chosen.flat_map(|part| part.documents(installation)).map(|document| document.print()).collect()
}

fn namespace(name: &str) -> Document {
    let labels =
        labels().into_iter().chain([("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned())]);
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels.collect()), ..ObjectMeta::default() };
    Document::new(
        "Never guarded by Holdfast itself, so that it can always be repaired.",
        &Namespace { metadata, ..Namespace::default() },
    )
}

/// On every object, and how the Service finds the Pods.
pub(crate) fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("app.kubernetes.io/name".to_owned(), "holdfast".to_owned())])
}

/// Metadata of a namespaced object.
pub(crate) fn metadata(name: &str, namespace: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        labels: Some(labels()),
        ..ObjectMeta::default()
    }
}
