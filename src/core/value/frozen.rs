//! A JSON value that is kept, and compared, but never changed: in as little memory as it takes.
//!
//! There is a declaration for every object in every replica, for as long as the process lives. A `serde_json` map makes room
//! for eleven fields when it has one, and a text or list keeps a capacity beside its length; a declared value needs neither.

use std::sync::Arc;

use serde_json::{Number, Value};

use super::name::shared;
use super::{ABSENT, same, same_number};

/// A value that stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Frozen {
    /// `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Box<str>),
    /// A list.
    List(Box<[Frozen]>),
    /// A map, in the order of its fields' names.
    Map(Box<[(Arc<str>, Frozen)]>),
}

// === impl Frozen ===

impl From<&Value> for Frozen {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(it) => Self::Bool(*it),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(text.as_str().into()),
            Value::Array(elements) => Self::List(elements.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().map(|(name, value)| (shared(name), Self::from(value))).collect();
                fields.sort_by(|(left, _): &(Arc<str>, _), (right, _)| left.cmp(right));
                Self::Map(fields.into())
            }
        }
    }
}

impl From<&Frozen> for Value {
    fn from(frozen: &Frozen) -> Self {
        match frozen {
            Frozen::Null => Self::Null,
            Frozen::Bool(it) => Self::Bool(*it),
            Frozen::Number(number) => Self::Number(number.clone()),
            Frozen::Text(text) => Self::from(&**text),
            Frozen::List(elements) => elements.iter().map(Self::from).collect(),
            Frozen::Map(fields) => fields.iter().map(|(name, value)| (name.to_string(), Self::from(value))).collect(),
        }
    }
}

impl Frozen {
    /// Is this the [`same`] as that value?
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Self::Map(fields), Value::Object(others)) => {
                fields.iter().all(|(name, value)| value.same(others.get(&**name).unwrap_or(&ABSENT)))
                    && others.iter().all(|(name, other)| self.field(name).is_some() || same(&ABSENT, other))
            }
            (Self::List(elements), Value::Array(others)) => {
                elements.len() == others.len() && elements.iter().zip(others).all(|(value, other)| value.same(other))
            }
            (Self::Null, Value::Array(others)) => others.is_empty(),
            (Self::List(elements), Value::Null) => elements.is_empty(),
            (Self::Number(number), Value::Number(other)) => same_number(number, other),
            (Self::Null, Value::Null) => true,
            (Self::Bool(it), Value::Bool(other)) => it == other,
            (Self::Text(text), Value::String(other)) => **text == **other,
            _ => false,
        }
    }

    /// Is this one of the forms in which "nothing here" is written: `null`, `[]` or `{}`?
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Null => true,
            Self::List(elements) => elements.is_empty(),
            Self::Map(fields) => fields.is_empty(),
            Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
        }
    }

    fn field(&self, name: &str) -> Option<&Self> {
        let Self::Map(fields) = self else { return None };
        fields.binary_search_by(|(field, _)| (**field).cmp(name)).ok().map(|found| &fields[found].1)
    }
}
