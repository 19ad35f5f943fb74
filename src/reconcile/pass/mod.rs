//! A pass: from a commit that was read to a cluster that equals it.
//!
//! Declare everything, refuse the commit if any of it is invalid, publish what is declared so that the guard stands before the
//! first write, write what differs in stages, and delete what left Git. Namespaces and CRDs others depend on are written
//! first, and the commit is read again: only then is it known what the rest means.

mod recall;
mod stages;
mod understand;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub(super) use self::recall::Before;
use self::understand::Understood;
use super::away::AWAY;
use super::census::Live;
use super::entry::Entry;
use super::keeper::Keeper;
use super::look::Earlier;
use super::status::Failure;
use crate::api::CommitOutcome;
use crate::api::meaning::SyncPlan;
use crate::cluster::events::Note;
use crate::cluster::{Error, clock};
use crate::core::manifest::Manifest;
use crate::core::object::ObjectKey;
use crate::core::snapshot::{Suspension, Sync};
use crate::git::{Problem, Reading};

/// Reason of the failure when a commit is not applied at all.
const REFUSED: &str = "Invalid";

/// Reason of the failure when a commit is not applied because a right is missing.
const FORBIDDEN: &str = "Forbidden";

// === impl Keeper ===

impl Keeper {
    /// Makes the cluster equal to this commit.
    pub(super) async fn pass(&mut self, reading: Reading) {
        let Some(plan) = self.plan.clone() else { return };
        let Reading { commit, manifests, problems } = reading;
        let again = self.observed.is_none() || !self.away.is_empty();
        self.history.reads(&commit);
        tracing::info!(sync = self.name, revision = commit.sha, manifests = manifests.len(), "read a commit");
        match self.try_pass(&plan, &commit.sha, manifests, problems, again).await {
            Ok(()) => {}
            Err(error) if error.is_not_leading() => {
                self.interrupt();
                self.could_not_be_read().await;
            }
            Err(error) if error.is_refused() => {
                self.fail(FORBIDDEN, error.to_string());
                self.remains_unread().await;
            }
            Err(error) => {
                self.fail("ClusterUnavailable", error.to_string());
                self.could_not_be_read().await;
            }
        }
    }

    /// The first pass after a start, to another commit than the cluster was equal to before. What is wrong with an object whose
    /// manifest is still the same has drifted meanwhile. And if this commit is refused, the one before stays in force, or goes on:
    /// what was written of it is not taken back.
    pub(super) async fn pass_after_start(&mut self, reading: Reading, Earlier { before, begun }: Earlier) {
        self.before = before.map(Before::of);
        self.pass(reading).await;
        let is_refused = |failure: &Failure| [REFUSED, FORBIDDEN].contains(&failure.reason);
        if self.entries.is_empty() && self.failure.as_ref().is_some_and(is_refused) {
            let instead = begun.or_else(|| self.before.take().map(|before| before.reading));
            let (refusal, refused) = (self.failure.take(), self.observed.take());
            self.windows.falls_back = true;
            if let Some(instead) = instead {
                self.pass(instead).await;
            }
            (self.windows.falls_back, self.complete) = (false, false);
            self.failure = refusal;
            self.observed = refused;
        }
        self.before = None;
    }

    async fn try_pass(
        &mut self,
        plan: &SyncPlan,
        revision: &str,
        manifests: Vec<Manifest>,
        problems: Vec<Problem>,
        again: bool,
    ) -> Result<(), Error> {
        if !self.keeps_out(revision) {
            self.make_namespace(plan, revision, &manifests).await?;
        }
        let mut known = if again { self.list(&manifests).await? } else { Live::new() };
        let rollback = self.rolled_back_to(revision);
        let sync = Arc::new(Sync { rollback, ..facts(&self.name, plan, revision) });
        let mut understood = self.understand(&sync, plan, manifests, &mut known, again).await;
        self.context.publisher.announces(&self.name, HashSet::new());
        self.tell_it_is_read(revision, problems.is_empty());
        if let Some(error) = understood.unavailable.take() {
            return Err(error);
        }
        understood.away.drain(..).for_each(|(key, error)| self.away.unread(&key, error.to_string()));
        if plan.options.validate && !(understood.invalid.is_empty() && understood.refused.is_empty()) {
            self.refuse(revision, understood).await;
            return Ok(());
        }
        self.announce(revision, &understood.entries).await?;
        if !understood.premature.is_empty() && !self.keeps_out(revision) && self.lay_foundation(&mut understood).await?
        {
            (self.observed, self.founded) = (None, true);
            self.poll_now();
            return Ok(());
        }
        self.founded = false;
        self.make_real(plan, revision, understood, problems, known).await;
        Ok(())
    }

    /// Takes over what was understood, writes what differs, and deletes what left Git. `known` is what was seen of other objects.
    async fn make_real(
        &mut self,
        plan: &SyncPlan,
        revision: &str,
        understood: Understood,
        mut problems: Vec<Problem>,
        known: Live,
    ) {
        let Understood { mut entries, mut live, premature, stuck, refused, mut invalid, lost, .. } = understood;
        problems.append(&mut invalid);
        let hindered = [premature, stuck, refused].concat();
        let is_synced = self.synced.as_deref() == Some(revision);
        for (key, entry) in &mut entries {
            entry.pending &= !is_synced && !self.before.as_ref().is_some_and(|before| before.said(key, entry));
        }
        self.failed_before = self.failure.take().or(self.failed_before.take());
        self.complete = false;
        (self.lost, self.hindered) = (lost, understood.hindered);
        let is_complete = problems.is_empty() && hindered.is_empty();
        self.problems = problems;
        self.recall(plan, &entries, known, is_complete, &mut live).await;
        let mut renewed = self.excluded_otherwise(&entries);
        self.make_peace(&renewed);
        self.windows.declare(revision, plan);
        if let Some(accident) = self.adopt(revision, entries, is_complete) {
            self.fail("PruneLimit", accident);
        }
        renewed.extend(self.take_surroundings());
        renewed.retain(|key| !live.contains_key(key));
        self.write(live).await;
        for key in renewed {
            self.miss(key).await;
        }
        self.tell_what_failed(&hindered);
        self.prune().await;
        self.complete = self.failure.is_none() && self.problems.is_empty() && self.lost.is_empty();
        self.settle_revision();
    }

    /// Nothing of this commit is written. What the cluster was made equal to is the one before.
    async fn refuse(&mut self, revision: &str, mut understood: Understood) {
        let reason = if understood.forbidden { FORBIDDEN } else { REFUSED };
        understood.invalid.append(&mut understood.refused);
        self.observed = Some(revision.to_owned());
        self.complete = false;
        self.hindered = std::mem::take(&mut understood.hindered);
        let message = refusal(revision, &understood.invalid, self.founded);
        if self.leads() {
            self.history.add(revision, CommitOutcome::Refused, Some(&message), clock::now());
        }
        self.fail(reason, message);
        self.remains_unread().await;
    }

    /// Objects of which something else is excluded than when they were judged: a rule that changed while a commit was read must not
    /// be lost in between.
    fn excluded_otherwise(&self, entries: &HashMap<ObjectKey, Entry>) -> HashSet<ObjectKey> {
        let is_other = |(key, entry): &(&ObjectKey, &Entry)| {
            let known = self.entries.get(*key);
            known.is_some_and(|known| !known.managed.exclusions.same_as(&entry.managed.exclusions))
        };
        entries.iter().filter(is_other).map(|(key, _)| key.clone()).collect()
    }

    /// What of this commit could not be made real, in one message: it is tried again, waiting longer each time.
    pub(super) fn tell_what_failed(&mut self, hindered: &[Problem]) {
        let failed = self.entries.values().filter(|entry| entry.pending).filter_map(|entry| entry.drifted.as_ref());
        let failed = failed.filter(|drifted| drifted.failures > 0).map(|drifted| drifted.why.clone());
        let mut said: Vec<_> = hindered.iter().map(ToString::to_string).chain(failed).collect();
        said.sort();
        if !said.is_empty() {
            said.extend(self.away.words());
            self.fail("ApplyFailed", summary(&said));
        }
        self.tell_what_is_away();
    }

    /// A kind that is away is said last: whatever else failed withholds more.
    fn tell_what_is_away(&mut self) {
        let said: Vec<_> = self.away.words().collect();
        if !said.is_empty() && self.failure.is_none() {
            self.fail(AWAY, summary(&said));
        }
    }

    /// Does the cluster equal the commit that was read? Not before all of a pass went well, and not while a break-glass keeps the
    /// commit from an object, or one is still to be gone: before it can be made anew, or because it left Git and is not kept on purpose
    /// (see `prune`).
    pub(super) fn settle_revision(&mut self) {
        self.tell_of_the_rollback();
        let done = self.complete && self.rollout.is_none() && !self.is_paused() && self.leads();
        let waits = |entry: &Entry| entry.pending && entry.drifted.is_some() && self.is_closed_for(entry);
        let held = self.entries.values().any(|entry| entry.is_held() || entry.is_going() || waits(entry));
        let held = held || self.leaving().next().is_some();
        if let Some(revision) = self.observed.clone().filter(|_| done && !held) {
            self.failed_before = None;
            self.arrive(&revision);
        }
    }

    /// The cluster equals this commit.
    fn arrive(&mut self, revision: &str) {
        let before = self.synced.replace(revision.to_owned());
        if before.as_deref() != Some(revision) {
            let (outcome, why) = self.outcome_of(revision);
            self.history.add(revision, outcome, why.as_deref(), clock::now());
            let text = format!("{} objects were made equal to {revision}", self.entries.len());
            tracing::info!(sync = self.name, revision, objects = self.entries.len(), "synced");
            self.note(Note { reason: "Synced".to_owned(), text, warning: false });
        }
    }
}

/// What a verdict needs to know of this sync at this commit.
pub fn facts(name: &str, plan: &SyncPlan, revision: &str) -> Sync {
    Sync {
        name: name.to_owned(),
        repository: plan.source.url.clone(),
        target: plan.source.revision.clone(),
        revision: revision.to_owned(),
        mode: plan.admission.mode.into(),
        undeclared: plan.admission.undeclared.into(),
        self_heal: plan.self_heal,
        suspension: plan
            .suspend
            .as_ref()
            .map(|suspend| Suspension { reason: suspend.reason.clone(), until: suspend.until }),
        rollback: None,
        tool: None,
    }
}

fn refusal(revision: &str, problems: &[Problem], founded: bool) -> String {
    let short = revision.get(..7).unwrap_or(revision);
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let written = if founded { "anything but its namespaces and definitions" } else { "any of it" };
    format!("commit {short} was refused before {written} was written: {}", summary(&said))
}

/// At most five of these, and how many more.
fn summary(said: &[String]) -> String {
    let more = said.len().saturating_sub(5);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}", said[..said.len().min(5)].join("; "))
}
