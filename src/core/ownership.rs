//! Whether our entry in `managedFields` was tampered with.
//!
//! Whoever updates an object may send any `managedFields` along, and the API server takes them for what was there before. By
//! itself an edit only ever takes paths *out* of our entry: those whose values it changes. So an entry that is gone, that has
//! grown, or that has lost a path whose value is as it was, was written by hand: a false entry would hide from every later heal
//! what Git once declared, or claim what it never did.
//!
//! When the schema of a kind changes, the API server rewrites entries at the next update: a path becomes its children, or the
//! other way about. What covers, or is covered by, what went is therefore not a forgery.

use std::collections::HashSet;

use serde_json::Value;

use super::compare::Scope;
use super::fields::{Entry, Fields};
use super::path::{Path, Step};
use super::state::State;

/// Has somebody else wiped or written our entry in this edit? `api_version` is that of the objects: an entry of another
/// version speaks of paths that are not there, and is not looked into.
pub fn is_forged(old: &State<'_>, new: &State<'_>, scope: Scope<'_>, api_version: Option<&str>) -> bool {
    let (before, after) = match (old.our_entry(), new.our_entry()) {
        (None, None) => return false,
        (Some(before), Some(after)) if before.fields == after.fields => return false,
        (Some(before), Some(after)) => (before, after),
        _ => return true,
    };
    if before.api_version != after.api_version {
        return true;
    }
    let is_readable = api_version.is_none_or(|version| version == before.api_version);
    is_readable && is_rewritten(&owned(&before.fields), &owned(&after.fields), [old, new], scope)
}

/// Have these managers lost paths in this edit whose values are as they were? What their own hands do to their entries is not
/// asked: an edit in a tool's name that adds something only makes it declare more.
pub fn is_wiped(old: &State<'_>, new: &State<'_>, scope: Scope<'_>, is_theirs: &dyn Fn(&Entry<'_>) -> bool) -> bool {
    let (before, after) = (owned_by(old, is_theirs), owned_by(new, is_theirs));
    let (gone, come) = (beside(&before, &after), beside(&after, &before));
    gone.iter().any(|path| is_as_it_was(path, [old, new], scope) && !is_related(path, &come))
}

/// What these managers lose in this edit. An edit takes out of every entry the paths whose values it changes, each in the version
/// that entry is of: so this is how an edit is judged that comes in another one, in which those paths are not to be found.
pub fn taken(old: &State<'_>, new: &State<'_>, is_theirs: &dyn Fn(&Entry<'_>) -> bool) -> Vec<Path> {
    let (before, after) = (owned_by(old, is_theirs), owned_by(new, is_theirs));
    let come = beside(&after, &before);
    beside(&before, &after).into_iter().filter(|path| !is_related(path, &come)).cloned().collect()
}

fn is_rewritten(before: &[Path], after: &[Path], [old, new]: [&State<'_>; 2], scope: Scope<'_>) -> bool {
    let (gone, come) = (beside(before, after), beside(after, before));
    let has_grown = come.iter().any(|path| !is_related(path, &gone));
    has_grown || gone.iter().any(|path| is_as_it_was(path, [old, new], scope) && !is_related(path, &come))
}

fn is_related(path: &Path, others: &[&Path]) -> bool {
    others.iter().any(|other| other.covers(path) || path.covers(other))
}

fn is_as_it_was(path: &Path, [old, new]: [&State<'_>; 2], scope: Scope<'_>) -> bool {
    !is_in(scope, path) || value_at(old.object, path) == value_at(new.object, path)
}

/// Those of these paths that are not among the others. An entry may own ten thousand.
fn beside<'p>(these: &'p [Path], others: &[Path]) -> Vec<&'p Path> {
    let others: HashSet<_> = others.iter().collect();
    these.iter().filter(|path| !others.contains(path)).collect()
}

/// The paths these managers own.
fn owned_by(state: &State<'_>, is_theirs: &dyn Fn(&Entry<'_>) -> bool) -> Vec<Path> {
    let mut paths = Vec::new();
    for entry in state.owners().filter(is_theirs) {
        collect(entry.fields, &mut Vec::new(), &mut paths);
    }
    paths
}

/// The paths an entry owns.
fn owned(fields: &str) -> Vec<Path> {
    let node: Value = serde_json::from_str(fields).unwrap_or_default();
    let mut paths = Vec::new();
    collect(Fields::new(&node), &mut Vec::new(), &mut paths);
    paths
}

fn collect(fields: Fields<'_>, path: &mut Vec<Step>, paths: &mut Vec<Path>) {
    if !path.is_empty() && fields.owns_itself() {
        paths.push(Path::new(path.clone()));
    }
    for (step, below) in fields.children() {
        path.push(step);
        collect(below, path, paths);
        path.pop();
    }
}

fn is_in(scope: Scope<'_>, path: &Path) -> bool {
    matches!(path.steps().first(), Some(Step::Field(section)) if scope.contains(section))
}

fn value_at<'v>(object: &'v Value, path: &Path) -> Option<&'v Value> {
    path.steps().iter().try_fold(object, |value, step| step.find(value))
}

#[cfg(test)]
mod tests;
