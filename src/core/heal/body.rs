//! The body of an apply, changed place by place: Git's elements may leave key fields to their defaults.

use serde_json::{Map, Value};

use crate::core::path::Step;

/// Git's elements may leave key fields to their defaults; what Git does not declare is only ever spelled out.
pub(super) fn find_in_body<'v>(node: &'v Value, step: &Step, declared: bool) -> Option<&'v Value> {
    if declared { step.find_as_written(node) } else { step.find(node) }
}

/// Puts a value into a manifest, making the way to it where there is none. Git declares the first `declared` steps.
pub(super) fn put(node: &mut Value, steps: &[Step], value: Value, declared: usize) {
    let deeper = declared.saturating_sub(1);
    let Some((first, rest)) = steps.split_first() else {
        *node = value;
        return;
    };
    match first {
        Step::Field(name) => {
            if !node.is_object() {
                *node = Value::Object(Map::new());
            }
            let fields = node.as_object_mut().expect("made one just above");
            put(fields.entry(&**name).or_insert(Value::Null), rest, value, deeper);
        }
        Step::Key(key) => {
            if !node.is_array() {
                *node = Value::Array(Vec::new());
            }
            let elements = node.as_array_mut().expect("made one just above");
            let found = if declared > 0 { key.position_as_written(elements) } else { first.position(elements) };
            let position = found.unwrap_or_else(|| {
                let fields = key.fields().map(|(name, value)| (name.to_owned(), value.clone()));
                elements.push(Value::Object(fields.collect()));
                elements.len() - 1
            });
            put(&mut elements[position], rest, value, deeper);
        }
        Step::Value(member) => {
            if !node.is_array() {
                *node = Value::Array(Vec::new());
            }
            let members = node.as_array_mut().expect("made one just above");
            if !members.contains(member) {
                members.push(member.clone());
            }
        }
    }
}

/// Takes a place out of a manifest, and what held nothing else with it: an empty map left behind would be a claim of its own.
/// Says whether `node` is empty now, and was not before.
pub(super) fn take_out(node: &mut Value, steps: &[Step]) -> bool {
    let Some((first, rest)) = steps.split_first() else { return true };
    match (first, node) {
        (Step::Field(name), Value::Object(fields)) => {
            let emptied = fields.get_mut(&**name).is_some_and(|below| take_out(below, rest));
            emptied && fields.remove(&**name).is_some() && fields.is_empty()
        }
        (step, Value::Array(elements)) => {
            let position = match step {
                Step::Key(key) => key.position_as_written(elements),
                other => other.position(elements),
            };
            let emptied = position.filter(|position| take_out(&mut elements[*position], rest));
            emptied.map(|position| elements.remove(position)).is_some() && elements.is_empty()
        }
        _ => false,
    }
}
