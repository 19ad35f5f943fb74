//! `/mutate` and `/validate`: from an HTTP request to a decision, or to an error status.
//!
//! `/mutate` only writes (stamps, marks) and refuses only what it cannot stamp truthfully; every other verdict is `/validate`'s,
//! which sees what will really be stored. So an edit is refused, recorded and counted in one place.
//!
//! An async function has room in its future for all that it may ever hold, and for what it was given twice. So a review is boxed,
//! and so are the ways that few reviews go: what most of them take fits into a cache.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::FutureExt;
use jiff::Timestamp;
use opentelemetry::Context;
use tokio::sync::{mpsc, watch};
use tracing::Instrument;

use super::answer::{Reason, Refusal};
use super::aside;
use super::decision::Decision;
use super::guards::Guards;
use super::no_decision::NoDecision;
use super::places::{self, LARGEST, Places};
use super::review::Review;
use super::trial::Trial;
use super::upstream::{Requester, Upstream};
use super::{own, register, span, unread, witness};
use crate::api::Emergency;
use crate::core::breakglass::Refused;
use crate::core::exclude::Surroundings;
use crate::core::judge::{Judgement, Rules, Verdict, Why};
use crate::core::snapshot::Snapshot;
use crate::core::stamp::Stamps;
use crate::core::who::Class;
use crate::evidence::{Evidence, Kind, Metrics};

/// All that answering reviews takes.
pub struct Webhook {
    /// The desired state; `None` until the first one is known.
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// The rules a `DriftPolicy` can change.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// What exclusions depend on besides the objects: what is guarded for other tools is in no snapshot.
    pub around: watch::Receiver<Arc<Surroundings>>,
    /// Who answers what a review does not say.
    pub upstream: Arc<dyn Upstream>,
    /// Where it goes what becomes of emergencies on what guards protect: nobody else looks at those objects.
    pub emergencies: mpsc::UnboundedSender<Emergency>,
    /// Where records go.
    pub evidence: Evidence,
    /// What is counted.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: fn() -> Timestamp,
}

/// The routes of the webhook.
pub fn router(webhook: Webhook) -> Router {
    let at = |hook| {
        post(move |State(desk): State<Arc<Desk>>, request: Request| async move { desk.serve(hook, request).await })
    };
    Router::new()
        .route(register::VALIDATE_PATH, at(Hook::Validate))
        .route(register::MUTATE_PATH, at(Hook::Mutate))
        .route(&register::guard_path(register::VALIDATE_PATH, "{guard}"), at(Hook::Validate))
        .route(&register::guard_path(register::MUTATE_PATH, "{guard}"), at(Hook::Mutate))
        .route(register::VALIDATE_OWN_PATH, at(Hook::ValidateOwn))
        .route(register::MUTATE_OWN_PATH, at(Hook::MutateOwn))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(Arc::new(Desk { webhook, places: Places::new() }))
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hook {
    /// What to write on the object.
    Mutate,
    /// Whether it may be stored.
    Validate,
    /// Whether one of our own kinds makes sense, and may be loosened.
    ValidateOwn,
    /// Who paused a sync.
    MutateOwn,
}

// === impl Hook ===

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Validate => "validate",
            Self::ValidateOwn => "validate-own",
            Self::MutateOwn => "mutate-own",
        }
    }
}

/// Where reviews are taken in.
struct Desk {
    webhook: Webhook,
    places: Places,
}

// === impl Desk ===

impl Desk {
    async fn serve(&self, hook: Hook, request: Request) -> Response {
        let metrics = &self.webhook.metrics;
        let length = request.body().size_hint().upper();
        let Some(_place) = self.places.take(length).await else {
            metrics.review_failed(NoDecision::Busy.kind());
            return NoDecision::Busy.into_response();
        };
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
        let parent = span::parent(request.headers());
        let guard = register::guard_of(request.uri().path()).map(str::to_owned);
        let body = Bytes::from_request(request, &()).await?;
        let answered = pin!(self.answer(hook, guard.as_deref(), &body, parent));
        if places::is_usual(body.len()) { answered.await } else { aside::wait(answered).await }
    }

    async fn answer(
        &self,
        hook: Hook,
        guard: Option<&str>,
        body: &[u8],
        parent: Option<Context>,
    ) -> Result<Vec<u8>, NoDecision> {
        let started = Instant::now();
        let mut review = Box::new(Review::read(body)?);
        let (uid, operation) = (std::mem::take(&mut review.uid), review.operation);
        let team = self.around.borrow().teams.of_user(&review.user_info.user);
        let span = span::span(hook.name(), &uid, &review, team.as_deref(), parent);
        let decided = self.decide(hook, guard, review).instrument(span.clone());
        let Decision { verdict, answer, annotated } = decided.await?;
        span.record("verdict", tracing::field::debug(verdict));
        if !matches!(hook, Hook::Mutate | Hook::MutateOwn) || verdict == Verdict::Deny {
            self.metrics.reviewed(witness::counted(verdict), witness::operation(operation), started.elapsed());
        }
        Ok(answer.to_bytes(&uid, annotated))
    }

    async fn decide(&self, hook: Hook, guard: Option<&str>, review: Box<Review<'_>>) -> Result<Decision, NoDecision> {
        match hook {
            Hook::ValidateOwn => Box::pin(self.validate_own(review)).await,
            Hook::MutateOwn => Box::pin(self.mutate_own(review)).await,
            Hook::Mutate | Hook::Validate => {
                let ending = own::ending::Ending::of(&review, &self.rules.borrow().identities.ourselves.0);
                let ending = ending.map(|ending| (ending, review.user_info.clone(), review.is_dry_run()));
                let snapshot = self.snapshots.borrow().clone().ok_or(NoDecision::NotReady)?;
                if guard.is_none() && snapshot.has_unread() {
                    Box::pin(self.is_known(&review, &snapshot)).await?;
                }
                let decision = match self.standard(guard, &review, snapshot).await? {
                    Some(standard) => self.judge(hook, review, standard).await?,
                    None => Decision::pass(),
                };
                match ending.filter(|_| decision.verdict != Verdict::Deny) {
                    Some((ending, requester, is_dry_run)) => {
                        let ended = Box::pin(self.end(ending, &requester, is_dry_run));
                        Ok(ended.await?.unwrap_or(decision))
                    }
                    None => Ok(decision),
                }
            }
        }
    }

    /// Is it known what Git says of the object, or does it not matter to this requester? What could be refused, and is not known to be,
    /// is for `failurePolicy` to decide.
    async fn is_known(&self, review: &Review<'_>, snapshot: &Snapshot) -> Result<(), NoDecision> {
        if self.rules.borrow().observe_only || !self.is_guarded(&review.user_info) {
            return Ok(());
        }
        unread::keeper(review, snapshot, &*self.upstream).await?.map_or(Ok(()), |sync| Err(NoDecision::Unread(sync)))
    }

    /// May what guards go along with what is deleted? Controllers are not denied, and so not for want of an answer either.
    async fn end(
        &self,
        ending: own::ending::Ending,
        requester: &Requester,
        is_dry_run: bool,
    ) -> Result<Option<Decision>, NoDecision> {
        match ending.loosening(&*self.upstream).await {
            Ok(Some(loosening)) => self.loosen(loosening, requester, is_dry_run).await,
            Ok(None) => Ok(None),
            Err(_) if !self.is_guarded(requester) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn is_guarded(&self, requester: &Requester) -> bool {
        let class = self.rules.borrow().identities.class(&requester.user);
        matches!(class, Class::Automation | Class::Person)
    }

    /// What an edit is judged by: what Git declares, or what another tool does; `None` if it is no guard's business.
    async fn standard(
        &self,
        guard: Option<&str>,
        review: &Review<'_>,
        snapshot: Arc<Snapshot>,
    ) -> Result<Option<Arc<Snapshot>>, NoDecision> {
        let guards =
            Guards { rules: self.rules.borrow().clone(), around: self.around.borrow().clone(), snapshot: &snapshot };
        match guard {
            Some(guard) => Ok(guards.of_object(guard, review)?),
            None if review.deletes_a_namespace() => {
                let guarded = Box::pin(guards.of_namespace(review, &*self.upstream)).await?;
                Ok(Some(guarded.unwrap_or(snapshot)))
            }
            None if matches!(&*review.sub_resource, "scale" | "eviction") => {
                let guarded = Box::pin(guards.of_subresource(review, &*self.upstream)).await?;
                Ok(Some(guarded.unwrap_or(snapshot)))
            }
            None => Ok(Some(snapshot)),
        }
    }

    /// Is it what can be run, is it what Git says if Git says anything, and may it be loosened?
    async fn validate_own(&self, review: Box<Review<'_>>) -> Result<Decision, NoDecision> {
        if let Some(refusal) = own::refusal(&review, (self.clock)()).or_else(|| own::stamp::refusal(&review)) {
            return Ok(Decision::refused(refusal));
        }
        let (loosening, is_dry_run) = (own::loosen::Loosening::of(&review), review.is_dry_run());
        let requester = review.user_info.clone();
        let decision = self.judge_if_ready(Hook::Validate, review).await?;
        match loosening.filter(|_| decision.verdict != Verdict::Deny) {
            Some(loosening) => Ok(self.loosen(loosening, &requester, is_dry_run).await?.unwrap_or(decision)),
            None => Ok(decision),
        }
    }

    /// Records a loosening; refuses it to guarded users who lack a right.
    async fn loosen(
        &self,
        loosening: own::loosen::Loosening,
        requester: &Requester,
        is_dry_run: bool,
    ) -> Result<Option<Decision>, NoDecision> {
        let is_guarded = self.is_guarded(requester);
        let mut lacking = None;
        for right in loosening.rights.iter().filter(|_| is_guarded) {
            if !self.upstream.may(requester, right).await? {
                lacking = Some(right.clone());
                break;
            }
        }
        let refusal = lacking.map(|right| Refusal { reason: Reason::Forbidden, message: loosening.message(&right) });
        if !is_dry_run {
            let kind = if refusal.is_some() { Kind::Denied } else { Kind::Loosened };
            let team = self.around.borrow().teams.of_user(&requester.user);
            self.evidence.record(loosening.record(kind, team, (self.clock)()));
        }
        Ok(refusal.map(Decision::refused))
    }

    async fn mutate_own(&self, review: Box<Review<'_>>) -> Result<Decision, NoDecision> {
        let stamps = match own::stamp::stamps(&review) {
            Ok(stamps) => stamps,
            Err(refusal) => return Ok(Decision::refused(refusal)),
        };
        let annotated = review.object.as_ref().is_some_and(|new| new.metadata.get("annotations").is_some());
        let mut decision = self.judge_if_ready(Hook::Mutate, review).await?;
        decision.answer.writes.extend(stamps);
        Ok(Decision { annotated, ..decision })
    }

    /// Our own kinds are open to repair for as long as it is not known what Git says.
    async fn judge_if_ready(&self, hook: Hook, review: Box<Review<'_>>) -> Result<Decision, NoDecision> {
        let snapshot = self.snapshots.borrow().clone();
        match snapshot {
            Some(snapshot) => self.judge(hook, review, snapshot).await,
            None => Ok(Decision::pass()),
        }
    }

    async fn judge(
        &self,
        hook: Hook,
        review: Box<Review<'_>>,
        snapshot: Arc<Snapshot>,
    ) -> Result<Decision, NoDecision> {
        let (rules, around) = (self.rules.borrow().clone(), self.around.borrow().clone());
        let is_dry_run = review.is_dry_run();
        let trial = Trial::open(*review, snapshot, rules, around, (self.clock)())?;
        let Some(mut trial) = trial.map(Box::new) else { return Ok(Decision::pass()) };
        trial.locate_replicas(&*self.upstream).await?;
        match hook {
            Hook::Mutate => self.mutate(&trial, is_dry_run).await,
            _ => self.validate(&trial, is_dry_run).await,
        }
    }

    async fn validate(&self, trial: &Trial<'_>, is_dry_run: bool) -> Result<Decision, NoDecision> {
        let judgement = trial.verdict(&*self.upstream).await?;
        self.testify(trial, &judgement, is_dry_run);
        let answer = witness::answer(trial, &judgement);
        Ok(Decision { verdict: judgement.verdict, answer, annotated: false })
    }

    /// A break-glass that is being opened needs its stamps and no mark. Whether it may be is `/validate`'s to say.
    async fn mutate(&self, trial: &Trial<'_>, is_dry_run: bool) -> Result<Decision, NoDecision> {
        let mut writes = match trial.stamps() {
            Ok(Stamps::Opening(writes)) => return Ok(Decision::write(trial, writes)),
            Ok(Stamps::Closing(writes)) => writes,
            Ok(Stamps::Untouched) => Vec::new(),
            Err(refused) => return Ok(self.refuse(trial, refused, is_dry_run)),
        };
        if trial.may_be_marked() {
            writes.extend(trial.mark(&trial.verdict(&*self.upstream).await?));
        }
        Ok(Decision::write(trial, writes))
    }

    fn refuse(&self, trial: &Trial<'_>, refused: Refused, is_dry_run: bool) -> Decision {
        let judgement = Judgement {
            verdict: Verdict::Deny,
            why: Why::Refused(refused),
            introduced: Vec::new(),
            failed: Vec::new(),
        };
        self.testify(trial, &judgement, is_dry_run);
        Decision { verdict: Verdict::Deny, answer: witness::answer(trial, &judgement), annotated: false }
    }

    /// Leaves one record and its counts.
    fn testify(&self, trial: &Trial<'_>, judgement: &Judgement, is_dry_run: bool) {
        tracing::debug!(verdict = ?judgement.verdict, why = ?judgement.why, "judged");
        let Some(record) = (!is_dry_run).then(|| witness::record(trial, judgement)).flatten() else { return };
        match record.kind {
            Kind::BreakGlassOpened => _ = self.metrics.break_glass_opened.inc(),
            Kind::BreakGlassRefused => _ = self.metrics.break_glass_refused.inc(),
            Kind::WouldDeny => {
                let team = record.by.as_ref().and_then(|by| by.team.as_deref()).or(record.team.as_deref());
                self.metrics.would_deny(record.sync.as_deref().unwrap_or_default(), team.unwrap_or_default());
            }
            _ => {}
        }
        self.metrics.rule_errors.inc_by(u64::from(!judgement.failed.is_empty()));
        // Nobody is there to be told only when the process is about to end.
        let emergencies = trial.emergencies_of_a_guard(record.kind);
        emergencies.into_iter().for_each(|emergency| _ = self.emergencies.send(emergency));
        self.evidence.record(record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// All of it is moved when a review begins, and written to memory that no cache has.
    #[test]
    fn what_a_review_in_work_takes_is_little() {
        let size = size::<&'static Desk, _, _, _>(Desk::serve);
        assert!(size <= 4096, "{size} bytes");
    }
}
