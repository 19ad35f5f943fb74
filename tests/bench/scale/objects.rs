//! What is kept: objects of the kinds and sizes that applications have, spread over syncs.

use std::path::Path;

use anyhow::{Context, Result};
use kube::api::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

/// Syncs, each with a folder in the one repository and a namespace of its own, as long as there is enough to share.
pub const SYNCS: usize = 50;

/// Objects of one application: what is repeated until there are enough.
const APPLICATION: [fn(&str) -> Value; 10] =
    [deployment, config, settings, service, account, settings, secret, role, binding, policy];

/// Which of them people edit: one `ConfigMap` of each application.
const EDITED: usize = 1;

/// One object of a world of so many.
pub struct Object {
    /// The sync, which is also the folder and the namespace.
    pub sync: String,
    /// The file's name.
    pub file: String,
    /// The document, in its namespace.
    pub document: Value,
}

/// All objects of a world of this size.
pub fn all(size: usize) -> impl Iterator<Item = Object> {
    (0..size).map(move |number| object(number, size))
}

/// Names of the syncs.
pub fn syncs(size: usize) -> Vec<String> {
    (0..count(size)).map(name_of_sync).collect()
}

/// The objects that are edited: sync and name of `ConfigMap`s with a value `level`.
pub fn edited(size: usize) -> Vec<(String, String)> {
    let numbers = (0..size).filter(|number| number % APPLICATION.len() == EDITED);
    numbers.map(|number| (name_of_sync(application(number) % count(size)), name(number))).collect()
}

/// Writes all of it into a working clone.
pub fn write(files: &Path, size: usize) -> Result<()> {
    all(size).try_for_each(|object| write_one(files, &object))
}

/// Writes one `ConfigMap` with another value; answers with its sync and name.
pub fn write_edited(files: &Path, size: usize, level: &str) -> Result<(String, String)> {
    let last = (0..size).rev().find(|number| number % APPLICATION.len() == EDITED).context("no ConfigMap")?;
    let mut object = object(last, size);
    object.document["data"]["level"] = level.into();
    write_one(files, &object)?;
    Ok((object.sync, name(last)))
}

/// How a client asks for `ConfigMap`s.
pub fn config_maps() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"))
}

fn write_one(files: &Path, object: &Object) -> Result<()> {
    let folder = files.join(&object.sync);
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join(&object.file), format!("{:#}", object.document)));
    written.with_context(|| format!("failed to write {}", object.file))
}

fn count(size: usize) -> usize {
    (size / APPLICATION.len()).clamp(1, SYNCS)
}

fn application(number: usize) -> usize {
    number / APPLICATION.len()
}

fn name(number: usize) -> String {
    format!("app-{}-{}", application(number), number % APPLICATION.len())
}

fn name_of_sync(number: usize) -> String {
    format!("scale-{number}")
}

fn object(number: usize, size: usize) -> Object {
    let (sync, name) = (name_of_sync(application(number) % count(size)), name(number));
    let mut document = APPLICATION[number % APPLICATION.len()](&name);
    document["metadata"]["name"] = name.clone().into();
    document["metadata"]["namespace"] = sync.clone().into();
    document["metadata"]["labels"] =
        json!({"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "shop", "team": "payments"});
    Object { sync, file: format!("{name}.yaml"), document }
}

fn deployment(name: &str) -> Value {
    let labels = json!({"app.kubernetes.io/name": name});
    let probe =
        |path: &str| json!({"httpGet": {"path": path, "port": "app"}, "periodSeconds": 10, "timeoutSeconds": 2});
    let variable = |number: usize| json!({"name": format!("SETTING_{number}"), "value": format!("value of {number}")});
    let container = |name: &str, port: u16| {
        json!({
            "name": name, "image": format!("registry.example.com/shop/{name}:1.4.2"), "imagePullPolicy": "IfNotPresent",
            "ports": [{"name": name, "containerPort": port, "protocol": "TCP"}],
            "env": (0..8).map(variable).collect::<Vec<_>>(),
            "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/app", "readOnly": true}],
        })
    };
    let mut app = container("app", 8080);
    (app["livenessProbe"], app["readinessProbe"]) = (probe("/healthz"), probe("/readyz"));
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {},
        "spec": {
            "replicas": 0, "revisionHistoryLimit": 3, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "containers": [app, container("proxy", 15001)],
                "securityContext": {"runAsNonRoot": true, "runAsUser": 10001},
                "volumes": [{"name": "config", "configMap": {"name": name}}],
            }},
        },
    })
}

fn config(name: &str) -> Value {
    let data = json!({"level": "info", "region": "eu-west-1", "listen": ":8080", "upstream": format!("http://{name}")});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": data})
}

/// A configuration file of 1.5 KB.
fn settings(name: &str) -> Value {
    let lines = (0..40).map(|number| format!("{name}.setting.{number} = some value\n")).collect::<Vec<_>>().concat();
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"application.properties": lines}})
}

fn service(name: &str) -> Value {
    let ports = json!([{"name": "http", "port": 80, "targetPort": "app"}, {"name": "metrics", "port": 9090}]);
    let selector = json!({"app.kubernetes.io/name": name});
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"ports": ports, "selector": selector}})
}

fn account(_: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {}, "automountServiceAccountToken": false})
}

fn secret(_: &str) -> Value {
    let data = json!({"username": "c2hvcA==", "password": "bm90IHJlYWxseSBhIHBhc3N3b3Jk"});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "type": "Opaque", "data": data})
}

fn role(_: &str) -> Value {
    let rules = json!([
        {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
    ]);
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {}, "rules": rules})
}

fn binding(name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name}],
    })
}

fn policy(name: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 8080, "protocol": "TCP"}]}],
        },
    })
}
