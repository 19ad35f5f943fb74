//! What a comparison comes to: findings, what could not be judged, and the exit code in it.

use serde::Serialize;

use super::finding::Finding;
use crate::git::Problem;

/// What a comparison found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How many objects were judged.
    pub judged: usize,
    /// The GitSyncs they belong to.
    pub syncs: Vec<String>,
    /// Objects that are not what Git says, also where rules exclude that.
    pub objects: Vec<Finding>,
    /// What could not be judged.
    pub problems: Vec<Trouble>,
    /// What whoever reads this should know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Something that could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// The GitSync.
    pub sync: String,
    /// File in the repository, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What is wrong.
    pub reason: String,
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The cluster is what Git says.
    InSync,
    /// It is not.
    Drift,
    /// Some of it could not be judged.
    Incomplete,
}

// === impl Report ===

impl Report {
    /// What it comes to.
    pub fn outcome(&self) -> Outcome {
        if !self.problems.is_empty() {
            Outcome::Incomplete
        } else if self.drifted() > 0 {
            Outcome::Drift
        } else {
            Outcome::InSync
        }
    }

    /// How many objects drifted.
    pub fn drifted(&self) -> usize {
        self.objects.iter().filter(|finding| finding.drift).count()
    }

    /// How many places rules exclude.
    pub fn excluded(&self) -> usize {
        self.objects.iter().flat_map(|finding| &finding.deviations).filter(|found| found.excluded.is_some()).count()
    }
}

// === impl Trouble ===

impl Trouble {
    pub(super) fn of(sync: &str, problem: Problem) -> Self {
        let Problem { file, line, reason } = problem;
        Self { sync: sync.to_owned(), file: Some(file.to_string()), line, reason }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sync, file, line, reason } = self;
        match (file, line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: {reason}"),
            (Some(file), None) => write!(f, "{file}: {reason}"),
            (None, _) => write!(f, "GitSync {sync}: {reason}"),
        }
    }
}
