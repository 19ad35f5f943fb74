//! The program in the cluster: one Pod, and the Service through which the API server reaches it.
//!
//! One replica, replaced and not rolled: every process writes to the cluster until there is a leader election, and two writers
//! that disagree for a second would undo each other's work.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy},
        core::v1::{
            Capabilities, Container, ContainerPort, EmptyDirVolumeSource, HTTPGetAction, PodSecurityContext, PodSpec,
            PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext, Service, ServicePort,
            ServiceSpec, Volume, VolumeMount,
        },
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
    One replica, replaced and not rolled, until there is a leader election: two writers would undo each other's work.
    It registers the webhook configurations itself once it can answer; they are not part of this file, because only the
    running process knows its certificate and which kinds Git declares.";

pub(super) fn documents(installation: &Installation) -> Vec<Document> {
    let Installation { namespace, image } = installation;
    let deployment = Deployment {
        metadata: metadata("holdfast", Some(namespace)),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            selector: LabelSelector { match_labels: Some(labels()), ..LabelSelector::default() },
            strategy: Some(DeploymentStrategy { type_: Some("Recreate".to_owned()), ..DeploymentStrategy::default() }),
            template: template(namespace, image),
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    };
    vec![Document::new(DEPLOYMENT, &deployment), Document::new("", &service(namespace))]
}

fn template(namespace: &str, image: &str) -> PodTemplateSpec {
    let spec = PodSpec {
        service_account_name: Some(SERVICE_ACCOUNT.to_owned()),
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
