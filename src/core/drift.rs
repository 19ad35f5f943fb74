//! The one question: `drift = deviations − exclusions`, and what of it an edit brought in.
//!
//! Both edges call this module and no other. The reconciler asks for the [`drift`] of what is live; the webhook asks which
//! drift an edit [`introduced`]. A guarded user's edit is denied exactly when the reconciler would have to undo some of it:
//! `tests/agree.rs` holds that law.

use super::compare::{Deviation, Kind, Scope, compare};
use super::snapshot::{Managed, Undeclared};
use super::state::State;
use super::undeclared::{IsPerson, differs_undeclared, undeclared};

/// Where the cluster differs from Git in a way that matters: what the reconciler has to undo. Empty ⇔ in sync.
pub fn drift(managed: &Managed, state: &State<'_>, is_person: IsPerson<'_>) -> Vec<Deviation> {
    let mut found = compare(&managed.declaration, state, Scope::Whole);
    if managed.sync.undeclared != Undeclared::Allow {
        let mut undeclared = undeclared(&managed.declaration, state, is_person, Scope::Whole);
        undeclared.retain(|deviation| deviation.kind == Kind::Leftover || managed.sync.undeclared == Undeclared::Deny);
        found.extend(undeclared);
    }
    managed.exclusions.subtract_from(&mut found);
    found
}

/// `drift(new) − drift(old)`, over the sections in `scope`, with undeclared additions even where the policy merely warns of
/// them. A deviation that only takes another wrong value is introduced again; one that was there before is not.
///
/// Ownership is the costly half (`managedFields` is often longer than the object), so it is read only when something that
/// Git does not declare differs at all.
pub fn introduced(managed: &Managed, change: &Change<'_, '_>) -> Vec<Deviation> {
    let Change { old, new, scope, is_person } = *change;
    let declaration = &managed.declaration;
    let mut found = compare(declaration, new, scope);
    if !found.is_empty() {
        subtract(&mut found, &compare(declaration, old, scope));
    }
    if managed.sync.undeclared != Undeclared::Allow && differs_undeclared(declaration, old.object, new.object, scope) {
        let mut added = undeclared(declaration, new, is_person, scope);
        subtract(&mut added, &undeclared(declaration, old, is_person, scope));
        found.extend(added);
    }
    managed.exclusions.subtract_from(&mut found);
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

/// What is in `found` and was not there `before`, at the same place and in the same wrong way. Where Git's value stands in its
/// file does not matter.
fn subtract(found: &mut Vec<Deviation>, before: &[Deviation]) {
    let same = |a: &Deviation, b: &Deviation| a.path == b.path && a.kind == b.kind && a.live == b.live;
    found.retain(|new| !before.iter().any(|old| same(old, new)));
}
