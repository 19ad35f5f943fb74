//! Reading a declaration: our own ownership says which paths, the answer which values, and the manifest where in Git.

use serde_json::Value;

use super::{Empty, Node, Shape};
use crate::core::fields::Fields;
use crate::core::lookup::Lookup;
use crate::core::manifest::Lines;
use crate::core::path::{MergeKey, Step};
use crate::core::value::{is_nothing, shared};

// === impl Shape ===

impl Shape {
    pub(super) fn read(owned: Fields<'_>, answered: Option<&Value>, written: Written<'_>) -> Self {
        let children: Vec<_> = owned.children().collect();
        match children.first() {
            None => Self::read_leaf(answered, written),
            Some((Step::Field(_), _)) => Self::read_fields(children, answered, written),
            Some((Step::Key(_), _)) => Self::read_elements(children, answered, written),
            Some((Step::Value(_), _)) => Self::read_members(children),
        }
    }

    /// An empty map or list that has something in the answer is one that others may fill: were it atomic, our apply would
    /// have emptied it.
    fn read_leaf(answered: Option<&Value>, written: Written<'_>) -> Self {
        let filled = written.value.is_some_and(|written| is_nothing(Some(written))) && !is_nothing(answered);
        match answered {
            Some(Value::Object(_)) if filled => Self::Open(Empty::Map),
            Some(Value::Array(_)) if filled => Self::Open(Empty::List),
            Some(value) => Self::Leaf(value.into()),
            None => Self::Nothing,
        }
    }

    fn read_fields(children: Vec<(Step, Fields<'_>)>, answered: Option<&Value>, written: Written<'_>) -> Self {
        let read = |(step, owned): (Step, Fields<'_>)| match step {
            Step::Field(name) => {
                let answered = answered.and_then(|value| value.get(&*name));
                let node = Node::read(owned, answered, written.field(&name));
                Some((shared(&name), node))
            }
            Step::Key(_) | Step::Value(_) => None,
        };
        let mut fields: Vec<_> = children.into_iter().filter_map(read).collect();
        fields.sort_by(|(left, _), (right, _)| left.cmp(right));
        Self::Fields(fields.into())
    }

    /// Elements are kept in the answer's order, which is Git's: a comparison then finds each next to the one before.
    fn read_elements(children: Vec<(Step, Fields<'_>)>, answered: Option<&Value>, written: Written<'_>) -> Self {
        let elements = answered.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (answered, written) = (Lookup::new(elements), written.elements());
        let mut read: Vec<_> = children
            .into_iter()
            .filter_map(|(step, owned)| {
                let Step::Key(key) = step else { return None };
                let position = answered.position(&key)?;
                let node = Node::read(owned, elements.get(position), written.get(&key));
                Some((position, (key, node)))
            })
            .collect();
        read.sort_by_key(|(position, _)| *position);
        Self::Elements(read.into_iter().map(|(_, element)| element).collect())
    }

    fn read_members(children: Vec<(Step, Fields<'_>)>) -> Self {
        let value = |(step, _)| match step {
            Step::Value(value) => Some(value),
            Step::Field(_) | Step::Key(_) => None,
        };
        Self::Members(children.into_iter().filter_map(value).collect())
    }
}

/// The place in Git that corresponds to a place in the answer, as far down as the two run in parallel.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub value: Option<&'a Value>,
    pub lines: Option<&'a Lines>,
    pub line: u32,
}

// === impl Written ===

impl<'a> Written<'a> {
    pub(super) fn field(self, name: &str) -> Self {
        self.below(self.value.and_then(|value| value.get(name)), self.lines.and_then(|lines| lines.field(name)))
    }

    pub(super) fn elements(self) -> WrittenElements<'a> {
        WrittenElements { list: self, lookup: Lookup::of(self.value) }
    }

    /// Where the two part ways, the last line both knew is still the best answer.
    fn below(self, value: Option<&'a Value>, lines: Option<&'a Lines>) -> Self {
        Self { value, lines, line: lines.map_or(self.line, |lines| lines.line) }
    }
}

/// The elements of a list in Git.
pub(super) struct WrittenElements<'a> {
    list: Written<'a>,
    lookup: Lookup<'a>,
}

// === impl WrittenElements ===

impl<'a> WrittenElements<'a> {
    pub(super) fn get(&self, key: &MergeKey) -> Written<'a> {
        let found = self.lookup.find_as_written(key);
        let lines = self.list.lines.zip(found).and_then(|(lines, (position, _))| lines.element(position));
        self.list.below(found.map(|(_, element)| element), lines)
    }
}
