//! Takes out of a document what would claim fields nobody meant to declare.
//!
//! Each function is one row of what the API server was observed to do with an apply (`kubernetes-facts`, "What an apply
//! answers"). [`Lines`] may keep nodes that are gone; they must not lose one that stays or moves.

use serde_json::{Map, Value};

use super::super::yaml::base64;
use super::Complaint;
use crate::core::manifest::{Below, Lines};
use crate::core::names::LAST_APPLIED;
use crate::core::object::group_of;

/// `metadata` the server writes. Whoever commits it copied it from a cluster.
const SERVER_METADATA: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// `replicas: null` would own `replicas`. Nulls that are elements of a list stay: without them the others would move.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(drop_nulls);
        }
        Value::Array(elements) => elements.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

pub(super) fn drop_server_fields(value: &mut Value) {
    if let Value::Object(object) = value {
        object.remove("status");
    }
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for field in SERVER_METADATA {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
}

/// The controller fills the rules of an aggregated role; an empty list of our own would own what it writes.
pub(super) fn aggregated_rules(value: &mut Value) {
    let Value::Object(object) = value else { return };
    let empty = object.get("rules").and_then(Value::as_array).is_some_and(Vec::is_empty);
    if empty && object.contains_key("aggregationRule") {
        object.remove("rules");
    }
}

/// Turns `stringData` into `data`, as the server does on writing; a key renamed in `stringData` would otherwise stay in
/// `data` for ever. `stringData` wins, as it does there.
pub(super) fn secret(value: &mut Value, lines: &mut Lines) -> Vec<Complaint> {
    let Some(secret) = as_secret(value) else { return Vec::new() };
    let Some(written) = secret.remove("stringData") else { return Vec::new() };
    let Value::Object(written) = written else {
        return vec![Complaint::at(lines, &["stringData"], "stringData is not a mapping")];
    };
    let data = secret.entry("data").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(data) = data else { return vec![Complaint::at(lines, &["data"], "data is not a mapping")] };
    let mut complaints = Vec::new();
    for (key, value) in written {
        if let Value::String(text) = value {
            data.insert(key, base64::encode(text.as_bytes()).into());
        } else {
            complaints.push(Complaint::at(
                lines,
                &["stringData", &key],
                format!("stringData.{key} is not text; quote it"),
            ));
        }
    }
    move_lines(lines);
    complaints
}

fn as_secret(value: &mut Value) -> Option<&mut Map<String, Value>> {
    let text = |key| value.get(key).and_then(Value::as_str).unwrap_or_default();
    (text("kind") == "Secret" && group_of(text("apiVersion")).is_empty()).then(|| value.as_object_mut())?
}

/// `data` takes over the lines of `stringData`, so that a deviation in a secret still leads to where it was written.
fn move_lines(lines: &mut Lines) {
    let Below::Map(entries) = &mut lines.below else { return };
    let Some(from) = entries.iter().position(|(key, _)| key == "stringData") else { return };
    let (_, moved) = entries.remove(from);
    let Some((_, data)) = entries.iter_mut().find(|(key, _)| key == "data") else {
        entries.push(("data".to_owned(), moved));
        return;
    };
    match (&mut data.below, moved.below) {
        (Below::Map(kept), Below::Map(moved)) => {
            kept.retain(|(key, _)| !moved.iter().any(|(name, _)| name == key));
            kept.extend(moved);
        }
        (below, moved) => *below = moved,
    }
}
