//! The preset for meshes and agents that inject themselves: Istio, Linkerd, Vault.
//!
//! # What needs no preset
//! Sidecars, init containers, volumes, mounts and status annotations that Git does not declare. What a mutating webhook adds
//! belongs to nobody, whoever's request it was added to, and what nobody owns is no drift at either edge. That is all Linkerd
//! and Vault do. A container called `istio-proxy` that a *person* writes belongs to that person, and is refused and removed like
//! any other: a name is no proof, ownership is.
//!
//! # What does
//! Places Git does declare and Istio's injector rewrites: probes and lifecycle hooks of the declared containers are led through
//! the agent (`/app-health/…`, `/app-lifecycle/…`), the `prometheus.io/*` annotations name the agent's port, and the image of a
//! container `istio-proxy` that Git declares in order to customise the sidecar is filled in. Mostly the declaration knows,
//! because it is what the API server, its webhooks included, answers; but not if injection was switched on, or the injector
//! upgraded, after that answer.
//!
//! # When
//! Git's own pod template asks for injection, or the labels of its namespace do; what is there is what the injector would write
//! there; and **nobody but us owns it**. Whoever changes a value by a request of their own becomes its owner, so what a person
//! writes is never covered. What is removed is never covered either: a removal leaves no owner to tell whose it was.

use std::sync::Arc;

use serde_json::Value;

use super::Excluded;
use super::pattern::{Any, Pattern};
use super::surroundings::{LabelMap, Surroundings};
use crate::core::fields::{Entry, Fields};
use crate::core::manifest::Manifest;
use crate::core::names::FIELD_MANAGER;
use crate::core::path::{MergeKey, Path, Step};
use crate::core::state::State;

/// Where the pod is that an injector works on: the steps to what holds its `metadata` and `spec`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Injected(&'static [&'static str]);

/// Places of pods in objects.
const PODS: [&[&str]; 3] = [&["spec", "template"], &["spec", "jobTemplate", "spec", "template"], &[]];

/// Handlers of a container that are led through the agent, and how their paths begin then.
const HANDLERS: [(&[&str], &str); 5] = [
    (&["livenessProbe"], "/app-health/"),
    (&["readinessProbe"], "/app-health/"),
    (&["startupProbe"], "/app-health/"),
    (&["lifecycle", "postStart"], "/app-lifecycle/"),
    (&["lifecycle", "preStop"], "/app-lifecycle/"),
];

/// Annotations that tell Prometheus to ask the agent, who asks the application, and what is written there.
const SCRAPED: [(&str, &[&str]); 3] = [
    ("prometheus.io/port", &["15020"]),
    ("prometheus.io/path", &["/stats/prometheus"]),
    ("prometheus.io/scrape", &["true"]),
];

// === impl Injected ===

impl Injected {
    /// The pod in this manifest, if Istio is asked to inject into it.
    pub(super) fn of(manifest: &Manifest, around: &Surroundings) -> Option<Self> {
        let at = |steps: &&&[&str]| Path::of_fields(steps).find(&manifest.value).is_some_and(is_pod);
        let steps = *PODS.iter().find(at)?;
        let namespace = manifest.key.namespace.as_deref().unwrap_or_default();
        let pod = Path::of_fields(steps).find(&manifest.value)?;
        says(pod).unwrap_or_else(|| around.meshed.contains(namespace)).then_some(Self(steps))
    }

    pub(super) fn by() -> Arc<str> {
        "preset injection: Istio's injector wrote this, and nobody else owns it".into()
    }

    /// What the injector has rewritten in the object as it is.
    pub(super) fn places(&self, state: &State<'_>) -> Vec<Excluded> {
        let others: Vec<_> = state.owners().filter(|entry| !is_us(entry)).map(|entry| entry.fields).collect();
        let mut found = Vec::new();
        for (name, written) in SCRAPED {
            let path = self.path(&["metadata", "annotations", name]);
            let is = path.find(state.object).and_then(Value::as_str).is_some_and(|value| written.contains(&value));
            found.extend((is && is_free(&others, &path)).then(|| excluded(&path)));
        }
        for list in ["containers", "initContainers"] {
            let path = self.path(&["spec", list]);
            for container in path.find(state.object).and_then(Value::as_array).into_iter().flatten() {
                in_container(&path, container, &others, &mut found);
            }
        }
        found
    }

    fn path(&self, below: &[&str]) -> Path {
        Path::of_fields(&[self.0, below].concat())
    }
}

/// Do these labels of a namespace ask for injection?
pub(super) fn is_meshed(labels: &LabelMap) -> bool {
    match labels.get("istio-injection").map(String::as_str) {
        Some(asked) => asked == "enabled",
        None => labels.contains_key("istio.io/rev"),
    }
}

fn is_pod(value: &Value) -> bool {
    value.pointer("/spec/containers").is_some_and(Value::is_array)
}

/// What a pod itself says about injection; labels count before annotations, as with Istio.
fn says(pod: &Value) -> Option<bool> {
    let text = |pointer| pod.pointer(pointer).and_then(Value::as_str);
    let asked =
        text("/metadata/labels/sidecar.istio.io~1inject").or(text("/metadata/annotations/sidecar.istio.io~1inject"));
    asked.map(|asked| asked == "true").or_else(|| text("/metadata/labels/istio.io~1rev").map(|_| true))
}

fn in_container(list: &Path, container: &Value, others: &[Fields<'_>], found: &mut Vec<Excluded>) {
    let Some(key) = MergeKey::of(container, &["name".to_owned()]) else { return };
    let below = |names: &[&str]| {
        let steps = names.iter().map(|name| Step::Field((*name).into()));
        Path::new(list.steps().iter().cloned().chain([Step::Key(key.clone())]).chain(steps).collect())
    };
    for (handler, beginning) in HANDLERS {
        let path = Path::of_fields(&[handler, &["httpGet", "path"]].concat()).find(container).and_then(Value::as_str);
        let kinds = ["httpGet", "tcpSocket", "grpc"].map(|kind| below(&[handler, &[kind]].concat()));
        let is_led = path.is_some_and(|path| path.starts_with(beginning));
        if is_led && kinds.iter().all(|kind| is_free(others, kind)) {
            found.extend(kinds.iter().map(excluded));
        }
    }
    let image = below(&["image"]);
    if container["name"] == "istio-proxy" && is_free(others, &image) {
        found.push(excluded(&image));
    }
}

fn is_us(entry: &Entry<'_>) -> bool {
    entry.is_ours() || entry.manager == FIELD_MANAGER
}

/// Does nobody of these own anything at or below this place?
fn is_free(others: &[Fields<'_>], path: &Path) -> bool {
    others.iter().all(|fields| fields.at(path).is_none())
}

fn excluded(path: &Path) -> Excluded {
    let pattern: Pattern = path.steps().iter().map(Any::of).collect();
    Excluded { pattern, by: Injected::by(), except: Vec::new() }
}
