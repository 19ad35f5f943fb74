//! Sights and answers as an API server gives them, at a time that is said.

use serde_json::json;

use super::*;

fn wanted() -> Value {
    json!({
        "metadata": {"name": "holdfast", "labels": {"app.kubernetes.io/name": "holdfast"}},
        "webhooks": [{"name": "a.holdfast.dev", "failurePolicy": "Ignore"}, {"name": "b.holdfast.dev", "failurePolicy": "Ignore"}],
    })
}

/// What the API server makes of a write: defaults, a version, owners.
fn answered(body: &Value, version: u32) -> Value {
    let mut answer = body.clone();
    answer["metadata"]["resourceVersion"] = version.to_string().into();
    answer["metadata"]["managedFields"] =
        json!([{"manager": "holdfast", "operation": "Update", "time": "2026-11-21T10:00:00Z"}]);
    for entry in answer["webhooks"].as_array_mut().into_iter().flatten() {
        entry["matchPolicy"] = "Equivalent".into();
    }
    answer
}

fn registered(now: Instant) -> (Upkeep, Value) {
    let mut upkeep = Upkeep::default();
    upkeep.want(wanted());
    assert_eq!(upkeep.step(now), Step::Rest, "nothing is written before it is known what there is");
    upkeep.saw(None, now);
    assert_eq!(upkeep.step(now), Step::Create(wanted()));
    let answer = answered(&wanted(), 1);
    assert_eq!(upkeep.wrote(answer.clone()), None);
    upkeep.saw(Some(answer.clone()), now);
    assert_eq!(upkeep.step(now), Step::Rest, "our own write is no tampering");
    (upkeep, answer)
}

fn edited(of: &Value, by: &str, edit: impl FnOnce(&mut Value)) -> Value {
    let mut edited = of.clone();
    edit(&mut edited);
    let news = json!({"manager": by, "operation": "Update", "time": "2026-11-21T11:00:00Z"});
    edited["metadata"]["managedFields"].as_array_mut().expect("owners").push(news);
    edited["metadata"]["resourceVersion"] = "7".into();
    edited
}

#[test]
fn an_edit_is_told_and_written_over() {
    let now = Instant::now();
    let (mut upkeep, answer) = registered(now);
    let flipped = edited(&answer, "kubectl-edit", |object| object["webhooks"][1]["failurePolicy"] = "Fail".into());
    upkeep.saw(Some(flipped), now);
    assert!(upkeep.registered().is_none());
    let Step::Replace(body) = upkeep.step(now) else { panic!("it is put back") };
    assert_eq!((&body["webhooks"], &body["metadata"]["resourceVersion"]), (&wanted()["webhooks"], &json!("7")));
    let told = upkeep.wrote(answered(&body, 8)).expect("it is recorded");
    assert_eq!((told.manager.as_deref(), told.deleted, told.times), (Some("kubectl-edit"), false, 1));
    let change = Change {
        path: ".webhooks[name=b.holdfast.dev].failurePolicy".to_owned(),
        registered: Some("Ignore".into()),
        found: Some("Fail".into()),
    };
    assert_eq!(told.changes, [change]);
    assert_eq!(upkeep.step(now), Step::Rest);
}

#[test]
fn a_deletion_is_told_and_made_good() {
    let now = Instant::now();
    let (mut upkeep, _) = registered(now);
    upkeep.saw(None, now);
    assert_eq!(upkeep.step(now), Step::Create(wanted()));
    let told = upkeep.wrote(answered(&wanted(), 9)).expect("it is recorded");
    assert!(told.deleted && told.manager.is_none());
}

#[test]
fn what_others_write_beside_is_left_alone() {
    let now = Instant::now();
    let (mut upkeep, answer) = registered(now);
    let labelled = edited(&answer, "helm", |object| object["metadata"]["labels"]["team"] = "platform".into());
    upkeep.saw(Some(labelled.clone()), now);
    assert_eq!(upkeep.step(now), Step::Rest);
    let mut other = wanted();
    other["webhooks"][0]["failurePolicy"] = "Fail".into();
    upkeep.want(other);
    let Step::Replace(body) = upkeep.step(now) else { panic!("something else is wanted") };
    assert_eq!(body["metadata"]["labels"]["team"], "platform");
}

/// Another replica was faster: it records, we do not.
#[test]
fn what_is_put_back_by_others_is_not_told_twice() {
    let now = Instant::now();
    let (mut upkeep, answer) = registered(now);
    upkeep.saw(None, now);
    upkeep.saw(Some(answer), now);
    assert_eq!(upkeep.step(now), Step::Rest);
}

#[test]
fn a_write_that_fails_is_tried_again_later() {
    let now = Instant::now();
    let (mut upkeep, _) = registered(now);
    upkeep.saw(None, now);
    upkeep.failed(now);
    assert_eq!(upkeep.step(now), Step::Wait(now + AGAIN));
    assert_eq!(upkeep.step(now + AGAIN), Step::Create(wanted()));
}

/// A tool that changes the same thing at once, whenever we have put it back, for an hour.
#[test]
fn a_quarrel_is_slow_and_ends() {
    let (start, mut writes) = (Instant::now(), 0);
    let (mut upkeep, answer) = registered(start);
    let mut now = start;
    while now < start + Duration::from_hours(1) {
        upkeep.saw(
            Some(edited(&answer, "operator", |object| object["webhooks"][0]["failurePolicy"] = "Fail".into())),
            now,
        );
        if let Step::Wait(then) = upkeep.step(now) {
            now = then;
        }
        let Step::Replace(body) = upkeep.step(now) else { panic!("it is put back in the end") };
        upkeep.wrote(answered(&body, 2));
        writes += 1;
        now += Duration::from_millis(5);
    }
    assert!((100..140).contains(&writes), "{writes} writes in an hour");
    now += FORGOTTEN + Duration::from_secs(1);
    upkeep.saw(None, now);
    assert_eq!(upkeep.step(now), Step::Create(wanted()), "at once again");
}

#[test]
fn other_edits_are_no_quarrel() {
    let now = Instant::now();
    let (mut upkeep, answer) = registered(now);
    for round in 0..50 {
        let which = if round % 2 == 0 { "failurePolicy" } else { "matchPolicy" };
        upkeep.saw(Some(edited(&answer, "people", |object| object["webhooks"][0][which] = "x".into())), now);
        let Step::Replace(body) = upkeep.step(now) else { panic!("at once") };
        upkeep.wrote(answered(&body, round));
    }
}

#[test]
fn certificates_are_told_by_their_digest() {
    let long = json!({"webhooks": [{"name": "a", "clientConfig": {"caBundle": "x".repeat(2000)}}]});
    let other = json!({"webhooks": [{"name": "a", "clientConfig": {"caBundle": "y".repeat(2000)}}]});
    let [change] = &changes(&long, Some(&other))[..] else { panic!("one change") };
    assert_eq!(change.path, ".webhooks[name=a].clientConfig.caBundle");
    assert!(change.found.as_ref().is_some_and(|found| found.to_string().len() < 60), "{change:?}");
    assert_ne!(change.registered, change.found);
}
