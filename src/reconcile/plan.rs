//! What to do, as pure functions of what is known: the order of a sync, what may be pruned, and how to answer a sight.
//!
//! Nothing here waits or writes, so every rule is tested with values; `pass` and `heal` carry it out.

use jiff::Timestamp;
use serde_json::Value;

use crate::core::breakglass::{self, Glass};
use crate::core::compare::Deviation;
use crate::core::names::{BREAK_GLASS_ALL, MANUAL_EDIT, PRUNE, TRACKING_ID, tracked_by};
use crate::core::object::ObjectKey;
use crate::core::state::State;

/// The steps of a sync. What is in one step is written together; the next begins when all of it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Namespaces and CRDs: without them others cannot even be dry-run.
    Foundation,
    /// Who may do what: accounts, roles, bindings.
    Access,
    /// Everything else.
    Rest,
}

/// What is to be done about a managed object as it was just seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// It is what Git says.
    InSync,
    /// It is being deleted; whatever is to be done is done when it is gone.
    Terminating,
    /// It drifted, and somebody with the right to holds it open.
    Open(Glass),
    /// It drifted, and the sync only reports.
    Report,
    /// It drifted, or carries marks that have had their day: write.
    Heal,
    /// It is to be written because of a commit, and its wave has not come yet.
    Wait,
}

/// What bears on the response besides the object.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Does the sync heal?
    pub self_heal: bool,
    /// Is it paused?
    pub suspended: bool,
    /// Does a window keep it from writing, or a fight?
    pub held: bool,
    /// When it is.
    pub now: Timestamp,
}

/// Why an object that left Git is not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It carries `holdfast.dev/prune: disabled`.
    OptedOut,
    /// Another object owns it, and takes it along.
    Owned,
    /// A namespace the cluster itself needs.
    Special,
}

/// Largest share of a sync's objects that one commit may delete without confirmation, in percent.
/// A partial read of Git once wiped three quarters of somebody's namespaces (config-sync#408).
pub const PRUNE_LIMIT: usize = 50;

/// When an object is written.
pub fn stage(key: &ObjectKey) -> Stage {
    match (key.group.as_str(), key.kind.as_str()) {
        ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition") => Stage::Foundation,
        ("rbac.authorization.k8s.io", _) | ("", "ServiceAccount") => Stage::Access,
        _ => Stage::Rest,
    }
}

/// How to answer the sight of a managed object.
pub fn respond(state: &State<'_>, drift: &[Deviation], policy: Policy) -> Response {
    if state.object.pointer("/metadata/deletionTimestamp").is_some() {
        return Response::Terminating;
    }
    let glass = breakglass::open(state, policy.now);
    let settled = drift.is_empty() && state.is_owned_as_it_is();
    match glass {
        Some(_) if settled => Response::InSync,
        Some(glass) => Response::Open(glass),
        None if settled && outdated(state).next().is_none() => Response::InSync,
        None if policy.suspended || policy.held || !policy.self_heal => {
            if drift.is_empty() {
                Response::InSync
            } else {
                Response::Report
            }
        }
        None => Response::Heal,
    }
}

/// Our annotations that have had their day on an object without an open break-glass: marks of edits, and what is left of an
/// emergency.
pub fn outdated<'s>(state: &'s State<'_>) -> impl Iterator<Item = &'static str> + use<'s> {
    let names = std::iter::once(MANUAL_EDIT).chain(BREAK_GLASS_ALL);
    names.filter(|name| state.annotation(name).is_some())
}

/// Does this live object say that `sync` manages it, and is it not a copy of one that does?
pub fn is_tracked_by(sync: &str, key: &ObjectKey, object: &Value) -> bool {
    let id = State::whole(object).annotation(TRACKING_ID);
    id.and_then(|id| tracked_by(id, key)) == Some(sync)
}

/// May this object, which left Git, be deleted?
pub fn may_prune(key: &ObjectKey, object: &Value) -> Result<(), Kept> {
    const SPECIAL: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
    let owned = object.pointer("/metadata/ownerReferences").and_then(Value::as_array).is_some_and(|o| !o.is_empty());
    if State::whole(object).annotation(PRUNE) == Some("disabled") {
        Err(Kept::OptedOut)
    } else if owned {
        Err(Kept::Owned)
    } else if key.kind == "Namespace" && SPECIAL.contains(&key.name.as_str()) {
        Err(Kept::Special)
    } else {
        Ok(())
    }
}

/// May so many be deleted at once, of which `declared` stay? Never everything, never more than the limit.
pub fn is_within_limit(unwanted: usize, declared: usize) -> bool {
    unwanted == 0 || (declared > 0 && unwanted * 100 <= PRUNE_LIMIT * (unwanted + declared))
}

/// Does this confirmation speak of exactly this commit? Less than seven digits could be anybody's.
pub fn confirms(confirmation: &str, revision: &str) -> bool {
    let confirmation = confirmation.trim();
    confirmation.len() >= 7 && revision.starts_with(confirmation)
}

// === impl Kept ===

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OptedOut => write!(f, "it carries {PRUNE}: disabled"),
            Self::Owned => write!(f, "it has an owner, and goes when that goes"),
            Self::Special => write!(f, "the cluster itself needs this namespace"),
        }
    }
}

#[cfg(test)]
mod tests;
