//! A guard as it is written in the `DriftPolicy`, and its reading.
//!
//! What is refused here would guard nothing, everything, or against the tool itself; each of them looks like a guard until the day it
//! matters.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::{globs, nobody_in_particular};
use super::{Undeclared, fault::Faults, ignore};
use crate::core::guard::{GroupResource, Guard, Selection};
use crate::core::snapshot::Mode;

/// What another tool keeps, and who may write it.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GuardSpec {
    /// Its name, by which messages and records call it.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Which objects are guarded. Those that none of `managers` has written never are.
    pub selector: GuardSelector,
    /// Field managers, as globs, whose fields count as declared, such as `kustomize-controller` or `argocd-*`. What they own of an
    /// object, with the values it has, is what an edit is compared with.
    #[schemars(length(max = 32), inner(length(max = 128)))]
    pub managers: Vec<String>,
    /// Users and groups, as globs, that may write: the tool's own account, above all.
    #[schemars(length(max = 32), inner(length(max = 256)))]
    pub writers: Vec<String>,
    /// What to do with an edit that moves an object away from what is declared: `Deny` refuses it, `Warn` lets it pass with a
    /// warning, `Off` lets it pass (quote it: YAML reads a bare Off as false).
    #[serde(default)]
    pub mode: GuardMode,
    /// The same question for fields that a person adds and the tool does not declare. What the tool itself leaves alone is left
    /// alone here, unless you say otherwise.
    #[serde(default = "allow")]
    pub undeclared: Undeclared,
}

/// Which objects. All that is written must hold, and a label or an annotation must be among it.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GuardSelector {
    /// Resources as kubectl names them, `deployments.apps`, `configmaps`, `*.apps`; absent means any. Leases, Events, Nodes and
    /// what is in `kube-system` or Holdfast's own namespace are never guarded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(max = 316)))]
    pub resources: Vec<String>,
    /// Labels the objects have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// Annotations the objects have, whatever their value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 316)))]
    pub annotations: Vec<String>,
    /// Namespaces, as globs; absent means any, and cluster-scoped objects, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub namespaces: Vec<String>,
}

/// What a guard does with an edit. There is no mark as there is for a `GitSync`: nobody would take it away again.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum GuardMode {
    /// Refuse it.
    #[default]
    Deny,
    /// Let it pass with a warning.
    Warn,
    /// Let it pass.
    Off,
}

fn allow() -> Undeclared {
    Undeclared::Allow
}

impl From<GuardMode> for Mode {
    fn from(typed: GuardMode) -> Self {
        match typed {
            GuardMode::Deny => Self::Deny,
            GuardMode::Warn => Self::Warn,
            GuardMode::Off => Self::Off,
        }
    }
}

/// Reads the guards of a `DriftPolicy`.
pub(super) fn read(typed: &[GuardSpec], faults: &mut Faults) -> Vec<Guard> {
    let mut names = BTreeSet::new();
    let mut read = Vec::new();
    for (index, guard) in typed.iter().enumerate() {
        let at = format!("spec.guards[{index}]");
        let reason = format!("{:?} is the name of another guard", guard.name);
        faults.require(names.insert(&guard.name), &format!("{at}.name"), &reason, "give each a name of its own");
        read.push(guard.read(&at, faults));
    }
    read
}

// === impl GuardSpec ===

impl GuardSpec {
    fn read(&self, at: &str, faults: &mut Faults) -> Guard {
        let Self { name, selector, managers, writers, mode, undeclared } = self;
        let reason = format!("{name:?} cannot be part of a webhook's name");
        faults.require(is_name(name), &format!("{at}.name"), &reason, "write lower-case letters, digits and dashes");
        let field = format!("{at}.managers");
        let remedy = "name the field managers of the tool, such as kustomize-controller, argocd-controller or helm";
        faults.require(!managers.is_empty(), &field, "is empty, so nothing would count as declared", remedy);
        globs(&field, managers, faults);
        for (index, glob) in managers.iter().enumerate() {
            let reason = format!("{glob:?} means everybody's fields, those of people included");
            faults.require(!is_any(glob), &format!("{field}[{index}]"), &reason, remedy);
        }
        let field = format!("{at}.writers");
        let remedy = "name the tool's account, such as system:serviceaccount:flux-system:kustomize-controller";
        faults.require(!writers.is_empty(), &field, "is empty, so the tool itself would be refused", remedy);
        globs(&field, writers, faults);
        nobody_in_particular(&field, writers, faults);
        Guard {
            name: name.as_str().into(),
            objects: selector.read(&format!("{at}.selector"), faults),
            managers: Arc::from(managers.as_slice()),
            writers: writers.clone(),
            mode: (*mode).into(),
            undeclared: (*undeclared).into(),
        }
    }
}

// === impl GuardSelector ===

impl GuardSelector {
    fn read(&self, at: &str, faults: &mut Faults) -> Selection {
        let Self { resources, label_selector, annotations, namespaces } = self;
        let labels =
            label_selector.as_ref().map(|labels| ignore::labels(labels, &format!("{at}.labelSelector"), faults));
        let labels = labels.unwrap_or_default();
        let remedy = "name a label or an annotation that the tool puts on its objects, such as \
                      kustomize.toolkit.fluxcd.io/name or argocd.argoproj.io/tracking-id";
        let selects = !labels.0.is_empty() || !annotations.is_empty();
        faults.require(
            selects,
            at,
            "has neither labels nor annotations, so it would be asked about every object",
            remedy,
        );
        for (index, name) in annotations.iter().enumerate() {
            let field = format!("{at}.annotations[{index}]");
            let reason = format!("{name:?} is no name of an annotation");
            faults.require(is_qualified(name), &field, &reason, "write it as on the objects, without a value");
        }
        globs(&format!("{at}.namespaces"), namespaces, faults);
        let resource = |(index, text): (usize, &String)| resource(text, &format!("{at}.resources[{index}]"), faults);
        let resources = resources.iter().enumerate().filter_map(resource).collect();
        Selection { resources, labels, annotations: annotations.clone(), namespaces: namespaces.clone() }
    }
}

/// `deployments.apps`, `configmaps`, `*.apps`, `*`.
fn resource(text: &str, at: &str, faults: &mut Faults) -> Option<GroupResource> {
    let (plural, group) = if text == "*" { ("*", "*") } else { text.split_once('.').unwrap_or((text, "")) };
    let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c));
    let is_good = (plural == "*" || (!plural.is_empty() && is_plain(plural))) && (group == "*" || is_plain(group));
    let remedy = "write plural and group as kubectl does, such as deployments.apps, configmaps or *.apps";
    faults.require(is_good, at, &format!("{text:?} is no resource"), remedy);
    is_good.then(|| GroupResource { group: group.to_owned(), plural: plural.to_owned() })
}

fn is_any(glob: &str) -> bool {
    !glob.is_empty() && glob.bytes().all(|byte| byte == b'*')
}

fn is_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= 40 && name.chars().all(is_inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// A name as annotations have it; it becomes part of an expression the API server evaluates.
pub(super) fn is_qualified(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
}

#[cfg(test)]
mod tests;
