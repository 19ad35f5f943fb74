//! What the API server is told, word for word: a selector that is slightly wrong is a guard that is silently off.

use serde_json::json;

use super::*;

fn registration() -> Registration {
    let resource = |group: &str, plural: &str| Resource { group: group.to_owned(), plural: plural.to_owned() };
    Registration {
        client: Client::Url("https://127.0.0.1:9443/".to_owned()),
        ca_bundle: b"pem".to_vec(),
        failure_policy: FailurePolicy::Ignore,
        timeout_seconds: 1,
        namespace: "holdfast-system".to_owned(),
        declared_kinds: vec![
            resource("apps", "deployments"),
            resource("", "configmaps"),
            resource("apps", "deployments"),
        ],
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

#[test]
fn nothing_declared_means_nothing_to_guess_about() {
    let nothing = Registration { declared_kinds: Vec::new(), ..registration() };
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
