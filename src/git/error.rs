//! Why Git could not be read at all.
//!
//! What is wrong with single files is not here: that is a [`super::Problem`], and the rest is read nevertheless. URLs in
//! messages never carry credentials, because [`super::RepoUrl`] takes them out before anything else sees the URL.

use super::verify::Distrust;

/// Whatever lies below an error: the file that talks to Git decides, the others need not know.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Reason of a failure to reach the Git server.
const UNREACHABLE: &str = "GitUnreachable";
/// Reason of a failure to be sure of the Git server.
const SERVER_UNTRUSTED: &str = "ServerUntrusted";
/// Reason of a failure to believe a commit.
const UNVERIFIED: &str = "Unverified";
/// Reason of a failure to have credentials.
const SECRET_UNUSABLE: &str = "SecretUnusable";
/// Reason of a failure to find what to roll back to.
const ROLLBACK_FAILED: &str = "RollbackFailed";

/// Reading Git failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is not one Holdfast can read from.
    #[error("failed to use {url} as a repository: {reason}")]
    Url {
        /// The URL, without credentials.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server does not answer, or not in time.
    #[error("failed to reach {url}")]
    Unreachable {
        /// The URL, without credentials.
        url: String,
        /// What happened.
        source: Cause,
    },
    /// The server answers that there is no such repository, or not for these credentials: many do not tell the two apart.
    #[error("failed to read {url}: no such repository, or it needs other credentials")]
    Refused {
        /// The URL, without credentials.
        url: String,
        /// What the server said.
        source: Cause,
    },
    /// Somebody answers, and cannot be believed to be the server.
    #[error("refused to talk to {url}: {reason}")]
    Untrusted {
        /// The URL.
        url: String,
        /// What is not right, and what to do about it.
        reason: String,
    },
    /// GitHub gives the App no token.
    #[error("failed to log in to {url} as a GitHub App: {reason}")]
    Login {
        /// The URL.
        url: String,
        /// What is not right, and what to do about it; never a value.
        reason: String,
    },
    /// The Secret with the credentials is not there, or does not hold what it takes.
    #[error("failed to use Secret {secret} for {url}: {reason}")]
    Secret {
        /// As `namespace/name`.
        secret: String,
        /// The URL.
        url: String,
        /// What is not right, and what to do about it; never a value.
        reason: String,
    },
    /// The commit, or the tag it is known by, is not signed by anybody who may.
    #[error("{0}")]
    Unverified(Box<Unverified>),
    /// The server was reached but the objects did not arrive.
    #[error("failed to fetch {revision} from {url}")]
    Fetch {
        /// The URL, without credentials.
        url: String,
        /// What was asked for.
        revision: String,
        /// What happened.
        source: Cause,
    },
    /// Nothing there has that name.
    #[error("failed to find {revision} in {url}: it is no branch, tag or commit there")]
    NoSuchRevision {
        /// The URL, without credentials.
        url: String,
        /// What was asked for.
        revision: String,
    },
    /// Several things there have that name.
    #[error("failed to choose what {revision} means in {url}: it is {choices}")]
    Ambiguous {
        /// The URL, without credentials.
        url: String,
        /// What was asked for.
        revision: String,
        /// What it could mean, and how to write that.
        choices: String,
    },
    /// The revision exists and is a file or a folder.
    #[error("failed to read {revision} in {url}: it is not a commit")]
    NotACommit {
        /// The URL, without credentials.
        url: String,
        /// What was asked for.
        revision: String,
    },
    /// The commit exists, and was never part of what is followed.
    #[error(
        "refused to go back to {revision} in {url}: it is not in the history of {target}, and was not synced before; \
         `holdfast history` lists what was"
    )]
    Elsewhere {
        /// The URL, without credentials.
        url: String,
        /// What was asked for.
        revision: String,
        /// What is followed.
        target: String,
    },
    /// What somebody wants to go back to cannot be gone back to.
    #[error("failed to roll back; what was in force stays so")]
    Rollback {
        /// Why.
        source: Box<Self>,
    },
    /// The local copy is unusable, even though it was made anew.
    #[error("failed to use the local copy of {url}")]
    Cache {
        /// The URL, without credentials.
        url: String,
        /// What happened.
        source: Cause,
    },
    /// `spec.source.path` is not a path inside a repository.
    #[error("failed to use {path:?} as a path in the repository: {reason}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The commit has no such file or folder.
    #[error("failed to find {path:?} in commit {sha}")]
    NoSuchPath {
        /// The path.
        path: String,
        /// The commit.
        sha: String,
    },
    /// A folder of this machine, or something in it, cannot be read.
    #[error("failed to read {path}")]
    Folder {
        /// Which.
        path: String,
        /// What happened.
        source: Cause,
    },
    /// The path names a single file that is not YAML or JSON.
    #[error("failed to read manifests from {path:?}: it is neither a folder nor a .yaml, .yml or .json file")]
    NotManifests {
        /// The path.
        path: String,
    },
}

/// What is not signed by anybody who may.
#[derive(Debug, thiserror::Error)]
#[error("refused {what} of {url}, by {author}: {distrust}")]
pub struct Unverified {
    /// The commit or tag, such as `commit 1a2b3c4`.
    pub what: String,
    /// The commit's full id.
    pub sha: String,
    /// The URL.
    pub url: String,
    /// Whose it is, as it says itself.
    pub author: String,
    /// Why it is not believed.
    pub distrust: Distrust,
}

// === impl Error ===

impl Error {
    /// May it be gone in a moment, without anybody doing anything about it?
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Fetch { .. })
    }

    /// One word for what went wrong, as a condition's reason.
    pub fn condition(&self) -> &'static str {
        match self {
            Self::Secret { .. } | Self::Login { .. } => SECRET_UNUSABLE,
            Self::Untrusted { .. } => SERVER_UNTRUSTED,
            Self::Rollback { .. } => ROLLBACK_FAILED,
            Self::Unverified(_) => UNVERIFIED,
            _ => UNREACHABLE,
        }
    }

    /// Was a condition with this reason about reaching Git? Then it ends when Git is reached again.
    pub fn is_condition(reason: &str) -> bool {
        [SECRET_UNUSABLE, SERVER_UNTRUSTED, ROLLBACK_FAILED, UNREACHABLE, UNVERIFIED].contains(&reason)
    }

    /// The same error, met when looking for what to roll back to: if the server was reached, that is why it fails.
    #[must_use]
    pub fn of_rollback(self) -> Self {
        match self {
            Self::NoSuchRevision { .. }
            | Self::Ambiguous { .. }
            | Self::NotACommit { .. }
            | Self::Elsewhere { .. }
            | Self::NoSuchPath { .. }
            | Self::NotManifests { .. } => Self::Rollback { source: Box::new(self) },
            other => other,
        }
    }

    /// The commit that is not believed, if that is what is wrong.
    pub fn unverified(&self) -> Option<&str> {
        if let Self::Unverified(unverified) = self { Some(&unverified.sha) } else { None }
    }

    /// The error with its causes, on one line.
    pub fn full(&self) -> String {
        let first: &dyn std::error::Error = self;
        let causes = std::iter::successors(Some(first), |error| error.source()).map(ToString::to_string);
        let mut said: Vec<String> = causes.collect();
        said.dedup();
        said.join(": ")
    }
}
