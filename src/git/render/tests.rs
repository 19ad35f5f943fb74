//! Documents in, manifests and complaints out. Each test is one thing the API server would otherwise hold against us.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{RenderOptions, render};
use crate::core::manifest::Manifest;
use crate::git::documents::{self, Document};

fn read(file: &str, text: &str) -> Vec<Document> {
    let (documents, problems) = documents::read(&Arc::from(file), text.as_bytes());
    assert!(problems.is_empty(), "{problems:?}");
    documents
}

fn scope(_: &str, kind: &str) -> Option<bool> {
    match kind {
        "Namespace" | "ClusterRole" => Some(true),
        "Custom" => None,
        _ => Some(false),
    }
}

fn with_default(documents: Vec<Document>, default_namespace: Option<&str>) -> (Vec<Manifest>, Vec<String>) {
    let options = RenderOptions { default_namespace, sync: "holdfast-system/shop", cluster_scoped: &scope };
    let (manifests, problems) = render(documents, &options);
    (manifests, problems.iter().map(ToString::to_string).collect())
}

fn one(text: &str) -> Manifest {
    let (mut manifests, problems) = with_default(read("a.yaml", text), Some("prod"));
    assert_eq!((manifests.len(), problems.len()), (1, 0), "{problems:?}");
    manifests.remove(0)
}

fn problems(text: &str) -> Vec<String> {
    let (manifests, problems) = with_default(read("a.yaml", text), Some("prod"));
    assert!(manifests.is_empty());
    problems
}

fn metadata(manifest: &Manifest) -> &Value {
    &manifest.value["metadata"]
}

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";

#[test]
fn an_option_that_is_none_is_named_with_its_line() {
    let annotated = |line: &str| format!("{HEAD}  annotations:\n    {line}\n");
    assert_eq!(
        problems(&annotated("holdfast.dev/wave: 'soon'")),
        [r#"a.yaml:6: holdfast.dev/wave: "soon" is not an integer, such as "1" or "-5""#]
    );
    assert_eq!(
        problems(&annotated("holdfast.dev/replace: 'yes'")),
        [r#"a.yaml:6: holdfast.dev/replace: "yes" is not "true" or "false""#]
    );
    one(&annotated("argocd.argoproj.io/sync-wave: soon"));
    one(&annotated("holdfast.dev/force-conflicts: 'false'"));
}

#[test]
fn namespaces_follow_the_scope_of_the_kind() {
    assert_eq!(one(HEAD).key.namespace.as_deref(), Some("prod"));
    assert_eq!(one(&format!("{HEAD}  namespace: own\n")).key.namespace.as_deref(), Some("own"));
    assert_eq!(one(&format!("{HEAD}  namespace: ''\n")).key.namespace.as_deref(), Some("prod"));
    let namespace = one("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}");
    assert_eq!(namespace.key.namespace, None);
    assert_eq!(metadata(&namespace).get("namespace"), None);
    assert_eq!(problems(&format!("{HEAD}  namespace: 12\n")), ["a.yaml:5: metadata.namespace is not text; quote it"]);
}

#[test]
fn without_a_default_a_namespaced_kind_must_say_its_namespace() {
    let (manifests, problems) = with_default(read("a.yaml", HEAD), None);
    assert!(manifests.is_empty());
    assert!(problems[0].starts_with("a.yaml:3: metadata.namespace is missing"), "{problems:?}");
}

#[test]
fn unknown_kinds_are_taken_as_they_are_written() {
    let custom = "apiVersion: acme.io/v1\nkind: Custom\nmetadata: {name: a}";
    let namespace = |default| with_default(read("a.yaml", custom), default).0[0].key.namespace.clone();
    assert_eq!(namespace(Some("prod")).as_deref(), Some("prod"));
    assert_eq!(namespace(None), None);
}

#[test]
fn objects_are_marked_as_managed_by_their_sync() {
    let manifest = one(&format!("{HEAD}  labels: {{app: a}}\n"));
    assert_eq!(metadata(&manifest)["labels"], json!({"app": "a", "holdfast.dev/managed": "true"}));
    let id = &metadata(&manifest)["annotations"]["holdfast.dev/tracking-id"];
    assert_eq!(id, "holdfast-system/shop:/ConfigMap:prod/a");
    let role = one("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}");
    let id = &metadata(&role)["annotations"]["holdfast.dev/tracking-id"];
    assert_eq!(id, "holdfast-system/shop:rbac.authorization.k8s.io/ClusterRole:/r");
}

#[test]
fn claims_nobody_meant_are_dropped() {
    let manifest = one(&format!(
        "{HEAD}  creationTimestamp: null\n  uid: u\n  resourceVersion: '1'\n  generation: 3\n  selfLink: s\n  managedFields: []\n  \
         annotations: {{kubectl.kubernetes.io/last-applied-configuration: '{{}}', keep: me}}\n\
         status: {{phase: on}}\nspec:\n  replicas: null\n  empty: {{}}\n  template:\n    metadata: {{creationTimestamp: null, labels: {{a: b}}}}\n  list: [1, null, {{x: null}}]\n"
    ));
    assert_eq!(
        manifest.value["spec"],
        json!({"empty": {}, "template": {"metadata": {"labels": {"a": "b"}}}, "list": [1, null, {}]})
    );
    assert_eq!(manifest.value.get("status"), None);
    let keys: Vec<_> = metadata(&manifest).as_object().expect("a mapping").keys().map(String::as_str).collect();
    assert_eq!(keys, ["annotations", "labels", "name", "namespace"]);
    let annotations: Vec<_> = metadata(&manifest)["annotations"].as_object().expect("a mapping").keys().collect();
    assert_eq!(annotations, ["holdfast.dev/tracking-id", "keep"]);
}

#[test]
fn string_data_becomes_data_and_keeps_its_lines() {
    let manifest = one(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  a: b2xk\n  b: Yg==\nstringData:\n  a: new\n  c: 'see'\n",
    );
    assert_eq!(manifest.value["data"], json!({"a": "bmV3", "b": "Yg==", "c": "c2Vl"}));
    assert_eq!(manifest.value.get("stringData"), None);
    let line = |key| manifest.origin.lines.nearest(&["data", key]).line;
    assert_eq!((line("a"), line("b"), line("c")), (8, 6, 9));
    let manifest = one("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  a: new\n");
    assert_eq!(manifest.origin.lines.nearest(&["data", "a"]).line, 5);
    let problems = problems("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  port: 8080\n");
    assert_eq!(problems, ["a.yaml:5: stringData.port is not text; quote it"]);
}

#[test]
fn only_a_core_secret_is_a_secret() {
    let manifest = one("apiVersion: acme.io/v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n");
    assert_eq!(manifest.value["stringData"], json!({"a": "b"}));
}

#[test]
fn the_rules_of_an_aggregated_role_are_its_controllers() {
    let role =
        |rest| format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: r}}\n{rest}");
    assert_eq!(one(&role("rules: []\naggregationRule: {}\n")).value.get("rules"), None);
    assert_eq!(one(&role("rules: []\n")).value["rules"], json!([]));
}

#[test]
fn our_own_names_may_not_be_forged() {
    for field in [
        "labels: {holdfast.dev/managed: 'false'}",
        "annotations: {holdfast.dev/tracking-id: x}",
        "annotations: {holdfast.dev/break-glass: x}",
        "labels: {holdfast.dev/wave: '1'}",
    ] {
        let problems = problems(&format!("{HEAD}  {field}\n"));
        assert!(problems[0].starts_with("a.yaml:5: holdfast.dev/"), "{problems:?}");
    }
    one(&format!(
        "{HEAD}  annotations: {{holdfast.dev/wave: '1', holdfast.dev/ignore: '[]', holdfast.dev/prune: disabled}}\n"
    ));
}

#[test]
fn labels_and_annotations_are_text() {
    let found = problems(&format!("{HEAD}  annotations:\n    a: yes\n    b: 'yes'\n    c: 1\n  labels: []\n"));
    assert_eq!(
        found,
        [
            "a.yaml:9: metadata.labels is not a mapping",
            "a.yaml:6: the value of a in metadata.annotations is not text; quote it",
            "a.yaml:8: the value of c in metadata.annotations is not text; quote it",
        ]
    );
}

#[test]
fn two_descriptions_of_one_object() {
    let mut documents = read("a.yaml", HEAD);
    documents.extend(read("b.yaml", &format!("# again\n{HEAD}  namespace: prod\n")));
    documents.extend(read("c.yaml", &format!("{HEAD}  namespace: elsewhere\n")));
    let (manifests, problems) = with_default(documents, Some("prod"));
    let files: Vec<_> = manifests.iter().map(|manifest| &*manifest.origin.file).collect();
    assert_eq!(files, ["a.yaml", "c.yaml"]);
    assert_eq!(
        problems,
        ["b.yaml:2: ConfigMap prod/a is already described in a.yaml:1; that one counts, remove one of the two"]
    );
}
