//! Where the guards of the `DriftPolicy` would protect less.
//!
//! A selector is not weighed: whether other labels select fewer objects only the cluster knows, so any change of them counts.

use super::{Loosened, added, named, undeclared_strength};
use crate::api::guard::{GuardMode, GuardSelector, GuardSpec};

/// What an edit of the guards loosens. They are known by their names.
pub(super) fn loosened(old: &[GuardSpec], new: &[GuardSpec]) -> Vec<Loosened> {
    let successor = |guard: &GuardSpec| new.iter().find(|other| other.name == guard.name);
    old.iter().flat_map(|guard| successor(guard).map_or_else(|| vec![gone(guard)], |new| weaker(guard, new))).collect()
}

fn gone(guard: &GuardSpec) -> Loosened {
    Loosened { field: at(guard), from: "in force".to_owned(), to: "nothing".to_owned() }
}

fn weaker(old: &GuardSpec, new: &GuardSpec) -> Vec<Loosened> {
    let at = at(old);
    let mut found = added(&format!("{at}.writers"), &old.writers, &new.writers);
    found.extend(lost(&format!("{at}.managers"), &old.managers, &new.managers));
    if strength(new.mode) < strength(old.mode) {
        found.push(Loosened { field: format!("{at}.mode"), from: named(old.mode), to: named(new.mode) });
    }
    if undeclared_strength(new.undeclared) < undeclared_strength(old.undeclared) {
        let (from, to) = (named(old.undeclared), named(new.undeclared));
        found.push(Loosened { field: format!("{at}.undeclared"), from, to });
    }
    found.extend(narrower(&format!("{at}.selector"), &old.selector, &new.selector));
    found
}

fn narrower(at: &str, old: &GuardSelector, new: &GuardSelector) -> Vec<Loosened> {
    let mut found = Vec::new();
    if old.label_selector != new.label_selector {
        let said = |selector: &GuardSelector| serde_json::to_string(&selector.label_selector).unwrap_or_default();
        found.push(Loosened { field: format!("{at}.labelSelector"), from: said(old), to: said(new) });
    }
    found.extend(added(&format!("{at}.annotations"), &old.annotations, &new.annotations));
    for (name, old, new) in
        [("resources", &old.resources, &new.resources), ("namespaces", &old.namespaces, &new.namespaces)]
    {
        let field = format!("{at}.{name}");
        match (old.is_empty(), new.is_empty()) {
            (_, true) => {}
            (true, false) => found.push(Loosened { field, from: "any".to_owned(), to: new.join(", ") }),
            (false, false) => found.extend(lost(&field, old, new)),
        }
    }
    found
}

/// Elements that are no longer there.
fn lost(field: &str, old: &[String], new: &[String]) -> Vec<Loosened> {
    let gone = added(field, new, old);
    gone.into_iter().map(|Loosened { field, from, to }| Loosened { field, from: to, to: from }).collect()
}

fn at(guard: &GuardSpec) -> String {
    format!("spec.guards[{}]", guard.name)
}

fn strength(mode: GuardMode) -> u8 {
    match mode {
        GuardMode::Deny => 2,
        GuardMode::Warn => 1,
        GuardMode::Off => 0,
    }
}
