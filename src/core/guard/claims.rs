//! What a tool claims of an object: the paths its managers own, and the values it last wanted there.
//!
//! Where the tool still owns a path, the value is the object's. Where somebody has taken a path from it (an edit that nobody
//! refused: before the guard, while only observing), its entry no longer has it. What it wanted there is known if it keeps a copy of
//! what it applied, as client-side appliers do (Argo CD by default), and the copy is its own: then what the copy says and the tool
//! does not own counts as declared, with the value in the copy. Copies are as they were written, so a value that the API server
//! spells differently is known only as "not this"; edits elsewhere do not suffer from it. Of tools that keep no copy (Flux, Helm) such
//! a place is unguarded until the tool writes it again.
//!
//! # What is left out
//! Entries of another version than the object is seen in, and a copy of another: their paths mean nothing here. What an edit takes from
//! those entries, the API server itself finds out ([`taken`](crate::core::ownership::taken)). A path the object does not have. An empty map or list that others have filled: it is theirs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::is_theirs;
use crate::core::fields::{Fields, entries, step};
use crate::core::names::LAST_APPLIED;
use crate::core::path::{MergeKey, Step};
use crate::core::value::same;

/// The claimed paths as `fieldsV1`, and an object that has the claimed values; `None` if these managers have not written it.
/// `marks` are names of labels and annotations that count as claimed whoever owns them.
pub(super) fn claims(
    object: &Value,
    managers: &[String],
    marks: &BTreeMap<&'static str, Vec<&str>>,
) -> Option<(Value, Value)> {
    let (mut owned, mut everyone) = (json!({}), json!({}));
    let mut is_written = false;
    for entry in entries(object).filter(|entry| entry.subresource != "status") {
        is_written |= is_theirs(managers, &entry);
        if !entry.is_of(version_of(object)) {
            continue;
        }
        unite(&mut everyone, entry.fields.node());
        if is_theirs(managers, &entry) {
            unite(&mut owned, entry.fields.node());
        }
    }
    let mut values = object.clone();
    let copy = copy(object, &owned);
    owned.as_object_mut()?.remove("f:status");
    prune(&mut owned, object, &everyone);
    if let Some(copy) = copy {
        owned = add_fields(&copy, Some(owned), &mut values, Some(&everyone)).unwrap_or_else(|| json!({}));
    }
    mark(&mut owned, marks);
    is_written.then_some((owned, values))
}

/// Both, one over the other. Of a leaf and what is below it the latter counts.
fn unite(into: &mut Value, more: &Value) {
    let (Value::Object(into), Value::Object(more)) = (into, more) else { return };
    for (name, below) in more {
        unite(into.entry(name).or_insert_with(|| json!({})), below);
    }
}

/// What the tool last applied, if it keeps a copy of it on the object; identity and status aside.
fn copy(object: &Value, owned: &Value) -> Option<Map<String, Value>> {
    let is_its_own = Fields::new(owned).field("metadata")?.field("annotations")?.field(LAST_APPLIED).is_some();
    let text = object.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str().filter(|_| is_its_own)?;
    let mut copy: Map<String, Value> = serde_json::from_str(text).ok()?;
    let is_readable = copy.get("apiVersion").is_some_and(|version| version == version_of(object));
    if !is_readable {
        return None;
    }
    for name in ["apiVersion", "kind", "status"] {
        copy.remove(name);
    }
    if let Some(Value::Object(metadata)) = copy.get_mut("metadata") {
        metadata.retain(|name, _| matches!(name.as_str(), "labels" | "annotations" | "finalizers"));
    }
    Some(copy)
}

/// Takes out what the object does not have, and empties that others have filled; `false` if nothing is left. A place with parts
/// that is itself owned (`.`) says no more than its parts do.
fn prune(owned: &mut Value, live: &Value, everyone: &Value) -> bool {
    let Some(members) = owned.as_object_mut() else { return false };
    members.retain(|name, below| {
        let (Some(step), Some(everyone)) = (step(name), everyone.get(name)) else { return false };
        let Some(live) = step.find(live) else { return false };
        if is_leaf(below) { is_leaf(everyone) } else { prune(below, live, everyone) }
    });
    !members.is_empty()
}

fn version_of(object: &Value) -> &str {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
}

fn is_leaf(fields: &Value) -> bool {
    fields.as_object().is_none_or(Map::is_empty)
}

/// Claims the names by which the object was selected.
fn mark(owned: &mut Value, marks: &BTreeMap<&'static str, Vec<&str>>) {
    for (field, names) in marks {
        for name in names {
            owned["f:metadata"][*field][format!("f:{name}")] = json!({});
        }
    }
}

/// How a place is made up, as far as anybody's ownership tells: merge keys are in no manifest.
enum Made {
    /// Nobody owns anything there.
    Unknown,
    /// It is owned as one.
    Whole,
    /// Of fields.
    Fields,
    /// Of elements with a key of these fields.
    Elements(Vec<String>),
    /// Of values.
    Members,
}

// === impl Made ===

impl Made {
    fn of(everyone: Option<&Value>) -> Self {
        let Some(everyone) = everyone else { return Self::Unknown };
        match Fields::new(everyone).children().next() {
            None => Self::Whole,
            Some((Step::Field(_), _)) => Self::Fields,
            Some((Step::Key(key), _)) => Self::Elements(key.fields().map(|(name, _)| name.to_owned()).collect()),
            Some((Step::Value(_), _)) => Self::Members,
        }
    }
}

/// Adds what the copy says to what is owned, and its values where they are not owned. Answers with what is claimed then.
fn add(said: &Value, owned: Option<Value>, value: &mut Value, everyone: Option<&Value>) -> Option<Value> {
    if said.is_null() || owned.as_ref().is_some_and(is_leaf) {
        return owned;
    }
    match (said, Made::of(everyone)) {
        (Value::Object(said), Made::Fields | Made::Unknown) => add_fields(said, owned, value, everyone),
        (Value::Array(said), Made::Elements(names)) => add_elements(said, &names, owned, value, everyone?),
        (Value::Array(said), Made::Members) => Some(add_members(said, owned)),
        _ if owned.is_some() => owned,
        (said, _) => {
            if !same(said, value) {
                *value = said.clone();
            }
            Some(json!({}))
        }
    }
}

fn add_fields(
    said: &Map<String, Value>,
    owned: Option<Value>,
    value: &mut Value,
    everyone: Option<&Value>,
) -> Option<Value> {
    let mut claimed = members(owned);
    if value.is_null() {
        *value = json!({});
    }
    for (name, said) in said {
        let member = format!("f:{name}");
        let Some(values) = value.as_object_mut() else { break };
        let before = claimed.remove(&member);
        let there = values.entry(name).or_insert(Value::Null);
        let after = add(said, before, there, everyone.and_then(|everyone| everyone.get(&member)));
        if there.is_null() {
            values.remove(name);
        }
        claimed.extend(after.map(|after| (member, after)));
    }
    (!claimed.is_empty()).then_some(Value::Object(claimed))
}

fn add_elements(
    said: &[Value],
    names: &[String],
    owned: Option<Value>,
    value: &mut Value,
    everyone: &Value,
) -> Option<Value> {
    let mut claimed = members(owned);
    if value.is_null() {
        *value = json!([]);
    }
    for said in said {
        let (Some(key), Some(elements)) = (key_of(said, names, everyone), value.as_array_mut()) else { continue };
        let step = Step::Key(key.clone());
        let known = Fields::new(everyone).member_name(&step);
        let Some(member) = known.or_else(|| key.spelled().map(|spelled| format!("k:{spelled}"))) else { continue };
        let at = step.position(elements).unwrap_or_else(|| {
            elements.push(key.fields().map(|(name, value)| (name.to_owned(), value.clone())).collect());
            elements.len() - 1
        });
        let after = add(said, claimed.remove(&member), &mut elements[at], everyone.get(&member));
        claimed.extend(after.map(|after| (member, after)));
    }
    (!claimed.is_empty()).then_some(Value::Object(claimed))
}

/// The key an element of the copy has, spelled out or by what is known of the live ones.
fn key_of(said: &Value, names: &[String], everyone: &Value) -> Option<MergeKey> {
    let known = || {
        Fields::new(everyone).children().find_map(|(step, _)| match step {
            Step::Key(key) if key.matches_as_written(said) => Some(key),
            _ => None,
        })
    };
    MergeKey::of(said, names).or_else(known)
}

fn add_members(said: &[Value], owned: Option<Value>) -> Value {
    let mut claimed = members(owned);
    claimed.extend(said.iter().map(|said| (format!("v:{said}"), json!({}))));
    Value::Object(claimed)
}

fn members(owned: Option<Value>) -> Map<String, Value> {
    match owned {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}
