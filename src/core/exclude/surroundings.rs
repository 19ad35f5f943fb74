//! What exclusions depend on besides the object: the rules of the whole cluster, and who else is at work on it.
//!
//! It is one value, published by one writer. Whoever holds a declaration resolves its exclusions again when it changes, so a
//! rule written today applies today.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::injection::is_meshed;
use super::preset::Presets;
use super::rule::Rule;
use crate::core::manifest::Manifest;
use crate::core::object::{ObjectKey, group_of};
use crate::core::team::Teams;

/// Labels by name.
pub type LabelMap = BTreeMap<String, String>;

/// What exclusions depend on besides the object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Surroundings {
    /// Rules for the whole cluster.
    pub rules: Arc<[Rule]>,
    /// Which presets are on.
    pub presets: Presets,
    /// Why nobody knows what the rules for the whole cluster are, if nobody does. Every object then has a rule that fails.
    pub unreadable: Option<Arc<str>>,
    /// Autoscalers by the object they act on.
    pub scalers: BTreeMap<Target, Vec<Scaler>>,
    /// Labels of namespaces by name; empty while no rule asks for them.
    pub namespaces: BTreeMap<String, LabelMap>,
    /// Whose edits and whose objects there are. No exclusion depends on it, but it comes from the same policy and the same labels.
    pub teams: Arc<Teams>,
    /// Labels of `GitSyncs` by `namespace/name`; empty while no team is told by them.
    pub syncs: BTreeMap<String, LabelMap>,
    /// Namespaces whose labels ask for a mesh's sidecars.
    pub meshed: BTreeSet<String>,
}

/// An object somebody acts on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Namespace of both.
    pub namespace: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// An autoscaler.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scaler {
    /// Its own name.
    pub name: String,
    /// API group of what it acts on; `None` means any.
    pub group: Option<String>,
    /// What it does.
    pub does: Scaling,
}

/// What an autoscaler does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scaling {
    /// Sets replicas, within these.
    Replicas(u64, u64),
    /// Sets the resources of containers.
    Resources,
}

// === impl Surroundings ===

impl Surroundings {
    /// Autoscalers that act on this object.
    pub fn scalers_of<'s>(&'s self, key: &'s ObjectKey) -> impl Iterator<Item = &'s Scaler> {
        let target =
            key.namespace.clone().map(|namespace| Target { namespace, kind: key.kind.clone(), name: key.name.clone() });
        let scalers = target.and_then(|target| self.scalers.get(&target)).map_or(&[][..], Vec::as_slice);
        scalers.iter().filter(|scaler| scaler.group.as_ref().is_none_or(|group| *group == key.group))
    }

    /// Is what the exclusions of this object depend on the same in both? Much cheaper to ask than to resolve them.
    pub fn is_same_for(&self, other: &Self, key: &ObjectKey) -> bool {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        self.presets == other.presets
            && self.unreadable == other.unreadable
            && self.namespaces.get(namespace) == other.namespaces.get(namespace)
            && self.meshed.contains(namespace) == other.meshed.contains(namespace)
            && self.scalers_of(key).eq(other.scalers_of(key))
            && self.rules == other.rules
    }

    /// Adds the autoscalers Git declares. They count from then on: one that is gone for a moment must not let its object be
    /// scaled back.
    pub fn add_declared<'m>(&mut self, manifests: impl IntoIterator<Item = &'m Manifest>) {
        for manifest in manifests {
            if let Some((target, scaler)) = Scaler::read(&manifest.key, &manifest.value) {
                self.add(target, scaler);
            }
        }
    }

    /// Adds a namespace.
    pub fn add_namespace(&mut self, name: &str, labels: &LabelMap) {
        if is_meshed(labels) {
            self.meshed.insert(name.to_owned());
        }
        self.namespaces.insert(name.to_owned(), labels.clone());
    }

    /// Adds an autoscaler; one that is known already stays once.
    pub fn add(&mut self, target: Target, scaler: Scaler) {
        let scalers = self.scalers.entry(target).or_default();
        if let Err(at) = scalers.binary_search(&scaler) {
            scalers.insert(at, scaler);
        }
    }
}

// === impl Scaler ===

impl Scaler {
    /// Is it of a kind that scales?
    pub fn is_one(key: &ObjectKey) -> bool {
        matches!(
            (key.group.as_str(), key.kind.as_str()),
            ("autoscaling", "HorizontalPodAutoscaler") | ("autoscaling.k8s.io", "VerticalPodAutoscaler")
        )
    }

    /// Reads a `HorizontalPodAutoscaler` or a `VerticalPodAutoscaler`, live or as Git says it; `None` for one that does nothing,
    /// and for any other object.
    pub fn read(key: &ObjectKey, object: &Value) -> Option<(Target, Self)> {
        let (target_at, does) = match (key.group.as_str(), key.kind.as_str()) {
            ("autoscaling", "HorizontalPodAutoscaler") => ("/spec/scaleTargetRef", replicas(object)?),
            ("autoscaling.k8s.io", "VerticalPodAutoscaler") if acts(object) => ("/spec/targetRef", Scaling::Resources),
            _ => return None,
        };
        let target = object.pointer(target_at)?;
        let text = |name| target.get(name).and_then(Value::as_str).map(str::to_owned);
        let group =
            text("apiVersion").filter(|version| !version.is_empty()).map(|version| group_of(&version).to_owned());
        let target = Target { namespace: key.namespace.clone()?, kind: text("kind")?, name: text("name")? };
        Some((target, Self { name: key.name.clone(), group, does }))
    }
}

fn replicas(object: &Value) -> Option<Scaling> {
    let number = |name| object.pointer(name).and_then(Value::as_u64);
    Some(Scaling::Replicas(number("/spec/minReplicas").unwrap_or(1), number("/spec/maxReplicas")?))
}

/// Modes in which recommendations are more than advice. `Auto` is the default.
fn acts(object: &Value) -> bool {
    let mode = object.pointer("/spec/updatePolicy/updateMode").and_then(Value::as_str).unwrap_or("Auto");
    matches!(mode, "Auto" | "Recreate" | "Initial" | "InPlaceOrRecreate")
}
