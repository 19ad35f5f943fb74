//! The tool that keeps a guarded object, as people know it: by what it wrote on the object.

use std::sync::Arc;

use serde_json::Value;

use super::{Guard, is_theirs};
use crate::core::fields::{Entry, entries};

/// The tool that keeps an object instead of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The guard by which its objects are protected.
    pub guard: Arc<str>,
    /// The names, as globs, by which it writes.
    pub managers: Arc<[String]>,
    /// The one by which it wrote this object.
    pub manager: String,
    /// What of it keeps the object (`Flux Kustomization flux-system/shop`), if it says so there.
    pub application: Option<String>,
}

// === impl Tool ===

impl Tool {
    pub(super) fn of(guard: &Guard, object: &Value) -> Self {
        let managers = guard.managers.clone();
        let manager = entries(object).find(|entry| is_theirs(&managers, entry)).map(|entry| entry.manager.to_owned());
        let manager = manager.unwrap_or_default();
        Self { guard: guard.name.clone(), application: application(object, &manager), managers, manager }
    }

    /// Is this an entry of its own?
    pub fn wrote(&self, entry: &Entry<'_>) -> bool {
        is_theirs(&self.managers, entry)
    }
}

fn application(object: &Value, manager: &str) -> Option<String> {
    let metadata = |field: &str, name: &str| object.get("metadata")?.get(field)?.get(name)?.as_str();
    let label = |name: &str| metadata("labels", name);
    let annotation = |name: &str| metadata("annotations", name);
    let placed = |what: &str, namespace: Option<&str>, name: &str| match namespace {
        Some(namespace) => format!("{what} {namespace}/{name}"),
        None => format!("{what} {name}"),
    };
    for (what, group) in [("Kustomization", "kustomize"), ("HelmRelease", "helm")] {
        let says = |field: &str| label(&format!("{group}.toolkit.fluxcd.io/{field}"));
        if let Some(name) = says("name") {
            return Some(placed(&format!("Flux {what}"), says("namespace"), name));
        }
    }
    let tracked = annotation("argocd.argoproj.io/tracking-id").and_then(|id| id.split(':').next());
    let instance = || {
        label("app.kubernetes.io/instance").filter(|_| manager.starts_with("argocd") || manager.starts_with("argo-cd"))
    };
    if let Some(name) = tracked.or_else(|| label("argocd.argoproj.io/instance")).or_else(instance) {
        return Some(placed("Argo CD Application", None, name));
    }
    let release = annotation("meta.helm.sh/release-name")?;
    Some(placed("Helm release", annotation("meta.helm.sh/release-namespace"), release))
}
