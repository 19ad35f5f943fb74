//! When two JSON values mean the same to the API server.
//!
//! Everything else about forms (quantities, defaults, conversions) is the API server's to say, and it says it in its answer
//! to an apply. What is left are the empties it writes one way and stores another, and numbers that JSON spells twice.

mod frozen;
mod name;

use serde_json::{Number, Value};

pub use frozen::Frozen;
pub use name::shared;

/// The absence of a value, as a value: lets callers compare "not there" with "empty".
static ABSENT: Value = Value::Null;

/// Are these the same? `null` and `[]` are one value, `null` fields of a map count as absent, and `1` is `1.0`.
/// `{}` is a value of its own: `podSelector: {}` selects everything.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.iter().all(|(name, value)| same(value, right.get(name).unwrap_or(&ABSENT)))
                && right.iter().all(|(name, value)| left.contains_key(name) || same(&ABSENT, value))
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Null, Value::Array(list)) | (Value::Array(list), Value::Null) => list.is_empty(),
        (Value::Number(left), Value::Number(right)) => same_number(left, right),
        _ => left == right,
    }
}

/// Is this one of the forms in which "nothing here" is written: absent, `null`, `[]` or `{}`?
pub fn is_nothing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    }
}

/// Integers are compared exactly; only a number that is not one on either side falls back to floating point.
fn same_number(left: &Number, right: &Number) -> bool {
    left == right || ((left.is_f64() || right.is_f64()) && left.as_f64() == right.as_f64())
}

#[cfg(test)]
mod tests;
