//! Who is who; above all, who only says so.

use super::*;

fn class(name: &str, groups: &[&str]) -> Class {
    let identities = Identities {
        ourselves: ("holdfast-system".into(), "holdfast".into()),
        controllers: vec!["system:serviceaccount:istio-system:*".into(), "legacy-operator".into()],
        interactive: INTERACTIVE.map(str::to_owned).to_vec(),
    };
    identities.class(&User { name: name.into(), groups: groups.iter().map(|group| (*group).to_owned()).collect() })
}

#[test]
fn everybody_has_a_class() {
    let of = |namespace: &str| [String::from("system:serviceaccounts"), format!("system:serviceaccounts:{namespace}")];
    let account = |namespace: &str, name: &str| {
        let groups = of(namespace);
        class(&format!("system:serviceaccount:{namespace}:{name}"), &groups.each_ref().map(String::as_str))
    };
    assert_eq!(account("holdfast-system", "holdfast"), Class::Ourselves);
    assert_eq!(account("holdfast-system", "other"), Class::Automation);
    assert_eq!(account("kube-system", "deployment-controller"), Class::Controller);
    assert_eq!(account("istio-system", "istiod"), Class::Controller);
    assert_eq!(account("ci", "deployer"), Class::Automation);
    assert_eq!(class("system:node:a", &["system:nodes"]), Class::Controller);
    assert_eq!(class("system:kube-controller-manager", &[]), Class::Controller);
    assert_eq!(class("legacy-operator", &[]), Class::Controller);
    assert_eq!(class("kubernetes-admin", &["system:masters"]), Class::Person);
    assert_eq!(class("", &[]), Class::Person);
}

/// A certificate may carry any name; only the API server hands out the groups of service accounts.
#[test]
fn a_name_alone_is_no_service_account() {
    for name in [
        "system:serviceaccount:holdfast-system:holdfast",
        "system:serviceaccount:kube-system:x",
        "system:serviceaccount:istio-system:istiod",
        "system:serviceaccount:ci:deployer",
    ] {
        assert_eq!(class(name, &["system:authenticated"]), Class::Person, "{name}");
        assert_eq!(class(name, &["system:serviceaccounts"]), Class::Person, "{name}");
        let of_another = ["system:serviceaccounts", "system:serviceaccounts:other"];
        assert_eq!(class(name, &of_another), Class::Person, "{name}");
    }
}

/// `kube-system-2` begins with `kube-system`.
#[test]
fn a_namespace_is_compared_whole() {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system-2"];
    assert_eq!(class("system:serviceaccount:kube-system-2:x", &groups), Class::Automation);
    let both = ["system:serviceaccounts", "system:serviceaccounts:kube-system-2", "system:serviceaccounts:kube-system"];
    assert_eq!(class("system:serviceaccount:kube-system-2:x", &both), Class::Automation);
}
