//! A rollback at work: a pause with content. An older commit is in the place of the newest for a while, in everything: it is
//! published, written, healed to and pruned by, window by window and wave by wave, as any commit is.
//!
//! Where this departs from the design: a pause leaves the cluster alone, a rollback keeps it. So `spec.rollback` stands beside
//! `spec.suspend`, not in it, and both may hold: then nothing is written until the pause is over. The same right takes both
//! (`suspend`), since both keep commits out for a while. Not every commit may be pinned (`git::Lineage`), or whoever may edit a
//! `GitSync` could deploy what nobody has reviewed.
//!
//! Git is looked at as always, so that the newest commit is known and shown. Which commit a tag or a few digits mean is found out
//! once and kept in `status.rollback`: a tag that is moved moves nothing, a restart asks nothing, and all replicas mean the same.
//! What cannot be found changes nothing: what was in force stays so, and newer commits wait all the same, because somebody has
//! just said that they do harm.

use std::sync::Arc;

use jiff::Timestamp;

use super::keeper::Keeper;
use super::look::{Looked, News, Sought};
use super::moves::Tip;
use crate::api::meaning::RollbackPlan;
use crate::api::{CommitOutcome, GitSyncStatus, PinnedRevision};
use crate::cluster::clock;
use crate::cluster::events::Note;
use crate::core::snapshot::Rollback;
use crate::evidence::{Actor, Kind as What, Record};
use crate::git;

/// What a keeper knows of a rollback.
#[derive(Debug, Default)]
pub struct Pin {
    /// Is there one?
    on: bool,
    /// The commit, once it is known.
    found: Option<PinnedRevision>,
    /// Has anybody told of it?
    told: bool,
    /// The newest commit, which waits.
    newest: Option<String>,
    /// When people are to be reminded that it ends.
    reminder: Option<Timestamp>,
}

// === impl Pin ===

impl Pin {
    /// What the leader has found out is as good as if this replica had.
    pub(super) fn follow(&mut self, status: &GitSyncStatus) {
        if let Some(found) = &status.rollback {
            (self.found, self.told) = (Some(found.clone()), true);
        }
    }

    /// When people are to be reminded.
    pub(super) fn reminder(&self) -> Option<Timestamp> {
        self.reminder
    }

    /// The commit, if this is what was asked for.
    fn of(&self, requested: &str) -> Option<&PinnedRevision> {
        self.found.as_ref().filter(|found| found.requested == requested)
    }

    /// It is this commit; what was in force before is remembered over one rollback after another.
    fn find(&mut self, requested: &str, revision: String, in_force: Option<String>) {
        let before = self.found.take();
        self.told &= before.as_ref().is_some_and(|before| before.revision == revision);
        let from = match before {
            Some(before) => before.from,
            None => in_force.filter(|in_force| *in_force != revision),
        };
        self.found = Some(PinnedRevision { requested: requested.to_owned(), revision, from });
    }

    /// A commit that was found elsewhere is not known here.
    pub(super) fn forget(&mut self) {
        self.found = None;
    }
}

// === impl Keeper ===

impl Keeper {
    /// The rollback in force at `now`.
    pub(super) fn rollback(&self, now: Timestamp) -> Option<&RollbackPlan> {
        self.plan.as_ref()?.rollback.as_ref().filter(|rollback| rollback.holds(now))
    }

    /// It, and the commit it pins.
    fn pinned(&self) -> Option<(&RollbackPlan, &PinnedRevision)> {
        let rollback = self.rollback(clock::now())?;
        Some((rollback, self.pin.of(&rollback.revision)?))
    }

    /// Is the commit that is pinned in force? It may be refused, or wait for a window.
    fn is_pinned(&self) -> bool {
        self.pinned().is_some_and(|(_, found)| self.in_force().as_ref() == Some(&found.revision))
    }

    /// What a look at Git has to seek in the place of the newest commit.
    pub(super) fn seek(&self) -> Option<Sought> {
        let revision = self.rollback(clock::now())?.revision.clone();
        let entries = self.history.entries().into_iter();
        let synced = entries.filter(|entry| entry.outcome != CommitOutcome::Refused).map(|entry| entry.revision);
        let found = self.pin.of(&revision).map(|found| found.revision.clone());
        Some(Sought { synced: synced.collect(), revision, found })
    }

    /// Takes note of what a look at Git saw besides. `None` if it sought what nobody wants any more: Git is looked at again.
    pub(super) fn heed(&mut self, looked: Looked) -> Option<Result<News, Arc<git::Error>>> {
        let Looked { news, newest, sought } = looked;
        let wanted = self.rollback(clock::now()).map(|rollback| rollback.revision.clone());
        if wanted.as_ref() != sought.as_ref().map(|(revision, _)| revision) {
            self.requests.end(false);
            self.look_again();
            return None;
        }
        if let Some((newest, asked)) = &newest {
            Tip::note(&mut self.tip, newest, *asked);
        }
        let Some((requested, found)) = sought else { return Some(news) };
        self.pin.newest = newest.map(|(newest, _)| newest).or(self.pin.newest.take());
        if let Some(found) = found.filter(|found| self.pin.of(&requested).is_none_or(|known| known.revision != *found))
        {
            let in_force = self.in_force();
            self.pin.find(&requested, found, in_force);
        }
        Some(news)
    }

    /// Says, once, that the commit that is pinned is in force.
    pub(super) fn tell_of_the_rollback(&mut self) {
        if self.pin.told || self.pin.found.is_none() || !self.is_pinned() || !self.leads() {
            return;
        }
        let Some(text) = self.rollback_words() else { return };
        self.pin.told = true;
        tracing::info!(sync = self.name, text, "rolled back");
        self.tell_rollback(What::RolledBack, text, true);
    }

    /// Says that a rollback is over; `true` if it is, now.
    pub(super) fn notice_rollback(&mut self) -> bool {
        let now = clock::now();
        self.pin.reminder = self.rollback(now).and_then(|rollback| rollback.pause.reminder(now));
        if self.rollback(now).is_some() {
            self.pin.on = true;
            return false;
        }
        let Pin { on, found, told, newest, .. } = std::mem::take(&mut self.pin);
        if let Some(found) = found.as_ref().filter(|_| told && self.leads()) {
            let newest = newest.or_else(|| self.status.observed_revision.clone()).unwrap_or_default();
            let text =
                format!("the rollback to {} is over, and the newest commit counts again: {newest}", found.revision);
            self.tell_rollback(What::RollbackEnded, text, false);
        }
        on || found.is_some()
    }

    /// Says, once, that the rollback ends soon: the newest commit is rolled out then.
    pub(super) fn remind_of_the_rollback(&mut self) {
        let is_due = self.pin.reminder.is_some_and(|reminder| reminder <= clock::now());
        let Some(words) = self.rollback_words().filter(|_| is_due) else { return };
        self.pin.reminder = None;
        if self.leads() {
            let waits = self.kept_out().is_some();
            let then = if waits { "the newest commit is rolled out then" } else { "no newer commit waits" };
            self.tell_rollback(What::RollbackEnding, format!("the rollback ends soon: {words}; {then}"), waits);
        }
    }

    fn tell_rollback(&self, kind: What, text: String, warning: bool) {
        let by = self.rollback(clock::now()).and_then(|rollback| rollback.pause.by.clone());
        self.context.evidence.record(Record {
            sync: Some(self.name.clone()),
            revision: self.pin.found.as_ref().map(|found| found.revision.clone()).or_else(|| self.observed.clone()),
            reason: Some(text.clone()),
            by: by.map(|user| Actor { user: Some(user), ..Actor::default() }),
            ..Record::new(kind, clock::now())
        });
        self.note(Note { reason: format!("{kind:?}"), text, warning });
    }

    /// Why, until when, by whom, and from where to where.
    pub(super) fn rollback_words(&self) -> Option<String> {
        let rollback = self.rollback(clock::now())?;
        let RollbackPlan { revision, pause } = rollback;
        let to = match self.pin.of(revision) {
            Some(PinnedRevision { revision, .. }) if !self.is_pinned() => {
                format!("to {revision}, which is not in force yet")
            }
            Some(PinnedRevision { revision, from: Some(from), .. }) => format!("from {from} to {revision}"),
            Some(PinnedRevision { revision, from: None, .. }) => format!("to {revision}"),
            None => format!("to {revision}, which is not found yet"),
        };
        Some(format!("{}: {to}", pause.words()))
    }

    /// Why the newest commit is not made real, if there is a newer one.
    pub(super) fn kept_out(&self) -> Option<String> {
        let (rollback, found) = self.pinned()?;
        let newest = self.newest().filter(|newest| **newest != found.revision)?;
        let short = found.revision.get(..12).unwrap_or(&found.revision);
        Some(format!("rolled back to {short}, {}; the newest commit, {newest}, waits", rollback.pause.words()))
    }

    /// The newest commit, which is another than what is read, while somebody rolled back.
    pub(super) fn newest(&self) -> Option<&String> {
        self.rollback(clock::now())?;
        self.pin.newest.as_ref().or(self.status.observed_revision.as_ref())
    }

    /// What the status says of the commit that is pinned.
    pub(super) fn pinned_revision(&self) -> Option<PinnedRevision> {
        self.rollback(clock::now()).and(self.pin.found.clone())
    }

    /// What a denial says of this commit, if it is in force because somebody rolled back to it.
    pub(super) fn rolled_back_to(&self, revision: &str) -> Option<Rollback> {
        let (rollback, _) = self.pinned().filter(|(_, found)| found.revision == revision)?;
        let pause = rollback.pause.clone();
        Some(Rollback { by: pause.by, reason: pause.reason, until: pause.until })
    }

    /// What became of a commit the cluster equals now.
    pub(super) fn outcome_of(&self, revision: &str) -> (CommitOutcome, Option<String>) {
        match self.pinned().filter(|(_, found)| found.revision == revision) {
            Some((rollback, _)) => (CommitOutcome::RolledBack, Some(rollback.pause.words())),
            None => (CommitOutcome::Synced, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(pin: &mut Pin, requested: &str, revision: &str, in_force: &str) -> PinnedRevision {
        pin.find(requested, revision.to_owned(), Some(in_force.to_owned()));
        pin.of(requested).cloned().expect("it was found")
    }

    #[test]
    fn one_rollback_after_another_remembers_where_it_began() {
        let mut known = Pin::default();
        assert_eq!(pin(&mut known, "v3", "three", "four").from.as_deref(), Some("four"));
        assert_eq!(pin(&mut known, "v2", "two", "three").from.as_deref(), Some("four"));
        assert!(known.of("v3").is_none(), "that is not asked for any more");
        assert_eq!(pin(&mut Pin::default(), "v4", "four", "four").from, None, "nothing else was in force");
    }

    #[test]
    fn another_commit_is_told_and_the_same_one_is_not_told_again() {
        let mut known = Pin::default();
        pin(&mut known, "v2", "two", "four");
        known.told = true;
        pin(&mut known, "refs/tags/v2", "two", "two");
        assert!(known.told);
        pin(&mut known, "v1", "one", "two");
        assert!(!known.told);
    }

    #[test]
    fn what_the_leader_found_is_not_sought_again() {
        let mut known = Pin::default();
        known.follow(&GitSyncStatus::default());
        assert!(known.of("v2").is_none());
        let found = PinnedRevision { requested: "v2".to_owned(), revision: "two".to_owned(), from: None };
        known.follow(&GitSyncStatus { rollback: Some(found.clone()), ..GitSyncStatus::default() });
        assert_eq!((known.of("v2"), known.told), (Some(&found), true));
        known.forget();
        assert!(known.of("v2").is_none(), "another repository may have another one");
    }
}
