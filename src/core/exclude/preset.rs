//! Presets: exclusions everybody would have to write, each with a switch of its own in the `DriftPolicy`.
//!
//! Most of them hold only where Git says nothing: a node port that Git declares is Git's business, and one the API server
//! chose is not.

use std::sync::Arc;

use serde_json::Value;

use super::injection::Injected;
use super::pattern::{Any, Pattern, covers};
use super::place::{Ground, Pointer};
use super::surroundings::{Scaler, Scaling, Surroundings};
use super::{Dependent, Excluded};
use crate::core::declaration::{Declaration, Node, Shape};
use crate::core::manifest::Manifest;
use crate::core::names::GROUP;
use crate::core::object::ObjectKey;
use crate::core::path::{Path, Step};
use crate::core::state::State;
use crate::core::value::is_nothing;

/// Which presets are on.
#[allow(clippy::struct_excessive_bools, reason = "independent switches, each read once")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presets {
    /// Replicas within the range of an HPA.
    pub hpa: bool,
    /// Container resources under an acting VPA.
    pub vpa: bool,
    /// CA certificates that are injected.
    pub ca_bundle: bool,
    /// Rules of aggregated `ClusterRoles`.
    pub aggregated_cluster_roles: bool,
    /// Tokens of service accounts.
    pub service_accounts: bool,
    /// What binding a volume writes.
    pub volumes: bool,
    /// Addresses and ports of Services that the API server chooses.
    pub services: bool,
    /// The trace `kubectl rollout restart` leaves.
    pub restarts: bool,
    /// Data of Secrets that a controller fills.
    pub external_secrets: bool,
    /// What a mesh's injector rewrites.
    pub injection: bool,
}

/// Where a preset holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Whatever Git says.
    Always,
    /// Where Git says nothing, or something empty.
    Unsaid,
}

/// A preset that needs no more than the manifest: its name, objects, places and reason.
struct Fixed {
    name: &'static str,
    on: fn(&Presets) -> bool,
    about: fn(&Manifest) -> Option<Where>,
    places: &'static [&'static str],
}

const FIXED: [Fixed; 10] = [
    Fixed {
        // Without a switch: a pause that takes a commit, or is undone by one, is none.
        name: "pauses: who may pause or roll back a GitSync does so by hand, where Git says nothing of it",
        on: |_| true,
        about: |manifest| is(manifest, GROUP, "GitSync").then_some(Where::Unsaid),
        places: &["/spec/suspend", "/spec/rollback"],
    },
    Fixed {
        name: "services: the API server chooses addresses and node ports that Git leaves out",
        on: |presets| presets.services,
        about: |manifest| is(manifest, "", "Service").then_some(Where::Unsaid),
        places: &[
            "/spec/clusterIP",
            "/spec/clusterIPs",
            "/spec/ipFamilies",
            "/spec/ipFamilyPolicy",
            "/spec/healthCheckNodePort",
            "/spec/loadBalancerIP",
            "/spec/ports/*/nodePort",
        ],
    },
    Fixed {
        name: "volumes: binding writes this where Git leaves it out",
        on: |presets| presets.volumes,
        about: |manifest| is(manifest, "", "PersistentVolumeClaim").then_some(Where::Unsaid),
        places: &["/spec/volumeName", "/spec/storageClassName", "/spec/volumeMode"],
    },
    Fixed {
        name: "volumes: binding writes this where Git leaves it out",
        on: |presets| presets.volumes,
        about: |manifest| is(manifest, "", "PersistentVolume").then_some(Where::Unsaid),
        places: &["/spec/claimRef"],
    },
    Fixed {
        name: "aggregatedClusterRoles: the rules are collected from other ClusterRoles",
        on: |presets| presets.aggregated_cluster_roles,
        about: |manifest| {
            let aggregated = manifest.value.get("aggregationRule").is_some();
            (is(manifest, "rbac.authorization.k8s.io", "ClusterRole") && aggregated).then_some(Where::Always)
        },
        places: &["/rules"],
    },
    Fixed {
        name: "serviceAccounts: the token controller fills this",
        on: |presets| presets.service_accounts,
        about: |manifest| {
            let token = manifest.value.get("type").is_some_and(|kind| kind == "kubernetes.io/service-account-token");
            (is(manifest, "", "Secret") && token).then_some(Where::Always)
        },
        places: &["/data", "/metadata/annotations/kubernetes.io~1service-account.uid"],
    },
    Fixed {
        name: "serviceAccounts: the token controller fills this",
        on: |presets| presets.service_accounts,
        about: |manifest| is(manifest, "", "ServiceAccount").then_some(Where::Unsaid),
        places: &["/secrets"],
    },
    Fixed {
        name: "restarts: kubectl rollout restart is an operation, not a configuration",
        on: |presets| presets.restarts,
        about: |_| Some(Where::Always),
        places: &["/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt"],
    },
    Fixed {
        name: "caBundle: certificates are injected here",
        on: |presets| presets.ca_bundle,
        about: injected,
        places: &[
            "/webhooks/*/clientConfig/caBundle",
            "/spec/caBundle",
            "/spec/conversion/webhook/clientConfig/caBundle",
        ],
    },
    Fixed {
        name: "externalSecrets: a controller fills this Secret",
        on: |presets| presets.external_secrets,
        about: |manifest| (is(manifest, "", "Secret") && says_external(&manifest.value)).then_some(Where::Always),
        places: &["/data"],
    },
];

// === impl Presets ===

impl Default for Presets {
    fn default() -> Self {
        Self {
            hpa: true,
            vpa: true,
            ca_bundle: true,
            aggregated_cluster_roles: true,
            service_accounts: true,
            volumes: true,
            services: true,
            restarts: true,
            external_secrets: true,
            injection: true,
        }
    }
}

/// What presets exclude of this object.
pub(super) fn resolve(
    manifest: &Manifest,
    declaration: &Declaration,
    around: &Surroundings,
) -> (Vec<Excluded>, Vec<Dependent>) {
    let ground = Ground { manifest: &manifest.value, declaration };
    let mut places = Vec::new();
    for preset in FIXED.iter().filter(|preset| (preset.on)(&around.presets)) {
        if let Some(place) = (preset.about)(manifest) {
            places.extend(preset.places(place, ground));
        }
    }
    let mut dependent = Vec::new();
    for scaler in around.scalers_of(&manifest.key) {
        scaled(scaler, &manifest.key, around.presets, &mut places, &mut dependent);
    }
    if around.presets.external_secrets && is(manifest, "", "Secret") {
        dependent.push(Dependent::FilledByOwner);
    }
    if around.presets.injection {
        dependent.extend(Injected::of(manifest, around).map(Dependent::Injected));
    }
    (places, dependent)
}

// === impl Fixed ===

impl Fixed {
    fn places(&self, place: Where, ground: Ground<'_>) -> Vec<Excluded> {
        let by: Arc<str> = format!("preset {}", self.name).into();
        let pointers = self.places.iter().map(|text| text.parse::<Pointer>().expect("the table above holds pointers"));
        let patterns = pointers.flat_map(|pointer| pointer.resolve(ground));
        let excluded = patterns.map(|pattern| {
            let except = if place == Where::Unsaid { said(&pattern, ground.declaration) } else { Vec::new() };
            Excluded { pattern, by: by.clone(), except }
        });
        excluded.collect()
    }
}

/// What an autoscaler takes upon itself.
fn scaled(
    scaler: &Scaler,
    key: &ObjectKey,
    presets: Presets,
    places: &mut Vec<Excluded>,
    dependent: &mut Vec<Dependent>,
) {
    let namespace = key.namespace.as_deref().unwrap_or_default();
    match scaler.does {
        Scaling::Replicas(min, max) if presets.hpa => {
            let by = format!(
                "preset hpa: replicas are within {min}–{max} of HorizontalPodAutoscaler {namespace}/{}",
                scaler.name
            );
            dependent.push(Dependent::Replicas { min, max, by: by.into() });
        }
        Scaling::Resources if presets.vpa => {
            let by = format!("preset vpa: resources are set by VerticalPodAutoscaler {namespace}/{}", scaler.name);
            let by: Arc<str> = by.into();
            for list in ["containers", "initContainers"] {
                let fields = ["spec", "template", "spec", list].map(|name| Any::Field(name.to_owned()));
                let pattern = fields.into_iter().chain([Any::Step, Any::Field("resources".to_owned())]).collect();
                places.push(Excluded { pattern, by: by.clone(), except: Vec::new() });
            }
        }
        Scaling::Replicas(..) | Scaling::Resources => {}
    }
}

fn is(manifest: &Manifest, group: &str, kind: &str) -> bool {
    manifest.key.group == group && manifest.key.kind == kind
}

/// Where certificates are injected. An annotation asks for it, whatever Git has there; without one, only an empty place is
/// waiting for it.
fn injected(manifest: &Manifest) -> Option<Where> {
    const ASKING: [&str; 5] = [
        "cert-manager.io/inject-ca-from",
        "cert-manager.io/inject-ca-from-secret",
        "cert-manager.io/inject-apiserver-ca",
        "service.beta.openshift.io/inject-cabundle",
        "service.alpha.openshift.io/inject-cabundle",
    ];
    let holds_one = is(manifest, "admissionregistration.k8s.io", "ValidatingWebhookConfiguration")
        || is(manifest, "admissionregistration.k8s.io", "MutatingWebhookConfiguration")
        || is(manifest, "apiregistration.k8s.io", "APIService")
        || is(manifest, "apiextensions.k8s.io", "CustomResourceDefinition");
    let asked = ASKING.iter().any(|name| annotation(&manifest.value, name).is_some());
    holds_one.then_some(if asked { Where::Always } else { Where::Unsaid })
}

/// Does Git say itself that a controller fills this Secret?
fn says_external(manifest: &Value) -> bool {
    const SAYING: [&str; 4] = [
        "cert-manager.io/certificate-name",
        "sealedsecrets.bitnami.com/managed",
        "sealedsecrets.bitnami.com/patch",
        "reconcile.external-secrets.io/data-hash",
    ];
    let labelled = manifest.pointer("/metadata/labels/reconcile.external-secrets.io~1managed").is_some();
    labelled || SAYING.iter().any(|name| annotation(manifest, name).is_some())
}

/// Is this object owned by a controller that fills Secrets? Owner references of managed objects cannot be changed by hand.
pub(super) fn is_filled_by_owner(state: &State<'_>) -> Option<String> {
    const FILLERS: [(&str, &str); 4] = [
        ("external-secrets.io", "ExternalSecret"),
        ("external-secrets.io", "PushSecret"),
        ("bitnami.com", "SealedSecret"),
        ("cert-manager.io", "Certificate"),
    ];
    let owners = state.metadata("ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().find_map(|owner| {
        let text = |name| owner.get(name).and_then(Value::as_str).unwrap_or_default();
        let group = crate::core::object::group_of(text("apiVersion"));
        FILLERS.contains(&(group, text("kind"))).then(|| format!("{} {}", text("kind"), text("name")))
    })
}

fn annotation<'v>(manifest: &'v Value, name: &str) -> Option<&'v Value> {
    manifest.get("metadata")?.get("annotations")?.get(name)
}

/// The declared places the pattern covers at which Git says something.
fn said(pattern: &[Any], declaration: &Declaration) -> Vec<Pattern> {
    let mut found = Vec::new();
    for (name, node) in &declaration.sections {
        collect(node, &mut vec![Step::Field(name.clone())], pattern, &mut found);
    }
    found
}

fn collect(node: &Node, steps: &mut Vec<Step>, pattern: &[Any], found: &mut Vec<Pattern>) {
    let mut below = |step: Step, node: &Node| {
        steps.push(step);
        if steps.iter().zip(pattern).all(|(step, any)| any.matches(step)) {
            collect(node, steps, pattern, found);
        }
        steps.pop();
    };
    match &node.shape {
        Shape::Fields(fields) => fields.iter().for_each(|(name, node)| below(Step::Field(name.clone()), node)),
        Shape::Elements(elements) => elements.iter().for_each(|(key, node)| below(Step::Key(key.clone()), node)),
        Shape::Members(_) | Shape::Nothing | Shape::Open(_) => {}
        Shape::Leaf(value) => {
            let path = Path::new(steps.clone());
            if covers(pattern, &path) && !is_placeholder(&value.into()) {
                found.push(path.steps().iter().map(Any::of).collect());
            }
        }
    }
}

/// Nothing, or what is written where something has to stand: an empty text, a zero, a line break as a certificate.
fn is_placeholder(value: &Value) -> bool {
    is_nothing(Some(value)) || *value == "" || *value == "Cg==" || *value == 0
}
