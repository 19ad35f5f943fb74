//! What is wrong with an object somebody wrote: all of it at once, each with the way out.
//!
//! Reading goes on past the first mistake. Whoever has three of them wants one answer, not three attempts.

use std::fmt;

/// One mistake: where, what, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path as in the manifest, such as `spec.source.repoURL`.
    pub field: String,
    /// What is wrong, naming the value.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// Mistakes found so far. A reader that finds one reports it here and carries on with a stand-in value; [`Faults::or`] then
/// throws the whole result away, so a stand-in is never used.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<FieldError>);

// === impl FieldError ===

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, reason, remedy } = self;
        write!(f, "{field}: {reason}; {remedy}")
    }
}

impl std::error::Error for FieldError {}

// === impl Faults ===

impl Faults {
    /// Notes a mistake.
    pub(super) fn add(&mut self, field: &str, reason: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(FieldError { field: field.to_owned(), reason: reason.into(), remedy: remedy.into() });
    }

    /// Notes a mistake unless `holds`.
    pub(super) fn require(&mut self, holds: bool, field: &str, reason: &str, remedy: &str) {
        if !holds {
            self.add(field, reason, remedy);
        }
    }

    /// How many so far.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// `value` if nothing was wrong.
    pub(super) fn or<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}
