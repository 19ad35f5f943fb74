//! The span of a review: what a collector of traces learns of it, and of which trace it is a part.
//!
//! An API server that traces says so in a header; the review is then found in the trace of the very request it judges.

use axum::http::{HeaderMap, HeaderName};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::review::Review;

/// The header that says of which trace a request is a part. Source: W3C Trace Context.
const PARENT: &str = "traceparent";

struct Headers<'a>(&'a HeaderMap);

/// The trace a request is a part of, if it says that it is.
pub(super) fn parent(headers: &HeaderMap) -> Option<Context> {
    headers.contains_key(PARENT).then(|| TraceContextPropagator::new().extract(&Headers(headers)))
}

/// One span per review, so that whatever is logged on the way says for which; for a collector, and for those who want to see every
/// step in the log. Nobody else pays for it. Its verdict is told later.
pub(super) fn span(
    hook: &'static str,
    uid: &str,
    review: &Review<'_>,
    team: Option<&str>,
    parent: Option<Context>,
) -> Span {
    let (kind, name) = (&*review.kind.kind, review.object_name());
    let (namespace, user) = (&*review.namespace, &*review.user_info.user.name);
    let (operation, verdict) = (review.operation, Empty);
    let span = tracing::debug_span!("review", hook, uid, ?operation, kind, namespace, name, user, team, verdict);
    if let Some(parent) = parent {
        // An error means that nobody collects traces.
        let _ = span.set_parent(parent);
    }
    span
}

// === impl Headers ===

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
