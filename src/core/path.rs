//! Where in an object: a path whose list steps name merge keys, not positions.
//!
//! `containers[name=api]` keeps meaning the same container after a sidecar was put before it; an index would not. Paths are
//! spelled the way people read them in messages, and no two are spelled alike.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::value::same;

/// One step down into an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// A field of a struct or map.
    Field(Arc<str>),
    /// The element of an associative list that has these key fields.
    Key(MergeKey),
    /// The element of a set that equals this value.
    Value(Value),
}

/// The identity of an element of an associative list: key field names and their values, as `fieldsV1` spells them
/// (`{"containerPort":53,"protocol":"TCP"}`: defaults are spelled out there even where the manifest leaves them out).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MergeKey(Vec<(Box<str>, Value)>);

/// A path from the root of an object; empty for the object itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Path(Vec<Step>);

// === impl MergeKey ===

impl MergeKey {
    /// Reads the JSON object that follows `k:` in `fieldsV1`.
    pub fn parse(json: &str) -> Option<Self> {
        match serde_json::from_str(json).ok()? {
            Value::Object(fields) => Some(Self(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())),
            _ => None,
        }
    }

    /// The key that `element` has by these fields; `None` if it lacks one.
    pub fn of(element: &Value, names: &[String]) -> Option<Self> {
        let field = |name: &String| Some((name.as_str().into(), element.get(name)?.clone()));
        names.iter().map(field).collect::<Option<_>>().map(Self)
    }

    /// Key fields and their values.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// How the API server spells it, sorted and without spaces; `None` where its spelling of a text is not certain.
    pub fn spelled(&self) -> Option<String> {
        let is_certain = |value: &Value| match value {
            Value::String(text) => text.chars().all(|c| c.is_ascii_graphic() && !"\"\\<>&".contains(c)),
            Value::Number(number) => !number.is_f64(),
            Value::Bool(_) => true,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        let fields = || self.fields().map(|(name, value)| (name.to_owned(), value.clone())).collect();
        self.fields().all(|(_, value)| is_certain(value)).then(|| Value::Object(fields()).to_string())
    }

    /// Does this element of a live list have the key? Key fields are defaulted before an element is stored, and one whose
    /// default is the empty text (`name` of a pull secret) is left out when the element is written.
    pub fn matches(&self, element: &Value) -> bool {
        element.is_object()
            && self.0.iter().all(|(name, value)| match element.get(&**name) {
                Some(found) => same(found, value),
                None => value == "",
            })
    }

    /// Could this element of a *manifest* have the key? There, a key field may be left to its default.
    pub fn matches_as_written(&self, element: &Value) -> bool {
        self.0.iter().any(|(name, _)| element.get(&**name).is_some())
            && self.0.iter().all(|(name, value)| element.get(&**name).is_none_or(|written| same(written, value)))
    }

    /// Which element of a *manifest's* list has the key: the one that spells it out, or else the one that leaves some of it to
    /// its default. (In `[{containerPort: 53}, {containerPort: 53, protocol: UDP}]` only the second is UDP.)
    pub fn position_as_written(&self, elements: &[Value]) -> Option<usize> {
        let exact = elements.iter().position(|element| self.matches(element));
        exact.or_else(|| elements.iter().position(|element| self.matches_as_written(element)))
    }
}

// === impl Path ===

impl Path {
    /// The path made of these steps.
    pub fn new(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// A path of plain fields, for the places Kubernetes itself fixes.
    pub fn of_fields(fields: &[&str]) -> Self {
        Self(fields.iter().map(|field| Step::Field((*field).into())).collect())
    }

    /// The steps, root first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Does this path spell these plain fields, and no more?
    pub fn spells(&self, fields: &[&str]) -> bool {
        self.0.len() == fields.len() && self.starts_with_fields(fields)
    }

    /// Do the first steps of this path spell these plain fields?
    pub fn starts_with_fields(&self, fields: &[&str]) -> bool {
        self.0.len() >= fields.len() && self.0.iter().zip(fields).all(|(step, field)| step.is_field(field))
    }

    /// Is `other` this place or one below it?
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Is this place one step below `parent`?
    pub fn is_child_of(&self, parent: &Self) -> bool {
        self.0.split_last().is_some_and(|(_, above)| *above == *parent.0)
    }

    /// The node this path leads to in a live object.
    pub fn find<'v>(&self, object: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(object, |node, step| step.find(node))
    }

    /// Everything this path leads to: more than one node where a list holds a key twice, which API servers let pass.
    pub fn find_all<'v>(&self, object: &'v Value) -> Vec<&'v Value> {
        let Some((last, above)) = self.0.split_last() else { return vec![object] };
        let Some(parent) = above.iter().try_fold(object, |node, step| step.find(node)) else { return Vec::new() };
        match (last, parent) {
            (Step::Key(key), Value::Array(elements)) => elements.iter().filter(|node| key.matches(node)).collect(),
            (step, parent) => step.find(parent).into_iter().collect(),
        }
    }

    /// The JSON pointer (RFC 6901) of this path in a live object, list positions looked up there.
    pub fn pointer_in(&self, object: &Value) -> Option<String> {
        let mut pointer = String::new();
        let mut node = object;
        for step in &self.0 {
            match step {
                Step::Field(name) => pointer.extend(["/", &name.replace('~', "~0").replace('/', "~1")]),
                Step::Key(_) | Step::Value(_) => {
                    pointer.extend(["/", &step.position(node.as_array()?)?.to_string()]);
                }
            }
            node = step.find(node)?;
        }
        Some(pointer)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(f, ".");
        }
        self.0.iter().try_for_each(|step| write!(f, "{step}"))
    }
}

// === impl Step ===

impl Step {
    /// Is this the plain field `name`?
    pub fn is_field(&self, name: &str) -> bool {
        matches!(self, Self::Field(field) if **field == *name)
    }

    /// The child of `node` this step leads to.
    pub fn find<'v>(&self, node: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Field(name) => node.get(&**name),
            Self::Key(_) | Self::Value(_) => {
                let elements = node.as_array()?;
                elements.get(self.position(elements)?)
            }
        }
    }

    /// The child of a *manifest's* node this step leads to; list elements may leave key fields to their defaults there.
    pub fn find_as_written<'v>(&self, node: &'v Value) -> Option<&'v Value> {
        match (self, node) {
            (Self::Key(key), Value::Array(elements)) => elements.get(key.position_as_written(elements)?),
            _ => self.find(node),
        }
    }

    /// Where in this list the element stands; `None` for plain fields, which have no position.
    pub fn position(&self, elements: &[Value]) -> Option<usize> {
        match self {
            Self::Field(_) => None,
            Self::Key(key) => elements.iter().position(|element| key.matches(element)),
            Self::Value(value) => elements.iter().position(|element| element == value),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) if is_plain(name) => write!(f, ".{name}"),
            Self::Field(name) => write!(f, "[{}]", Value::from(&**name)),
            Self::Key(key) => {
                let fields: Vec<_> = key.fields().map(|(name, value)| format!("{name}={}", Bare(value))).collect();
                write!(f, "[{}]", fields.join(","))
            }
            Self::Value(value) => write!(f, "[={}]", Bare(value)),
        }
    }
}

/// A scalar without quotes where that cannot be misread.
struct Bare<'a>(&'a Value);

impl fmt::Display for Bare<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) if is_bare(text) => write!(f, "{text}"),
            other => write!(f, "{other}"),
        }
    }
}

/// Needs no quotes as a field name: no dot, slash or bracket that would look like another step.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '$')
}

/// Needs no quotes as a value in brackets, and is not taken for a number, `true`, `false` or `null`.
fn is_bare(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
    !text.is_empty() && text.chars().all(plain) && serde_json::from_str::<Value>(text).is_err()
}

#[cfg(test)]
mod tests;
