//! What Git declares, as the API server reads it: leaf paths with merge keys, normalised values, and lines.
//!
//! A declaration is read out of the API server's answer to an apply (dry-run or real): our own `fieldsV1` entry says which
//! paths, the answered object says which values. Defaults, quantities, conversions and other people's mutating webhooks are
//! thereby exact without any schema in memory.
//!
//! # Why not the live object's `managedFields`
//! Because any update steals ownership: after a person patches `spec.replicas` our entry no longer lists it. What Git declares
//! has to be kept, it cannot be looked up.

mod read;
mod recognise;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use self::read::Written;
use self::recognise::{Place, says_the_same};
use super::fields::{self, Fields};
use super::lookup::{self, Lookup};
use super::manifest::Manifest;
use super::path::{MergeKey, Path, Step};
use super::value::{Frozen, is_nothing};

/// The declared paths and values of one object, as a tree.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// The object's top-level fields. `apiVersion`, `kind` and the name are identity, not declaration, and not in it.
    pub sections: Box<[(Arc<str>, Node)]>,
    /// What the API server makes of the manifest alone, where somebody needed to know: tells a default from an addition.
    pub pristine: Option<Box<Value>>,
}

/// One declared place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Line in Git (1-based) of the nearest thing that declares it.
    pub line: u32,
    /// What is declared there.
    pub shape: Shape,
    /// An empty that is known to be a value: an apply of it was seen to empty the place. (Others may fill what is not.)
    pub empties: bool,
}

/// What is declared at a [`Node`]. A node that only holds others declares nothing by itself.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A struct or map of which each listed field is declared on its own; in the order of their names.
    Fields(Box<[(Arc<str>, Node)]>),
    /// An associative list: elements by merge key, in the order Git has them.
    Elements(Box<[(MergeKey, Node)]>),
    /// A set: each value must be in the list, whatever else is.
    Members(Box<[Value]>),
    /// A scalar, an atomic list, an atomic struct, or an empty map: compared whole.
    Leaf(Frozen),
    /// An empty map or list that others are known to fill: nobody has to have taken it from us.
    Open(Empty),
    /// Declared, and absent from the answer: the API server drops this kind of empty (`ingress: []`), and absent is the value.
    Nothing,
}

/// An empty that others may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// `{}`.
    Map,
    /// `[]`.
    List,
}

/// The API server's answer to an apply did not contain what an answer must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the answer to the apply of {object} has no managedFields entry of manager \"{}\"",
    super::names::FIELD_MANAGER
)]
pub struct Unowned {
    /// The object, as [`super::object::ObjectKey`] displays it.
    pub object: String,
}

// === impl Declaration ===

impl Declaration {
    /// Reads the declaration of `manifest` out of what the API server answered to its apply.
    pub fn read(manifest: &Manifest, answer: &Value) -> Result<Self, Unowned> {
        let entry = fields::ours(answer).ok_or_else(|| Unowned { object: manifest.key.to_string() })?;
        let written = Written { value: Some(&manifest.value), lines: Some(&manifest.origin.lines), line: 1 };
        match Shape::read(entry.fields, Some(answer), written) {
            Shape::Fields(sections) => Ok(Self { sections, pristine: None }),
            _ => Ok(Self { sections: Box::default(), pristine: None }),
        }
    }

    /// The same, for an apply to `live`: what it would empty is known not to be open to others. `ingress: [{}]` that became
    /// `ingress: []` in Git is still ours, and looks in the cluster like a list somebody else has filled.
    pub fn read_over(manifest: &Manifest, answer: &Value, live: Option<&Value>) -> Result<Self, Unowned> {
        let mut declaration = Self::read(manifest, answer)?;
        let Some(live) = live else { return Ok(declaration) };
        let root = Place::root(live);
        for (name, node) in &mut declaration.sections {
            let step = Step::Field(name.clone());
            node.learn_what_it_empties(step.find(live), &root.below(&step));
        }
        Ok(declaration)
    }

    /// What these paths declare, with the values an object has there: where there is no manifest, and so no lines.
    pub fn of_fields(owned: &Value, object: &Value) -> Self {
        let nowhere = Written { value: None, lines: None, line: 0 };
        match Shape::read(Fields::new(owned), Some(object), nowhere) {
            Shape::Fields(sections) => Self { sections, pristine: None },
            _ => Self { sections: Box::default(), pristine: None },
        }
    }

    /// The shortcut that makes a restart cheap: when every leaf of the manifest already equals the live object's value at
    /// the same path of *our* entry, and we own nothing else, the live object is the answer an apply would give.
    pub fn recognise(manifest: &Manifest, live: &Value) -> Option<Self> {
        let entry = fields::ours(live)?;
        says_the_same(entry.fields, &manifest.value, live, &Place::root(live))
            .then(|| Self::read(manifest, live).ok())?
    }

    /// The same declaration with the lines of a manifest that says the same elsewhere in its file.
    #[must_use]
    pub fn relocated(&self, manifest: &Manifest) -> Self {
        let written = Written { value: Some(&manifest.value), lines: Some(&manifest.origin.lines), line: 1 };
        let mut moved = self.clone();
        moved.sections.iter_mut().for_each(|(name, node)| node.relocate(written.field(name)));
        moved
    }

    /// Number of leaves: what a comparison has to look at.
    pub fn len(&self) -> usize {
        self.sections.iter().map(|(_, node)| node.leaves()).sum()
    }

    /// What is declared of a section.
    pub fn section(&self, name: &str) -> Option<&Node> {
        self.sections.iter().find(|(section, _)| **section == *name).map(|(_, node)| node)
    }

    /// The declared node at `path`, if exactly that place or something below it is declared.
    pub fn find(&self, path: &Path) -> Option<&Node> {
        let (first, rest) = path.steps().split_first()?;
        let section = self.sections.iter().find(|(name, _)| first.is_field(name)).map(|(_, node)| node)?;
        rest.iter().try_fold(section, |node, step| node.child(step))
    }

    /// How many of these steps, from the root, lead to declared places.
    pub fn depth_of(&self, steps: &[Step]) -> usize {
        let is_declared = |depth: &usize| self.find(&Path::new(steps[..*depth].to_vec())).is_some();
        (1..=steps.len()).take_while(is_declared).count()
    }

    /// The merge key of a manifest's list element: what an index in a rule means.
    pub fn key_of(&self, list: &[Step], element: &Value) -> Option<MergeKey> {
        let Shape::Elements(elements) = &self.find(&Path::new(list.to_vec()))?.shape else { return None };
        let fits =
            |(key, node): &&(MergeKey, Node)| key.matches_as_written(element) && node.writes_key_of(key, element);
        elements.iter().find(fits).map(|(key, _)| key.clone())
    }

    /// Does it declare nothing at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl Empty ===

impl Empty {
    /// As JSON.
    pub fn value(self) -> Value {
        match self {
            Self::Map => Value::Object(Map::new()),
            Self::List => Value::Array(Vec::new()),
        }
    }
}

// === impl Node ===

impl Node {
    /// The declared value of this place as plain JSON: what Git would have there if nothing else were.
    pub fn value(&self) -> Value {
        match &self.shape {
            Shape::Fields(fields) => {
                let declared = fields.iter().filter(|(_, node)| !matches!(node.shape, Shape::Nothing));
                Value::Object(declared.map(|(name, node)| (name.to_string(), node.value())).collect())
            }
            Shape::Elements(elements) => elements.iter().map(|(key, node)| node.element(key)).collect(),
            Shape::Members(values) => Value::Array(values.to_vec()),
            Shape::Leaf(value) => value.into(),
            Shape::Open(empty) => empty.value(),
            Shape::Nothing => Value::Null,
        }
    }

    /// The declared value of a list element: its fields and its key.
    pub fn element(&self, key: &MergeKey) -> Value {
        let mut element = match self.value() {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        for (name, value) in key.fields() {
            element.entry(name).or_insert_with(|| value.clone());
        }
        Value::Object(element)
    }

    /// Does Git declare an empty map or list here?
    pub fn is_empty(&self) -> bool {
        match &self.shape {
            Shape::Leaf(value) => value.is_nothing(),
            Shape::Open(_) | Shape::Nothing => true,
            Shape::Fields(_) | Shape::Elements(_) | Shape::Members(_) => false,
        }
    }

    /// Does Git spell out the same fields of the key here as in this element? Ownership lists only those that are written.
    fn writes_key_of(&self, key: &MergeKey, element: &Value) -> bool {
        let declared = |name: &str| self.child(&Step::Field(name.into())).is_some();
        key.fields().all(|(name, _)| declared(name) == element.get(name).is_some())
    }

    /// The declared field of that name.
    pub fn field(&self, name: &str) -> Option<&Self> {
        if let Shape::Fields(fields) = &self.shape { field(fields, name) } else { None }
    }

    /// The declared child one step down.
    pub fn child(&self, step: &Step) -> Option<&Self> {
        match (&self.shape, step) {
            (Shape::Fields(_), Step::Field(name)) => self.field(name),
            (Shape::Elements(elements), Step::Key(key)) => {
                elements.iter().find(|(k, _)| k == key).map(|(_, node)| node)
            }
            _ => None,
        }
    }

    /// The declared children, for looking up many of them.
    pub fn children(&self) -> DeclaredChildren<'_> {
        let by_key = match &self.shape {
            Shape::Elements(elements) if elements.len() >= lookup::LONG => {
                Some(elements.iter().map(|(key, node)| (key, node)).collect())
            }
            _ => None,
        };
        DeclaredChildren { node: self, by_key }
    }

    fn relocate(&mut self, written: Written<'_>) {
        self.line = written.line;
        match &mut self.shape {
            Shape::Fields(fields) => fields.iter_mut().for_each(|(name, node)| node.relocate(written.field(name))),
            Shape::Elements(elements) => {
                let written = written.elements();
                elements.iter_mut().for_each(|(key, node)| node.relocate(written.get(key)));
            }
            Shape::Members(_) | Shape::Leaf(_) | Shape::Open(_) | Shape::Nothing => {}
        }
    }

    fn leaves(&self) -> usize {
        match &self.shape {
            Shape::Fields(fields) => fields.iter().map(|(_, node)| node.leaves()).sum(),
            Shape::Elements(elements) => elements.iter().map(|(_, node)| node.leaves().max(1)).sum(),
            Shape::Members(values) => values.len(),
            Shape::Leaf(_) | Shape::Open(_) | Shape::Nothing => 1,
        }
    }

    fn read(owned: Fields<'_>, answered: Option<&Value>, written: Written<'_>) -> Self {
        Self { line: written.line, shape: Shape::read(owned, answered, written), empties: false }
    }

    fn learn_what_it_empties(&mut self, live: Option<&Value>, place: &Place<'_>) {
        let is_whole = || !is_nothing(live) && !place.has_parts();
        match &mut self.shape {
            Shape::Fields(fields) => {
                for (name, node) in fields {
                    let step = Step::Field(name.clone());
                    node.learn_what_it_empties(live.and_then(|live| step.find(live)), &place.below(&step));
                }
            }
            Shape::Elements(elements) => {
                let lookup = Lookup::of(live);
                for (key, node) in elements {
                    node.learn_what_it_empties(lookup.find(key), &place.below(&Step::Key(key.clone())));
                }
            }
            Shape::Leaf(value) => self.empties = value.is_nothing() && is_whole(),
            Shape::Nothing => self.empties = is_whole(),
            Shape::Members(_) | Shape::Open(_) => {}
        }
    }
}

/// The declared children of a node by step, in one look each: of five thousand elements, too.
#[derive(Debug)]
pub struct DeclaredChildren<'n> {
    node: &'n Node,
    by_key: Option<HashMap<&'n MergeKey, &'n Node>>,
}

// === impl DeclaredChildren ===

impl<'n> DeclaredChildren<'n> {
    /// The declared child one step down.
    pub fn get(&self, step: &Step) -> Option<&'n Node> {
        match (&self.by_key, step) {
            (Some(by_key), Step::Key(key)) => by_key.get(key).copied(),
            (_, step) => self.node.child(step),
        }
    }
}

/// Fields stand in the order of their names: see [`Shape::Fields`].
fn field<'n>(fields: &'n [(Arc<str>, Node)], name: &str) -> Option<&'n Node> {
    fields.binary_search_by(|(field, _)| (**field).cmp(name)).ok().map(|found| &fields[found].1)
}
