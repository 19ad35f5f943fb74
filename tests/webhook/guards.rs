//! What other tools keep: the recorded edit, made to an object that Argo CD has applied and that is in no Git of ours.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use holdfast::core::names::{BREAK_GLASS, BREAK_GLASS_BY, LAST_APPLIED};
use holdfast::core::snapshot::Mode;
use serde_json::{Value, json};

use crate::desk::{Desk, annotate, no_edit, review};

const PATH: &str = "/validate/guards/argo";
const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";

type Change = fn(&mut Value);

fn guard_with(change: &Value) -> Value {
    let mut guard = json!({
        "name": "argo", "selector": {"annotations": [TRACKING_ID], "resources": ["*.apps"]},
        "managers": ["argocd-controller"], "writers": ["system:serviceaccount:argocd:argocd-application-controller"],
    });
    json_patch::merge(&mut guard, change);
    guard
}

fn desk_with(change: &Value) -> Desk {
    let desk = Desk::new(Mode::Deny);
    desk.guard(&json!([guard_with(change)]));
    desk
}

fn desk() -> Desk {
    desk_with(&json!({}))
}

/// Not the object that Git declares.
fn cart(request: &mut Value) {
    request["name"] = json!("cart");
    for side in ["object", "oldObject"] {
        request[side]["metadata"]["name"] = json!("cart");
    }
}

fn edit(change: impl FnOnce(&mut Value)) -> Value {
    review(|request| {
        cart(request);
        change(request);
    })
}

fn none(change: impl FnOnce(&mut Value)) -> Value {
    no_edit(|request| {
        cart(request);
        change(request);
    })
}

fn scale() -> Value {
    let scale = |replicas: u32| {
        let metadata = json!({"name": "cart", "namespace": "shop"});
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": {"replicas": replicas}})
    };
    edit(|request| {
        request["kind"] = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        request["subResource"] = json!("scale");
        request["oldObject"] = scale(3);
        request["object"] = scale(5);
    })
}

fn is_refused(answer: &Value, words: &str) {
    let message = answer["status"]["message"].as_str().unwrap_or_default();
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(answer["allowed"] == false && message.contains(words), "it does not say {words:?}: {answer}");
}

#[tokio::test]
async fn what_argo_keeps_is_not_edited_by_hand() {
    let desk = desk();
    let answer = desk.ask(PATH, &edit(|_| {})).await;
    insta::assert_snapshot!(answer["status"]["message"].as_str().expect("a message"));
    insta::assert_json_snapshot!(answer["auditAnnotations"]);
    let mut record = desk.records().await.remove(0);
    record["id"].take(); // random
    insta::assert_json_snapshot!(record);
}

#[tokio::test]
async fn what_it_does_not_declare_is_nobodys_business() {
    let edits: [(&str, Change); 5] = [
        ("nothing", |_| {}),
        ("an annotation", |r| annotate(&mut r["object"], "team", "shop")),
        ("a restart", |r| {
            let at = "kubectl.kubernetes.io/restartedAt";
            r["object"]["spec"]["template"]["metadata"]["annotations"][at] = json!("2026-11-21T10:00:00Z");
        }),
        ("an undeclared field", |r| r["object"]["spec"]["paused"] = json!(true)),
        ("a copy, which is created", |r| {
            r["operation"] = json!("CREATE");
            r["oldObject"] = Value::Null;
        }),
    ];
    for (name, change) in edits {
        let answer = desk().ask(PATH, &none(change)).await;
        assert_eq!(answer, json!({"uid": answer["uid"], "allowed": true}), "{name}");
    }
    is_refused(
        &desk_with(&json!({"undeclared": "Deny"})).ask(PATH, &none(paused)).await,
        ".spec.paused kept: nothing this: true",
    );
}

/// `kubectl patch`, with the ownership it brings.
fn paused(request: &mut Value) {
    request["object"]["spec"]["paused"] = json!(true);
    let entry = json!({"manager": "kubectl-patch", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:spec": {"f:paused": {}}}});
    request["object"]["metadata"]["managedFields"].as_array_mut().expect("a list").push(entry);
    request["options"]["fieldManager"] = json!("kubectl-patch");
}

#[tokio::test]
async fn who_may_write_is_told_by_identity() {
    let by = |name: &str, groups: Value| edit(|r| r["userInfo"] = json!({"username": name, "groups": groups}));
    let account = |namespace: &str, name: &str| {
        let groups = json!(["system:serviceaccounts", format!("system:serviceaccounts:{namespace}")]);
        by(&format!("system:serviceaccount:{namespace}:{name}"), groups)
    };
    let cases = [
        ("the tool", account("argocd", "argocd-application-controller"), true),
        ("the autoscaler", account("kube-system", "horizontal-pod-autoscaler"), true),
        ("Holdfast", account("holdfast-system", "holdfast"), true),
        ("a pipeline", account("ci", "deployer"), false),
        ("an administrator", by("admin", json!(["system:masters"])), false),
        ("the name alone", by("system:serviceaccount:argocd:argocd-application-controller", json!([])), false),
    ];
    for (who, review, passes) in cases {
        assert_eq!(desk().ask(PATH, &review).await["allowed"], passes, "{who}");
    }
    let group = desk_with(&json!({"writers": ["team-pay*"]}));
    assert_eq!(group.ask(PATH, &edit(|_| {})).await["allowed"], true);
}

#[tokio::test]
async fn there_is_no_way_around() {
    let desk = desk();
    let delete = none(|r| {
        r["operation"] = json!("DELETE");
        r["object"] = Value::Null;
    });
    is_refused(&desk.ask(PATH, &delete).await, "is kept by Argo CD Application shop-prod");
    let escape =
        none(|r| _ = r["object"]["metadata"]["annotations"].as_object_mut().expect("a map").remove(TRACKING_ID));
    is_refused(&desk.ask(PATH, &escape).await, TRACKING_ID);
    let wiped = none(|r| r["object"]["metadata"]["managedFields"] = json!([{}]));
    is_refused(&desk.ask(PATH, &wiped).await, "entries of argocd-controller in metadata.managedFields");
    let copy = none(|r| annotate(&mut r["object"], LAST_APPLIED, "{}"));
    is_refused(&desk.ask(PATH, &copy).await, LAST_APPLIED);
}

#[tokio::test]
async fn what_we_manage_ourselves_and_what_it_has_not_written_are_no_guards_business() {
    let desk = desk();
    assert_eq!(desk.ask(PATH, &review(|_| {})).await["allowed"], true, "Git declares it");
    assert_eq!(desk.ask("/validate", &review(|_| {})).await["allowed"], false);
    let by_hand = edit(|r| {
        for side in ["object", "oldObject"] {
            r[side]["metadata"]["managedFields"][0]["manager"] = json!("kubectl-create");
        }
    });
    assert_eq!(desk.ask(PATH, &by_hand).await["allowed"], true);
    assert_eq!(desk.ask("/validate/guards/gone", &edit(|_| {})).await["allowed"], true);
    assert_eq!(desk.ask("/validate", &edit(|_| {})).await["allowed"], true);
}

#[tokio::test]
async fn a_scale_is_judged_by_the_object_behind_it() {
    let desk = desk();
    assert_eq!(desk.ask("/validate", &scale()).await["allowed"], true, "there is no such object");
    *desk.cluster.object.lock().expect("no panic") = Some(edit(|_| {})["request"]["oldObject"].clone());
    is_refused(&desk.ask("/validate", &scale()).await, ".spec.replicas kept: 3 this: 5");
    let by_hpa = {
        let mut review = scale();
        let groups = json!(["system:serviceaccounts", "system:serviceaccounts:kube-system"]);
        let name = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
        review["request"]["userInfo"] = json!({"username": name, "groups": groups});
        review
    };
    let asked = desk.cluster.asked.load(Ordering::SeqCst);
    assert_eq!(desk.ask("/validate", &by_hpa).await["allowed"], true);
    assert_eq!(desk.cluster.asked.load(Ordering::SeqCst), asked, "nobody is asked about controllers");
    *desk.cluster.right.lock().expect("no panic") = None;
    let unanswered = desk.post("/validate", scale().to_string()).await;
    assert_eq!(unanswered.status, StatusCode::BAD_GATEWAY, "no answer is no verdict");
}

#[tokio::test]
async fn a_kind_no_guard_is_about_is_scaled_without_a_question() {
    let desk = desk_with(&json!({"selector": {"resources": ["configmaps"]}}));
    assert_eq!(desk.ask("/validate", &scale()).await["allowed"], true);
    assert_eq!(desk.cluster.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn break_glass_takes_a_right_on_the_policy() {
    let opening = |user: &str| {
        edit(|r| {
            r["userInfo"] = json!({"username": user});
            annotate(&mut r["object"], BREAK_GLASS, "INC-1: down");
        })
    };
    let desk = desk();
    let (answer, object) = desk.admit_by("/guards/argo", &opening("oncall")).await;
    assert_eq!(answer["allowed"], true, "{answer}");
    assert_eq!(object["metadata"]["annotations"][BREAK_GLASS_BY], "oncall");
    let (answer, _) = desk.admit_by("/guards/argo", &opening("alice")).await;
    is_refused(&answer, r#"lacks the verb "break-glass" on driftpolicies.holdfast.dev "default""#);
    let records = desk.records().await;
    let kinds: Vec<_> = records.iter().map(|record| (record["kind"].as_str(), record["guard"].as_str())).collect();
    assert_eq!(kinds, [(Some("BreakGlassOpened"), Some("argo")), (Some("BreakGlassRefused"), Some("argo"))]);
}

#[tokio::test]
async fn who_only_observes_or_warns_stops_nobody() {
    let desk = desk();
    desk.observe(true);
    assert_eq!(desk.ask(PATH, &edit(|_| {})).await["allowed"], true);
    let records = desk.records().await;
    assert_eq!((&records[0]["kind"], &records[0]["guard"]), (&json!("WouldDeny"), &json!("argo")));
    assert!(desk.metrics().contains(r#"holdfast_would_deny_total{gitsync="",team=""} 1"#));
    let warned = desk_with(&json!({"mode": "Warn"})).ask(PATH, &edit(|_| {})).await;
    assert!(
        warned["allowed"] == true && warned["warnings"][0].as_str().is_some_and(|text| text.contains("cart")),
        "{warned}"
    );
    assert_eq!(desk_with(&json!({"mode": "Off"})).ask(PATH, &edit(|_| {})).await["allowed"], true);
}

#[tokio::test]
async fn values_of_a_secret_are_not_told() {
    let desk = desk_with(&json!({"selector": {"resources": ["secrets"]}}));
    let secret = edit(|r| {
        r["kind"] = json!({"group": "", "version": "v1", "kind": "Secret"});
        r["resource"] = json!({"group": "", "version": "v1", "resource": "secrets"});
        let fields =
            json!({"f:metadata": {"f:annotations": {format!("f:{TRACKING_ID}"): {}}}, "f:data": {"f:password": {}}});
        let entry =
            json!({"manager": "argocd-controller", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields});
        let secret = |password: &str| {
            let annotations = json!({TRACKING_ID: "shop"});
            let metadata =
                json!({"name": "cart", "namespace": "shop", "annotations": annotations, "managedFields": [entry]});
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"password": password}})
        };
        (r["oldObject"], r["object"]) = (secret("aHVudGVyMg=="), secret("b3RoZXI="));
    });
    let answer = desk.ask(PATH, &secret).await;
    is_refused(&answer, ".data.password");
    let said = format!("{answer}{:?}", desk.records().await);
    assert!(!said.contains("aHVudGVyMg") && !said.contains("b3RoZXI"), "{said}");
}

#[tokio::test]
async fn weakening_a_guard_takes_a_right() {
    let desk = desk();
    let policy = |guards: Value| json!({"metadata": {"name": "default"}, "spec": {"guards": guards}});
    let guard = |mode: &str| {
        let selector = json!({"annotations": [TRACKING_ID]});
        json!([{"name": "argo", "selector": selector, "managers": ["argocd-controller"], "writers": ["argo"], "mode": mode}])
    };
    let change = |user: &str, new: Value| {
        edit(|r| {
            r["kind"] = json!({"group": "holdfast.dev", "version": "v1alpha1", "kind": "DriftPolicy"});
            r["resource"] = json!({"group": "holdfast.dev", "version": "v1alpha1", "resource": "driftpolicies"});
            (r["name"], r["namespace"]) = (json!("default"), json!(""));
            (r["oldObject"], r["object"]) = (policy(guard("Deny")), policy(new));
            r["userInfo"] = json!({"username": user});
        })
    };
    for weaker in [json!([]), guard("Warn")] {
        let answer = desk.ask("/validate/own", &change("alice", weaker.clone())).await;
        is_refused(&answer, r#"lacks the verb "loosen" on driftpolicies.holdfast.dev "default": spec.guards[argo]"#);
        assert_eq!(desk.ask("/validate/own", &change("oncall", weaker)).await["allowed"], true);
    }
    assert_eq!(desk.ask("/validate/own", &change("alice", guard("Deny"))).await["allowed"], true);
}

fn eviction(user: &str) -> Value {
    edit(|r| {
        r["operation"] = json!("CREATE");
        r["kind"] = json!({"group": "policy", "version": "v1", "kind": "Eviction"});
        r["resource"] = json!({"group": "", "version": "v1", "resource": "pods"});
        r["subResource"] = json!("eviction");
        r["oldObject"] = Value::Null;
        let metadata = json!({"name": "cart", "namespace": "shop"});
        r["object"] = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata});
        r["userInfo"] = json!({"username": user});
    })
}

fn pod(manager: &str) -> Value {
    let fields =
        json!({"f:metadata": {"f:annotations": {format!("f:{TRACKING_ID}"): {}}}, "f:spec": {"f:nodeName": {}}});
    let entry = json!({"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields});
    let annotations = json!({TRACKING_ID: "shop"});
    let metadata = json!({"name": "cart", "namespace": "shop", "annotations": annotations, "managedFields": [entry]});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": "one"}})
}

#[tokio::test]
async fn an_eviction_is_a_deletion_of_the_pod_behind_it() {
    let desk = desk_with(&json!({"selector": {"resources": ["pods"]}}));
    let stands = |object: Option<Value>| *desk.cluster.object.lock().expect("no panic") = object;
    assert_eq!(desk.ask("/validate", &eviction("alice")).await["allowed"], true, "there is no such pod");
    stands(Some(pod("kube-controller-manager")));
    assert_eq!(desk.ask("/validate", &eviction("alice")).await["allowed"], true, "a Deployment's");
    stands(Some(pod("argocd-controller")));
    is_refused(&desk.ask("/validate", &eviction("alice")).await, "cannot be deleted by hand");
    let mut going = pod("argocd-controller");
    going["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:00Z");
    stands(Some(going));
    assert_eq!(desk.ask("/validate", &eviction("alice")).await["allowed"], true, "it goes already");
    *desk.cluster.right.lock().expect("no panic") = None;
    let unanswered = desk.post("/validate", eviction("alice").to_string()).await;
    assert_eq!(unanswered.status, StatusCode::BAD_GATEWAY, "no answer is no verdict");
    let record = desk.records().await.remove(0);
    assert_eq!(
        (&record["kind"], &record["verb"], &record["guard"]),
        (&json!("Denied"), &json!("DELETE"), &json!("argo"))
    );
}

#[tokio::test]
async fn a_break_glass_on_the_pod_covers_its_eviction() {
    let desk = desk_with(&json!({"selector": {"resources": ["pods"]}}));
    *desk.cluster.object.lock().expect("no panic") = Some(pod("argocd-controller"));
    assert_eq!(desk.ask("/validate", &eviction("oncall")).await["allowed"], false);
    let until = "2026-11-21T10:30:00Z".parse().expect("a time");
    let glass = holdfast::core::breakglass::Glass { reason: "INC-1".to_owned(), by: "oncall".to_owned(), until };
    *desk.cluster.glass.lock().expect("no panic") = Some(glass);
    assert_eq!(desk.ask("/validate", &eviction("oncall")).await["allowed"], true);
    assert_eq!(desk.ask("/validate", &eviction("alice")).await["allowed"], false);
}

fn namespace(change: impl FnOnce(&mut Value)) -> Value {
    edit(|r| {
        r["operation"] = json!("DELETE");
        r["kind"] = json!({"group": "", "version": "v1", "kind": "Namespace"});
        r["resource"] = json!({"group": "", "version": "v1", "resource": "namespaces"});
        (r["name"], r["namespace"]) = (json!("carts"), json!("carts"));
        r["object"] = Value::Null;
        r["oldObject"] = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "carts"}});
        change(r);
    })
}

/// What Argo CD keeps in that namespace, as its metadata show it.
fn held() -> Value {
    let mut held = edit(|_| {})["request"]["oldObject"].clone();
    held["metadata"]["namespace"] = json!("carts");
    let fields = held.as_object_mut().expect("an object");
    fields.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata"));
    held
}

#[tokio::test]
async fn a_namespace_that_holds_what_argo_keeps_is_not_deleted_by_hand() {
    let desk = desk();
    assert_eq!(desk.ask("/validate", &namespace(|_| {})).await["allowed"], true, "it holds nothing");
    *desk.cluster.object.lock().expect("no panic") = Some(held());
    let answer = desk.ask("/validate", &namespace(|_| {})).await;
    insta::assert_snapshot!(answer["status"]["message"].as_str().expect("a message"), @r"
    Namespace carts holds Deployment.apps carts/cart, which is kept by Argo CD Application shop-prod
    (argocd-controller), and cannot be deleted by hand. Remove what is kept there first (guard argo of
    the DriftPolicy).
    ");
    assert_eq!(answer["auditAnnotations"], json!({"guard": "argo", "verdict": "deny", "why": "namespace-delete"}));
    let asked = desk.cluster.asked.load(Ordering::SeqCst);
    let free: [(&str, Change); 4] = [
        ("one that is going", |r| r["oldObject"]["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:00Z")),
        ("kube-system", |r| {
            (r["name"], r["namespace"]) = (json!("kube-system"), json!("kube-system"));
            r["oldObject"]["metadata"]["name"] = json!("kube-system");
        }),
        ("a controller", |r| {
            let groups = json!(["system:serviceaccounts", "system:serviceaccounts:kube-system"]);
            r["userInfo"] =
                json!({"username": "system:serviceaccount:kube-system:namespace-controller", "groups": groups});
        }),
        ("the tool", |r| {
            let groups = json!(["system:serviceaccounts", "system:serviceaccounts:argocd"]);
            r["userInfo"] =
                json!({"username": "system:serviceaccount:argocd:argocd-application-controller", "groups": groups});
        }),
    ];
    for (who, change) in free {
        assert_eq!(desk.ask("/validate", &namespace(change)).await["allowed"], true, "{who}");
    }
    assert_eq!(desk.cluster.asked.load(Ordering::SeqCst), asked, "nobody was asked");
    *desk.cluster.right.lock().expect("no panic") = None;
    let unanswered = desk.post("/validate", namespace(|_| {}).to_string()).await;
    assert_eq!(unanswered.status, StatusCode::BAD_GATEWAY, "no answer is no verdict");
    let records = desk.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!((&records[0]["kind"], &records[0]["guard"]), (&json!("Denied"), &json!("argo")));
}

#[tokio::test]
async fn a_namespace_is_warned_of_and_observed_likewise() {
    let warning = desk_with(&json!({"mode": "Warn"}));
    *warning.cluster.object.lock().expect("no panic") = Some(held());
    let warned = warning.ask("/validate", &namespace(|_| {})).await;
    assert!(warned["allowed"] == true && warned["warnings"].to_string().contains("goes with it"), "{warned}");
    warning.guard(&json!([guard_with(&json!({"mode": "Warn"})), guard_with(&json!({"name": "strict"}))]));
    is_refused(&warning.ask("/validate", &namespace(|_| {})).await, "guard strict of the DriftPolicy");
    let observing = desk();
    observing.observe(true);
    *observing.cluster.object.lock().expect("no panic") = Some(held());
    assert_eq!(observing.ask("/validate", &namespace(|_| {})).await["allowed"], true);
    assert_eq!(observing.records().await[0]["kind"], "WouldDeny");
    let off = desk_with(&json!({"mode": "Off"}));
    *off.cluster.object.lock().expect("no panic") = Some(held());
    assert_eq!(off.ask("/validate", &namespace(|_| {})).await["allowed"], true);
}

/// An edit through another version than Argo CD's: as the API server leaves its entry, which lost what the edit changed.
fn through_another_version(change: impl FnOnce(&mut Value)) -> Value {
    none(|r| {
        for side in ["object", "oldObject"] {
            let owners = r[side]["metadata"]["managedFields"].as_array_mut().expect("a list");
            owners.iter_mut().for_each(|entry| entry["apiVersion"] = json!("apps/v2"));
        }
        change(r);
    })
}

#[tokio::test]
async fn what_an_edit_in_another_version_takes_from_argo_is_known() {
    let desk = desk();
    for harmless in
        [through_another_version(|_| {}), through_another_version(|r| annotate(&mut r["object"], "note", "mine"))]
    {
        assert_eq!(desk.ask(PATH, &harmless).await["allowed"], true);
    }
    // A field of that name may be another field there.
    let another = through_another_version(|r| r["object"]["spec"]["replicas"] = json!(5));
    assert_eq!(desk.ask(PATH, &another).await["allowed"], true);
    let take = |r: &mut Value| {
        r["object"]["spec"]["shape"] = json!("round");
        let owned = &mut r["object"]["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
        _ = owned.as_object_mut().expect("a map").remove("f:replicas");
    };
    let answer = desk.ask(PATH, &through_another_version(take)).await;
    is_refused(&answer, ".spec.replicas kept, in another API version than this edit is made in");
    is_refused(&desk.ask(PATH, &through_another_version(take)).await, "is not what it declares");
    let gone = through_another_version(|r| r["object"]["metadata"]["managedFields"] = json!([{}]));
    assert_eq!(desk.ask(PATH, &gone).await["allowed"], false);
    let delete = through_another_version(|r| {
        r["operation"] = json!("DELETE");
        r["object"] = Value::Null;
    });
    is_refused(&desk.ask(PATH, &delete).await, "cannot be deleted by hand");
}

#[tokio::test]
async fn the_mark_is_not_taken_off_through_the_status() {
    let escape = none(|r| {
        r["subResource"] = json!("status");
        _ = r["object"]["metadata"]["annotations"].as_object_mut().expect("a map").remove(TRACKING_ID);
    });
    is_refused(&desk().ask(PATH, &escape).await, TRACKING_ID);
}
