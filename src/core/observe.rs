//! The first week: nobody is refused yet, and it is known who would have been.
//!
//! What is let through is what people and pipelines do every day: edits, deletions, owner references, finalizers, and writing an object without
//! the marks it had (as `kubectl replace` does). What is still refused nobody does by accident, and Holdfast itself builds on it:
//! marks and stamps that say something false, our entry in `managedFields`, a break-glass without the right. A stamp forged in that
//! week would be believed in the next.

use super::judge::{Judgement, Verdict, Why};

/// The judgement where nobody is refused for what they do to their objects.
pub(super) fn observed(judgement: Judgement) -> Judgement {
    let everyday = matches!(
        judgement.why,
        Why::Drift | Why::Delete | Why::NamespaceDelete(_) | Why::OwnerReferences | Why::Finalizers
    );
    let refused = judgement.verdict == Verdict::Deny;
    let verdict = if refused && everyday { Verdict::WouldDeny } else { judgement.verdict };
    Judgement { verdict, ..judgement }
}
