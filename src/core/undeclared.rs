//! What stands in a managed object although Git does not declare it: additions by people, and leftovers of our own.
//!
//! Undeclared fields are usually nobody's fault: defaults, sidecars, status, addresses. Only two kinds are drift. A field a
//! *person* put there (recognised in the cluster by an interactive field manager, at admission by being the one who asks),
//! and a field that is still ours from an earlier commit. What any other manager co-owns is that manager's business.

use serde_json::Value;

use super::compare::{Deviation, Kind, Scope};
use super::declaration::{Declaration, Node, Shape};
use super::fields::{Entry, Fields};
use super::path::{Path, Step};
use super::state::State;
use super::value::same;

/// Decides which field managers stand for a person.
pub type IsPerson<'a> = &'a dyn Fn(&Entry<'_>) -> bool;

/// Every undeclared place that a person's managers own, or that we still own, and nobody else does.
/// Kinds `Added` and `Leftover` only; each path is the highest such place, and none lies below another.
pub fn undeclared(
    declaration: &Declaration,
    state: &State<'_>,
    is_person: IsPerson<'_>,
    scope: Scope<'_>,
) -> Vec<Deviation> {
    let entries: Vec<_> = state.owners().filter(|entry| entry.subresource != "status").collect();
    let (ours, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(Entry::is_ours);
    let (people, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|entry| is_person(entry));
    let others: Vec<_> = others.iter().filter(|entry| !is_our_update(entry)).map(|entry| entry.fields).collect();
    let mut found = Vec::new();
    for (kind, owners) in [(Kind::Added, people), (Kind::Leftover, ours)] {
        for entry in owners {
            let pristine = declaration.pristine.as_deref();
            let mut search = Search { kind, pristine, path: Vec::new(), found: &mut found };
            search.sections(declaration, entry.fields, &others, state.object, scope);
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
    sections.filter(|(name, _)| scope.contains(name) && is_content(name) && *name != "metadata").any(|(name, new)| {
        let old = old.get(name);
        match declaration.sections.iter().find(|(section, _)| **section == **name) {
            Some((_, node)) => differs_beside(node, old, new),
            None => old != Some(new),
        }
    })
}

/// Does anything beside the declared differ below this declared node?
fn differs_beside(node: &Node, old: Option<&Value>, new: &Value) -> bool {
    match (&node.shape, new) {
        (_, new) if old == Some(new) => false,
        (Shape::Fields(_), Value::Object(fields)) => fields.iter().any(|(name, new)| {
            let step = Step::Field(name.as_str().into());
            differs_at(node.child(&step), old.and_then(|old| old.get(name)), new)
        }),
        (Shape::Elements(declared), Value::Array(elements)) => elements.iter().any(|new| {
            let key = declared.iter().find(|(key, _)| key.matches(new));
            let old = old.and_then(Value::as_array);
            match key {
                Some((key, node)) => {
                    differs_beside(node, old.and_then(|old| old.iter().find(|element| key.matches(element))), new)
                }
                None => old.is_none_or(|old| !old.contains(new)),
            }
        }),
        (Shape::Members(declared), Value::Array(values)) => {
            let old = old.and_then(Value::as_array);
            values.iter().any(|new| !declared.contains(new) && old.is_none_or(|old| !old.contains(new)))
        }
        (Shape::Leaf(declared), Value::Object(_)) => declared.as_object().is_some_and(serde_json::Map::is_empty),
        _ => false,
    }
}

fn differs_at(declared: Option<&Node>, old: Option<&Value>, new: &Value) -> bool {
    match declared {
        Some(node) => differs_beside(node, old, new),
        None => old != Some(new),
    }
}

struct Search<'f> {
    kind: Kind,
    pristine: Option<&'f Value>,
    path: Vec<Step>,
    found: &'f mut Vec<Deviation>,
}

// === impl Search ===

impl Search<'_> {
    fn sections(
        &mut self,
        declaration: &Declaration,
        owned: Fields<'_>,
        others: &[Fields<'_>],
        live: &Value,
        scope: Scope<'_>,
    ) {
        for (step, below) in owned.children() {
            let Step::Field(name) = &step else { continue };
            if scope.contains(name) && is_content(name) {
                let declared = declaration.sections.iter().find(|(section, _)| section == name).map(|(_, node)| node);
                self.down(step, declared, below, others, live);
            }
        }
    }

    /// One step down, if something lives there.
    fn down(&mut self, step: Step, declared: Option<&Node>, owned: Fields<'_>, others: &[Fields<'_>], live: &Value) {
        let Some(live) = step.find(live) else { return };
        let others: Vec<_> = others.iter().filter_map(|fields| fields.child(&step)).collect();
        self.path.push(step);
        match declared {
            Some(node) => self.below_declared(node, owned, &others, live),
            None => self.at_undeclared(owned, &others, live),
        }
        self.path.pop();
    }

    fn below_declared(&mut self, node: &Node, owned: Fields<'_>, others: &[Fields<'_>], live: &Value) {
        let members = if let Shape::Members(members) = &node.shape { members.as_slice() } else { &[] };
        for (step, below) in owned.children() {
            let is_member = matches!(&step, Step::Value(value) if members.contains(value));
            if !is_member {
                let declared = node.child(&step);
                self.down(step, declared, below, others, live);
            }
        }
    }

    /// Owned as a whole, and by nobody else: this is the place. Otherwise look further down. A place that is co-owned is
    /// never reported, and neither is what surrounds it: a person who edits an injected sidecar did not add the sidecar.
    fn at_undeclared(&mut self, owned: Fields<'_>, others: &[Fields<'_>], live: &Value) {
        if others.is_empty() && owned.owns_itself() {
            self.report(live);
            return;
        }
        for (step, below) in owned.children() {
            self.down(step, None, below, others, live);
        }
    }

    /// Whoever creates an object owns its defaults too. They are not something a person put there.
    fn is_default(&self, path: &Path, live: &Value) -> bool {
        self.pristine.and_then(|pristine| path.find(pristine)).is_some_and(|default| same(default, live))
    }

    fn report(&mut self, live: &Value) {
        let path = Path::new(self.path.clone());
        let known = self.found.iter().any(|found| found.path.covers(&path));
        if !known && !is_left_alone(self.kind, &path) && !self.is_default(&path, live) {
            self.found.retain(|found| !path.covers(&found.path));
            self.found.push(Deviation { path, kind: self.kind, git: None, live: Some(live.clone()), line: None });
        }
    }
}

/// Sections of an object that are content. `status` belongs to controllers.
fn is_content(section: &str) -> bool {
    section != "status"
}

/// Undeclared places that are not drift, whatever the policy says.
///
/// Object metadata is the common notice board: people may add to it (what *we* leave behind there is still cleaned up).
/// `rollout restart` is an operation, not a configuration. And replicas that Git leaves out are left to whoever scales:
/// undoing them would reset them to 1.
pub fn is_left_alone(kind: Kind, path: &Path) -> bool {
    (kind == Kind::Added && path.starts_with_fields(&["metadata"])) || *path == replicas() || *path == restarted_at()
}

/// `.spec.replicas`, the one field that people, autoscalers and Git take turns at.
fn replicas() -> Path {
    Path::of_fields(&["spec", "replicas"])
}

fn restarted_at() -> Path {
    Path::of_fields(&["spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"])
}
