//! `compare(declaration, state) -> deviations`: where a cluster is not what Git declares.
//!
//! The walk follows the declaration, never the object and never a schema, so what nobody declared costs nothing. In sync it
//! allocates nothing: the way down is a chain of borrowed steps, and becomes a [`Path`] only where something deviates.

use std::sync::Arc;

use serde_json::Value;

use super::declaration::{Declaration, Node, Shape};
use super::lookup::{Found, Lookup};
use super::path::{MergeKey, Path, Step};
use super::snapshot::Managed;
use super::state::State;
use super::value::{Frozen, is_nothing};

/// A place where the cluster is not what the declaration says.
#[derive(Debug, Clone, PartialEq)]
pub struct Deviation {
    /// Where.
    pub path: Path,
    /// In which way.
    pub kind: Kind,
    /// What Git has there, as the API server reads it.
    pub git: Option<Value>,
    /// What the cluster has there.
    pub live: Option<Value>,
    /// Line in Git, where there is one.
    pub line: Option<u32>,
}

/// The kinds of deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum Kind {
    /// A declared leaf has another value.
    Changed,
    /// A declared leaf or list element is gone.
    Removed,
    /// Undeclared, and put there by a person.
    Added,
    /// Git, or the tool that kept the object before us, used to declare it, and it is still there.
    Leftover,
    /// The whole object is not there.
    Missing,
    /// The whole object should not be there.
    Unwanted,
}

/// Which sections (top-level fields) of an object to look at.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// All of them.
    Whole,
    /// Only these; the others are known not to matter, and may not even have been parsed.
    Only(&'a [&'a str]),
}

/// Every declared place at which `state` deviates, in the declaration's order; empty ⇔ all that Git declares is so.
/// Kinds `Changed` and `Removed` only.
pub fn compare(declaration: &Declaration, state: &State<'_>, scope: Scope<'_>) -> Vec<Deviation> {
    walk(declaration, state, None, scope)
}

/// The same, but for places that are neither in `state` nor in `before`: nobody has taken away what was not there. Of an edit,
/// what is equal on both sides need not have been parsed.
pub(super) fn compare_after(
    declaration: &Declaration,
    before: &Value,
    state: &State<'_>,
    scope: Scope<'_>,
) -> Vec<Deviation> {
    walk(declaration, state, Some(before), scope)
}

fn walk(declaration: &Declaration, state: &State<'_>, before: Option<&Value>, scope: Scope<'_>) -> Vec<Deviation> {
    let mut walk = Walk { state, found: Vec::new() };
    for (name, node) in declaration.sections.iter().filter(|(name, _)| scope.contains(name)) {
        let place = Place { live: Some(state.object), before }.down(name);
        let trail = Trail { up: None, step: Borrowed::Field(name) };
        if !place.never_was() {
            walk.node(node, place, &trail);
        }
    }
    walk.found
}

// === impl Deviation ===

impl Deviation {
    /// The object as a whole is missing or unwanted.
    pub fn whole(kind: Kind, managed: &Managed) -> Self {
        let line = Some(managed.manifest.origin.lines.line);
        Self { path: Path::default(), kind, git: None, live: None, line }
    }

    /// A place of another version of the object, where it has another value now.
    pub fn elsewhere(path: Path) -> Self {
        Self { path, kind: Kind::Changed, git: None, live: None, line: None }
    }
}

// === impl Scope ===

impl Scope<'_> {
    /// Is this section looked at?
    pub fn contains(self, section: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Only(sections) => sections.contains(&section),
        }
    }
}

/// What is at a place.
#[derive(Clone, Copy)]
struct Place<'v> {
    live: Option<&'v Value>,
    /// What was there before an edit, `null` for nothing; `None` if nobody asks, or within lists.
    before: Option<&'v Value>,
}

struct Walk<'a> {
    state: &'a State<'a>,
    found: Vec<Deviation>,
}

/// The way down to a node, borrowed: each level lives on the stack of the call that made it.
struct Trail<'a> {
    up: Option<&'a Trail<'a>>,
    step: Borrowed<'a>,
}

#[derive(Clone, Copy)]
enum Borrowed<'a> {
    Field(&'a str),
    Key(&'a MergeKey),
    Member(&'a Value),
}

// === impl Place ===

impl<'v> Place<'v> {
    fn within_list(live: &'v Value) -> Self {
        Self { live: Some(live), before: None }
    }

    fn down(self, field: &str) -> Self {
        static NOTHING: Value = Value::Null;
        let before = self.before.map(|before| before.get(field).unwrap_or(&NOTHING));
        Self { live: self.live.and_then(|live| live.get(field)), before }
    }

    fn never_was(self) -> bool {
        self.live.is_none() && self.before.is_some_and(Value::is_null)
    }
}

// === impl Walk ===

impl Walk<'_> {
    fn node(&mut self, node: &Node, place: Place<'_>, trail: &Trail<'_>) {
        let live = place.live;
        match (&node.shape, live) {
            (Shape::Nothing, live) if is_nothing(live) => {}
            (Shape::Nothing, live) if !node.empties && self.is_open(live, trail) => {}
            (Shape::Nothing, live) => self.deviates(node, Some(Value::Null), live, trail),
            (Shape::Open(_), Some(live)) if !live.is_null() => {}
            (Shape::Open(_), _) if self.is_ours(trail) => {}
            (Shape::Leaf(declared), live) => self.leaf(node, declared, live, trail),
            (Shape::Open(empty), live) => self.leaf(node, &Frozen::from(&empty.value()), live, trail),
            (Shape::Fields(fields), _) => self.fields(fields, place, trail),
            (Shape::Elements(elements), live) => self.elements(elements, list(live), trail),
            (Shape::Members(members), live) => self.members(node, members, list(live), trail),
        }
    }

    fn leaf(&mut self, node: &Node, declared: &Frozen, live: Option<&Value>, trail: &Trail<'_>) {
        let agrees = declared.same(live.unwrap_or(&Value::Null));
        let is_open = || declared.is_nothing() && !node.empties && self.is_open(live, trail);
        if !agrees && !is_open() {
            self.deviates(node, Some(declared.into()), live, trail);
        }
    }

    /// A struct stands where Git declared nothing of it: each missing field is reported on its own, so that a rule can
    /// exclude one and not the others.
    fn fields(&mut self, fields: &[(Arc<str>, Node)], place: Place<'_>, trail: &Trail<'_>) {
        for (name, node) in fields {
            let (place, trail) = (place.down(name), Trail { up: Some(trail), step: Borrowed::Field(name) });
            if !place.never_was() {
                self.node(node, place, &trail);
            }
        }
    }

    /// A key that is there twice is a change: of two `env` entries with one name the last one counts, and it need not be Git's.
    fn elements(&mut self, elements: &[(MergeKey, Node)], live: &[Value], trail: &Trail<'_>) {
        let in_step =
            live.len() == elements.len() && elements.iter().zip(live).all(|((key, _), live)| key.matches(live));
        let lookup = Lookup::new(live);
        for (position, (key, node)) in elements.iter().enumerate() {
            let trail = Trail { up: Some(trail), step: Borrowed::Key(key) };
            let found = if in_step { Found::Once(&live[position]) } else { lookup.find_all(key) };
            match found {
                Found::Once(live) => self.node(node, Place::within_list(live), &trail),
                Found::Nowhere => self.deviates(node, Some(node.element(key)), None, &trail),
                Found::Often(all) => {
                    let all = all.into_iter().cloned().collect();
                    self.deviates(node, Some(node.element(key)), Some(&all), &trail);
                }
            }
        }
    }

    fn members(&mut self, git: &Node, members: &[Value], live: &[Value], trail: &Trail<'_>) {
        let lookup = Lookup::new(live);
        for member in members.iter().filter(|member| !lookup.contains(member)) {
            let trail = Trail { up: Some(trail), step: Borrowed::Member(member) };
            self.deviates(git, Some(member.clone()), None, &trail);
        }
    }

    /// `resources: {}` or `initContainers: []` in Git leaves the place open: what others put into it is undeclared, not
    /// changed. An *atomic* empty (a selector, `ingress: []`) is a value, and filling it is a change. Only ownership tells them
    /// apart: nobody can own a part of something atomic, and who fills it takes it from us. (What a mutating webhook fills in,
    /// nobody owns at all. What we filled ourselves at an earlier commit looks the same: [`Node::empties`] tells.)
    fn is_open(&self, live: Option<&Value>, trail: &Trail<'_>) -> bool {
        live.is_some_and(|live| live.is_object() || live.is_array()) && {
            let path = trail.path();
            self.state.owners().any(|entry| {
                let owned = entry.fields.at(&path);
                owned.is_some_and(|fields| fields.children().next().is_some() || (entry.is_ours() && fields.is_leaf()))
            })
        }
    }

    /// What we own and is not there is an empty that the API server drops when the last of what others put into it goes.
    fn is_ours(&self, trail: &Trail<'_>) -> bool {
        let path = trail.path();
        self.state.owners().any(|entry| entry.is_ours() && entry.fields.at(&path).is_some())
    }

    fn deviates(&mut self, node: &Node, git: Option<Value>, live: Option<&Value>, trail: &Trail<'_>) {
        let kind = if live.is_some() { Kind::Changed } else { Kind::Removed };
        self.found.push(Deviation { path: trail.path(), kind, git, live: live.cloned(), line: Some(node.line) });
    }
}

// === impl Trail ===

impl Trail<'_> {
    fn path(&self) -> Path {
        let mut steps = Vec::new();
        let mut here = Some(self);
        while let Some(trail) = here {
            steps.push(trail.step.to_owned());
            here = trail.up;
        }
        steps.reverse();
        Path::new(steps)
    }
}

// === impl Borrowed ===

impl Borrowed<'_> {
    fn to_owned(self) -> Step {
        match self {
            Self::Field(name) => Step::Field(name.into()),
            Self::Key(key) => Step::Key(key.clone()),
            Self::Member(value) => Step::Value(value.clone()),
        }
    }
}

/// A live list, with everything that is not a list counting as an empty one.
fn list(live: Option<&Value>) -> &[Value] {
    live.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
