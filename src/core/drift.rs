//! The one question: `drift = deviations − exclusions`, and what of it an edit brought in.
//!
//! Both edges call this module and no other. The reconciler asks for the [`drift`] of what is live; the webhook asks which
//! drift an edit [`introduced`]. A guarded user's edit is denied exactly when the reconciler would have to undo some of it:
//! `tests/agree.rs` holds that law.

use std::borrow::Cow;

use serde_json::Value;

use super::compare::{Deviation, Scope, compare, compare_after};
use super::exclude::{Exclusions, RuleError};
use super::path::Path;
use super::snapshot::{Managed, Undeclared};
use super::state::State;
use super::undeclared::{IsPerson, Look, differs_undeclared, undeclared};
use super::value::same;

/// Where the cluster differs from Git in a way that matters: what the reconciler has to undo. Empty ⇔ in sync.
///
/// Leftovers of our own are always undone; what people added only if the policy says so, and otherwise it is their business
/// like any other manager's.
pub fn drift(managed: &Managed, state: &State<'_>, is_person: IsPerson<'_>) -> Vec<Deviation> {
    let found = deviations_beside(managed, state, is_person, &managed.exclusions);
    if found.is_empty() {
        return found;
    }
    let exclusions = managed.excluded(state);
    let mut found = match &exclusions {
        Cow::Borrowed(_) => found,
        Cow::Owned(more) => deviations_beside(managed, state, is_person, more),
    };
    exclusions.subtract_from(&mut found);
    found
}

/// Rules that failed on this object as it is. Where there is drift besides, nobody knows whether it is any: they have to be
/// asked for whenever there is some.
pub fn failed_rules(managed: &Managed, state: &State<'_>) -> Vec<RuleError> {
    managed.excluded(state).failed().to_vec()
}

/// Where the cluster differs from Git, exclusions not yet subtracted: [`drift`], and what rules say is somebody else's business.
pub fn deviations(managed: &Managed, state: &State<'_>, is_person: IsPerson<'_>) -> Vec<Deviation> {
    deviations_beside(managed, state, is_person, &managed.excluded(state))
}

fn deviations_beside(
    managed: &Managed,
    state: &State<'_>,
    is_person: IsPerson<'_>,
    exclusions: &Exclusions,
) -> Vec<Deviation> {
    let nobody: IsPerson<'_> = &|_| false;
    let is_person = if managed.sync.undeclared == Undeclared::Deny { is_person } else { nobody };
    let mut found = compare(&managed.declaration, state, Scope::Whole);
    let look = Look { is_person, scope: Scope::Whole, before: None, exclusions };
    found.extend(undeclared(&managed.declaration, state, &look));
    found
}

/// The drift of `new` at those places where it is not what `old` was, over the sections in `scope`, with undeclared additions
/// even where the policy merely warns of them. A place that takes another wrong value is introduced again; one that stays as
/// wrong as it was, or comes nearer to Git, is not.
///
/// Ownership is the costly half (`managedFields` is often longer than the object), so it is read only when something that
/// Git does not declare differs at all.
pub fn introduced(managed: &Managed, change: &Change<'_, '_>) -> Vec<Deviation> {
    let Change { old, new, scope, is_person } = *change;
    let declaration = &managed.declaration;
    let mut found = compare_after(declaration, old.object, new, scope);
    found.retain(|deviation| differs_at(&deviation.path, old.object, new.object));
    if managed.sync.undeclared != Undeclared::Allow && differs_undeclared(declaration, old.object, new.object, scope) {
        let exclusions = &*managed.excluded(new);
        let look = Look { is_person, scope, before: Some(old.object), exclusions };
        found.extend(undeclared(declaration, new, &look));
    }
    if !found.is_empty() {
        managed.excluded(new).subtract_from(&mut found);
    }
    found
}

/// An object before and after an edit.
#[derive(Clone, Copy)]
pub struct Change<'a, 's> {
    /// Before.
    pub old: &'a State<'s>,
    /// After.
    pub new: &'a State<'s>,
    /// The sections in which the two may differ.
    pub scope: Scope<'a>,
    /// Which field managers stand for a person.
    pub is_person: IsPerson<'a>,
}

fn differs_at(path: &Path, old: &Value, new: &Value) -> bool {
    match (path.find_all(old).as_slice(), path.find_all(new).as_slice()) {
        ([], [one]) | ([one], []) => !same(&Value::Null, one),
        (old, new) => old.len() != new.len() || old.iter().zip(new).any(|(old, new)| !same(old, new)),
    }
}
