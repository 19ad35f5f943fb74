//! What a keeper does about what it sees: settle, report, heal, delete.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::entry::{Drifted, Entry, goes, until as wait_for, version};
use super::errands::aim;
use super::heal::End;
use super::keeper::Keeper;
use super::plan::{Policy, Response, is_tracked_by, respond};
use super::report::{Author, author, since, summary};
use crate::cluster::{Cause, Error, Kind, clock};
use crate::core::breakglass;
use crate::core::compare::{Deviation, Kind as How};
use crate::core::drift::{drift, failed_rules};
use crate::core::exclude::RuleError;
use crate::core::object::ObjectKey;
use crate::core::ready::Readiness;
use crate::core::state::State;
use crate::evidence::metrics::HealOutcome;
use crate::evidence::{Intent, Kind as What};

/// An object that is to be written, and why.
pub(super) struct Job {
    pub(super) key: ObjectKey,
    pub(super) live: Option<Value>,
    pub(super) deviations: Vec<Deviation>,
    author: Option<Author>,
    since: Timestamp,
    seen: Instant,
}

// === impl Keeper ===

impl Keeper {
    /// A declared object was seen to be wrong, or an undeclared one says it is ours.
    pub(super) async fn see(&mut self, key: ObjectKey, object: Value) {
        match self.entries.get(&key) {
            Some(entry) if version(&object) <= entry.judged => {}
            Some(_) => self.settle(key, Some(object)).await,
            None if is_tracked_by(&self.name, &key, &object) => {
                let text = |name| object.get(name).and_then(Value::as_str).unwrap_or_default();
                self.see_stray(key, text("apiVersion"), text("kind"), goes(&object)).await;
            }
            None => {}
        }
    }

    /// A declared object was seen to be as Git says; `true` if that is news.
    pub(super) fn fine(&mut self, key: &ObjectKey, version: u64, ready: &Readiness) -> bool {
        let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.judged < version) else { return false };
        entry.judged = version;
        let (aim, drifted) = (aim(entry), entry.drifted.take());
        entry.pending = false;
        let glass = entry.glass.take().is_some();
        entry.reminder = None;
        let is_news = drifted.is_some() || glass;
        self.tell_what_was_done(key, aim, drifted);
        self.notice(key, || ready.clone()) || is_news
    }

    /// An object is gone, or has lost the label we watch by: only a look tells.
    pub(super) async fn miss(&mut self, key: ObjectKey) {
        let Some(entry) = self.entries.get(&key) else {
            self.miss_stray(&key).await;
            return;
        };
        if !self.leads() {
            return;
        }
        match self.cluster.get(&entry.kind, &key).await {
            Ok(live) => self.settle(key, live).await,
            Err(error) => self.postpone(&key, Vec::new(), &error.to_string()),
        }
    }

    /// After a watch started over: what is not in its list was deleted meanwhile, strays that others wait for among it.
    pub(super) async fn compare_list(&mut self, kind: &Kind, keys: &HashSet<ObjectKey>) {
        let of_kind = self.entries.iter().filter(|(key, entry)| entry.kind == *kind && !keys.contains(*key));
        let strays = self.strays.iter().filter(|(key, stray)| stray.kind == *kind && !keys.contains(*key));
        let missing: Vec<_> = of_kind.map(|(key, _)| key).chain(strays.map(|(key, _)| key)).cloned().collect();
        for key in missing {
            self.miss(key).await;
        }
    }

    /// The policy says something else: what differs is looked at again, since it may have been left only because of that.
    pub(super) async fn look_at_what_differs(&mut self) {
        let differs = |(key, entry): (&ObjectKey, &Entry)| entry.drifted.is_some().then(|| key.clone());
        let keys: Vec<_> = self.entries.iter().filter_map(differs).collect();
        for key in keys {
            self.miss(key).await;
        }
    }

    /// Does the sync itself want drift undone?
    fn heals(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.self_heal)
    }

    /// Judges an object; `None` when nothing is to be written.
    pub(super) fn job(&mut self, key: ObjectKey, live: Option<Value>) -> Option<Job> {
        let entry = self.entries.get(&key)?;
        let policy = Policy {
            self_heal: entry.pending || (self.heals() && !self.context.rules.borrow().observe_only),
            suspended: self.is_paused(),
            held: self.is_closed_for(entry) || (!entry.pending && self.gives_way(&key).is_some()),
            now: clock::now(),
        };
        let managed = entry.managed.clone();
        let (deviations, response) = match &live {
            None => {
                let missing = vec![Deviation::whole(How::Missing, &managed)];
                let may_write = policy.self_heal && !policy.suspended && !policy.held;
                (missing, if may_write { Response::Heal } else { Response::Report })
            }
            Some(object) => {
                let state = State::whole(object);
                let rules = self.context.rules.borrow();
                let drift = drift(&managed, &state, &|entry| rules.identities.is_interactive(entry));
                let caught_up = entry.held_open && breakglass::open(&state, policy.now).is_some();
                let response = match respond(&state, &drift, policy) {
                    Response::InSync if caught_up && !policy.suspended && !policy.held => Response::Heal,
                    response => response,
                };
                (drift, response)
            }
        };
        let waits = response == Response::Heal && self.waits_for_its_wave(&key);
        let response = if waits { Response::Wait } else { response };
        let failed = match &live {
            Some(live) if !deviations.is_empty() => failed_rules(&managed, &State::whole(live)),
            _ => Vec::new(),
        };
        let author = live.as_ref().and_then(|live| author(live, &deviations, policy.now));
        let since =
            if self.closes_break_glass(&key, &response) { policy.now } else { since(author.as_ref(), policy.now) };
        let job = Job { key, live, deviations, author, since, seen: Instant::now() };
        match failed.as_slice() {
            [] => self.answer(job, response),
            failed => {
                self.leave_undecided(&job, failed);
                None
            }
        }
    }

    /// What was held open was not waiting to be remedied; from now on it is.
    fn closes_break_glass(&mut self, key: &ObjectKey, response: &Response) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return false };
        let closes = entry.glass.is_some() && *response == Response::Heal;
        if closes {
            entry.drifted = None;
        }
        closes
    }

    /// Does everything that needs no write; `Some` when one is needed.
    fn answer(&mut self, job: Job, response: Response) -> Option<Job> {
        let entry = self.entries.get_mut(&job.key)?;
        entry.judged = job.live.as_ref().map_or(entry.judged, version);
        let now = clock::now();
        entry.note_glass(job.live.as_ref().and_then(|live| breakglass::open(&State::whole(live), now)), now);
        match response {
            Response::Heal => return Some(job),
            Response::InSync => {
                let (aim, drifted) = (aim(entry), entry.drifted.take());
                entry.pending = false;
                self.tell_what_was_done(&job.key, aim, drifted);
            }
            Response::Terminating | Response::Wait => entry.drifted = None,
            Response::Open(glass) => {
                entry.held_open = false;
                self.leave(&job, format!("break-glass by {} until {}: {}", glass.by, glass.until, glass.reason));
            }
            Response::Report if self.is_paused() => self.leave(&job, "the sync is paused".to_owned()),
            Response::Report => self.leave_for_now(&job),
        }
        None
    }

    /// Drift that stays: because somebody decided so, or until a window opens, or until whoever undoes our heals has had a rest.
    fn leave_for_now(&mut self, job: &Job) {
        let Some(entry) = self.entries.get(&job.key) else { return };
        let observes = self.context.rules.borrow().observe_only;
        if !entry.pending && !self.heals() {
            self.leave(job, "selfHeal is off".to_owned());
        } else if !entry.pending && observes {
            self.leave(job, "the DriftPolicy only observes".to_owned());
        } else if let Some(closed) = self.closed_for(entry) {
            self.leave(job, closed.to_string());
        } else if let Some((why, until)) = self.gives_way(&job.key) {
            self.leave(job, why);
            let drifted = self.entries.get_mut(&job.key).and_then(|entry| entry.drifted.as_mut());
            drifted
                .into_iter()
                .for_each(|drifted| drifted.retry = Some(Instant::now() + wait_for(until, clock::now())));
        } else {
            // It opened just now, between two looks at the clock.
            self.leave(job, "a window has just opened".to_owned());
            self.look_again();
        }
    }

    /// A rule failed, so nobody knows which of this is drift. Healing might undo what the rule was written to protect; saying
    /// nothing might hide drift. It is said loudly, and left.
    fn leave_undecided(&mut self, job: &Job, failed: &[RuleError]) {
        let Some(entry) = self.entries.get_mut(&job.key) else { return };
        entry.judged = job.live.as_ref().map_or(entry.judged, version);
        let known = entry.drifted.as_ref().is_some_and(|known| known.undecided);
        let why = failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        if !known {
            self.context.metrics.rule_errors.inc();
            tracing::error!(sync = self.name, object = %job.key, why, "an exclusion rule failed; the object is not healed");
        }
        self.leave(job, format!("RuleError: {why}"));
        if let Some(drifted) = self.entries.get_mut(&job.key).and_then(|entry| entry.drifted.as_mut()) {
            drifted.undecided = true;
        }
    }

    /// Drift that stays, and is reported once.
    fn leave(&mut self, job: &Job, why: String) {
        let Some(entry) = self.entries.get_mut(&job.key) else { return };
        let drifted = job.drifted(why, 0, None);
        let known = entry.drifted.as_ref().is_some_and(|known| known.paths == drifted.paths);
        if !known {
            self.context.left(&entry.managed, &job.deviations, job.author.as_ref(), &drifted.why);
        }
        let since = entry.drifted.as_ref().filter(|_| known).map_or(drifted.since, |known| known.since);
        entry.drifted = Some(Drifted { since, ..drifted });
    }

    /// What follows from how a write ended.
    pub(super) fn conclude(&mut self, job: &Job, intent: Intent, end: Result<End, Error>) {
        self.notice_end(&job.key, &end);
        let Some(entry) = self.entries.get_mut(&job.key) else { return };
        let because_of_commit = entry.pending;
        match end {
            Ok(End::Done(answer)) => {
                entry.judged = version(&answer);
                (entry.glass, entry.reminder, entry.held_open) = (None, None, false);
                entry.pending = false;
                let known = entry.drifted.take();
                let managed = entry.managed.clone();
                if !because_of_commit && !job.deviations.is_empty() {
                    self.count_heal(&managed, &job.deviations, job.author.as_ref());
                }
                self.praise(job, intent, known.as_ref(), because_of_commit);
                if because_of_commit && self.failure.as_ref().is_some_and(|failure| failure.reason == "ApplyFailed") {
                    // Perhaps it was the last that failed; only a look at all of them tells.
                    self.retry = Some(Instant::now());
                }
            }
            Ok(End::Undone(answer, left)) => {
                entry.judged = version(&answer);
                self.undone(&job.key, intent, &left);
            }
            Ok(End::Terminating) => {}
            Ok(End::Replaced(why)) => self.context.replaced(&entry.managed, &job.deviations, intent, &why),
            Err(error) if error.leaves_open() => self.unanswered(job, intent, &error),
            Err(error) => self.failed(job, intent, &error),
        }
    }

    /// The write went through and did not last: whoever does that will do it again.
    fn undone(&mut self, key: &ObjectKey, intent: Intent, left: &[Deviation]) {
        let Some(entry) = self.entries.get(key) else { return };
        let paths: Vec<_> = left.iter().map(|deviation| deviation.path.to_string()).collect();
        let why = format!("written, and changed back at once: {}", summary(&paths));
        self.context.not_healed(&entry.managed, left, intent, (HealOutcome::Refused, &why));
        self.postpone(key, paths, &why);
        self.is_answered(key);
    }

    /// The write did not go through. It is tried for as long as it takes, and reported once.
    fn failed(&mut self, job: &Job, intent: Intent, error: &Error) {
        let Some(entry) = self.entries.get(&job.key) else { return };
        let outcome = match error.cause {
            Cause::Conflict(_) => HealOutcome::Conflict,
            Cause::Invalid(_) | Cause::Refused(_) => HealOutcome::Refused,
            _ => HealOutcome::Failed,
        };
        if entry.drifted.as_ref().is_none_or(|drifted| drifted.failures == 0 || drifted.unanswered) {
            self.context.not_healed(&entry.managed, &job.deviations, intent, (outcome, &error.to_string()));
        }
        self.postpone(&job.key, job.paths(), &error.to_string());
        self.is_answered(&job.key);
    }

    /// Records what was written: because of a commit, or to undo drift.
    fn praise(&self, job: &Job, intent: Intent, known: Option<&Drifted>, because_of_commit: bool) {
        let Some(entry) = self.entries.get(&job.key) else { return };
        self.tell_closed(job);
        if because_of_commit {
            self.context.applied(&entry.managed, &job.deviations, intent);
        } else if !job.deviations.is_empty() {
            let since = known.map_or(job.since, |known| known.since.min(job.since));
            let took = Duration::try_from(clock::now().duration_since(since)).unwrap_or_default();
            if known.is_none() {
                self.context.drifted(&entry.managed, &job.deviations, job.author.as_ref());
            }
            let how = (intent, took.max(job.seen.elapsed()));
            self.context.healed(&entry.managed, &job.deviations, job.author.as_ref(), how);
        } else if job.live.as_ref().is_some_and(|live| !State::whole(live).has_our_entry()) {
            self.context.owned_again(&entry.managed, intent, job.seen.elapsed());
        }
    }

    /// A break-glass whose stamps this write removed has expired, or is no longer needed.
    fn tell_closed(&self, job: &Job) {
        let Some(entry) = self.entries.get(&job.key) else { return };
        let state = job.live.as_ref().map(State::whole);
        if let Some(glass) = state.as_ref().and_then(breakglass::stamped) {
            let mut record = self.context.record(What::BreakGlassClosed, &entry.managed, &[]);
            let ended = if record.time < glass.until { "Git caught up" } else { "it expired" };
            record.reason = Some(format!("{ended}; opened by {} until {}: {}", glass.by, glass.until, glass.reason));
            self.context.evidence.record(record);
        }
    }
}

// === impl Job ===

impl Job {
    /// What deviates, as people read it; nothing where it is the whole object.
    pub(super) fn paths(&self) -> Vec<String> {
        let whole = self.deviations.iter().all(|deviation| deviation.path.steps().is_empty());
        let path = |deviation: &Deviation| deviation.path.to_string();
        if whole { Vec::new() } else { self.deviations.iter().map(path).collect() }
    }

    fn drifted(&self, why: String, failures: u32, retry: Option<Instant>) -> Drifted {
        Drifted {
            paths: self.paths(),
            since: self.since,
            by: self.author.as_ref().map(|author| author.manager.clone()),
            why,
            failures,
            retry,
            undecided: false,
            unanswered: false,
        }
    }
}
