//! Why a question could not be answered, with the way out where there is one.

use crate::cluster;
use crate::git;

/// A question that could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer, or refused.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
    /// Git could not be read.
    #[error("failed to read what GitSync {sync} follows")]
    Git {
        /// `namespace/name`.
        sync: String,
        /// What happened.
        source: git::Error,
    },
    /// A folder given with `--path` could not be read.
    #[error(transparent)]
    Folder(git::Error),
    /// Our kinds are not there.
    #[error(
        "the cluster does not serve GitSyncs, so nothing is managed here; install Holdfast first (holdfast render | kubectl \
         apply --server-side -f -), or choose another cluster with --context"
    )]
    NotInstalled,
    /// There is no GitSync of that name.
    #[error("there is no GitSync {wanted}; {there}")]
    NoSuchSync {
        /// As typed.
        wanted: String,
        /// Which there are, in words.
        there: String,
    },
    /// One GitSync has to be named.
    #[error("{what} needs one GitSync; name it: {choices}")]
    NameOne {
        /// What was asked for.
        what: String,
        /// Which there are.
        choices: String,
    },
    /// The object was not named in a way that can be understood.
    #[error("{typed:?} does not name an object; write KIND/NAME, such as deployment/api or Deployment.apps/api")]
    NotAnObject {
        /// As typed.
        typed: String,
    },
    /// The cluster does not serve such a kind.
    #[error("the cluster serves no kind {typed:?}; `kubectl api-resources` lists those it does")]
    NoSuchKind {
        /// As typed.
        typed: String,
    },
    /// Neither Git nor the cluster knows the object.
    #[error("there is no {object} in the cluster, and no GitSync declares it{hint}")]
    NoSuchObject {
        /// As displayed.
        object: String,
        /// What may be wrong with the question.
        hint: String,
    },
}

/// An error with everything below it: what a person needs to repair it is often in the last cause.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
