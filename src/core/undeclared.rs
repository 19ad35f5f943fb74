//! What stands in a managed object although Git does not declare it: additions by people, and leftovers of our own.
//!
//! Undeclared fields are usually nobody's fault: defaults, sidecars, status, addresses. Only two kinds are drift. A field a
//! *person* put there (recognised in the cluster by an interactive field manager, at admission by being the one who asks),
//! and a field that is still ours from an earlier commit. What any other manager co-owns is that manager's business. On an object
//! that is yet to be adopted, what its former tool owns counts as ours (see [`adoption`](super::adoption)).
//!
//! # Entries in another version
//! A manager that writes through another API version owns paths of that version's shape. Most versions agree on most paths, so
//! entries are compared by path whatever their version; a path that the object does not have in the version Git declares counts
//! for nothing, neither as an addition nor as co-ownership.

use serde_json::Value;

use super::adoption::{is_foreign, is_former};
use super::compare::{Deviation, Kind, Scope};
use super::declaration::{Declaration, Node, Shape};
use super::exclude::Exclusions;
use super::fields::{Entry, Fields};
use super::lookup::{Children, Lookup};
use super::names::IGNORE;
use super::path::{MergeKey, Path, Step};
use super::state::State;
use super::value::{is_nothing, same};

/// Decides which field managers stand for a person.
pub type IsPerson<'a> = &'a dyn Fn(&Entry<'_>) -> bool;

/// What to look for, and where.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// Which field managers stand for a person.
    pub is_person: IsPerson<'a>,
    /// The sections to look at.
    pub scope: Scope<'a>,
    /// The object before an edit: what was there already is not looked at.
    pub before: Option<&'a Value>,
    /// A place with something excluded below it is not reported as a whole, so that the rest of it can be healed alone.
    pub exclusions: &'a Exclusions,
}

/// Every undeclared place that a person's managers own, or that we still own, and nobody else does.
/// Kinds `Added` and `Leftover` only; each path is the highest such place, and none lies below another.
pub fn undeclared(declaration: &Declaration, state: &State<'_>, look: &Look<'_>) -> Vec<Deviation> {
    let entries: Vec<_> = state.owners().filter(|entry| entry.subresource != "status").collect();
    let everyone: Vec<_> = entries.iter().map(|entry| entry.fields).collect();
    let adopting = look.before.is_none() && is_foreign(state);
    let is_ours = |entry: &Entry<'_>| entry.is_ours() || (adopting && is_former(entry));
    let (ours, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_ours);
    let (people, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|entry| (look.is_person)(entry));
    let others: Vec<_> = others.iter().filter(|entry| !is_our_update(entry)).map(|entry| entry.fields).collect();
    let mut found = Vec::new();
    for (kind, owners) in [(Kind::Added, people), (Kind::Leftover, ours)] {
        for entry in owners {
            let known = Known::new(look.before, declaration.pristine.as_deref());
            let object = Place { owned: entry.fields, others: &others, live: Children::of(state.object), known };
            let metadata = entry.is_ours() || kind == Kind::Added;
            Search { kind, look, metadata, everyone: &everyone, path: Vec::new(), found: &mut found }
                .sections(declaration, &object);
        }
    }
    found
}

/// Values the API server defaulted after we removed something are booked on our own updates; they are nobody's.
fn is_our_update(entry: &Entry<'_>) -> bool {
    entry.manager == super::names::FIELD_MANAGER && !entry.applied
}

/// Does anything that Git does not declare differ between the two, outside object metadata? Looks at values only.
pub fn differs_undeclared(declaration: &Declaration, old: &Value, new: &Value, scope: Scope<'_>) -> bool {
    let sections = new.as_object().into_iter().flatten();
    sections
        .filter(|(name, _)| scope.contains(name) && is_content(name) && *name != "metadata")
        .any(|(name, new)| differs_beside(declaration.section(name), old.get(name), new))
}

/// Does anything beside the declared differ at or below this place?
fn differs_beside(declared: Option<&Node>, old: Option<&Value>, new: &Value) -> bool {
    if old == Some(new) {
        return false;
    }
    let Some(node) = declared else { return true };
    match (&node.shape, new) {
        (Shape::Fields(_), Value::Object(fields)) => {
            fields.iter().any(|(name, new)| differs_beside(node.field(name), old.and_then(|old| old.get(name)), new))
        }
        (Shape::Elements(declared), Value::Array(elements)) => differs_beside_elements(declared, old, elements),
        (Shape::Members(declared), Value::Array(values)) => {
            let old = Lookup::of(old);
            values.iter().any(|new| !declared.contains(new) && !old.contains(new))
        }
        (Shape::Leaf(declared), Value::Object(_) | Value::Array(_)) => declared.is_nothing(),
        (Shape::Nothing | Shape::Open(_), _) => true,
        _ => false,
    }
}

/// Declared elements are looked up among the new ones; what of these is left over is undeclared, and has to be an old one.
fn differs_beside_elements(declared: &[(MergeKey, Node)], old: Option<&Value>, new: &[Value]) -> bool {
    let (old, elements) = (Lookup::of(old), Lookup::new(new));
    let mut is_declared = vec![false; new.len()];
    let found = |(key, node)| elements.position(key).map(|position| (position, key, node));
    let among_declared =
        declared.iter().map(|(key, node)| (key, node)).filter_map(found).any(|(position, key, node)| {
            is_declared[position] = true;
            differs_beside(Some(node), old.find(key), &new[position])
        });
    let undeclared = new.iter().zip(&is_declared).filter(|(_, declared)| !**declared).map(|(new, _)| new);
    among_declared || undeclared.into_iter().any(|new| !old.contains(new))
}

/// One owner's view of a place in an object.
struct Place<'a, 'v> {
    owned: Fields<'a>,
    /// What all others own there.
    others: &'a [Fields<'a>],
    live: Children<'v>,
    known: Known<'v>,
}

/// What may stand there without having been added: what was there before, and what the API server puts there by itself
/// (whoever creates an object owns its defaults, too).
struct Known<'a> {
    before: Option<Children<'a>>,
    default: Option<Children<'a>>,
}

// === impl Known ===

impl<'a> Known<'a> {
    fn new(before: Option<&'a Value>, default: Option<&'a Value>) -> Self {
        Self { before: before.map(Children::of), default: default.map(Children::of) }
    }

    fn values(&self) -> impl Iterator<Item = &'a Value> {
        [&self.before, &self.default].into_iter().flatten().map(Children::value)
    }

    fn down(&self, step: &Step) -> Self {
        let down = |children: &Option<Children<'a>>| children.as_ref().and_then(|children| children.find(step));
        Self::new(down(&self.before), down(&self.default))
    }
}

struct Search<'s> {
    kind: Kind,
    look: &'s Look<'s>,
    /// Is object metadata looked at? What a former tool wrote there stays.
    metadata: bool,
    everyone: &'s [Fields<'s>],
    path: Vec<Step>,
    found: &'s mut Vec<Deviation>,
}

// === impl Search ===

impl Search<'_> {
    fn sections(&mut self, declaration: &Declaration, object: &Place<'_, '_>) {
        for (step, below) in object.owned.children() {
            let Step::Field(name) = &step else { continue };
            if self.look.scope.contains(name) && is_content(name) && (self.metadata || **name != *"metadata") {
                let declared = declaration.section(name);
                self.down(step, declared, below, object);
            }
        }
    }

    /// One step down, if something lives there that was not there anyway.
    fn down(&mut self, step: Step, declared: Option<&Node>, owned: Fields<'_>, above: &Place<'_, '_>) {
        let Some(live) = above.live.find(&step) else { return };
        let known = above.known.down(&step);
        if holds_nothing(live) || known.values().any(|known| adds_nothing(live, known)) {
            return;
        }
        let others: Vec<_> = above.others.iter().filter_map(|fields| fields.child(&step)).collect();
        let place = Place { owned, others: &others, live: Children::of(live), known };
        self.path.push(step);
        match declared {
            Some(node) => self.below_declared(node, &place),
            None => self.at_undeclared(&place),
        }
        self.path.pop();
    }

    fn below_declared(&mut self, node: &Node, place: &Place<'_, '_>) {
        let members = if let Shape::Members(members) = &node.shape { &**members } else { &[] };
        let declared = node.children();
        for (step, below) in place.owned.children() {
            let is_member = matches!(&step, Step::Value(value) if members.contains(value));
            if !is_member {
                self.down(step.clone(), declared.get(&step), below, place);
            }
        }
    }

    /// Owned as a whole, and by nobody else: this is the place. Otherwise look further down. A place that is co-owned is
    /// never reported, and neither is what surrounds it: a person who edits an injected sidecar did not add the sidecar. A list
    /// element belongs to those who own the element itself, as it does to the API server: who only changed a part of it loses it.
    fn at_undeclared(&mut self, place: &Place<'_, '_>) {
        let is_element = matches!(self.path.last(), Some(Step::Key(_)));
        let is_co_owned = place.others.iter().any(|fields| !is_element || fields.owns_itself());
        if !is_co_owned && place.owned.owns_itself() && !self.has_to_be_split(place) {
            self.report(place.live.value());
            return;
        }
        for (step, below) in place.owned.children() {
            self.down(step, None, below, place);
        }
    }

    /// Only a part of it was added, or a part of it is to stay. A list element comes and goes as a whole.
    fn has_to_be_split(&self, place: &Place<'_, '_>) -> bool {
        let path = Path::new(self.path.clone());
        let is_element = matches!(self.path.last(), Some(Step::Key(_)));
        let partly_known = if place.owned.is_leaf() {
            place.known.before.is_some() && (self.kind == Kind::Leftover || self.is_open(&path))
        } else {
            place.known.values().next().is_some()
        };
        partly_known || (!is_element && self.stays_below(&path, place.live.value()))
    }

    fn stays_below(&self, path: &Path, live: &Value) -> bool {
        let exclusions = self.look.exclusions;
        !exclusions.cover(path) && part_that_stays(exclusions, path, live).is_some()
    }

    /// Somebody owns a part of it, so who owns it as a leaf wrote an empty one, and what differs is not theirs. (What is still
    /// *ours* nobody changed at all: they would have taken it.)
    fn is_open(&self, path: &Path) -> bool {
        let inside = |fields: &Fields<'_>| fields.at(path).is_some_and(|fields| fields.children().next().is_some());
        self.everyone.iter().any(inside)
    }

    fn report(&mut self, live: &Value) {
        let path = Path::new(self.path.clone());
        let known = self.found.iter().any(|found| found.path.covers(&path));
        if !known && !is_left_alone(self.kind, &path) {
            self.found.retain(|found| !path.covers(&found.path));
            self.found.push(Deviation { path, kind: self.kind, git: None, live: Some(live.clone()), line: None });
        }
    }
}

/// Absent, null and `[]` are one value; so is a map of nothing else. (`{}` itself is a value: `emptyDir: {}`.)
fn holds_nothing(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty() && fields.values().all(holds_nothing),
        value => same(&Value::Null, value),
    }
}

/// To empty a map is to take back what was in it.
fn adds_nothing(live: &Value, known: &Value) -> bool {
    same(known, live) || (known.is_object() && is_nothing(Some(live)))
}

/// Sections of an object that are content. `status` belongs to controllers.
fn is_content(section: &str) -> bool {
    section != "status"
}

/// Undeclared places that are not drift, whatever the policy says.
///
/// Object metadata is the common notice board: people may add to it (what *we* leave behind there is still cleaned up).
/// And replicas that Git leaves out are left to whoever scales: undoing them would reset them to 1.
pub fn is_left_alone(kind: Kind, path: &Path) -> bool {
    (kind == Kind::Added && path.starts_with_fields(&["metadata"]) && !exempts_itself(path)) || path.spells(&REPLICAS)
}

/// A rule that an object brings along counts only from Git; one a person wrote on the object is taken away, for it looks as if
/// it counted.
fn exempts_itself(path: &Path) -> bool {
    path.spells(&["metadata", "annotations", IGNORE])
}

/// What of an undeclared value stays, whatever happens to the rest: what rules exclude, and what is left alone. List
/// elements stay or go as a whole.
pub fn part_that_stays(exclusions: &Exclusions, path: &Path, live: &Value) -> Option<Value> {
    if exclusions.cover(path) || is_left_alone(Kind::Leftover, path) {
        return Some(live.clone());
    }
    if !exclusions.reach_below(path) && !leaves_alone_below(path) {
        return None;
    }
    match live {
        Value::Object(fields) => {
            let part = |(name, value): (&String, &Value)| {
                let below = Path::new([path.steps(), &[Step::Field(name.as_str().into())]].concat());
                Some((name.clone(), part_that_stays(exclusions, &below, value)?))
            };
            let parts: serde_json::Map<_, _> = fields.iter().filter_map(part).collect();
            (!parts.is_empty()).then_some(Value::Object(parts))
        }
        Value::Array(elements) => {
            let parts: Vec<_> = elements.iter().filter(|element| exclusions.cover_element(path, element)).collect();
            (!parts.is_empty()).then(|| parts.into_iter().cloned().collect())
        }
        _ => None,
    }
}

/// `replicas` may be all there is to a `spec`: it is not reported as a whole.
fn leaves_alone_below(path: &Path) -> bool {
    let replicas = Path::of_fields(&REPLICAS);
    path.covers(&replicas) && *path != replicas
}

/// The field that people, autoscalers and Git take turns at.
const REPLICAS: [&str; 2] = ["spec", "replicas"];
