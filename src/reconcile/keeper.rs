//! The keeper of one `GitSync`: a loop that owns all there is to know of it.
//!
//! Git is read beside the loop, never in it: a server that hangs must not delay a heal. Everything else happens one after the
//! other, so a commit that is being rolled out is never healed back by a sight of what was there before.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Context;
use super::away::Away;
use super::census::Heard;
use super::claims::Contested;
use super::credentials::changed;
use super::entry::Entry;
use super::fights::Fights;
use super::history::History;
use super::look::{Earlier, Look, Looked, News};
use super::moves::{Awaited, Tip};
use super::pass::Before;
use super::prune::Stray;
use super::requests::Requests;
use super::rollback::Pin;
use super::status::Failure;
use super::windows::Windows;
use crate::api::meaning::{SourcePlan, SyncPlan};
use crate::api::{GitSync, GitSyncStatus, ScopedWindow};
use crate::cluster::fence::Role;
use crate::cluster::secrets::Versions;
use crate::cluster::{Cluster, Kind, clock};
use crate::core::exclude::Surroundings;
use crate::core::judge::Rules;
use crate::core::object::ObjectKey;
use crate::core::ready::Readiness;
use crate::core::waves::Rollout;
use crate::evidence::metrics::Outcome;
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
    /// An object that says it is ours and that nobody declares (yet).
    Tracked(ObjectKey, Tracked),
    /// All there is of a kind.
    Listed(Kind, Arc<HashSet<ObjectKey>>),
}

/// As much of an object that nobody declares as its keeper needs: at a start these are all the objects there are.
pub struct Tracked {
    /// Its `resourceVersion`.
    pub version: u64,
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Is it on its way out?
    pub goes: bool,
}

/// Looks that pushes make happen are at least this far apart.
const BETWEEN_PUSHES: Duration = Duration::from_secs(1);

/// The keeper of one `GitSync`.
pub struct Keeper {
    pub(super) context: Arc<Context>,
    /// The cluster, in the name of the `GitSync`'s service account if there is one.
    pub(super) cluster: Arc<Cluster>,
    pub(super) name: String,
    pub(super) wanted: mpsc::UnboundedSender<Kind>,
    /// What exclusions depend on besides the objects.
    pub(super) around: watch::Receiver<Arc<Surroundings>>,
    /// In what surroundings the exclusions of the entries were resolved.
    pub(super) resolved: Arc<Surroundings>,
    /// What more than one sync declares.
    pub(super) contested: watch::Receiver<Arc<Contested>>,
    /// What the policy says, to notice when it says something else.
    rules: watch::Receiver<Arc<Rules>>,
    /// The windows it has, likewise.
    policy_windows: watch::Receiver<Arc<[ScopedWindow]>>,
    pub(super) windows: Windows,
    pub(super) fights: Fights,
    /// What became of the last commits.
    pub(super) history: History,
    pub(super) requests: Requests,
    /// Whether this replica leads, to notice when that changes.
    pub(super) role: watch::Receiver<Role>,
    pub(super) sync: Option<Box<GitSync>>,
    pub(super) plan: Option<SyncPlan>,
    pub(super) entries: HashMap<ObjectKey, Entry>,
    /// Objects that say they are ours and that Git does not declare.
    pub(super) strays: HashMap<ObjectKey, Stray>,
    /// What Git declares and could not be read, or tried out: it is no stray. And why.
    pub(super) hindered: HashMap<ObjectKey, String>,
    /// When to look at those that are on their way out, and how long that was waited for.
    pub(super) look_at_going: Option<(Instant, Duration)>,
    /// What left Git all at once, and the commit that was first seen to do that.
    pub(super) accident: Option<(String, BTreeSet<ObjectKey>)>,
    pub(super) observed: Option<String>,
    pub(super) synced: Option<String>,
    pub(super) problems: Vec<Problem>,
    /// What this sync declares, and another keeps.
    pub(super) lost: HashSet<ObjectKey>,
    pub(super) failure: Option<Failure>,
    /// Kinds the last pass could not look at.
    pub(super) away: Away,
    /// In the first pass after a start, the commit the cluster was equal to before.
    pub(super) before: Option<Before>,
    /// Were the namespaces and definitions of the commit that is being read written already?
    pub(super) founded: bool,
    /// When this keeper began, and what it heard until its first pass; see `census`.
    pub(super) created: Instant,
    pub(super) heard: Option<Heard>,
    /// Did all of the last pass go well?
    pub(super) complete: bool,
    /// The commit that is being written, while it is.
    pub(super) rollout: Option<Rollout<ObjectKey>>,
    /// The failure before this pass: the same one again is no news, and waits longer.
    pub(super) failed_before: Option<Failure>,
    pub(super) status: GitSyncStatus,
    reading: Option<JoinHandle<Looked>>,
    /// Of the namespace's Secrets, if this sync needs one, to notice when it changes.
    pub(super) secrets: Option<Versions>,
    /// The versions of its Secrets that were last taken notice of.
    pub(super) secret_versions: [Option<String>; 2],
    /// Answers of the Git server from before this moment are too old.
    pub(super) beat: Instant,
    pub(super) next_poll: Instant,
    /// When the last look began: a flood of pushes makes it look again no sooner than a second later.
    looked: Option<Instant>,
    pub(super) pushed: Arc<Notify>,
    /// When to try a commit again that could not be made real.
    pub(super) retry: Option<Instant>,
    pub(super) was_paused: bool,
    /// When people are to be reminded that the pause ends.
    pub(super) pause_reminder: Option<Timestamp>,
    /// What is known of the commit a rollback pins.
    pub(super) pin: Pin,
    /// The newest commit there is, and when Git said so.
    pub(super) tip: Option<Tip>,
    /// Whom it waits for before it deletes anything.
    pub(super) awaited: Option<Awaited>,
}

// === impl Keeper ===

impl Keeper {
    /// A keeper that has not been told its spec yet.
    pub fn new(context: Arc<Context>, name: String, wanted: mpsc::UnboundedSender<Kind>) -> Self {
        let around = context.publisher.around();
        let resolved = around.borrow().clone();
        Self {
            resolved,
            around,
            contested: context.publisher.contested(),
            rules: context.rules.clone(),
            policy_windows: context.windows.clone(),
            windows: Windows::default(),
            fights: Fights::default(),
            history: History::default(),
            requests: Requests::default(),
            role: context.cluster.fence().role(),
            cluster: context.cluster.clone(),
            context,
            name,
            wanted,
            sync: None,
            plan: None,
            entries: HashMap::new(),
            strays: HashMap::new(),
            hindered: HashMap::new(),
            look_at_going: None,
            accident: None,
            observed: None,
            synced: None,
            problems: Vec::new(),
            lost: HashSet::new(),
            failure: None,
            away: Away::default(),
            before: None,
            founded: false,
            created: Instant::now(),
            heard: Some(Heard::default()),
            complete: false,
            rollout: None,
            failed_before: None,
            status: GitSyncStatus::default(),
            reading: None,
            secrets: None,
            secret_versions: [None, None],
            beat: Instant::now(),
            next_poll: Instant::now(),
            looked: None,
            pushed: Arc::default(),
            retry: None,
            was_paused: false,
            pause_reminder: None,
            pin: Pin::default(),
            tip: None,
            awaited: None,
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
                Ok(()) = self.role.changed() => self.change_role().await,
                Ok(()) = self.around.changed() => self.look_around().await,
                Ok(()) = self.contested.changed() => self.look_at_claims().await,
                () = changed(&mut self.secrets) => self.notice_secret(),
                () = self.pushed.notified() => self.notice_push(),
                Ok(()) = self.rules.changed() => self.look_at_what_differs().await,
                Ok(()) = self.policy_windows.changed() => {
                    if self.renew_windows() {
                        self.go_on().await;
                    }
                }
                looked = join(&mut self.reading) => self.learn(looked).await,
                () = sleep_until(wake) => self.tick().await,
            }
            self.advance().await;
            self.minds_what_goes(Instant::now());
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
            Input::Tracked(key, seen) => self.see_tracked(key, seen).await,
            Input::Gone(key) => {
                self.heard.as_mut().into_iter().for_each(|heard| heard.gone(&key));
                self.miss(key).await;
            }
            Input::Listed(kind, keys) => self.compare_list(&kind, &keys).await,
        }
    }

    /// When Git is to be asked, or a commit tried again.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let retry = self.retry.into_iter().chain([self.next_poll]).min();
        retry.filter(|_| self.reading.is_none())
    }

    async fn tick(&mut self) {
        if self.windows.turn().is_some_and(|turn| turn <= clock::now()) && self.notice_windows() {
            self.go_on().await;
        }
        if self.leads() {
            self.look_again_at_what_is_due().await;
        }
        self.look_at_what_goes(Instant::now()).await;
        if self.awaited.as_ref().is_some_and(|awaited| awaited.until <= Instant::now()) {
            self.prune().await;
        }
        self.remind_of_ends();
        self.check_patience();
        if self.is_at_its_end().await {
            self.next_poll = Instant::now() + Duration::from_hours(1);
            return;
        }
        let resumed = self.notice_ends();
        if resumed || self.retry.is_some_and(|retry| retry <= Instant::now()) {
            self.retry = None;
            self.look_again();
        }
        if self.reading.is_none() && Instant::now() >= self.next_poll {
            self.poll();
        }
    }

    /// Starts a look at Git beside the loop.
    fn poll(&mut self) {
        let sought = self.seek();
        let Some(plan) = &self.plan else {
            self.next_poll = Instant::now() + Duration::from_hours(1);
            return;
        };
        let (now, SourcePlan { url, interval, .. }) = (Instant::now(), &plan.source);
        let look = Look {
            sync: self.name.clone(),
            plan: plan.clone(),
            beat: self.beat,
            known: self.known(),
            before: self.read_besides(),
            begun: self.begun_before(),
            fallback: self.fallback(),
            sought,
            is_awaited: self.is_awaited(),
        };
        self.requests.begin();
        self.looked = Some(now);
        self.next_poll = self.context.share.next_beat(url, *interval, now);
        self.beat = self.next_poll;
        self.reading = Some(tokio::spawn(look.look(self.context.clone())));
        self.joins_the_census(now);
    }

    /// Reads Git and looks at all of it again at the next opportunity.
    pub(super) fn look_again(&mut self) {
        self.observed = None;
        self.poll_now();
    }

    /// Looks at Git at the next opportunity.
    pub(super) fn poll_now(&mut self) {
        self.next_poll = Instant::now();
        self.beat = self.next_poll;
    }

    /// Looks at Git because somebody pushed, at most once a second.
    fn notice_push(&mut self) {
        self.beat = Instant::now();
        let earliest = self.looked.map_or(self.beat, |looked| looked + BETWEEN_PUSHES);
        self.next_poll = self.next_poll.min(self.beat.max(earliest));
    }

    /// Kinds the sync had objects of when it last reported: `apiVersion` and kind.
    pub(super) fn kinds_before(&self) -> impl Iterator<Item = (&str, &str)> {
        self.status.kinds.iter().filter_map(|name| name.rsplit_once('/'))
    }

    async fn learn(&mut self, looked: Looked) {
        self.reading = None;
        let answered = looked.newest.is_some();
        let Some(news) = self.heed(looked) else { return };
        let nothing_new = matches!(news, Ok(News::Same));
        let outcome = |ok| if ok { Outcome::Success } else { Outcome::Failure };
        self.context.metrics.fetched(outcome(answered), clock::now());
        match news {
            Ok(News::Same) => {
                if let Some(known) = self.known() {
                    self.tell_it_is_read(&known, self.problems.is_empty());
                }
                if self.failure.as_ref().is_some_and(|failure| git::Error::is_condition(failure.reason)) {
                    self.failure = None;
                }
                if self.windows.is_relieved() {
                    self.look_again();
                }
            }
            Ok(News::Commit(reading, earlier, _turn)) => self.take_up(reading, *earlier, true).await,
            Ok(News::Stale(reading, error, _turn)) => {
                self.take_up(reading, Earlier::default(), false).await;
                self.fail_to_look(&error);
            }
            Err(error) => {
                self.fail_to_look(&error);
                if error.may_pass() { self.could_not_be_read().await } else { self.remains_unread().await }
            }
        }
        self.leaves_the_census();
        if !nothing_new {
            self.try_again();
        }
        // After what others depend on was written, the commit is read once more: then the look is over.
        self.requests.end(self.leads() && (!self.founded || self.failure.is_some()));
    }
}

/// The end of a look that may or may not be going on; never, if none is.
async fn join(reading: &mut Option<JoinHandle<Looked>>) -> Looked {
    match reading {
        Some(task) => task.await.expect("looking at Git is neither cancelled nor panics"),
        None => std::future::pending().await,
    }
}
