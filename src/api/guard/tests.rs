//! Guards that would guard nothing, everything, or against the tool itself.

use serde_json::{Value, json};

use super::*;
use crate::core::exclude::{Condition, Labels, Must};

fn good() -> Value {
    json!({
        "name": "flux", "managers": ["kustomize-controller"],
        "writers": ["system:serviceaccount:flux-system:kustomize-controller"],
        "selector": {"labelSelector": {"matchExpressions": [{"key": "kustomize.toolkit.fluxcd.io/name", "operator": "Exists"}]}},
    })
}

fn reading(guards: Value) -> Result<Vec<Guard>, Vec<super::super::FieldError>> {
    let typed: Vec<GuardSpec> = serde_json::from_value(guards).expect("the fixture follows the schema");
    let mut faults = Faults::default();
    let read = read(&typed, &mut faults);
    faults.or(read)
}

#[test]
fn a_good_one_means_what_it_says() {
    let read = reading(json!([good()])).expect("it is good").remove(0);
    let labels = Labels(vec![Condition { key: "kustomize.toolkit.fluxcd.io/name".to_owned(), must: Must::Exist }]);
    assert_eq!(read.objects, Selection { labels, ..Selection::default() });
    assert_eq!((read.mode, read.undeclared), (Mode::Deny, crate::core::snapshot::Undeclared::Allow));
}

#[test]
fn what_would_guard_nothing_or_everything_is_refused_with_the_way_out() {
    let cases = [
        (json!({"managers": []}), "spec.guards[0].managers", "kustomize-controller"),
        (json!({"managers": ["*"]}), "spec.guards[0].managers[0]", "field managers of the tool"),
        (json!({"managers": [" "]}), "spec.guards[0].managers[0]", "write a name or a glob"),
        (json!({"writers": []}), "spec.guards[0].writers", "the tool's account"),
        (json!({"writers": ["system:authenticated"]}), "spec.guards[0].writers[0]", "name the accounts"),
        (json!({"name": "Flux!"}), "spec.guards[0].name", "lower-case"),
        (json!({"selector": {"labelSelector": null}}), "spec.guards[0].selector", "name a label or an annotation"),
        (json!({"selector": {"annotations": ["a'b"]}}), "spec.guards[0].selector.annotations[0]", "as on the objects"),
        (json!({"selector": {"namespaces": [""]}}), "spec.guards[0].selector.namespaces[0]", "write a name or a glob"),
        (
            json!({"selector": {"resources": ["apps/Deployment"]}}),
            "spec.guards[0].selector.resources[0]",
            "deployments.apps",
        ),
    ];
    for (change, field, remedy) in cases {
        let mut guard = good();
        json_patch::merge(&mut guard, &change);
        let faults = reading(json!([guard])).expect_err("it makes no sense");
        let said = faults.iter().any(|fault| fault.field == field && fault.remedy.contains(remedy));
        assert!(said && faults.len() == 1, "{change}: {faults:?}");
    }
    let faults = reading(json!([good(), good()])).expect_err("two of one name");
    assert_eq!((faults.len(), faults[0].field.as_str()), (1, "spec.guards[1].name"));
}

#[test]
fn resources_are_written_as_kubectl_writes_them() {
    let mut guard = good();
    guard["selector"]["resources"] =
        json!(["deployments.apps", "configmaps", "*.apps", "*", "ingresses.networking.k8s.io"]);
    let read = reading(json!([guard])).expect("it is good").remove(0).objects.resources;
    let said: Vec<_> = read.iter().map(|resource| (resource.plural.as_str(), resource.group.as_str())).collect();
    let expected =
        [("deployments", "apps"), ("configmaps", ""), ("*", "apps"), ("*", "*"), ("ingresses", "networking.k8s.io")];
    assert_eq!(said, expected);
}
