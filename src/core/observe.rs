//! The first week: nobody is refused yet, and it is known who would have been.
//!
//! What is let through is what people and pipelines do every day: edits, deletions, owner references, finalizers, and writing an object without
//! the marks it had (as `kubectl replace` does). What is still refused nobody does by accident, and Holdfast itself builds on it:
//! marks and stamps that say something false, our entry in `managedFields`, a break-glass without the right. A stamp forged in that
//! week would be believed in the next.

use super::judge::{Judgement, Verdict, Why};

/// The judgement where nobody is refused for what they do to their objects.
pub(super) fn observed(judgement: Judgement) -> Judgement {
    let verdict = match (judgement.verdict, &judgement.why) {
        (
            Verdict::Deny,
            Why::Drift
            | Why::Delete
            | Why::NamespaceDelete(_)
            | Why::NamespaceKept(..)
            | Why::DefinitionDelete(_)
            | Why::OwnerReferences
            | Why::Finalizers,
        ) => Verdict::WouldDeny,
        (verdict, _) => verdict,
    };
    Judgement { verdict, ..judgement }
}
