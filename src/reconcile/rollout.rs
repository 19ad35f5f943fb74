//! Writing a commit in waves, without ever waiting in the keeper's loop.
//!
//! What a commit changes is written wave by wave; [`Rollout`] says which is next. Until the one before is ready the keeper goes on
//! as always: sights, heals and new commits are answered at once, and it is the sight of the last object becoming ready that goes
//! on with the next wave. Only what is still to be written because of a commit takes part. What drifted is healed whatever its
//! wave, and after a restart nothing is to be written, so nothing waits.

use std::collections::HashMap;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::heal::End;
use super::keeper::Keeper;
use super::moves::Awaited;
use super::plan::{Stage, stage};
use super::report::summary;
use super::watchful::Job;
use crate::cluster::{Error, clock};
use crate::core::object::ObjectKey;
use crate::core::ready::{Readiness, readiness};
use crate::core::waves::{Rollout, wave};

/// Requests under way at once.
const CONCURRENCY: usize = 16;

/// Reason of the failure when a wave does not become ready.
const TIMEOUT: &str = "WaveTimeout";

// === impl Keeper ===

impl Keeper {
    /// Writes what differs: what others stand on first, then the rest, what a commit changes in waves.
    pub(super) async fn write(&mut self, mut live: HashMap<ObjectKey, Option<Value>>) {
        let before = self.rollout.take();
        let awaited: Vec<_> = before.iter().flat_map(Rollout::awaited).cloned().collect();
        let steps = if self.is_paused() || !self.leads() { Vec::new() } else { self.steps(&awaited) };
        for stage_now in [Stage::Foundation, Stage::Access, Stage::Rest] {
            let is_now = |key: &&ObjectKey| stage(key) == stage_now && !steps.iter().any(|(step, _)| step == *key);
            let keys: Vec<_> = live.keys().filter(is_now).cloned().collect();
            let batch = keys.into_iter().filter_map(|key| live.remove_entry(&key)).collect();
            self.settle_all(batch).await;
        }
        let prunes_last = self.plan.as_ref().is_some_and(|plan| plan.options.prune_last) && !self.strays.is_empty();
        self.rollout = Some(Rollout::new(steps, prunes_last, clock::now()));
        self.begin_waves(live).await;
    }

    /// What a commit still has to write after its foundation, with the waves; and what the commit before waited for.
    fn steps(&self, awaited: &[ObjectKey]) -> Vec<(ObjectKey, i32)> {
        let entries = self.entries.iter();
        let takes_part =
            entries.filter(|(key, entry)| stage(key) == Stage::Rest && (entry.pending || awaited.contains(key)));
        // No wave waits for a kind that is away.
        let takes_part = takes_part.filter(|(key, _)| !self.away.keeps(key));
        takes_part.map(|(key, entry)| (key.clone(), wave(&entry.managed.manifest.value()))).collect()
    }

    /// Writes every wave that need not wait. `live` is what was just seen; the rest is looked at.
    async fn begin_waves(&mut self, mut live: HashMap<ObjectKey, Option<Value>>) {
        while let Some(keys) = self.rollout.as_mut().and_then(|rollout| rollout.next(clock::now())) {
            if self.failure.as_ref().is_some_and(|failure| failure.reason == TIMEOUT) {
                self.failure = None;
            }
            let (seen, unseen): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| live.contains_key(key));
            let mut batch: Vec<_> = seen.into_iter().filter_map(|key| live.remove_entry(&key)).collect();
            batch.extend(self.look(unseen).await);
            self.settle_all(batch).await;
        }
        if self.rollout.as_ref().is_some_and(Rollout::is_over) {
            self.rollout = None;
        }
    }

    /// These objects as they are.
    async fn look(&mut self, keys: Vec<ObjectKey>) -> Vec<(ObjectKey, Option<Value>)> {
        let kinds: Vec<_> =
            keys.into_iter().filter_map(|key| Some((self.entries.get(&key)?.kind.clone(), key))).collect();
        let cluster = &self.cluster;
        let get = |(kind, key)| async move { (cluster.get(&kind, &key).await, key) };
        let answers: Vec<_> = futures::stream::iter(kinds).map(get).buffer_unordered(CONCURRENCY).collect().await;
        let mut found = Vec::new();
        for (answer, key) in answers {
            match answer {
                Ok(live) => found.push((key, live)),
                Err(error) => {
                    self.postpone(&key, Vec::new(), &error.to_string());
                    self.notice(&key, || Readiness::Waits(error.to_string()));
                }
            }
        }
        found
    }

    /// Goes on with the next wave, if what it waited for is ready.
    pub(super) async fn advance(&mut self) {
        if self.rollout.is_none() || self.is_paused() {
            return;
        }
        self.begin_waves(HashMap::new()).await;
        if self.rollout.is_some() {
            return;
        }
        if self.is_unhindered() {
            self.tell_what_failed(&[]);
            self.complete &= self.failure.is_none();
        }
        self.prune().await;
        self.try_again();
    }

    /// Says so when a wave takes too long. It is waited for all the same: it may only need longer, or somebody.
    pub(super) fn check_patience(&mut self) {
        let Some(patience) = self.patience() else { return };
        let now = clock::now();
        let told = self.rollout.as_mut().and_then(|rollout| rollout.complain(patience, now).then(|| rollout.told())?);
        if let Some(told) = told {
            self.fail(TIMEOUT, format!("{told}; longer than {patience:#}"));
        }
    }

    /// When a wave will have taken too long.
    pub(super) fn patience_ends(&self) -> Option<Timestamp> {
        self.rollout.as_ref()?.deadline(self.patience()?)
    }

    fn patience(&self) -> Option<SignedDuration> {
        self.plan.as_ref().map(|plan| SignedDuration::try_from(plan.wave_timeout).unwrap_or(SignedDuration::MAX))
    }

    /// What a commit waits for, in words: a wave, or the end of what is to be made anew, or of what left Git.
    pub(super) fn waits_for(&self) -> Option<String> {
        match &self.rollout {
            Some(rollout) => rollout.told(),
            None => self.goings(),
        }
    }

    fn goings(&self) -> Option<String> {
        if !self.complete {
            return None;
        }
        let anew = self.entries.values().filter(|entry| entry.is_going());
        let anew = not_yet_gone("to be made anew", anew.map(|entry| &entry.managed.manifest.key));
        // What comes into sight later holds up no commit.
        let left = self.leaving().filter(|_| self.synced != self.observed);
        let left = not_yet_gone("left Git", left);
        let awaited = self.awaited.as_ref().filter(|_| left.is_some()).map(Awaited::told);
        let said: Vec<_> = anew.into_iter().chain(left).chain(awaited).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// Is it to be written, and not yet?
    pub(super) fn waits_for_its_wave(&self, key: &ObjectKey) -> bool {
        let pending = self.entries.get(key).is_some_and(|entry| entry.pending);
        pending && self.rollout.as_ref().is_some_and(|rollout| rollout.holds(key))
    }

    /// Judges an object, and notices it if it is waited for and nothing is to be written.
    pub(super) fn job_or_notice(&mut self, key: ObjectKey, live: Option<Value>) -> Option<Job> {
        let awaits = self.rollout.as_ref().is_some_and(|rollout| rollout.awaits(&key));
        let ready = awaits.then(|| (key.clone(), readiness_of(live.as_ref())));
        let job = self.job(key, live);
        if let (None, Some((key, ready))) = (&job, ready) {
            self.notice(&key, || ready);
        }
        job
    }

    /// An object that is waited for was seen; `true` if it is one.
    pub(super) fn notice(&mut self, key: &ObjectKey, look: impl FnOnce() -> Readiness) -> bool {
        match self.rollout.as_mut().filter(|rollout| rollout.awaits(key)) {
            Some(rollout) => {
                rollout.seen(key, look());
                true
            }
            None => false,
        }
    }

    /// A write of an object ended.
    pub(super) fn notice_end(&mut self, key: &ObjectKey, end: &Result<End, Error>) {
        self.notice(key, || match end {
            Ok(End::Done(object) | End::Undone(object, _)) => readiness(object),
            Ok(End::Terminating | End::Replaced(_)) => Readiness::Waits("it is made anew".to_owned()),
            Err(error) => Readiness::Waits(error.to_string()),
        });
    }
}

fn not_yet_gone<'k>(what: &str, keys: impl Iterator<Item = &'k ObjectKey>) -> Option<String> {
    let mut keys: Vec<_> = keys.map(ToString::to_string).collect();
    keys.sort();
    (!keys.is_empty()).then(|| format!("{what}, and not yet gone: {}", summary(&keys)))
}

/// How ready an object is that may not be there.
fn readiness_of(live: Option<&Value>) -> Readiness {
    live.map_or_else(|| Readiness::Waits("it is not there".to_owned()), readiness)
}
