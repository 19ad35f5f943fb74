//! `/mutate` and `/validate`: from an HTTP request to a decision, or to an error status.
//!
//! `/mutate` only writes (stamps, marks) and refuses only what it cannot stamp truthfully; every other verdict is `/validate`'s,
//! which sees what will really be stored. So an edit is refused, recorded and counted in one place.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tracing::Instrument;

use super::answer::Answer;
use super::review::{Operation, Review, Unreadable};
use super::trial::Trial;
use super::upstream::{Unanswered, Upstream};
use super::{own, witness};
use crate::core::breakglass::Limits;
use crate::core::judge::{Judgement, Verdict, Why};
use crate::core::snapshot::Snapshot;
use crate::core::stamp::Stamps;
use crate::core::who::Identities;
use crate::evidence::metrics::{self, ErrorKind};
use crate::evidence::{Evidence, Metrics};

/// All that answering reviews takes.
pub struct Webhook {
    /// The desired state; `None` until the first one is known.
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// The rules a `DriftPolicy` can change.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// Who answers what a review does not say.
    pub upstream: Arc<dyn Upstream>,
    /// Where records go.
    pub evidence: Evidence,
    /// What is counted.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: fn() -> Timestamp,
}

/// What the judge knows besides the desired state.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Who is who.
    pub identities: Identities,
    /// How long a break-glass may last.
    pub limits: Limits,
}

/// Largest body that is read. An API server takes requests of up to 3 MiB; a review holds two such objects, and the rest
/// (user, groups, options) is well below one more.
const LARGEST: usize = 7 * 1024 * 1024;

/// Reviews in work at once. More wait their turn before their body is read: a burst costs them microseconds, while a refusal
/// would hand each of them to `failurePolicy`.
const AT_ONCE: usize = 512;

/// The routes of the webhook.
pub fn router(webhook: Webhook) -> Router {
    let desk = Arc::new(Desk { webhook, places: Semaphore::new(AT_ONCE) });
    let validate = |State(desk): State<Arc<Desk>>, request: Request| async move { desk.serve(Hook::Validate, request).await };
    let mutate = |State(desk): State<Arc<Desk>>, request: Request| async move { desk.serve(Hook::Mutate, request).await };
    Router::new()
        .route("/validate", post(validate))
        .route("/mutate", post(mutate))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(desk)
}

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
enum NoDecision {
    /// The body did not arrive, or is too large.
    #[error("failed to receive the body")]
    Body(#[from] BytesRejection),
    /// The body is not a review.
    #[error("failed to read the review")]
    Unreadable(#[from] Unreadable),
    /// What Git says is not known yet.
    #[error("there is no snapshot of what Git declares yet")]
    NotReady,
    /// The API server did not answer.
    #[error("failed to ask the API server")]
    Upstream(#[from] Unanswered),
    /// A panic.
    #[error("a bug in Holdfast: see its log")]
    Bug,
}

/// Which of the two webhooks is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hook {
    Mutate,
    Validate,
}

/// Where reviews are taken in.
struct Desk {
    webhook: Webhook,
    places: Semaphore,
}

/// What was decided.
struct Decision {
    verdict: Verdict,
    answer: Answer,
    annotated: bool,
}

// === impl Desk ===

impl Desk {
    async fn serve(&self, hook: Hook, request: Request) -> Response {
        let _place = self.places.acquire().await;
        let metrics = &self.webhook.metrics;
        metrics.reviews_in_flight.inc();
        let answered = AssertUnwindSafe(self.webhook.review(hook, request)).catch_unwind().await;
        metrics.reviews_in_flight.dec();
        match answered.unwrap_or(Err(NoDecision::Bug)) {
            Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
            Err(reason) => {
                metrics.review_failed(reason.kind());
                reason.into_response()
            }
        }
    }
}

// === impl Webhook ===

impl Webhook {
    async fn review(&self, hook: Hook, request: Request) -> Result<Vec<u8>, NoDecision> {
        let body = Bytes::from_request(request, &()).await?;
        let started = Instant::now();
        let mut review = Review::read(&body)?;
        let (uid, operation) = (std::mem::take(&mut review.uid), review.operation);
        let span = span(hook, &uid, &review);
        let Decision { verdict, answer, annotated } = self.decide(hook, review).instrument(span).await?;
        if hook == Hook::Validate || verdict == Verdict::Deny {
            self.metrics.reviewed(witness::counted(verdict), witness::operation(operation), started.elapsed());
        }
        Ok(answer.to_bytes(&uid, annotated))
    }

    async fn decide(&self, hook: Hook, review: Review<'_>) -> Result<Decision, NoDecision> {
        if let Some(refusal) = own::refusal(&review).filter(|_| hook == Hook::Validate) {
            return Ok(Decision::refused(Answer { refusal: Some(refusal), ..Answer::default() }));
        }
        let snapshot = self.snapshots.borrow().clone();
        let Some(snapshot) = snapshot else {
            return if own::is_own(&review) { Ok(Decision::pass()) } else { Err(NoDecision::NotReady) };
        };
        let rules = self.rules.borrow().clone();
        let is_dry_run = review.is_dry_run();
        let Some(trial) = Trial::open(review, snapshot, rules, (self.clock)())? else { return Ok(Decision::pass()) };
        match hook {
            Hook::Validate => self.validate(&trial, is_dry_run).await,
            Hook::Mutate => self.mutate(&trial, is_dry_run).await,
        }
    }

    async fn validate(&self, trial: &Trial<'_>, is_dry_run: bool) -> Result<Decision, NoDecision> {
        let judgement = trial.verdict(&*self.upstream).await?;
        self.testify(trial, &judgement, is_dry_run);
        Ok(Decision { verdict: judgement.verdict, answer: witness::answer(trial, &judgement), annotated: false })
    }

    /// A break-glass that is being opened needs its stamps and no mark. Whether it may be is `/validate`'s to say.
    async fn mutate(&self, trial: &Trial<'_>, is_dry_run: bool) -> Result<Decision, NoDecision> {
        let mut writes = match trial.stamps() {
            Ok(Stamps::Opening(writes)) => return Ok(Decision::write(trial, writes)),
            Ok(Stamps::Closing(writes)) => writes,
            Ok(Stamps::Untouched) => Vec::new(),
            Err(refused) => {
                let judgement = Judgement { verdict: Verdict::Deny, why: Why::Refused(refused), introduced: Vec::new() };
                self.testify(trial, &judgement, is_dry_run);
                return Ok(Decision::refused(witness::answer(trial, &judgement)));
            }
        };
        if trial.may_be_marked(self.clock) {
            writes.extend(trial.mark(&trial.verdict(&*self.upstream).await?));
        }
        Ok(Decision::write(trial, writes))
    }

    /// Leaves one record and its counts.
    fn testify(&self, trial: &Trial<'_>, judgement: &Judgement, is_dry_run: bool) {
        tracing::debug!(verdict = ?judgement.verdict, why = ?judgement.why, "judged");
        if is_dry_run {
            return;
        }
        let Some(record) = witness::record(trial, judgement) else { return };
        match record.kind {
            crate::evidence::Kind::BreakGlassOpened => drop(self.metrics.break_glass_opened.inc()),
            crate::evidence::Kind::BreakGlassRefused => drop(self.metrics.break_glass_refused.inc()),
            _ => {}
        }
        self.evidence.record(record);
    }
}
