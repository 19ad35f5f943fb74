//! What an edit does to our entry by itself, and what only a hand does.

use serde_json::json;

use super::*;

/// An object with this data, of which we own these members (as `fieldsV1` spells them).
fn object(data: &Value, ours: Option<Value>) -> Value {
    let entry = |fields| json!({"manager": "holdfast", "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields});
    let mut owners = vec![json!({"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:data": {"f:x": {}}}})];
    owners.extend(ours.map(entry));
    json!({"metadata": {"managedFields": owners}, "data": data})
}

fn forged(old: (Value, Option<Value>), new: (Value, Option<Value>)) -> bool {
    let (old, new) = (object(&old.0, old.1), object(&new.0, new.1));
    let whole = is_forged(&State::whole(&old), &State::whole(&new), Scope::Whole, Some("v1"));
    let raw = [&old, &new].map(|object| object["metadata"]["managedFields"].to_string());
    let parts = [State::with_raw_owners(&old, &raw[0]), State::with_raw_owners(&new, &raw[1])];
    assert_eq!(whole, is_forged(&parts[0], &parts[1], Scope::Whole, Some("v1")), "read otherwise");
    whole
}

#[expect(clippy::unnecessary_wraps, reason = "an entry that is there, beside those that are not")]
fn both() -> Option<Value> {
    Some(json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}}))
}

#[test]
fn an_edit_takes_what_it_changes() {
    let one = Some(json!({"f:data": {".": {}, "f:b": {}}}));
    assert!(!forged((json!({"a": 1, "b": 2}), both()), (json!({"a": 9, "b": 2}), one.clone())), "changed");
    assert!(!forged((json!({"a": 1, "b": 2}), both()), (json!({"b": 2}), one)), "taken away");
    assert!(!forged((json!({"a": 1}), both()), (json!({"a": 1, "mine": 3}), both())), "nothing of ours");
    assert!(!forged((json!({"a": 1}), None), (json!({"a": 2}), None)), "we own nothing");
}

#[test]
fn nothing_else_takes_gives_or_makes() {
    let data = || json!({"a": 1, "b": 2});
    let less = Some(json!({"f:data": {".": {}, "f:b": {}}}));
    let more = Some(json!({"f:data": {".": {}, "f:a": {}, "f:b": {}, "f:c": {}}}));
    assert!(forged((data(), both()), (data(), less.clone())), "lost without a change");
    assert!(forged((data(), both()), (json!({"a": 1, "b": 3}), less)), "lost beside a change");
    assert!(forged((data(), both()), (data(), more)), "grown");
    assert!(forged((data(), both()), (data(), None)), "wiped");
    assert!(forged((data(), None), (data(), both())), "made");
}

#[test]
fn a_schema_that_changes_moves_paths_up_or_down() {
    let data = || json!({"a": 1, "b": 2});
    let atomic = || Some(json!({"f:data": {}}));
    let granular = || Some(json!({"f:data": {"f:a": {}, "f:b": {}}}));
    assert!(!forged((data(), granular()), (data(), atomic())));
    assert!(!forged((data(), atomic()), (data(), granular())));
}

#[test]
fn an_entry_of_another_version_is_only_seen_to_be_there() {
    let (old, new) = (object(&json!({}), both()), object(&json!({}), Some(json!({"f:data": {"f:a": {}}}))));
    assert!(!is_forged(&State::whole(&old), &State::whole(&new), Scope::Whole, Some("v2")));
}

#[test]
fn what_is_taken_is_what_the_entry_has_lost() {
    let entry = |manager: &str, fields: Value| json!({"manager": manager, "operation": "Apply", "apiVersion": "v2", "fieldsV1": fields});
    let object = |fields: Value| json!({"metadata": {"managedFields": [entry("flux", fields), entry("mine", json!({"f:spec": {"f:b": {}}}))]}});
    let before = object(json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}}, "f:d": {}}}));
    let taken = |after: Value| {
        let after = object(after);
        let paths = taken(&State::whole(&before), &State::whole(&after), &|entry| entry.manager == "flux");
        paths.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(taken(json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}}, "f:d": {}}})), [""; 0]);
    assert_eq!(taken(json!({"f:spec": {"f:b": {"f:c": {}}, "f:e": {}}})), [".spec.a", ".spec.d"]);
    assert_eq!(taken(json!({"f:spec": {"f:a": {}, "f:b": {}, "f:d": {}}})), [""; 0], "the schema changed");
}
