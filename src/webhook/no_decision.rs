//! Everything that is not a decision, as an error status.
//!
//! The API server never shows these to the person who asked, so they are logged whole and answered in brief.

use std::error::Error;
use std::fmt::Write;

use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::review::Unreadable;
use super::upstream::Unanswered;
use crate::evidence::metrics::ErrorKind;

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoDecision {
    /// The body did not arrive, or is too large.
    #[error("failed to receive the body")]
    Body(#[from] BytesRejection),
    /// The body is not a review.
    #[error("failed to read the review")]
    Unreadable(#[from] Unreadable),
    /// What Git says is not known yet.
    #[error("there is no snapshot of what Git declares yet")]
    NotReady,
    /// What Git says of this object is not known: this sync could not be read.
    #[error(
        "it is not known what Git says of the object: GitSync {0} could not be read yet; `kubectl describe` it to see why"
    )]
    Unread(String),
    /// The API server did not answer.
    #[error("failed to ask the API server")]
    Upstream(#[from] Unanswered),
    /// Too many others.
    #[error("too many reviews are in work already")]
    Busy,
    /// A panic.
    #[error("a bug in Holdfast: its log says more")]
    Bug,
}

// === impl NoDecision ===

impl NoDecision {
    /// As metrics count it.
    pub(super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Body(body) if body.status() == StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::TooLarge,
            Self::Body(_) | Self::Unreadable(_) => ErrorKind::Unreadable,
            Self::NotReady => ErrorKind::NotReady,
            Self::Unread(_) => ErrorKind::Unread,
            Self::Upstream(_) => ErrorKind::Upstream,
            Self::Busy => ErrorKind::Busy,
            Self::Bug => ErrorKind::Internal,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Body(body) => body.status(),
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::NotReady | Self::Unread(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream(_) => StatusCode::BAD_GATEWAY,
            Self::Bug => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error and what caused it, in one line.
    fn chain(&self) -> String {
        let (mut line, mut cause) = (self.to_string(), self.source());
        while let Some(error) = cause {
            let _ = write!(line, ": {error}");
            cause = error.source();
        }
        line
    }
}

impl IntoResponse for NoDecision {
    fn into_response(self) -> Response {
        let (status, chain) = (self.status(), self.chain());
        tracing::warn!(%status, error = chain, "no decision; failurePolicy decides");
        (status, chain).into_response()
    }
}
