//! Deletions that take along what guards: of namespaces with GitSyncs in them, of our own namespace, of what our kinds are defined by.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use holdfast::core::snapshot::Mode;
use serde_json::{Value, json};

use crate::desk::{Desk, no_edit};

fn delete(resource: &str, name: &str, user: &str, change: impl FnOnce(&mut Value)) -> Value {
    let (group, kind) = match resource {
        "namespaces" => ("", "Namespace"),
        _ => ("apiextensions.k8s.io", "CustomResourceDefinition"),
    };
    no_edit(|r| {
        r["operation"] = json!("DELETE");
        r["userInfo"]["username"] = json!(user);
        r["kind"] = json!({"group": group, "version": "v1", "kind": kind});
        r["resource"] = json!({"group": group, "version": "v1", "resource": resource});
        (r["name"], r["namespace"]) = (json!(name), json!(if kind == "Namespace" { name } else { "" }));
        r["object"] = Value::Null;
        r["oldObject"] = json!({"metadata": {"name": name}});
        change(r);
    })
}

fn desk(syncs: &[&str]) -> Desk {
    let desk = Desk::new(Mode::Deny);
    *desk.cluster.syncs.lock().expect("no panic") = syncs.iter().map(|&sync| sync.to_owned()).collect();
    desk
}

#[tokio::test]
async fn a_namespace_with_gitsyncs_takes_the_right_to_loosen() {
    let desk = desk(&["a", "b", "c", "d", "e"]);
    let answer = desk.ask("/validate", &delete("namespaces", "carts", "alice", |_| {})).await;
    let message = answer["status"]["message"].as_str().expect("a message");
    assert!(message.contains(r#"Namespace carts takes along what guards, and user "alice""#), "{message}");
    assert!(message.contains(r#""loosen" on gitsyncs.holdfast.dev "carts/*""#), "{message}");
    assert!(message.contains("GitSync carts/a: in force → deleted") && message.contains("2 more"), "{message}");
    assert_eq!(desk.ask("/validate", &delete("namespaces", "carts", "oncall", |_| {})).await["allowed"], true);
    let dry = desk.ask("/validate", &delete("namespaces", "carts", "alice", |r| r["dryRun"] = json!(true))).await;
    assert_eq!(dry["allowed"], false);
    let going = |r: &mut Value| r["oldObject"]["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:00Z");
    assert_eq!(desk.ask("/validate", &delete("namespaces", "carts", "alice", going)).await["allowed"], true);
    let records = desk.records().await;
    let told = |record: &Value| json!([record["kind"], record["by"]["user"], record["object"]["kind"], record["verb"]]);
    let told: Vec<_> = records.iter().map(told).collect();
    assert_eq!(
        told,
        [json!(["Denied", "alice", "Namespace", "DELETE"]), json!(["Loosened", "oncall", "Namespace", "DELETE"])]
    );
}

#[tokio::test]
async fn a_namespace_without_any_takes_none() {
    let desk = desk(&[]);
    assert_eq!(desk.ask("/validate", &delete("namespaces", "carts", "alice", |_| {})).await["allowed"], true);
    assert!(desk.records().await.is_empty());
}

/// Of these nobody needs to be asked what they hold.
#[tokio::test]
async fn holdfast_itself_takes_the_right_on_everything() {
    for (resource, name, words) in [
        ("namespaces", "holdfast-system", "Holdfast, and so every guard"),
        ("customresourcedefinitions", "gitsyncs.holdfast.dev", "every one of the gitsyncs"),
        ("customresourcedefinitions", "driftpolicies.holdfast.dev", "every one of the driftpolicies"),
    ] {
        let desk = desk(&[]);
        let answer = desk.ask("/validate", &delete(resource, name, "alice", |_| {})).await;
        let message = answer["status"]["message"].as_str().expect("a message");
        assert!(message.contains(words) && message.contains(r#".holdfast.dev "*""#), "{message}");
        assert_eq!(desk.cluster.listed.load(Ordering::SeqCst), 0, "only the right is asked about");
        assert_eq!(desk.ask("/validate", &delete(resource, name, "oncall", |_| {})).await["allowed"], true);
    }
    let other = delete("customresourcedefinitions", "gitsyncs.example.com", "alice", |_| {});
    assert_eq!(desk(&[]).ask("/validate", &other).await["allowed"], true);
}

/// No answer is no verdict, except for those who are never refused.
#[tokio::test]
async fn without_an_answer_only_controllers_pass() {
    let desk = desk(&["a"]);
    *desk.cluster.right.lock().expect("no panic") = None;
    let by_alice = delete("namespaces", "carts", "alice", |_| {});
    assert_eq!(desk.post("/validate", by_alice.to_string()).await.status, StatusCode::BAD_GATEWAY);
    let controller = |r: &mut Value| {
        r["userInfo"]["groups"] = json!(["system:serviceaccounts", "system:serviceaccounts:kube-system"]);
    };
    let user = "system:serviceaccount:kube-system:namespace-controller";
    let answer = desk.ask("/validate", &delete("namespaces", "carts", user, controller)).await;
    assert_eq!(answer["allowed"], true);
}
