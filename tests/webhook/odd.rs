//! Reviews that are not what one expects: recorded oddities of the API server, and what no API server sends.
//!
//! Whatever can be decided is decided as if it were plain; whatever cannot is an error status, so that `failurePolicy` decides.

use axum::http::StatusCode;
use holdfast::core::snapshot::Mode;
use serde_json::{Value, json};

use crate::desk::{Desk, EDIT_REPLICAS, no_edit, review};

type Change = fn(&mut Value);

/// The API server asks again when somebody else wrote meanwhile: one `kubectl edit` can be three reviews.
#[tokio::test]
async fn three_reviews_of_one_edit_get_one_verdict() {
    let desk = Desk::new(Mode::Deny);
    let mut verdicts = Vec::new();
    for (uid, version) in [("one", "11"), ("two", "12"), ("three", "13")] {
        let again = review(|request| {
            request["uid"] = json!(uid);
            for side in ["object", "oldObject"] {
                request[side]["metadata"]["resourceVersion"] = json!(version);
            }
        });
        let mut answer = desk.ask("/validate", &again).await;
        assert_eq!(answer["uid"].take(), uid);
        verdicts.push(answer);
    }
    assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]), "{verdicts:#?}");
    assert_eq!(verdicts[0]["allowed"], false);
}

#[tokio::test]
async fn what_can_be_decided_is() {
    let desk = Desk::new(Mode::Deny);
    let rows: [(&str, Change, bool); 9] = [
        ("nobody in particular asks", |r| r["userInfo"] = json!({}), false),
        ("without groups", |r| r["userInfo"] = json!({"username": "alice"}), false),
        ("groups are null", |r| r["userInfo"] = json!({"username": "alice", "groups": null}), false),
        ("without options", |r| drop(r.as_object_mut().expect("a map").remove("options")), false),
        ("options are null", |r| r["options"] = Value::Null, false),
        ("dryRun is null", |r| r["dryRun"] = Value::Null, false),
        ("a connection", |r| r["operation"] = json!("CONNECT"), true),
        (
            "a name still to be generated",
            |r| {
                r["operation"] = json!("CREATE");
                (r["name"], r["oldObject"]) = (json!(""), Value::Null);
                let metadata = r["object"]["metadata"].as_object_mut().expect("a map");
                metadata.remove("name");
                metadata.insert("generateName".to_owned(), json!("checkout-"));
            },
            true,
        ),
        ("a subresource nobody knows", |r| r["subResource"] = json!("approval"), true),
    ];
    for (name, change, allowed) in rows {
        assert_eq!(desk.ask("/validate", &review(change)).await["allowed"], allowed, "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_decided_is_an_error_status() {
    let desk = Desk::new(Mode::Deny);
    let rows: [(&str, Change); 8] = [
        ("an operation nobody knows", |r| r["operation"] = json!("PATCH")),
        ("no operation", |r| drop(r.as_object_mut().expect("a map").remove("operation"))),
        ("nobody asks", |r| drop(r.as_object_mut().expect("a map").remove("userInfo"))),
        ("a person without a shape", |r| r["userInfo"] = json!("alice")),
        ("an update from nothing", |r| r["oldObject"] = Value::Null),
        ("an update to nothing", |r| r["object"] = Value::Null),
        ("a deletion of nothing", |r| {
            r["operation"] = json!("DELETE");
            (r["object"], r["oldObject"]) = (Value::Null, Value::Null);
        }),
        ("without a uid", |r| r["uid"] = json!("")),
    ];
    for (name, change) in rows {
        let answered = desk.post("/validate", review(change).to_string()).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{name}");
    }
    assert_eq!(desk.records().await, Vec::<Value>::new(), "nothing was decided, and nothing is recorded");
}

/// JSON may say a thing twice. Whoever reads the first and whoever reads the last must not be played off against each other.
#[tokio::test]
async fn what_is_said_twice_is_never_let_pass() {
    let desk = Desk::new(Mode::Deny);
    let plain = review(|_| {}).to_string();
    let harmless = no_edit(|_| {});
    let twice =
        |field: &str, value: &Value| plain.replacen("\"request\":{", &format!("\"request\":{{\"{field}\":{value},"), 1);
    for (field, value) in [
        ("object", harmless["request"]["object"].clone()),
        ("name", json!("other")),
        ("operation", json!("CONNECT")),
        ("userInfo", json!({"username": "system:kube-controller-manager"})),
    ] {
        let body = twice(field, &value);
        assert_ne!(body, plain, "{field} was not said twice");
        let answered = desk.post("/validate", body).await;
        let answer: Value = serde_json::from_slice(&answered.body).unwrap_or_default();
        let passed = answered.status == StatusCode::OK && answer["response"]["allowed"] == true;
        assert!(!passed, "{field} said twice was let pass");
    }
    for section in ["spec", "metadata"] {
        let object = |side: &str| format!("\"{side}\":{}", review(|_| {})["request"][side]);
        let before = &harmless["request"]["object"][section];
        let said = object("object").replacen(":{", &format!(":{{\"{section}\":{before},"), 1);
        let body = plain.replacen(&object("object"), &said, 1);
        assert_ne!(body, plain, "{section} was not said twice");
        assert_eq!(desk.post("/validate", body).await.status, StatusCode::BAD_REQUEST, "{section}");
    }
}

#[tokio::test]
async fn very_long_names_and_keys_are_only_long() {
    let desk = Desk::new(Mode::Deny);
    let long = "x".repeat(1 << 20);
    let huge = |in_data: bool| {
        let mut review: Value = serde_json::from_str(EDIT_REPLICAS).expect("JSON");
        let object = &mut review["request"]["object"];
        if in_data {
            object["spec"]["template"]["metadata"]["annotations"][&long] = json!("a");
        } else {
            object["metadata"]["annotations"][&long] = json!(long);
        }
        review
    };
    for in_data in [false, true] {
        let answer = desk.ask("/validate", &huge(in_data)).await;
        assert_eq!(answer["allowed"], false);
        let message = answer["status"]["message"].as_str().expect("a message");
        assert!(message.contains(".spec.replicas"), "it does not say what matters");
    }
}

/// A `Scale` has no labels, no annotations and no owners; and a parent Git does not declare is nobody's business.
#[tokio::test]
async fn a_scale_is_told_apart_by_its_parent_alone() {
    let desk = Desk::new(Mode::Deny);
    let scale = |name: &'static str, plural: &'static str| {
        review(|request| {
            let scale = |replicas: u32| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name}, "spec": {"replicas": replicas}});
            request["kind"] = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
            request["resource"] = json!({"group": "apps", "version": "v1", "resource": plural});
            (request["subResource"], request["name"]) = (json!("scale"), json!(name));
            (request["oldObject"], request["object"]) = (scale(3), scale(5));
        })
    };
    assert_eq!(desk.ask("/validate", &scale("checkout", "deployments")).await["allowed"], false);
    assert_eq!(desk.ask("/validate", &scale("other", "deployments")).await["allowed"], true);
    assert_eq!(desk.ask("/validate", &scale("checkout", "statefulsets")).await["allowed"], true);
}

#[tokio::test]
async fn the_definition_of_what_git_declares_stays() {
    let delete = |name: &str, change: fn(&mut Value)| {
        no_edit(|r| {
            r["operation"] = json!("DELETE");
            r["kind"] = json!({"group": "apiextensions.k8s.io", "version": "v1", "kind": "CustomResourceDefinition"});
            r["resource"] =
                json!({"group": "apiextensions.k8s.io", "version": "v1", "resource": "customresourcedefinitions"});
            (r["name"], r["namespace"]) = (json!(name), json!(""));
            r["object"] = Value::Null;
            r["oldObject"] = json!({"metadata": {"name": name}});
            change(r);
        })
    };
    let desk = Desk::new(Mode::Deny);
    let refused = desk.ask("/validate", &delete("deployments.apps", |_| {})).await;
    assert!(refused.to_string().contains("defines 1 objects declared in Git"), "{refused}");
    assert_eq!(desk.ask("/validate", &delete("deployments.other", |_| {})).await["allowed"], true);
    let going = |r: &mut Value| r["oldObject"]["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:00Z");
    assert_eq!(desk.ask("/validate", &delete("deployments.apps", going)).await["allowed"], true);
    desk.observe(true);
    assert_eq!(desk.ask("/validate", &delete("deployments.apps", |_| {})).await["allowed"], true);
    let records = desk.records().await;
    let kinds: Vec<_> = records.iter().map(|record| &record["kind"]).collect();
    assert_eq!(kinds, [&json!("Denied"), &json!("WouldDeny")]);
}

/// `resize` shows all of a Pod, and changes what its containers may use.
#[tokio::test]
async fn a_resize_is_an_edit_like_any_other() {
    let resize = |request: &mut Value| request["subResource"] = json!("resize");
    let desk = Desk::new(Mode::Deny);
    assert_eq!(desk.ask("/validate", &review(resize)).await["allowed"], false);
    assert_eq!(desk.ask("/validate", &no_edit(resize)).await["allowed"], true);
    assert_eq!(desk.ask("/validate", &review(|r| r["subResource"] = json!("log"))).await["allowed"], true);
}
