//! Finding the elements of a list by merge key, one after the other, in time that grows with the list and not with its square.
//!
//! Lists are short, and two that belong together are usually in the same order: so the next element is tried first, and a
//! short list is searched from its start. A long one in another order (five thousand elements in a custom resource) gets an
//! index, made once. A guard that takes a second for one list could be used to switch it off.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::path::{MergeKey, Step};

/// From this length on a list is worth an index.
pub const LONG: usize = 32;

/// A list whose elements are looked up by key.
#[derive(Debug)]
pub struct Lookup<'v> {
    elements: &'v [Value],
    next: Cell<usize>,
    index: OnceCell<Index>,
    members: OnceCell<HashMap<&'v Value, usize>>,
}

/// What a list has of a key.
#[derive(Debug, PartialEq)]
pub enum Found<'v> {
    /// No such element.
    Nowhere,
    /// This one alone.
    Once(&'v Value),
    /// Several: what is there under one key is not one element.
    Often(Vec<&'v Value>),
}

/// A value of whatever shape, whose children are looked up by step.
#[derive(Debug)]
pub struct Children<'v> {
    value: &'v Value,
    list: Lookup<'v>,
}

/// Where elements stand, by the key fields they spell out and a hash of what those say. Candidates still have to be asked.
#[derive(Debug)]
struct Index {
    /// Which of the key fields some element spells out, a bit for each.
    spelled: Vec<u32>,
    positions: HashMap<(u32, u64), Vec<usize>>,
}

// === impl Lookup ===

impl<'v> Lookup<'v> {
    /// A lookup in these elements. It costs nothing before it is asked.
    pub fn new(elements: &'v [Value]) -> Self {
        Self { elements, next: Cell::new(0), index: OnceCell::new(), members: OnceCell::new() }
    }

    /// A lookup in a value that should be a list; anything else counts as an empty one.
    pub fn of(list: Option<&'v Value>) -> Self {
        Self::new(list.and_then(Value::as_array).map_or(&[], Vec::as_slice))
    }

    /// An element of a live list that has this key.
    pub fn find(&self, key: &MergeKey) -> Option<&'v Value> {
        self.position(key).and_then(|position| self.elements.get(position))
    }

    /// Whether the key is in a live list, and whether only once: API servers let some pass that are there twice.
    pub fn find_all(&self, key: &MergeKey) -> Found<'v> {
        match self.index(key) {
            None => Found::of(self.elements.iter().filter(|element| key.matches(element))),
            Some(index) => {
                let candidates = index.candidates(key).filter_map(|position| self.elements.get(position));
                Found::of(candidates.filter(|element| key.matches(element)))
            }
        }
    }

    /// Where an element of a live list that has this key stands.
    pub fn position(&self, key: &MergeKey) -> Option<usize> {
        let next = self.next.get();
        let is_next = self.elements.get(next).is_some_and(|element| key.matches(element));
        let found = if is_next { Some(next) } else { self.first(key, &MergeKey::matches) };
        self.next.set(found.map_or(next, |position| position + 1));
        found
    }

    /// The element of a *manifest's* list that has this key, and where it stands; see [`MergeKey::matches_as_written`]. One that
    /// spells the key out comes before one that leaves some of it to its default: in `[{containerPort: 53}, {containerPort: 53,
    /// protocol: UDP}]` only the second is UDP.
    pub fn find_as_written(&self, key: &MergeKey) -> Option<(usize, &'v Value)> {
        let loosely = || self.first(key, &MergeKey::matches_as_written);
        let position = self.first(key, &MergeKey::matches).or_else(loosely)?;
        Some((position, self.elements.get(position)?))
    }

    /// Is this value in a live set?
    pub fn contains(&self, member: &Value) -> bool {
        self.member(member).is_some()
    }

    fn member(&self, member: &Value) -> Option<usize> {
        if self.elements.len() < LONG {
            return self.elements.iter().position(|element| element == member);
        }
        let elements = || self.elements.iter().enumerate().rev();
        let positions = || elements().map(|(position, element)| (element, position)).collect();
        self.members.get_or_init(positions).get(member).copied()
    }

    fn first(&self, key: &MergeKey, fits: &dyn Fn(&MergeKey, &Value) -> bool) -> Option<usize> {
        match self.index(key) {
            None => self.elements.iter().position(|element| fits(key, element)),
            Some(index) => index.candidates(key).filter(|position| fits(key, &self.elements[*position])).min(),
        }
    }

    fn index(&self, key: &MergeKey) -> Option<&Index> {
        let is_long = self.elements.len() >= LONG;
        is_long.then(|| self.index.get_or_init(|| Index::new(self.elements, key)))
    }
}

// === impl Found ===

impl<'v> Found<'v> {
    fn of(mut elements: impl Iterator<Item = &'v Value>) -> Self {
        match (elements.next(), elements.next()) {
            (None, _) => Self::Nowhere,
            (Some(one), None) => Self::Once(one),
            (Some(first), Some(second)) => Self::Often([first, second].into_iter().chain(elements).collect()),
        }
    }
}

// === impl Children ===

impl<'v> Children<'v> {
    /// The children of this value. It costs nothing before it is asked.
    pub fn of(value: &'v Value) -> Self {
        Self { value, list: Lookup::of(Some(value)) }
    }

    /// The value itself.
    pub fn value(&self) -> &'v Value {
        self.value
    }

    /// The child of a live value one step down.
    pub fn find(&self, step: &Step) -> Option<&'v Value> {
        match step {
            Step::Field(name) => self.value.get(&**name),
            Step::Key(key) => self.list.find(key),
            Step::Value(member) => self.list.elements.get(self.list.member(member)?),
        }
    }

    /// The child of a *manifest's* value one step down.
    pub fn find_as_written(&self, step: &Step) -> Option<&'v Value> {
        match step {
            Step::Key(key) => self.list.find_as_written(key).map(|(_, element)| element),
            other => self.find(other),
        }
    }
}

// === impl Index ===

impl Index {
    /// All keys of a list have the same fields: one of them tells which.
    fn new(elements: &[Value], key: &MergeKey) -> Self {
        let mut index = Self { spelled: Vec::new(), positions: HashMap::with_capacity(elements.len()) };
        for (position, element) in elements.iter().enumerate() {
            let entry = hash(key.fields().map(|(name, _)| element.get(name)));
            if !index.spelled.contains(&entry.0) {
                index.spelled.push(entry.0);
            }
            index.positions.entry(entry).or_default().push(position);
        }
        index
    }

    /// The elements that say nothing else than the key in those of its fields that they spell out.
    fn candidates<'i>(&'i self, key: &'i MergeKey) -> impl Iterator<Item = usize> + 'i {
        self.spelled.iter().flat_map(move |spelled| {
            let said = key.fields().enumerate().map(|(at, (_, value))| (spelled & bit(at) != 0).then_some(value));
            self.positions.get(&hash(said)).into_iter().flatten().copied()
        })
    }
}

/// Which of these fields are there, and a hash of their values that is alike for values that are the same.
fn hash<'a>(fields: impl Iterator<Item = Option<&'a Value>>) -> (u32, u64) {
    let (mut spelled, mut hasher) = (0, DefaultHasher::new());
    for (at, value) in fields.enumerate() {
        let Some(value) = value else { continue };
        spelled |= bit(at);
        match value {
            Value::String(text) => text.hash(&mut hasher),
            Value::Bool(it) => it.hash(&mut hasher),
            // Zero has two signs.
            Value::Number(number) => number.as_f64().map(|number| (number + 0.0).to_bits()).hash(&mut hasher),
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }
    (spelled, hasher.finish())
}

/// Fields beyond the 32nd of a key share a bit with nothing: they count as not spelled out, and candidates are asked anyway.
fn bit(at: usize) -> u32 {
    u32::try_from(at).ok().and_then(|at| 1_u32.checked_shl(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
