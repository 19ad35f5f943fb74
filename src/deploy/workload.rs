//! The program in the cluster: two Pods, and the Service through which the API server reaches them.
//!
//! Both guard, one of them writes. They are rolled so that a new one is ready before an old one goes, kept on different nodes where
//! there are several, and a drain takes one at a time.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Affinity, Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
            HTTPGetAction, ObjectFieldSelector, PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec,
            PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext, Service, ServicePort,
            ServiceSpec, Volume, VolumeMount, WeightedPodAffinityTerm,
        },
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};

use super::{Document, Installation, labels, metadata};
use crate::webhook::register::SERVICE_ACCOUNT;

const WEBHOOK: (&str, u16) = ("webhook", 9443);
const ADMIN: (&str, u16) = ("admin", 9090);
const SERVICE: (&str, u16) = ("holdfast", 443);
const CACHE: &str = "/var/cache/holdfast";

const DEPLOYMENT: &str = "\
    Both replicas answer reviews; the one that holds the Lease heals. They share nothing but that and a certificate.
    The leader registers the webhook configurations itself once it can answer; they are not part of this file, because only the
    running process knows its certificate and which kinds Git declares.";

const BUDGET: &str = "A drain waits until the other replica is back.";

pub(super) fn documents(installation: &Installation) -> Vec<Document> {
    let Installation { namespace, image } = installation;
    let deployment = Deployment {
        metadata: metadata("holdfast", Some(namespace)),
        spec: Some(DeploymentSpec {
            replicas: Some(2),
            selector: selector(),
            strategy: Some(one_more_before_one_less()),
            template: template(namespace, image),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    };
    let documents = [Document::new(DEPLOYMENT, &deployment), Document::new(BUDGET, &budget(namespace))];
    documents.into_iter().chain([Document::new("", &service(namespace))]).collect()
}

fn one_more_before_one_less() -> DeploymentStrategy {
    let rolling_update =
        RollingUpdateDeployment { max_surge: Some(IntOrString::Int(1)), max_unavailable: Some(IntOrString::Int(0)) };
    DeploymentStrategy { type_: Some("RollingUpdate".to_owned()), rolling_update: Some(rolling_update) }
}

fn budget(namespace: &str) -> PodDisruptionBudget {
    let spec = PodDisruptionBudgetSpec {
        max_unavailable: Some(IntOrString::Int(1)),
        selector: Some(selector()),
        ..Default::default()
    };
    PodDisruptionBudget {
        metadata: metadata("holdfast", Some(namespace)),
        spec: Some(spec),
        ..PodDisruptionBudget::default()
    }
}

fn selector() -> LabelSelector {
    LabelSelector { match_labels: Some(labels()), ..LabelSelector::default() }
}

/// On different nodes if there are several; on one if there is but one.
fn apart() -> Affinity {
    let term = PodAffinityTerm {
        label_selector: Some(selector()),
        topology_key: "kubernetes.io/hostname".to_owned(),
        ..PodAffinityTerm::default()
    };
    let preferred = WeightedPodAffinityTerm { weight: 100, pod_affinity_term: term };
    let anti = PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![preferred]),
        ..PodAntiAffinity::default()
    };
    Affinity { pod_anti_affinity: Some(anti), ..Affinity::default() }
}

fn template(namespace: &str, image: &str) -> PodTemplateSpec {
    let spec = PodSpec {
        service_account_name: Some(SERVICE_ACCOUNT.to_owned()),
        affinity: Some(apart()),
        containers: vec![container(namespace, image)],
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(65532),
            fs_group: Some(65532),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        // The program drains for 25 s.
        termination_grace_period_seconds: Some(30),
        volumes: Some(vec![empty("cache"), empty("tmp")]),
        ..PodSpec::default()
    };
    let metadata = ObjectMeta { labels: Some(labels()), ..ObjectMeta::default() };
    PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) }
}

fn container(namespace: &str, image: &str) -> Container {
    Container {
        name: "holdfast".to_owned(),
        image: Some(image.to_owned()),
        args: Some(arguments(namespace)),
        env: Some(vec![field("POD_NAME", "metadata.name"), field("POD_UID", "metadata.uid"), memory_at_once()]),
        ports: Some([WEBHOOK, ADMIN].map(container_port).into()),
        liveness_probe: Some(probe("/livez")),
        readiness_probe: Some(probe("/readyz")),
        resources: Some(resources()),
        security_context: Some(confined()),
        volume_mounts: Some(vec![mount("cache", CACHE), mount("tmp", "/tmp")]),
        ..Container::default()
    }
}

fn arguments(namespace: &str) -> Vec<String> {
    let (service, port) = SERVICE;
    vec![
        "run".to_owned(),
        format!("--namespace={namespace}"),
        // Who is restarted in its Pod need not wait for the Lease it held; no other Pod ever has this name.
        "--identity=$(POD_NAME)_$(POD_UID)".to_owned(),
        format!("--webhook-listen=0.0.0.0:{}", WEBHOOK.1),
        format!("--webhook-service={namespace}/{service}:{port}"),
        format!("--admin-listen=0.0.0.0:{}", ADMIN.1),
        format!("--cache-dir={CACHE}"),
        "--log-format=json".to_owned(),
    ]
}

fn service(namespace: &str) -> Service {
    let (name, port) = SERVICE;
    let open = |port: u16, (target, _): (&str, u16)| ServicePort {
        name: Some(target.to_owned()),
        port: i32::from(port),
        target_port: Some(IntOrString::String(target.to_owned())),
        ..ServicePort::default()
    };
    let spec = ServiceSpec {
        selector: Some(labels()),
        ports: Some(vec![open(port, WEBHOOK), open(ADMIN.1, ADMIN)]),
        ..ServiceSpec::default()
    };
    Service { metadata: metadata(name, Some(namespace)), spec: Some(spec), ..Service::default() }
}

// === small parts ===

fn container_port((name, port): (&str, u16)) -> ContainerPort {
    ContainerPort { name: Some(name.to_owned()), container_port: i32::from(port), ..ContainerPort::default() }
}

fn field(name: &str, path: &str) -> EnvVar {
    let field_ref = ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() };
    let value_from = Some(EnvVarSource { field_ref: Some(field_ref), ..EnvVarSource::default() });
    EnvVar { name: name.to_owned(), value_from, ..EnvVar::default() }
}

/// The allocator gives memory back when it is free, and not a while later: after a first sync that is a tenth of all.
fn memory_at_once() -> EnvVar {
    EnvVar { name: "MIMALLOC_PURGE_DELAY".to_owned(), value: Some("0".to_owned()), ..EnvVar::default() }
}

fn probe(path: &str) -> Probe {
    let port = IntOrString::String(ADMIN.0.to_owned());
    let http_get = Some(HTTPGetAction { path: Some(path.to_owned()), port, ..HTTPGetAction::default() });
    Probe { http_get, period_seconds: Some(5), ..Probe::default() }
}

/// Memory is for one parsed snapshot of Git and one copy of what it declares.
fn resources() -> ResourceRequirements {
    let quantities = |list: &[(&str, &str)]| -> BTreeMap<String, Quantity> {
        list.iter().map(|(name, quantity)| ((*name).to_owned(), Quantity((*quantity).to_owned()))).collect()
    };
    ResourceRequirements {
        requests: Some(quantities(&[("cpu", "100m"), ("memory", "128Mi")])),
        limits: Some(quantities(&[("memory", "512Mi")])),
        ..ResourceRequirements::default()
    }
}

fn confined() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        ..SecurityContext::default()
    }
}

fn empty(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}
