//! What a tool declares, read off the objects it leaves.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::core::compare::{Deviation, Scope};
use crate::core::drift::{Change, introduced};
use crate::core::exclude::{Condition, Must};
use crate::core::names::LAST_APPLIED;
use crate::core::state::State;

const LABEL: &str = "kustomize.toolkit.fluxcd.io/name";

fn guard() -> Guard {
    let labels = Labels(vec![Condition { key: LABEL.to_owned(), must: Must::Exist }]);
    Guard {
        name: "flux".into(),
        objects: Selection { labels, ..Selection::default() },
        managers: ["kustomize-controller", "argocd-*"].map(str::to_owned).into(),
        writers: vec!["system:serviceaccount:flux-system:*".to_owned()],
        mode: Mode::Deny,
        undeclared: Undeclared::Allow,
    }
}

fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": fields})
}

/// As Flux leaves it, but for what is changed.
fn object(change: impl FnOnce(&mut Value)) -> Value {
    let container = json!({".": {}, "f:name": {}, "f:image": {}});
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "annotations": {},
            "labels": {LABEL: "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"},
            "managedFields": [
                entry("kustomize-controller", "Apply", &json!({
                    "f:metadata": {"f:labels": {format!("f:{LABEL}"): {}, "f:kustomize.toolkit.fluxcd.io/namespace": {}}},
                    "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": container}}}},
                })),
                entry("kube-controller-manager", "Update", &json!({"f:spec": {"f:paused": {}}, "f:status": {"f:replicas": {}}})),
            ],
        },
        "spec": {"replicas": 3, "paused": false, "template": {"spec": {"containers": [{"name": "app", "image": "a:1"}]}}},
    });
    change(&mut object);
    object
}

/// Argo CD's client-side apply: an Update, with a copy; then somebody took the replicas.
fn stolen(copy_by: &str) -> Value {
    object(|object| {
        let copy = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "replicas": 3, "strategy": {"type": "Recreate"},
            "template": {"spec": {"containers": [{"name": "app", "image": "a:1"}, {"name": "side", "image": "s:1"}]}},
        }});
        object["metadata"]["annotations"][LAST_APPLIED] = json!(copy.to_string());
        object["spec"]["replicas"] = json!(5);
        let entries = &mut object["metadata"]["managedFields"];
        entries[0]["fieldsV1"]["f:spec"].as_object_mut().expect("a map").remove("f:replicas");
        let copied = json!({"f:metadata": {"f:annotations": {format!("f:{LAST_APPLIED}"): {}}}});
        let more =
            [entry(copy_by, "Update", &copied), entry("kubectl", "Update", &json!({"f:spec": {"f:replicas": {}}}))];
        entries.as_array_mut().expect("a list").extend(more);
    })
}

fn ward(object: &Value) -> Option<Managed> {
    let key = ObjectKey::of(object).expect("an object");
    guard().ward(&key, "deployments", object, &Surroundings::default())
}

/// What an edit brings in, as `path: declared → found`.
fn brings(old: &Value, edit: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut new = old.clone();
    edit(&mut new);
    let managed = ward(old).expect("it is guarded");
    let (old, new) = (State::whole(old), State::whole(&new));
    let change = Change { old: &old, new: &new, scope: Scope::Whole, is_person: &|_| true };
    let said = |value: Option<Value>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
    let words = |Deviation { path, git, live, .. }| format!("{path}: {} → {}", said(git), said(live));
    introduced(&managed, &change).into_iter().map(words).collect()
}

#[test]
fn a_tool_declares_what_its_managers_own_and_nothing_else() {
    let object = object(|_| {});
    assert_eq!(brings(&object, |new| new["spec"]["replicas"] = json!(5)), [".spec.replicas: 3 → 5"]);
    let image = |new: &mut Value| new["spec"]["template"]["spec"]["containers"][0]["image"] = json!("a:2");
    assert_eq!(brings(&object, image), [r#".spec.template.spec.containers[name=app].image: "a:1" → "a:2""#]);
    assert_eq!(brings(&object, |new| new["spec"]["paused"] = json!(true)), Vec::<String>::new());
    assert_eq!(brings(&object, |new| new["metadata"]["annotations"]["a"] = json!("b")), Vec::<String>::new());
}

#[test]
fn what_selects_it_cannot_be_taken_off_whoever_owns_it() {
    let object = object(|object| {
        object["metadata"]["managedFields"][0]["fieldsV1"].as_object_mut().expect("a map").remove("f:metadata");
    });
    let took = brings(&object, |new| _ = new["metadata"]["labels"].as_object_mut().expect("a map").remove(LABEL));
    assert_eq!(took, [format!(r#".metadata.labels["{LABEL}"]: "shop" → nothing"#)]);
    let other = brings(&object, |new| new["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/namespace"] = json!("x"));
    assert_eq!(other, Vec::<String>::new());
}

#[test]
fn what_no_tool_has_written_is_not_guarded() {
    let by_hand = object(|object| object["metadata"]["managedFields"][0]["manager"] = json!("kubectl-edit"));
    assert!(ward(&by_hand).is_none());
    let status = object(|object| object["metadata"]["managedFields"][0]["subresource"] = json!("status"));
    assert!(ward(&status).is_none());
    let unlabelled = object(|object| object["metadata"]["labels"] = json!({}));
    assert!(ward(&unlabelled).is_none());
}

#[test]
fn what_was_taken_from_it_is_known_from_its_own_copy() {
    let object = stolen("argocd-controller");
    assert_eq!(brings(&object, |new| new["spec"]["replicas"] = json!(9)), [".spec.replicas: 3 → 9"]);
    assert_eq!(
        brings(&object, |new| new["spec"]["replicas"] = json!(3)),
        Vec::<String>::new(),
        "back to what is right"
    );
    assert_eq!(brings(&object, |new| new["spec"]["paused"] = json!(true)), Vec::<String>::new(), "an edit elsewhere");
    let strategy = brings(&object, |new| new["spec"]["strategy"] = json!({"type": "RollingUpdate"}));
    assert_eq!(strategy, [r#".spec.strategy.type: "Recreate" → "RollingUpdate""#]);
    let written = ward(&object).expect("it is guarded").manifest.value();
    let containers = &written["spec"]["template"]["spec"]["containers"];
    assert_eq!(*containers, json!([{"name": "app", "image": "a:1"}, {"name": "side", "image": "s:1"}]));
}

#[test]
fn a_copy_that_somebody_else_keeps_counts_for_nothing() {
    let object = stolen("kubectl-client-side-apply");
    assert_eq!(brings(&object, |new| new["spec"]["replicas"] = json!(9)), Vec::<String>::new());
}

#[test]
fn a_copy_that_is_nonsense_counts_for_nothing() {
    for copy in
        ["", "7", "{", r#"{"spec": 7, "metadata": []}"#, r#"{"spec":{"template":{"spec":{"containers":{"a":[{}]}}}}}"#]
    {
        let mut object = stolen("argocd-controller");
        object["metadata"]["annotations"][LAST_APPLIED] = json!(copy);
        assert_eq!(brings(&object, |new| new["spec"]["paused"] = json!(true)), Vec::<String>::new(), "{copy}");
    }
}

#[test]
fn paths_of_another_version_and_empties_that_others_fill_are_not_its_own() {
    let object = object(|object| {
        let entries = &mut object["metadata"]["managedFields"];
        entries[0]["fieldsV1"]["f:spec"]["f:rollbackTo"] = json!({".": {}, "f:revision": {}});
        entries[0]["fieldsV1"]["f:spec"]["f:strategy"] = json!({});
        entries[1]["fieldsV1"]["f:spec"]["f:strategy"] = json!({"f:type": {}});
        object["spec"]["strategy"] = json!({"type": "Recreate"});
    });
    let sections = &ward(&object).expect("it is guarded").manifest.value();
    assert_eq!(
        sections["spec"],
        json!({"replicas": 3, "template": {"spec": {"containers": [{"name": "app", "image": "a:1"}]}}})
    );
}

#[test]
fn it_is_told_which_application_keeps_an_object() {
    let named = |metadata: &Value, manager: &str| {
        let object = object(|object| {
            json_patch::merge(&mut object["metadata"], metadata);
            object["metadata"]["managedFields"][0]["manager"] = json!(manager);
        });
        Tool::of(&guard(), &object).application.unwrap_or_default()
    };
    let nothing = json!({LABEL: null, "kustomize.toolkit.fluxcd.io/namespace": null});
    let with = |field: &str, more: Value| {
        let mut metadata = json!({"labels": nothing, "annotations": {}});
        json_patch::merge(&mut metadata[field], &more);
        metadata
    };
    let release = json!({"meta.helm.sh/release-name": "api", "meta.helm.sh/release-namespace": "shop"});
    let chart = json!({"helm.toolkit.fluxcd.io/name": "api", "helm.toolkit.fluxcd.io/namespace": "flux-system"});
    let tracked = json!({"argocd.argoproj.io/tracking-id": "shop-prod:apps/Deployment:shop/web"});
    let instance = json!({"app.kubernetes.io/instance": "shop"});
    assert_eq!(named(&json!({}), "kustomize-controller"), "Flux Kustomization flux-system/shop");
    assert_eq!(named(&with("labels", chart), "helm-controller"), "Flux HelmRelease flux-system/api");
    assert_eq!(named(&with("annotations", tracked), "argocd-controller"), "Argo CD Application shop-prod");
    assert_eq!(named(&with("labels", instance.clone()), "argocd-controller"), "Argo CD Application shop");
    assert_eq!(named(&with("annotations", release), "helm"), "Helm release shop/api");
    assert_eq!(named(&with("labels", instance), "helm"), "");
}

#[test]
fn resources_and_namespaces_are_where_they_are_said_to_be() {
    let resource = |group: &str, plural: &str| GroupResource { group: group.to_owned(), plural: plural.to_owned() };
    let mut guard = guard();
    assert!(guard.is_about("apps", "deployments", Some("shop")) && guard.is_about("", "namespaces", None));
    guard.objects.resources = vec![resource("apps", "*"), resource("", "configmaps")];
    assert!(guard.is_about("apps", "deployments", None) && guard.is_about("", "configmaps", None));
    assert!(!guard.is_about("", "secrets", None) && !guard.is_about("batch", "jobs", None));
    guard.objects.namespaces = vec!["shop-*".to_owned()];
    assert!(guard.is_about("apps", "deployments", Some("shop-eu")));
    assert!(!guard.is_about("apps", "deployments", Some("play")) && !guard.is_about("apps", "deployments", None));
}

/// JSON of the names that matter.
fn anything() -> impl Strategy<Value = Value> {
    let names =
        || prop::sample::select(vec!["metadata", "annotations", "spec", "replicas", "template", "containers", "name"]);
    let leaf = prop_oneof![Just(json!(null)), Just(json!(3)), Just(json!("app")), Just(json!({})), Just(json!([]))];
    leaf.prop_recursive(7, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map(names(), inner, 0..5)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    /// A copy may claim more than is owned, never less: what the tool owns has the value it has.
    #[test]
    fn no_copy_takes_anything_from_what_is_owned(copy in anything()) {
        let mut object = stolen("argocd-controller");
        object["metadata"]["annotations"][LAST_APPLIED] = json!(copy.to_string());
        prop_assert_eq!(brings(&object, |_| {}), Vec::<String>::new());
        let image = |new: &mut Value| new["spec"]["template"]["spec"]["containers"][0]["image"] = json!("a:2");
        prop_assert_eq!(brings(&object, image), [r#".spec.template.spec.containers[name=app].image: "a:1" → "a:2""#]);
    }
}

#[test]
fn entries_of_another_version_say_who_keeps_it_and_nothing_of_what_is_seen() {
    let other = object(|object| {
        for entry in object["metadata"]["managedFields"].as_array_mut().expect("a list") {
            entry["apiVersion"] = json!("apps/v2");
        }
    });
    let guard = guard();
    assert!(guard.keeps(&other));
    assert_eq!(guard.version_of(&other), Some("apps/v2"));
    let key = ObjectKey::of(&other).expect("a key");
    let ward = guard.ward(&key, "deployments", &other, &Surroundings::default()).expect("it is kept");
    let sections: Vec<_> = ward.declaration.sections.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(sections, ["metadata"], "only the marks are known");
}

#[test]
fn what_is_vital_is_no_guards_business() {
    let guard = guard();
    for (group, plural) in
        [("coordination.k8s.io", "leases"), ("", "events"), ("", "nodes"), ("events.k8s.io", "events")]
    {
        assert!(!guard.is_about(group, plural, Some("shop")), "{plural}");
    }
    assert!(guard.is_about("", "pods", Some("shop")) && guard.names("apps", "deployments"));
}
