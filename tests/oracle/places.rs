//! What differs between two objects, place by place, found without the code that is on trial.
//!
//! Whether the elements of a list are places of their own (by key, or as members of a set) or the list is one value, the API
//! server tells in `managedFields`: whoever owns something in the list spells it out.

use std::collections::BTreeMap;

use holdfast::core::fields::{Fields, entries};
use holdfast::core::path::{MergeKey, Path, Step};
use serde_json::{Map, Value, json};

/// Every leaf by the spelling of its path.
pub type Places = BTreeMap<String, (Path, Value)>;

/// The shape of objects of one kind, as far as ownership tells it.
#[derive(Debug, Clone)]
pub struct Form(Value);

/// A place that is not the same in two objects.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Where.
    pub path: Path,
    /// What was there.
    pub from: Option<Value>,
    /// What is there.
    pub to: Option<Value>,
}

/// What the API server writes into metadata by itself.
const SERVERS: [&str; 8] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "uid",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

// === impl Form ===

impl Form {
    /// What all owners of these objects tell together.
    pub fn of(objects: &[&Value]) -> Self {
        let mut form = json!({});
        for object in objects {
            let owners = object.pointer("/metadata/managedFields").and_then(Value::as_array);
            for owned in owners.into_iter().flatten().filter_map(|entry| entry.get("fieldsV1")) {
                unite(&mut form, owned);
            }
        }
        Self(form)
    }
}

fn unite(into: &mut Value, other: &Value) {
    if let (Some(into), Some(other)) = (into.as_object_mut(), other.as_object()) {
        for (name, below) in other.iter().filter(|(name, _)| *name != ".") {
            unite(into.entry(name.clone()).or_insert_with(|| Value::Object(Map::new())), below);
        }
    }
}

/// Where `from` is not what `to` is; status and what the server writes by itself are left out. An empty map that gets something
/// is not changed itself: what it gets is.
pub fn differences(form: &Form, from: &Value, to: &Value) -> Vec<Difference> {
    let (from, to) = (places(form, from), places(form, to));
    let is_filled = |path: &Path, value: &Value, other: &Places| {
        *value == json!({}) && other.values().any(|(place, _)| path.covers(place) && place != path)
    };
    let mut found = Vec::new();
    for (spelled, (path, was)) in &from {
        let is = to.get(spelled).map(|(_, is)| is);
        if is != Some(was) && !is_filled(path, was, &to) {
            found.push(Difference { path: path.clone(), from: Some(was.clone()), to: is.cloned() });
        }
    }
    for (spelled, (path, is)) in &to {
        if !from.contains_key(spelled) && !is_filled(path, is, &from) {
            found.push(Difference { path: path.clone(), from: None, to: Some(is.clone()) });
        }
    }
    found
}

/// Annotations in which controllers count what they saw.
const COUNTS: [&str; 2] = ["deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"];

/// Every place of an object.
pub fn places(form: &Form, object: &Value) -> Places {
    let mut found = Places::new();
    for (name, value) in object.as_object().into_iter().flatten() {
        let steps = [Step::Field(name.as_str().into())];
        match (name.as_str(), value) {
            ("status" | "apiVersion" | "kind", _) => {}
            ("metadata", Value::Object(fields)) => {
                let mut fields = fields.clone();
                fields.retain(|name, _| !SERVERS.contains(&name.as_str()));
                if let Some(Value::Object(annotations)) = fields.get_mut("annotations") {
                    annotations.retain(|name, _| !COUNTS.contains(&name.as_str()));
                }
                walk(&Value::Object(fields), Fields::new(&form.0).field(name), &mut steps.to_vec(), &mut found);
            }
            _ => walk(value, Fields::new(&form.0).field(name), &mut steps.to_vec(), &mut found),
        }
    }
    found
}

fn walk(value: &Value, form: Option<Fields<'_>>, steps: &mut Vec<Step>, found: &mut Places) {
    match value {
        Value::Object(fields) if !fields.is_empty() && form.is_none_or(|form| !form.is_leaf()) => {
            for (name, below) in fields {
                let step = Step::Field(name.as_str().into());
                let form = form.and_then(|form| form.child(&step));
                steps.push(step);
                walk(below, form, steps, found);
                steps.pop();
            }
        }
        Value::Array(elements) => list(elements, form, steps, found),
        // Absent and null are one value.
        Value::Null => {}
        _ => leaf(value.clone(), steps, found),
    }
}

fn list(elements: &[Value], form: Option<Fields<'_>>, steps: &mut Vec<Step>, found: &mut Places) {
    let example = form.and_then(|form| form.children().next());
    match example {
        Some((Step::Key(key), _)) => {
            let names: Vec<_> = key.fields().map(|(name, _)| name.to_owned()).collect();
            for element in elements {
                let key = MergeKey::of(element, &names).or_else(|| key_of_nothing(element, form));
                let step = key.map_or_else(|| Step::Value(element.clone()), Step::Key);
                let form = form.and_then(|form| form.child(&step));
                steps.push(step);
                leaf(json!("there"), steps, found);
                walk(element, form, steps, found);
                steps.pop();
            }
        }
        Some((Step::Value(_), _)) => {
            for element in elements {
                steps.push(Step::Value(element.clone()));
                leaf(json!("there"), steps, found);
                steps.pop();
            }
        }
        _ if elements.is_empty() => {}
        _ => leaf(Value::Array(elements.to_vec()), steps, found),
    }
}

/// A text that is a key is left out when it is empty (`name` of a pull secret), and spelled out by whoever owns the element.
fn key_of_nothing(element: &Value, form: Option<Fields<'_>>) -> Option<MergeKey> {
    let nothing = json!("");
    let is_of = |key: &MergeKey| key.fields().all(|(name, value)| element.get(name).unwrap_or(&nothing) == value);
    form?.children().find_map(|(step, _)| match step {
        Step::Key(key) if is_of(&key) => Some(key),
        _ => None,
    })
}

/// What is there twice (a key, in a list that the API server lets have it twice) is both.
fn leaf(value: Value, steps: &[Step], found: &mut Places) {
    let path = Path::new(steps.to_vec());
    let spelled = path.to_string();
    match found.remove(&spelled) {
        Some((path, before)) => found.insert(spelled, (path, json!({"both": [before, value]}))),
        None => found.insert(spelled, (path, value)),
    };
}

/// Is one of the two at or below the other?
pub fn touch(one: &Path, other: &Path) -> bool {
    one.covers(other) || other.covers(one)
}

/// Who owns what, without when: for telling whether ownership moved.
pub fn ownership(object: &Value) -> Vec<String> {
    let mut owners: Vec<_> = entries(object)
        .filter(|entry| entry.subresource != "status")
        .map(|entry| format!("{} {} {} {:?}", entry.manager, entry.applied, entry.subresource, entry.fields))
        .collect();
    owners.sort();
    owners
}
