//! What the API server is told, word for word: a selector that is slightly wrong is a guard that is silently off.

use serde_json::json;

use super::*;
use crate::core::exclude::{Condition, Labels, Must};
use crate::core::guard::{GroupResource, Selection};
use crate::core::snapshot::{Mode, Undeclared};

fn registration() -> Registration {
    let resource = |group: &str, plural: &str| Resource {
        group: group.to_owned(),
        version: "v1".to_owned(),
        plural: plural.to_owned(),
    };
    Registration {
        client: Client::Url("https://127.0.0.1:9443/".to_owned()),
        ca_bundle: b"pem".to_vec(),
        failure_policy: FailurePolicy::Ignore,
        timeout_seconds: 1,
        namespace: "holdfast-system".to_owned(),
        declared: vec![resource("apps", "deployments"), resource("", "configmaps"), resource("apps", "deployments")],
        guards: Arc::default(),
    }
}

fn names(registration: &Registration) -> Vec<String> {
    let webhooks = configurations(registration).0.webhooks.unwrap_or_default();
    webhooks.into_iter().map(|webhook| webhook.name).collect()
}

#[test]
fn the_validating_configuration() {
    let yaml = serde_saphyr::to_string(&configurations(&registration()).0).expect("plain data");
    insta::assert_snapshot!(yaml);
}

#[test]
fn the_mutating_configuration_is_asked_about_less() {
    let yaml = serde_saphyr::to_string(&configurations(&registration()).1).expect("plain data");
    insta::assert_snapshot!(yaml);
}

fn guard(name: &str, mode: Mode, objects: Selection) -> Guard {
    let writers = ["system:serviceaccount:flux-system:kustomize-controller", "flux-*", "ci'", "release@example.com"];
    Guard {
        name: name.into(),
        objects,
        managers: Arc::default(),
        writers: writers.map(str::to_owned).into(),
        mode,
        undeclared: Undeclared::Allow,
    }
}

#[test]
fn guards_have_entries_of_their_own() {
    let labels = Labels(vec![Condition { key: "a".to_owned(), must: Must::Exist }]);
    let configmaps = GroupResource { group: String::new(), plural: "configmaps".to_owned() };
    let annotated =
        Selection { annotations: vec!["b".to_owned()], resources: vec![configmaps], ..Selection::default() };
    let guards = vec![
        guard("flux", Mode::Deny, Selection { labels: labels.clone(), ..Selection::default() }),
        guard("argo", Mode::Warn, annotated),
        guard("none", Mode::Off, Selection { labels, ..Selection::default() }),
    ];
    let (validating, mutating) = configurations(&Registration { guards: guards.into(), ..registration() });
    let validating = validating.webhooks.into_iter().flatten().filter(|entry| entry.name.contains(".guards."));
    let mutating = mutating.webhooks.into_iter().flatten().filter(|entry| entry.name.contains(".guards."));
    let yaml = serde_saphyr::to_string(&(validating.collect::<Vec<_>>(), mutating.collect::<Vec<_>>()));
    insta::assert_snapshot!(yaml.expect("plain data"));
}

#[test]
fn nothing_declared_means_nothing_to_guess_about() {
    let nothing = Registration { declared: Vec::new(), ..registration() };
    assert!(names(&registration()).contains(&"unmarked.holdfast.dev".to_owned()));
    assert!(!names(&nothing).contains(&"unmarked.holdfast.dev".to_owned()));
}

#[test]
fn a_service_is_named_with_its_port_and_path() {
    let client = Client::Service { namespace: "holdfast-system".to_owned(), name: "holdfast".to_owned(), port: 443 };
    let config = serde_json::to_value(client.config(MUTATE_PATH, b"pem")).expect("plain data");
    let service = json!({"namespace": "holdfast-system", "name": "holdfast", "port": 443, "path": "/mutate"});
    assert_eq!(config, json!({"caBundle": "cGVt", "service": service}));
}

#[test]
fn certificates_are_made_for_the_host_alone() {
    for (url, host) in
        [("https://127.0.0.1:9443", "127.0.0.1"), ("https://[::1]:9443", "::1"), ("https://guard", "guard")]
    {
        assert_eq!(Client::Url(url.to_owned()).names(), [host]);
    }
}
