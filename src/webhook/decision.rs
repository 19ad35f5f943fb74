//! What becomes of a review: the verdict, and what is answered.

use super::answer::{Answer, Refusal};
use super::trial::Trial;
use crate::core::judge::Verdict;
use crate::core::stamp::Write;

/// What was decided.
pub(super) struct Decision {
    /// For metrics and traces.
    pub verdict: Verdict,
    /// What is said.
    pub answer: Answer,
    /// Has the object any annotations to write beside?
    pub annotated: bool,
}

// === impl Decision ===

impl Decision {
    /// Nothing to object to.
    pub(super) fn pass() -> Self {
        Self { verdict: Verdict::Allow, answer: Answer::default(), annotated: false }
    }

    /// No, and why.
    pub(super) fn refused(refusal: Refusal) -> Self {
        let answer = Answer { refusal: Some(refusal), ..Answer::default() };
        Self { verdict: Verdict::Deny, answer, annotated: false }
    }

    /// It passes, with this on it.
    pub(super) fn write(trial: &Trial<'_>, writes: Vec<Write>) -> Self {
        Self {
            verdict: Verdict::Allow,
            answer: Answer { writes, ..Answer::default() },
            annotated: trial.is_annotated(),
        }
    }
}
