//! The places of an object that are worth a line: those Git declares, and those somebody else wrote.

use serde_json::Value;

use crate::core::declaration::{Declaration, Node, Shape};
use crate::core::fields::{Entry, Fields};
use crate::core::path::{Path, Step};
use crate::core::state::State;

/// One declared place.
pub(super) struct Leaf {
    /// Where.
    pub path: Path,
    /// Line in Git.
    pub line: u32,
    /// Git's value; null where the API server makes nothing of it.
    pub git: Value,
}

/// Every declared place, in the declaration's order.
pub(super) fn leaves(declaration: &Declaration) -> Vec<Leaf> {
    let mut found = Vec::new();
    for (name, node) in &declaration.sections {
        leaves_below(node, &mut vec![Step::Field(name.clone())], &mut found);
    }
    found
}

fn leaves_below(node: &Node, steps: &mut Vec<Step>, found: &mut Vec<Leaf>) {
    let mut below = |step: Step, node: &Node| {
        steps.push(step);
        leaves_below(node, steps, found);
        steps.pop();
    };
    match &node.shape {
        Shape::Fields(fields) => fields.iter().for_each(|(name, node)| below(Step::Field(name.clone()), node)),
        Shape::Elements(elements) => elements.iter().for_each(|(key, node)| below(Step::Key(key.clone()), node)),
        Shape::Members(members) => found.extend(members.iter().map(|member| {
            let path = Path::new([&steps[..], &[Step::Value(member.clone())]].concat());
            Leaf { path, line: node.line, git: member.clone() }
        })),
        Shape::Leaf(_) | Shape::Open(_) => {
            found.push(Leaf { path: Path::new(steps.clone()), line: node.line, git: node.value() });
        }
        Shape::Nothing => found.push(Leaf { path: Path::new(steps.clone()), line: node.line, git: Value::Null }),
    }
}

/// The highest places that somebody besides us owns and Git does not declare. Status and our own stamps are not among them.
pub(super) fn beside(declaration: &Declaration, live: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    let state = State::whole(live);
    for entry in state.owners().filter(|entry: &Entry<'_>| !entry.is_ours() && entry.subresource != "status") {
        for (step, owned) in entry.fields.children().filter(|(step, _)| !step.is_field("status")) {
            beside_below(declaration, owned, &mut vec![step], live, &mut found);
        }
    }
    found
}

fn beside_below(
    declaration: &Declaration,
    owned: Fields<'_>,
    steps: &mut Vec<Step>,
    live: &Value,
    found: &mut Vec<Path>,
) {
    let path = Path::new(steps.clone());
    let member = matches!(steps.split_last(), Some((Step::Value(value), list))
        if declaration.find(&Path::new(list.to_vec())).is_some_and(|node| is_member(node, value)));
    let declared = member || declaration.find(&path).is_some();
    if !declared && owned.owns_itself() {
        if path.find(live).is_some() && !found.iter().any(|known| known.covers(&path)) {
            found.retain(|known| !path.covers(known));
            found.push(path);
        }
        return;
    }
    for (step, below) in owned.children() {
        steps.push(step);
        beside_below(declaration, below, steps, live, found);
        steps.pop();
    }
}

fn is_member(node: &Node, value: &Value) -> bool {
    matches!(&node.shape, Shape::Members(members) if members.contains(value))
}
