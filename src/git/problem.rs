//! A complaint about one place in Git.
//!
//! Reading never fails as a whole because of what one file says: the other objects of a sync are still guarded and healed.
//! But as long as there is a problem nobody knows what the file *meant* to declare, so nothing may be pruned.

use std::fmt;
use std::sync::Arc;

/// Something in a file that is not applied, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path inside the repository, `/`-separated.
    pub file: Arc<str>,
    /// Line (1-based), where one can be named.
    pub line: Option<u32>,
    /// What is wrong, written for the person who wrote the file.
    pub reason: String,
}

// === impl Problem ===

impl Problem {
    /// A problem with a file as a whole.
    pub fn in_file(file: &Arc<str>, reason: impl Into<String>) -> Self {
        Self { file: Arc::clone(file), line: None, reason: reason.into() }
    }

    /// A problem on one line.
    pub fn at(file: &Arc<str>, line: u32, reason: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::in_file(file, reason) }
    }
}

impl fmt::Display for Problem {
    /// `apps/api.yaml:12: …`, the form editors and terminals make clickable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, reason } = self;
        match line {
            Some(line) => write!(f, "{file}:{line}: {reason}"),
            None => write!(f, "{file}: {reason}"),
        }
    }
}
