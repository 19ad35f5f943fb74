//! What can go wrong with a request, sorted by what to do about it; and what may be told of it.

use std::fmt;

use kube::core::Status;
use serde_json::Value;

use crate::core::mask::scrub;
use crate::core::object::ObjectKey;

/// A request to the API server failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {doing}: {cause}")]
pub struct Error {
    /// What was attempted (`apply Deployment.apps shop/api`).
    pub doing: String,
    /// Why it failed.
    pub cause: Cause,
}

/// Why a request failed, by what to do about it.
#[derive(Debug)]
pub enum Cause {
    /// There is no such object, or the cluster does not serve its kind.
    NotFound(String),
    /// The object moved since it was judged: judge again.
    Conflict(String),
    /// The manifest is wrong; trying again changes nothing. Carries the API server's words.
    Invalid(String),
    /// Somebody's webhook, quota or RBAC refuses: may change without a commit.
    Refused(String),
    /// The API server is not there, overloaded or restarting: try again.
    Unavailable(String),
    /// The request has left, and its answer did not come.
    Unanswered(String),
    /// The API server answers, but cannot serve this: something behind it is away, often for one kind only. Try again.
    Away(String),
    /// Another replica leads, or may: nothing was sent, or it is not known what became of it.
    NotLeading,
}

// === impl Error ===

impl Error {
    /// Describes a client error met while `doing` something.
    pub fn new(doing: impl Into<String>, error: &kube::Error) -> Self {
        Self { doing: doing.into(), cause: Cause::of(error) }
    }

    /// The same, without repeating values of this object, if those must not be shown. `sent` is the object, if it was sent.
    #[must_use]
    pub fn about(self, object: &ObjectKey, sent: Option<&Value>) -> Self {
        Self { cause: self.cause.map(|message| scrub(object, sent, &message)), ..self }
    }

    /// Is it only that there is no such object?
    pub fn is_not_found(&self) -> bool {
        matches!(self.cause, Cause::NotFound(_))
    }

    /// Has the object moved since it was read?
    pub fn is_conflict(&self) -> bool {
        matches!(self.cause, Cause::Conflict(_))
    }

    /// Would what was sent make the object invalid?
    pub fn is_invalid(&self) -> bool {
        matches!(self.cause, Cause::Invalid(_))
    }

    /// Can the API server not serve what was asked for, although it is there?
    pub fn is_away(&self) -> bool {
        matches!(self.cause, Cause::Away(_))
    }

    /// Was it not ours to write any more?
    pub fn is_not_leading(&self) -> bool {
        matches!(self.cause, Cause::NotLeading)
    }

    /// May a write have been done all the same? Something behind an API server that fails may have failed after that.
    pub fn leaves_open(&self) -> bool {
        matches!(self.cause, Cause::Unanswered(_) | Cause::Away(_) | Cause::NotLeading)
    }

    /// Is it refused, by RBAC or somebody's webhook?
    pub fn is_refused(&self) -> bool {
        matches!(self.cause, Cause::Refused(_))
    }
}

// === impl Cause ===

impl Cause {
    fn map(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::NotFound(message) => Self::NotFound(change(message)),
            Self::Conflict(message) => Self::Conflict(change(message)),
            Self::Invalid(message) => Self::Invalid(change(message)),
            Self::Refused(message) => Self::Refused(change(message)),
            Self::Unavailable(message) => Self::Unavailable(change(message)),
            Self::Unanswered(message) => Self::Unanswered(change(message)),
            Self::Away(message) => Self::Away(change(message)),
            Self::NotLeading => Self::NotLeading,
        }
    }

    fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status),
            other if has_left(other) => Self::Unanswered(in_words(other)),
            other => Self::Unavailable(in_words(other)),
        }
    }

    /// A duplicate merge key or an unknown field is answered with a 500, although the manifest is at fault.
    fn of_status(status: &Status) -> Self {
        let message = said(status);
        let manifest_at_fault = message.contains("failed to create typed patch object")
            || message.contains("field not declared in schema")
            || message.contains("strict decoding error");
        match status.code {
            404 => Self::NotFound(message),
            // A failed `test` of a JSON patch: the object is no longer what was judged.
            422 if message.contains("testing") && message.contains("failed") => Self::Conflict(message),
            // Some of them are told with no words of their own. What is invalid always has some.
            422 if message == UNSAID => Self::Conflict(message),
            // Of an apply that is not forced: nothing moved, somebody else has it. Names manager and field.
            409 if message.starts_with("Apply failed with") => Self::Refused(message),
            409 => Self::Conflict(message),
            _ if manifest_at_fault => Self::Invalid(message),
            // One that gives no code of its own says 400.
            _ if message.contains("admission webhook") || message.contains("failed calling webhook") => {
                Self::Refused(message)
            }
            400 | 422 => Self::Invalid(message),
            401 | 403 => Self::Refused(message),
            429 if message.contains(UNREAD) => Self::Away(message),
            500 | 502..=504 => Self::Away(message),
            _ => Self::Unavailable(message),
        }
    }
}

/// What is said of a JSON patch that does not fit the object, when nothing more is said.
const UNSAID: &str = "the server rejected our request due to an error in our request";

/// What is said of a kind that the API server has not been able to read since it started, because its conversion webhook is away, say.
/// Lists by label come from its cache or not at all.
const UNREAD: &str = "storage is (re)initializing";

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(message)
            | Self::Conflict(message)
            | Self::Invalid(message)
            | Self::Refused(message)
            | Self::Unavailable(message)
            | Self::Unanswered(message)
            | Self::Away(message) => write!(f, "{message}"),
            Self::NotLeading => write!(f, "this replica does not lead"),
        }
    }
}

/// What the API server said. Of a JSON patch that could not be applied it tells in the message only that "the server rejected our
/// request"; which `test` failed is in the causes.
fn said(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.message.as_str());
    let untold = causes.filter(|cause| !cause.is_empty() && !status.message.contains(*cause));
    std::iter::once(status.message.as_str()).chain(untold).collect::<Vec<_>>().join(": ")
}

/// Had the request left before this went wrong? Only of a connection that was never made is it known that it had not.
fn has_left(error: &kube::Error) -> bool {
    let error_itself: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(error_itself), |error| error.source());
    let is_connecting = |error: &(dyn std::error::Error + 'static)| {
        error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect)
    };
    let on_the_way = matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_) | kube::Error::SerdeError(_));
    on_the_way && !causes.any(is_connecting)
}

/// The whole chain of causes: a client error alone often says no more than "service error".
fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        next = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(code: u16, message: &str) -> Cause {
        Cause::of(&kube::Error::Api(Box::new(Status::failure(message, "").with_code(code))))
    }

    /// Messages as a real API server v1.36 words them.
    #[test]
    fn a_mistake_in_git_is_told_from_a_server_in_trouble() {
        let duplicate = r#"failed to create typed patch object (/x; apps/v1, Kind=Deployment): errors: duplicate entries for key [name="A"]"#;
        let unknown = "failed to create typed patch object (/x): .spec.invalidKey: field not declared in schema";
        for message in [duplicate, unknown] {
            assert!(matches!(cause(500, message), Cause::Invalid(_)), "{message}");
        }
        assert!(matches!(cause(500, "etcdserver: request timed out"), Cause::Away(_)));
        assert!(matches!(cause(422, "Deployment.apps \"x\" is invalid"), Cause::Invalid(_)));
    }

    /// An aggregated API without endpoints, and a conversion webhook that nobody serves: of all else nothing is said.
    #[test]
    fn what_one_kind_stands_on_is_told_from_the_api_server() {
        let webhook = r#"conversion webhook for example.com/v2, Kind=Gadget failed: Post "https://x/": EOF"#;
        for (code, message) in [(503, "service unavailable"), (500, webhook), (504, "Timeout"), (502, "bad gateway")] {
            assert!(matches!(cause(code, message), Cause::Away(_)), "{code} {message}");
        }
        let unread = format!("storage is (re)initializing: {webhook}");
        assert!(matches!(cause(429, &unread), Cause::Away(_)));
        assert!(matches!(cause(429, "too many requests"), Cause::Unavailable(_)));
    }

    #[test]
    fn a_failed_test_of_a_patch_is_a_conflict() {
        let message = "the server rejected our request due to an error in our request: testing value /metadata/resourceVersion failed: test failed";
        assert!(matches!(cause(422, message), Cause::Conflict(_)));
        assert!(matches!(cause(422, UNSAID), Cause::Conflict(_)));
        assert!(matches!(cause(409, "the object has been modified"), Cause::Conflict(_)));
    }

    #[test]
    fn refusals_may_end_without_a_commit() {
        assert!(matches!(cause(403, "forbidden"), Cause::Refused(_)));
        // One that cannot be reached keeps out what it would be asked about, and nothing else.
        let gone = r#"Internal error occurred: failed calling webhook "x.example.com": failed to call webhook: Post "https://x/": EOF"#;
        assert!(matches!(cause(500, gone), Cause::Refused(_)));
        assert!(matches!(cause(400, r#"admission webhook "x.example.com" denied the request"#), Cause::Refused(_)));
        assert!(matches!(cause(429, "too many requests"), Cause::Unavailable(_)));
    }
}
