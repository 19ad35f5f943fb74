//! Recorded reviews and what they are answered: the translation on the way in, the words on the way out.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use holdfast::core::breakglass::Glass;
use holdfast::core::names::{BREAK_GLASS, BREAK_GLASS_BY, BREAK_GLASS_FOR, BREAK_GLASS_UNTIL, MANUAL_EDIT};
use holdfast::core::snapshot::{Mode, Suspension, Sync};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::desk::{Desk, EDIT_REPLICAS, annotate, by_oncall, no_edit, now, patch_of, review, sync};

/// What is done to a review.
type Change = fn(&mut Value);

/// The review of `kubectl scale --replicas=5`.
fn scale() -> Value {
    let scale = |replicas: u32| {
        let metadata = json!({"name": "checkout", "namespace": "shop", "uid": "1", "resourceVersion": "7"});
        json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata,
            "spec": {"replicas": replicas}, "status": {"replicas": 3, "selector": "a=b"},
        })
    };
    review(|request| {
        request["kind"] = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        request["subResource"] = json!("scale");
        request["oldObject"] = scale(3);
        request["object"] = scale(5);
    })
}

#[tokio::test]
async fn alices_edit_is_denied_with_everything_she_needs_to_know() {
    let desk = Desk::new(Mode::Deny);
    let answered = desk.post("/validate", EDIT_REPLICAS).await;
    assert_eq!(answered.status, StatusCode::OK);
    let answer: Value = serde_json::from_slice(&answered.body).expect("JSON");
    insta::assert_json_snapshot!(answer);
    insta::assert_snapshot!(answer["response"]["status"]["message"].as_str().expect("a message"));
}

#[tokio::test]
async fn a_denial_leaves_one_record_and_a_count() {
    let desk = Desk::new(Mode::Deny);
    desk.admit(&review(|_| {})).await;
    let mut records = desk.records().await;
    assert_eq!(records.len(), 1);
    let mut record = records.remove(0);
    record["id"].take(); // random
    insta::assert_json_snapshot!(record);
    assert!(desk.metrics().contains(r#"holdfast_reviews_total{verdict="deny",operation="update"} 1"#));
}

#[tokio::test]
async fn a_dry_run_gets_the_same_verdict_and_leaves_no_record() {
    let desk = Desk::new(Mode::Deny);
    let (answer, _) = desk.admit(&review(|request| request["dryRun"] = json!(true))).await;
    assert_eq!(answer["allowed"], false);
    assert_eq!(desk.records().await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_git_does_not_speak_of_passes() {
    let desk = Desk::new(Mode::Deny);
    let edits: [(&str, Change); 7] = [
        ("nothing", |_| {}),
        ("status", |r| r["object"]["status"]["replicas"] = json!(9)),
        ("an annotation", |r| annotate(&mut r["object"], "ünï/cöde \"quoted\"\n", "☃")),
        ("another object", |r| {
            r["name"] = json!("other");
            r["object"]["metadata"]["name"] = json!("other");
            r["object"]["spec"]["replicas"] = json!(99);
        }),
        ("a status subresource", |r| {
            r["subResource"] = json!("status");
            r["object"]["spec"]["replicas"] = json!(99);
        }),
        ("a name to be generated", |r| {
            *r = json!({"uid": "u", "operation": "CREATE", "userInfo": {"username": "alice"}, "object": {"metadata": {}},
                "kind": {"group": "apps", "kind": "Deployment"}, "resource": {"group": "apps", "resource": "deployments"}});
        }),
        ("exec", |r| {
            r["operation"] = json!("CONNECT");
            r["object"] = json!({"apiVersion": "v1", "kind": "PodExecOptions", "command": ["sh"]});
            r["oldObject"] = Value::Null;
        }),
    ];
    for (name, edit) in edits {
        let answer = desk.ask("/validate", &no_edit(edit)).await;
        assert_eq!(answer, json!({"uid": answer["uid"], "allowed": true}), "{name}");
    }
}

#[tokio::test]
async fn moving_towards_git_passes() {
    let desk = Desk::new(Mode::Deny);
    let back = review(|request| {
        let new = request["object"].clone();
        request["object"] = std::mem::replace(&mut request["oldObject"], new);
    });
    assert_eq!(desk.ask("/validate", &back).await["allowed"], true);
}

#[tokio::test]
async fn a_deletion_in_a_collection_is_recognised_by_its_old_object() {
    let desk = Desk::new(Mode::Deny);
    let delete = |change: fn(&mut Value)| {
        no_edit(|request| {
            request["operation"] = json!("DELETE");
            request["object"] = Value::Null;
            request["name"] = json!("");
            change(request);
        })
    };
    let answer = desk.ask("/validate", &delete(|_| {})).await;
    assert!(answer["status"]["message"].as_str().expect("a message").contains("cannot be deleted by hand"), "{answer}");
    let terminating = delete(|r| r["oldObject"]["metadata"]["deletionTimestamp"] = json!("2026-11-21T09:59:00Z"));
    assert_eq!(desk.ask("/validate", &terminating).await["allowed"], true);
    let by_controller = delete(|r| {
        r["userInfo"] = json!({
            "username": "system:serviceaccount:kube-system:namespace-controller",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system"],
        });
    });
    let answer = desk.ask("/validate", &by_controller).await;
    assert_eq!((&answer["allowed"], &answer["auditAnnotations"]["verdict"]), (&json!(true), &json!("note")));
}

#[tokio::test]
async fn a_namespace_that_holds_managed_objects_cannot_be_deleted() {
    let desk = Desk::new(Mode::Deny);
    let delete = review(|request| {
        request["kind"] = json!({"group": "", "version": "v1", "kind": "Namespace"});
        request["resource"] = json!({"group": "", "version": "v1", "resource": "namespaces"});
        request["operation"] = json!("DELETE");
        (request["name"], request["namespace"]) = (json!("shop"), json!("shop"));
        request["object"] = Value::Null;
        request["oldObject"] = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    });
    let answer = desk.ask("/validate", &delete).await;
    assert!(answer["status"]["message"].as_str().expect("a message").contains("holds 1 objects"), "{answer}");
}

#[tokio::test]
async fn scale_is_judged_as_the_replicas_of_its_parent() {
    let desk = Desk::new(Mode::Deny);
    let answer = desk.ask("/validate", &scale()).await;
    insta::assert_snapshot!(answer["status"]["message"].as_str().expect("a message"));
    assert_eq!(answer["auditAnnotations"]["fields"], ".spec.replicas");
    assert_eq!(desk.cluster.asked.load(Ordering::SeqCst), 1, "the parent's break-glass, and no right without one");
}

#[tokio::test]
async fn scale_passes_while_the_parent_has_a_break_glass_open() {
    let desk = Desk::new(Mode::Deny);
    let until = now() + SignedDuration::from_mins(5);
    let glass = Glass { reason: "INC-1: load".to_owned(), by: "oncall".to_owned(), until };
    *desk.cluster.glass.lock().expect("no panic") = Some(glass);
    assert_eq!(desk.ask("/validate", &scale()).await["allowed"], false, "alice lacks the right");
    let mut by_oncall = scale();
    by_oncall["request"]["userInfo"]["username"] = json!("oncall");
    assert_eq!(desk.ask("/validate", &by_oncall).await["allowed"], true);
}

#[tokio::test]
async fn modes_decide_what_happens_to_an_edit() {
    let warned = Desk::new(Mode::Warn).admit(&review(|_| {})).await.0;
    assert_eq!(warned["allowed"], true);
    insta::assert_json_snapshot!(warned["warnings"]);

    let off = Desk::new(Mode::Off).admit(&review(|_| {})).await.0;
    assert_eq!(off, json!({"uid": off["uid"], "allowed": true}));

    let desk = Desk::new(Mode::Annotate);
    let (marked, stored) = desk.admit(&review(|_| {})).await;
    assert_eq!((&marked["allowed"], &marked["auditAnnotations"]["verdict"]), (&json!(true), &json!("mark")));
    let expected = r#"{"user":"alice","at":"2026-11-21T10:00:00Z","fields":[".spec.replicas"]}"#;
    assert_eq!(stored["metadata"]["annotations"][MANUAL_EDIT], expected);
    let again = desk.ask("/mutate", &review(|request| request["object"] = stored)).await;
    assert_eq!(again.get("patch"), None, "asked again, it has nothing to add");
    assert_eq!(desk.records().await.len(), 1, "/mutate writes, /validate records");
}

#[tokio::test]
async fn a_paused_sync_marks() {
    let suspension = Suspension { reason: "INC-2".to_owned(), until: now() + SignedDuration::from_mins(5) };
    let desk = Desk::with(Sync { suspension: Some(suspension), ..sync() });
    let (answer, stored) = desk.admit(&review(|_| {})).await;
    assert_eq!(answer["allowed"], true);
    assert!(stored["metadata"]["annotations"].get(MANUAL_EDIT).is_some());
    assert_eq!(desk.records().await[0]["reason"], "INC-2");
}

/// Between `/mutate` and `/validate` it becomes known that the sync is paused; or another replica knows already.
#[tokio::test]
async fn a_pause_that_begins_between_the_two_questions_marks_all_the_same() {
    let desk = Desk::new(Mode::Deny);
    let mut edit = review(|_| {});
    let patch = patch_of(&desk.ask("/mutate", &edit).await).expect("a mark");
    json_patch::patch(&mut edit["request"]["object"], &patch).expect("the patch applies");
    let refused = desk.ask("/validate", &edit).await;
    assert_eq!(refused["auditAnnotations"]["fields"], ".spec.replicas", "the mark is no edit of its own");
    let suspension = Suspension { reason: "INC-2".to_owned(), until: now() + SignedDuration::from_mins(5) };
    desk.becomes(Sync { suspension: Some(suspension), ..sync() });
    assert_eq!(desk.ask("/validate", &edit).await["allowed"], true);
    let expected = r#"{"user":"alice","at":"2026-11-21T10:00:00Z","fields":[".spec.replicas"]}"#;
    assert_eq!(edit["request"]["object"]["metadata"]["annotations"][MANUAL_EDIT], expected);
}

#[tokio::test]
async fn a_break_glass_is_stamped_used_and_closed() {
    let desk = Desk::new(Mode::Deny);
    let open = by_oncall(|request| {
        annotate(&mut request["object"], BREAK_GLASS, "INC-4211: failover");
        annotate(&mut request["object"], BREAK_GLASS_FOR, "10m");
        request["object"]["spec"]["replicas"] = json!(7);
    });
    let (answer, stored) = desk.admit(&open).await;
    assert_eq!(answer["allowed"], true, "{answer}");
    assert_eq!(stored["metadata"]["annotations"][BREAK_GLASS_BY], "oncall");
    assert_eq!(stored["metadata"]["annotations"][BREAK_GLASS_UNTIL], "2026-11-21T10:10:00Z");

    let then = |user: &str, change: fn(&mut Value)| {
        no_edit(|request| {
            request["userInfo"]["username"] = json!(user);
            request["oldObject"] = stored.clone();
            request["object"] = stored.clone();
            change(&mut request["object"]);
        })
    };
    let scaled = then("oncall", |object| object["spec"]["replicas"] = json!(9));
    assert_eq!(desk.admit(&scaled).await.0["allowed"], true);
    let by_alice = then("alice", |object| object["spec"]["replicas"] = json!(9));
    assert_eq!(desk.admit(&by_alice).await.0["allowed"], false, "the glass is open for those with the right");
    let closed = then("alice", |object| {
        object["metadata"]["annotations"].as_object_mut().expect("a map").remove(BREAK_GLASS);
    });
    let (answer, stored) = desk.admit(&closed).await;
    assert_eq!(answer["allowed"], true, "{answer}");
    assert!(
        [BREAK_GLASS_BY, BREAK_GLASS_FOR, BREAK_GLASS_UNTIL]
            .iter()
            .all(|name| stored["metadata"]["annotations"].get(name).is_none())
    );

    let kinds: Vec<_> = desk.records().await.iter().map(|record| record["kind"].clone()).collect();
    assert_eq!(kinds, ["BreakGlassOpened", "Edited", "Denied", "BreakGlassClosed"]);
}

#[tokio::test]
async fn a_break_glass_without_the_right_is_refused() {
    let desk = Desk::new(Mode::Deny);
    let (answer, _) =
        desk.admit(&no_edit(|request| annotate(&mut request["object"], BREAK_GLASS, "INC-1: please"))).await;
    insta::assert_snapshot!(answer["status"]["message"].as_str().expect("a message"));
    assert_eq!(desk.records().await[0]["kind"], "BreakGlassRefused");
}

#[tokio::test]
async fn typed_stamps_are_refused_where_they_would_be_written() {
    let desk = Desk::new(Mode::Deny);
    let typed = by_oncall(|request| {
        annotate(&mut request["object"], BREAK_GLASS, "INC-1: x");
        annotate(&mut request["object"], BREAK_GLASS_BY, "alice");
        annotate(&mut request["object"], BREAK_GLASS_UNTIL, "2036-01-01T00:00:00Z");
    });
    let answer = desk.ask("/mutate", &typed).await;
    assert!(answer["status"]["message"].as_str().expect("a message").contains("cannot be written by hand"), "{answer}");
}

#[tokio::test]
async fn what_is_no_decision_is_an_error_status() {
    let desk = Desk::new(Mode::Deny);
    *desk.cluster.right.lock().expect("no panic") = None;
    let open = by_oncall(|request| {
        annotate(&mut request["object"], BREAK_GLASS, "INC-1: x");
        annotate(&mut request["object"], BREAK_GLASS_BY, "oncall");
        annotate(&mut request["object"], BREAK_GLASS_UNTIL, "2026-11-21T10:30:00Z");
    });
    assert_eq!(desk.post("/validate", open.to_string()).await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(desk.post("/validate", "{").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(desk.post("/validate", vec![b' '; 21 << 20]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let half = review(|request| request["oldObject"] = Value::Null);
    assert_eq!(desk.post("/validate", half.to_string()).await.status, StatusCode::BAD_REQUEST);
    desk.snapshots.send_replace(None);
    assert_eq!(desk.post("/validate", EDIT_REPLICAS).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let metrics = desk.metrics();
    for (kind, count) in [("upstream", 1), ("unreadable", 2), ("too-large", 1), ("not-ready", 1)] {
        assert!(metrics.contains(&format!(r#"review_errors_total{{kind="{kind}"}} {count}"#)), "{kind}\n{metrics}");
    }
}

#[tokio::test]
async fn our_own_kinds_are_read_by_the_reader_that_runs_them() {
    let desk = Desk::new(Mode::Deny);
    desk.snapshots.send_replace(None);
    let create = |spec: Value| {
        review(|request| {
            request["kind"] = json!({"group": "holdfast.dev", "version": "v1alpha1", "kind": "GitSync"});
            request["operation"] = json!("CREATE");
            (request["name"], request["namespace"]) = (json!("shop"), json!("holdfast-system"));
            request["oldObject"] = Value::Null;
            request["object"] = json!({"metadata": {"name": "shop", "namespace": "holdfast-system"}, "spec": spec});
        })
    };
    let good = json!({"source": {"repoURL": "https://example.com/a.git"}, "destination": {"namespace": "shop"}});
    assert_eq!(desk.ask("/validate/own", &create(good)).await["allowed"], true, "even before the first snapshot");
    let bad = json!({"source": {"repoURL": "ssh://x", "interval": "soon"}, "destination": {"namespace": ""}});
    let answer = desk.ask("/validate/own", &create(bad)).await;
    assert_eq!(answer["status"]["code"], 422);
    insta::assert_snapshot!(answer["status"]["message"].as_str().expect("a message"));
    let answer = desk.ask("/validate/own", &create(json!({"source": 3}))).await;
    insta::assert_snapshot!(answer["status"]["message"].as_str().expect("a message"));
}

/// What a pipeline or a person does every day passes; what would be believed later does not. It applies from one review to
/// the next, and back.
#[tokio::test]
async fn observing_refuses_nobody_and_records_who_would_have_been() {
    let desk = Desk::new(Mode::Deny);
    desk.observe(true);
    let unmarked = no_edit(|request| request["object"]["metadata"]["labels"].as_object_mut().expect("labels").clear());
    let adopted = no_edit(|request| {
        request["object"]["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "1"}]);
    });
    let deleted = no_edit(|request| {
        request["operation"] = json!("DELETE");
        request["object"] = Value::Null;
    });
    for review in [review(|_| {}), scale(), unmarked, adopted, deleted] {
        let answer = desk.ask("/validate", &review).await;
        assert_eq!((&answer["allowed"], &answer["warnings"]), (&json!(true), &Value::Null), "{answer}");
        assert_eq!(answer["auditAnnotations"]["verdict"], "would-deny", "{answer}");
    }
    let records = desk.records().await;
    let told = |record: &Value| record["kind"] == "WouldDeny" && record["sync"] == "holdfast-system/shop";
    assert!(records.len() == 5 && records.iter().all(told), "{records:?}");
    assert!(desk.metrics().contains(r#"holdfast_would_deny_total{gitsync="holdfast-system/shop"} 5"#));
    desk.observe(false);
    assert_eq!(desk.ask("/validate", &review(|_| {})).await["allowed"], false);
}

/// Together with something that would pass, so that the one cannot hide behind the other.
#[tokio::test]
async fn what_would_be_believed_later_is_refused_while_observing() {
    let desk = Desk::new(Mode::Deny);
    desk.observe(true);
    let hidden = |change: fn(&mut Value)| {
        no_edit(|request| {
            request["object"]["spec"]["replicas"] = json!(9);
            request["object"]["metadata"]["labels"].as_object_mut().expect("labels").clear();
            request["object"]["metadata"]["ownerReferences"] =
                json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "1"}]);
            change(request);
        })
    };
    let changes: [(&str, Change); 5] = [
        ("a stamp", |request| annotate(&mut request["object"], BREAK_GLASS_UNTIL, "2036-01-01T00:00:00Z")),
        ("a mark", |request| annotate(&mut request["object"], MANUAL_EDIT, r#"{"user":"bob"}"#)),
        ("another sync", |request| {
            annotate(&mut request["object"], "holdfast.dev/tracking-id", "a/b:apps/Deployment:c/d");
        }),
        ("our name", |request| request["options"]["fieldManager"] = json!("holdfast")),
        ("no right", |request| annotate(&mut request["object"], BREAK_GLASS, "INC-1: please")),
    ];
    for (what, change) in changes {
        assert_eq!(desk.ask("/validate", &hidden(change)).await["allowed"], false, "{what}");
    }
    let dry_run = review(|request| request["dryRun"] = json!(true));
    assert_eq!(desk.ask("/validate", &dry_run).await["allowed"], true);
    assert!(!desk.metrics().contains(r#"would_deny_total{gitsync="holdfast-system/shop"}"#), "a dry run is no edit");
}
