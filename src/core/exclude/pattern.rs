//! A pattern: a path in which some steps match more than one child.

use serde_json::Value;

use crate::core::path::{MergeKey, Path, Step};

/// Covers every place that fits it, and everything below.
pub type Pattern = Vec<Any>;

/// One step of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Any {
    /// Any child at all.
    Step,
    /// The field of this name; inside a value that is compared whole, also the element at this position.
    Field(String),
    /// The element with this merge key.
    Element(MergeKey),
    /// Elements whose merge key has these fields, and perhaps others.
    Having(Vec<(String, Value)>),
    /// The member of a set that equals this.
    Member(Value),
}

// === impl Any ===

impl Any {
    /// The step that matches this one and no other.
    pub fn of(step: &Step) -> Self {
        match step {
            Step::Field(name) => Self::Field(name.to_string()),
            Step::Key(key) => Self::Element(key.clone()),
            Step::Value(value) => Self::Member(value.clone()),
        }
    }

    /// Does this lead where `step` leads?
    pub fn matches(&self, step: &Step) -> bool {
        match (self, step) {
            (Self::Step, _) => true,
            (Self::Field(name), step) => step.is_field(name),
            (Self::Element(key), Step::Key(other)) => key == other,
            (Self::Having(fields), Step::Key(key)) => {
                let has = |(name, value): &(String, Value)| key.fields().any(|(n, v)| n == name && v == value);
                fields.iter().all(has)
            }
            (Self::Member(value), Step::Value(other)) => value == other,
            (Self::Element(_) | Self::Having(_) | Self::Member(_), _) => false,
        }
    }

    /// Does it mean this element of a list, told by what stands in it?
    pub fn matches_element(&self, element: &Value) -> bool {
        match self {
            Self::Step => true,
            Self::Field(_) => false,
            Self::Element(key) => key.matches(element),
            Self::Having(fields) => fields.iter().all(|(name, value)| element.get(name) == Some(value)),
            Self::Member(value) => value == element,
        }
    }
}

/// Does the pattern mean this very element of the list at `path`?
pub fn covers_element(pattern: &[Any], path: &Path, element: &Value) -> bool {
    pattern.split_last().is_some_and(|(last, above)| {
        above.len() == path.steps().len() && fits(above, path) && last.matches_element(element)
    })
}

/// Is this place, or one above it, what the pattern means?
pub fn covers(pattern: &[Any], path: &Path) -> bool {
    pattern.len() <= path.steps().len() && fits(pattern, path)
}

/// Is something strictly below this place what the pattern means?
pub fn reaches_below(pattern: &[Any], path: &Path) -> bool {
    pattern.len() > path.steps().len() && fits(pattern, path)
}

/// Do the two agree as far as both go?
fn fits(pattern: &[Any], path: &Path) -> bool {
    pattern.iter().zip(path.steps()).all(|(any, step)| any.matches(step))
}
