//! Objects of a sync that could not be read: nobody knows what Git says of them, so nobody decides.

use std::sync::Arc;

use axum::http::StatusCode;
use holdfast::core::names::TRACKING_ID;
use holdfast::core::snapshot::{Mode, Snapshot};
use serde_json::{Value, json};

use crate::desk::{Desk, annotate, review};

/// The tracking-id of the reviewed object.
const ITS_OWN: &str = "holdfast-system/late:apps/Deployment:shop/checkout";

/// A desk that declares nothing, because the one sync there is could not be read.
fn desk() -> Desk {
    let desk = Desk::new(Mode::Deny);
    let unread = [(String::from("holdfast-system/late"), Vec::new())].into();
    desk.snapshots.send_replace(Some(Arc::new(Snapshot::default().besides(unread))));
    desk
}

/// An edit by alice of an object with this tracking-id, changed.
fn edit(id: &str, change: impl FnOnce(&mut Value)) -> Value {
    review(|request| {
        ["oldObject", "object"].into_iter().for_each(|side| annotate(&mut request[side], TRACKING_ID, id));
        change(request);
    })
}

async fn status(desk: &Desk, path: &str, review: &Value) -> StatusCode {
    desk.post(path, review.to_string()).await.status
}

#[tokio::test]
async fn edits_of_what_could_not_be_read_get_no_decision() {
    let desk = desk();
    let untracked = |request: &mut Value| {
        request["object"]["metadata"]["annotations"].as_object_mut().expect("a map").remove(TRACKING_ID);
    };
    let deleted = |request: &mut Value| {
        request["operation"] = json!("DELETE");
        request["object"] = Value::Null;
    };
    let by_a_pipeline =
        |request: &mut Value| request["userInfo"]["username"] = json!("system:serviceaccount:ci:deployer");
    for (path, review) in [
        ("/validate", edit(ITS_OWN, |_| {})),
        ("/mutate", edit(ITS_OWN, |_| {})),
        ("/validate", edit(ITS_OWN, untracked)),
        ("/validate", edit(ITS_OWN, deleted)),
        ("/validate", edit(ITS_OWN, by_a_pipeline)),
    ] {
        let answered = desk.post(path, review.to_string()).await;
        let said = String::from_utf8_lossy(&answered.body);
        assert_eq!(answered.status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
        assert!(said.contains("GitSync holdfast-system/late could not be read"), "{said}");
    }
    let metrics = desk.metrics();
    assert!(metrics.contains(r#"review_errors_total{kind="unread"} 5"#), "{metrics}");
    assert_eq!(desk.records().await, Vec::<Value>::new(), "nothing was decided, and nothing is recorded");
}

/// A `Scale` shows no marks.
#[tokio::test]
async fn who_scales_is_not_let_pass_for_what_a_scale_does_not_show() {
    let desk = desk();
    let scale = review(|request| {
        request["kind"] = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        request["subResource"] = json!("scale");
        for side in ["oldObject", "object"] {
            request[side] = json!({"metadata": {"name": "checkout", "namespace": "shop"}, "spec": {"replicas": 5}});
        }
    });
    let mut scaled = edit(ITS_OWN, |_| {})["request"]["oldObject"].take();
    desk.cluster.object.lock().expect("no panic").replace(scaled.clone());
    assert_eq!(status(&desk, "/validate", &scale).await, StatusCode::SERVICE_UNAVAILABLE);
    annotate(&mut scaled, TRACKING_ID, "holdfast-system/another:apps/Deployment:shop/checkout");
    desk.cluster.object.lock().expect("no panic").replace(scaled);
    assert_eq!(status(&desk, "/validate", &scale).await, StatusCode::OK);
    desk.cluster.object.lock().expect("no panic").take();
    assert_eq!(status(&desk, "/validate", &scale).await, StatusCode::OK, "there is no such object");
    *desk.cluster.right.lock().expect("no panic") = None;
    assert_eq!(status(&desk, "/validate", &scale).await, StatusCode::BAD_GATEWAY, "nobody says what there is");
}

#[tokio::test]
async fn everybody_else_is_decided_upon() {
    let desk = desk();
    let by_the_autoscaler = |request: &mut Value| {
        request["userInfo"]["username"] = json!("system:serviceaccount:kube-system:horizontal-pod-autoscaler");
        request["userInfo"]["groups"] = json!(["system:serviceaccounts", "system:serviceaccounts:kube-system"]);
    };
    for (what, review) in [
        ("another sync's", edit("holdfast-system/another:apps/Deployment:shop/checkout", |_| {})),
        ("a copy", edit("holdfast-system/late:apps/Deployment:shop/the-original", |_| {})),
        ("nonsense", edit("nonsense", |_| {})),
        ("nobody's", review(|_| {})),
        ("a controller's edit", edit(ITS_OWN, by_the_autoscaler)),
    ] {
        assert_eq!(status(&desk, "/validate", &review).await, StatusCode::OK, "{what}");
    }
    desk.observe(true);
    assert_eq!(status(&desk, "/validate", &edit(ITS_OWN, |_| {})).await, StatusCode::OK, "it only observes");
}

/// What keeps a sync from being read may be a mistake in the `GitSync`, which that very sync has from Git.
#[tokio::test]
async fn our_own_kinds_are_open_to_repair() {
    let spec = json!({"source": {"repoURL": "https://example.com/a.git"}, "destination": {"namespace": "shop"}});
    let sync = json!({
        "metadata": {
            "name": "late", "namespace": "holdfast-system",
            "annotations": {TRACKING_ID: "holdfast-system/late:holdfast.dev/GitSync:holdfast-system/late"},
        },
        "spec": spec,
    });
    let repair = review(|request| {
        request["kind"] = json!({"group": "holdfast.dev", "version": "v1alpha1", "kind": "GitSync"});
        (request["name"], request["namespace"]) = (json!("late"), json!("holdfast-system"));
        (request["oldObject"], request["object"]) = (sync.clone(), sync);
    });
    for path in ["/validate/own", "/mutate/own"] {
        assert_eq!(desk().ask(path, &repair).await["allowed"], true, "{path}");
    }
}
