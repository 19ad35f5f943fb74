//! The keeper of one `GitSync`: a loop that owns all there is to know of it.
//!
//! Git is read beside the loop, never in it: a server that hangs must not delay a heal. Everything else happens one after the
//! other, so a commit that is being rolled out is never healed back by a sight of what was there before.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::claims::Contested;
use super::entry::{Entry, until};
use super::look::{Look, News};
use super::prune::Stray;
use super::status::Failure;
use crate::api::meaning::{Suspension, SyncPlan};
use crate::api::{GitSync, GitSyncStatus};
use crate::cluster::events::{Note, reference};
use crate::cluster::{Account, Cluster, Kind};
use crate::core::exclude::Surroundings;
use crate::core::judge::Rules;
use crate::core::names::GROUP;
use crate::core::object::ObjectKey;
use crate::core::ready::Readiness;
use crate::core::waves::Rollout;
use crate::evidence::metrics::Outcome;
use crate::evidence::{Actor, Kind as What, Record};
use crate::git::{self, Problem};

/// What a keeper is told.
pub enum Input {
    /// The `GitSync` is, or has become, this.
    Spec(Box<GitSync>),
    /// An object that wants judging.
    Seen(ObjectKey, Box<serde_json::Value>),
    /// An object that was judged, at this version, and is what Git says; and whether others may rely on it.
    Fine(ObjectKey, u64, Readiness),
    /// An object that is gone, or has lost its label.
    Gone(ObjectKey),
    /// All there is of a kind.
    Listed(Kind, Arc<HashSet<ObjectKey>>),
}

/// Reason of a failure to reach the Git server.
const UNREACHABLE: &str = "GitUnreachable";

/// The keeper of one `GitSync`.
pub struct Keeper {
    pub(super) context: Arc<Context>,
    /// The cluster, in the name of the `GitSync`'s service account if there is one.
    pub(super) cluster: Arc<Cluster>,
    pub(super) name: String,
    pub(super) wanted: mpsc::UnboundedSender<Kind>,
    /// What exclusions depend on besides the objects.
    pub(super) around: watch::Receiver<Arc<Surroundings>>,
    /// What more than one sync declares.
    pub(super) contested: watch::Receiver<Arc<Contested>>,
    /// What the policy says, to notice when it says something else.
    rules: watch::Receiver<Arc<Rules>>,
    pub(super) sync: Option<Box<GitSync>>,
    pub(super) plan: Option<SyncPlan>,
    pub(super) entries: HashMap<ObjectKey, Entry>,
    /// Objects that say they are ours and that Git does not declare.
    pub(super) strays: HashMap<ObjectKey, Stray>,
    /// What left Git all at once, and the commit that was first seen to do that.
    pub(super) accident: Option<(String, BTreeSet<ObjectKey>)>,
    pub(super) observed: Option<String>,
    pub(super) synced: Option<String>,
    pub(super) problems: Vec<Problem>,
    /// What this sync declares, and another keeps.
    pub(super) lost: HashSet<ObjectKey>,
    pub(super) failure: Option<Failure>,
    /// After a start, what each manifest was before: what is still the same is not new to the cluster.
    pub(super) before: HashMap<ObjectKey, u64>,
    /// Were the namespaces and definitions of the commit that is being read written already?
    pub(super) founded: bool,
    /// Did all of the last pass go well?
    pub(super) complete: bool,
    /// The commit that is being written, while it is.
    pub(super) rollout: Option<Rollout<ObjectKey>>,
    /// The failure before this pass: the same one again is no news, and waits longer.
    pub(super) failed_before: Option<Failure>,
    pub(super) status: GitSyncStatus,
    reading: Option<JoinHandle<Result<News, git::Error>>>,
    next_poll: Instant,
    /// When to try a commit again that could not be made real.
    pub(super) retry: Option<Instant>,
    was_paused: bool,
}

// === impl Keeper ===

impl Keeper {
    /// A keeper that has not been told its spec yet.
    pub fn new(context: Arc<Context>, name: String, wanted: mpsc::UnboundedSender<Kind>) -> Self {
        Self {
            around: context.publisher.around(),
            contested: context.publisher.contested(),
            rules: context.rules.clone(),
            cluster: context.cluster.clone(),
            context,
            name,
            wanted,
            sync: None,
            plan: None,
            entries: HashMap::new(),
            strays: HashMap::new(),
            accident: None,
            observed: None,
            synced: None,
            problems: Vec::new(),
            lost: HashSet::new(),
            failure: None,
            before: HashMap::new(),
            founded: false,
            complete: false,
            rollout: None,
            failed_before: None,
            status: GitSyncStatus::default(),
            reading: None,
            next_poll: Instant::now(),
            retry: None,
            was_paused: false,
        }
    }

    /// Keeps until the inputs end or `stop` says so; what is being written is finished first.
    pub async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>, stop: CancellationToken) {
        loop {
            let wake = self.wake();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                input = inputs.recv() => match input {
                    // Nearly all sights: they change nothing, so there is nothing to report.
                    Some(Input::Fine(key, version, ready)) if !self.fine(&key, version, &ready) => continue,
                    Some(input) => self.hear(input).await,
                    None => return,
                },
                Ok(()) = self.around.changed() => self.look_around().await,
                Ok(()) = self.contested.changed() => self.look_at_claims().await,
                Ok(()) = self.rules.changed() => self.look_at_what_differs().await,
                news = join(&mut self.reading) => self.learn(news).await,
                () = sleep_until(wake) => self.tick().await,
            }
            self.go_on().await;
            self.settle_revision();
            self.report().await;
        }
    }

    async fn hear(&mut self, input: Input) {
        match input {
            Input::Spec(sync) => {
                self.respec(sync);
                self.mind_the_end().await;
            }
            Input::Seen(key, object) => self.see(key, *object).await,
            Input::Fine(..) => {}
            Input::Gone(key) => self.miss(key).await,
            Input::Listed(kind, keys) => self.compare_list(&kind, &keys).await,
        }
    }

    /// Takes a changed spec as a reason to look at everything again. Our own status updates come back here too, and change
    /// nothing.
    fn respec(&mut self, sync: Box<GitSync>) {
        let first = self.sync.is_none();
        let same = self.sync.as_ref().is_some_and(|old| old.spec == sync.spec);
        let confirmed = self.confirmation().map(str::to_owned);
        if first {
            self.status = sync.status.clone().unwrap_or_default();
            self.synced.clone_from(&self.status.synced_revision);
        }
        if !same {
            match SyncPlan::try_from(&*sync) {
                Ok(plan) => {
                    self.cluster = self.as_whom(&plan);
                    self.plan = Some(plan);
                }
                Err(faults) => {
                    let message = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                    self.fail("InvalidSpec", message);
                    self.context.publisher.failed(&self.name);
                }
            }
            self.look_again();
        }
        self.sync = Some(sync);
        if !first && self.confirmation() != confirmed.as_deref() && self.plan.is_some() {
            self.look_again();
        }
        self.notice_pause();
    }

    /// The cluster, in whose name it is to be written.
    fn as_whom(&self, plan: &SyncPlan) -> Arc<Cluster> {
        let namespace = self.key().namespace.unwrap_or_default();
        match plan.account.clone().or_else(|| self.context.account.clone()) {
            Some(name) => {
                Arc::new(self.context.cluster.acting_as(Account { namespace, name, sync: self.name.clone() }))
            }
            None => self.context.cluster.clone(),
        }
    }

    /// When there is something to do without being told.
    fn wake(&self) -> Instant {
        let (now, wall) = (Instant::now(), Timestamp::now());
        let due = self.entries.values().filter_map(|entry| entry.due(now, wall));
        let resume = self.plan.iter().filter_map(|plan| plan.suspend.as_ref()).filter(|suspend| suspend.holds(wall));
        let resume = resume.map(|suspend| now + until(suspend.until, wall));
        let poll = self.reading.is_none().then_some(self.next_poll);
        let retry = self.retry.filter(|_| self.reading.is_none());
        let patience = self.patience_ends().map(|end| now + until(end, wall));
        due.chain(resume)
            .chain(poll)
            .chain(retry)
            .chain(patience)
            .min()
            .unwrap_or_else(|| now + std::time::Duration::from_hours(1))
    }

    async fn tick(&mut self) {
        self.look_again_at_what_is_due().await;
        self.check_patience();
        if self.is_at_its_end().await {
            self.next_poll = Instant::now() + std::time::Duration::from_hours(1);
            return;
        }
        let resumed = self.notice_pause();
        if resumed || self.retry.is_some_and(|retry| retry <= Instant::now()) {
            self.retry = None;
            self.look_again();
        }
        if self.reading.is_none() && Instant::now() >= self.next_poll {
            self.poll();
        }
    }

    /// Records that a pause began or ended; `true` when it ended.
    fn notice_pause(&mut self) -> bool {
        let paused = self.is_paused();
        if paused == self.was_paused {
            return false;
        }
        self.was_paused = paused;
        let suspend = self.plan.as_ref().and_then(|plan| plan.suspend.as_ref());
        let words = suspend.map(Suspension::words);
        let by = suspend.filter(|_| paused).and_then(|suspend| suspend.by.clone());
        self.context.evidence.record(Record {
            sync: Some(self.name.clone()),
            revision: self.observed.clone(),
            reason: words.clone(),
            by: by.map(|user| Actor { user: Some(user), ..Actor::default() }),
            ..Record::new(if paused { What::Suspended } else { What::Resumed }, Timestamp::now())
        });
        let reason = if paused { "Suspended" } else { "Resumed" }.to_owned();
        self.note(Note { reason, text: words.unwrap_or_else(|| "the pause is over".to_owned()), warning: false });
        !paused
    }

    /// Starts a look at Git beside the loop.
    fn poll(&mut self) {
        let Some(plan) = &self.plan else {
            self.next_poll = Instant::now() + std::time::Duration::from_hours(1);
            return;
        };
        self.next_poll = Instant::now() + plan.source.interval;
        let look = Look {
            cache: self.context.cache.clone(),
            sync: self.name.clone(),
            plan: plan.clone(),
            known: self.observed.clone(),
            before: self.synced.clone().filter(|_| self.entries.is_empty()),
            fallback: self.observed.clone().or_else(|| self.status.observed_revision.clone()),
        };
        let cluster = self.context.cluster.clone();
        self.reading = Some(tokio::spawn(async move {
            let kinds = cluster.kinds().await;
            let looked = tokio::task::spawn_blocking(move || look.look(&kinds)).await;
            looked.expect("looking at Git does not panic")
        }));
    }

    /// Reads Git and looks at all of it again at the next opportunity.
    pub(super) fn look_again(&mut self) {
        self.observed = None;
        self.poll_now();
    }

    /// Looks at Git at the next opportunity.
    pub(super) fn poll_now(&mut self) {
        self.next_poll = Instant::now();
    }

    /// Kinds the sync had objects of when it last reported.
    pub(super) fn kinds_before(&self) -> impl Iterator<Item = &str> {
        self.status.kinds.iter().map(String::as_str)
    }

    async fn learn(&mut self, news: Result<News, git::Error>) {
        self.reading = None;
        let nothing_new = matches!(news, Ok(News::Same));
        let outcome = |ok| if ok { Outcome::Success } else { Outcome::Failure };
        self.context.metrics.fetched(outcome(!matches!(news, Err(_) | Ok(News::Stale(..)))), Timestamp::now());
        match news {
            Ok(News::Same) => {
                if self.failure.as_ref().is_some_and(|failure| failure.reason == UNREACHABLE) {
                    self.failure = None;
                }
            }
            Ok(News::Commit(reading, None)) => self.pass(reading).await,
            Ok(News::Commit(reading, Some(before))) => self.pass_after_start(reading, before).await,
            Ok(News::Stale(reading, error)) => {
                self.pass(reading).await;
                self.fail(UNREACHABLE, error.to_string());
            }
            Err(error) => {
                self.fail(UNREACHABLE, error.to_string());
                self.context.publisher.failed(&self.name);
            }
        }
        if !nothing_new {
            self.try_again();
        }
    }

    /// Sees to it that what failed is tried again, later each time.
    pub(super) fn try_again(&mut self) {
        let failed = self.failure.as_ref().filter(|failure| failure.reason != UNREACHABLE);
        let wait = failed.zip(self.plan.as_ref()).map(|(failure, plan)| plan.retry.wait(failure.count));
        self.retry = wait.map(|wait| Instant::now() + wait);
    }

    /// Notes a failure; the same one again only counts.
    pub(super) fn fail(&mut self, reason: &'static str, message: String) {
        let before = self.failure.as_ref().or(self.failed_before.as_ref()).filter(|before| before.reason == reason);
        let count = before.map_or(1, |before| before.count.saturating_add(1));
        if before.is_none_or(|before| before.message != message) {
            tracing::warn!(sync = self.name, reason, message, "sync failed");
            self.context.evidence.record(Record {
                sync: Some(self.name.clone()),
                revision: self.observed.clone(),
                reason: Some(message.clone()),
                ..Record::new(What::SyncFailed, Timestamp::now())
            });
            self.note(Note { reason: reason.to_owned(), text: message.clone(), warning: true });
        }
        self.failure = Some(Failure { reason, message, count });
    }

    /// Publishes an Event about the `GitSync`.
    pub(super) fn note(&self, note: Note) {
        if let Some(sync) = &self.sync {
            let about = reference(&self.key(), "holdfast.dev/v1alpha1", sync.metadata.uid.as_deref());
            self.context.events.publish(about, note);
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        let suspend = self.plan.as_ref().and_then(|plan| plan.suspend.as_ref());
        suspend.is_some_and(|suspend| suspend.holds(Timestamp::now()))
    }

    /// The `GitSync` itself.
    pub(super) fn key(&self) -> ObjectKey {
        let (namespace, name) = self.name.split_once('/').unwrap_or_default();
        ObjectKey {
            group: GROUP.to_owned(),
            kind: "GitSync".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }
}

/// The end of a look that may or may not be going on; never, if none is.
async fn join(reading: &mut Option<JoinHandle<Result<News, git::Error>>>) -> Result<News, git::Error> {
    match reading {
        Some(task) => task.await.expect("looking at Git is neither cancelled nor panics"),
        None => std::future::pending().await,
    }
}
