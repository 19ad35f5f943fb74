//! What a judgement says: what is to happen, and why, as closed enums that everything else is read off.

use std::sync::Arc;

use super::super::breakglass::{Glass, Refused};
use super::super::compare::Deviation;
use super::super::exclude::RuleError;
use super::super::guard::Tool;
use super::super::object::ObjectKey;

/// What is to happen, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// What is to happen.
    pub verdict: Verdict,
    /// Why.
    pub why: Why,
    /// What the edit brings in that Git does not say; the reconciler would undo it.
    pub introduced: Vec<Deviation>,
    /// Exclusion rules that failed on the object: it was judged without them.
    pub failed: Vec<RuleError>,
}

/// What is to happen with an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It passes, and is nothing to speak of.
    Allow,
    /// It passes and is recorded.
    Note,
    /// It passes with a warning.
    Warn,
    /// It passes and the object is marked.
    Mark,
    /// It passes and is recorded: it would be refused, if the policy did more than observe.
    WouldDeny,
    /// It is refused.
    Deny,
}

/// Why a verdict is what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Our own write.
    Ourselves,
    /// Written under our account by somebody else.
    InOurGuise,
    /// Git does not declare this object.
    Unmanaged,
    /// The sync's admission mode is `Off`.
    Off,
    /// The object is on its way out already.
    Terminating,
    /// A controller's doing; the reconciler judges it.
    Controller,
    /// Nothing is introduced that Git does not say.
    EqualsGit,
    /// A break-glass is open, or opened by this very edit.
    BreakGlass(Glass),
    /// A break-glass is closed; Git wins again.
    BreakGlassClosed,
    /// The sync is paused.
    Suspended,
    /// The edit introduces drift.
    Drift,
    /// A managed object would be deleted.
    Delete,
    /// A namespace with this many managed objects would be deleted.
    NamespaceDelete(usize),
    /// The definition of this many managed objects would be deleted.
    DefinitionDelete(usize),
    /// A namespace with this object, among others, that a tool keeps would be deleted.
    NamespaceKept(Box<ObjectKey>, Arc<Tool>),
    /// The marks of a managed object would be changed or removed.
    Marks,
    /// An object Git does not declare would be made to look managed.
    Forged,
    /// Our entry in `managedFields` would be wiped, or written by somebody else.
    Ownership,
    /// The owner references of a managed object would be changed.
    OwnerReferences,
    /// A person would add or take away a finalizer that Git does not declare.
    Finalizers,
    /// A break-glass that is not granted.
    Refused(Refused),
}

// === impl Judgement ===

impl Judgement {
    pub(super) fn of(verdict: Verdict, why: Why) -> Self {
        Self { verdict, why, introduced: Vec::new(), failed: Vec::new() }
    }
}
