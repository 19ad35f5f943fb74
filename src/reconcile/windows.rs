//! Windows at work: what they close waits, and happens the moment they open.
//!
//! A new commit that may not be synced yet is known and not in force: what guards and heals is the commit before, all of it, so that
//! nobody is held to half a commit. After a start in a closed window that commit is read from Git again, by the SHA in
//! `status.enforcedRevision`, and deletes nothing: the one that waits may be half real already. Drift and deletions that wait are reported with the window that keeps them and until when.
//!
//! Whether something may be done is asked when it is done, not remembered: a keeper that is busy when a window closes must not
//! go on as if it were open.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::entry::Entry;
use super::keeper::Keeper;
use super::look::Earlier;
use super::moves::Held;
use crate::api::meaning::{SourcePlan, SyncPlan};
use crate::cluster::clock;
use crate::cluster::events::Note;
use crate::core::names::SYNC_NOW;
use crate::core::object::ObjectKey;
use crate::core::window::{Action, Closed, Gate, Window, gate, is_open, turn};
use crate::evidence::{Kind as What, Record};
use crate::git::Reading;

/// Everything windows can close.
const ACTIONS: [Action; 3] = [Action::Sync, Action::Heal, Action::Prune];
/// Characters of a SHA that tell which commit is meant.
const TELLING: usize = 7;

/// What a keeper knows of its windows.
#[derive(Default)]
pub struct Windows {
    /// Its own, and those the `DriftPolicy` has for it.
    list: Vec<Window>,
    /// When one of them next begins or ends.
    turn: Option<Timestamp>,
    /// What was closed when that was last looked at.
    closed: BTreeSet<Action>,
    /// A commit that was read and may not be synced yet.
    held: Option<String>,
    /// What is declared, and where it was read.
    in_force: Option<InForce>,
    /// After a start, is an older commit in force because the newest was refused, or waits, or is not known since Git does not answer?
    /// It may be half real, so nothing is deleted on the word of the older one.
    pub(super) falls_back: bool,
}

/// A commit, and where it was read.
struct InForce {
    revision: String,
    source: SourcePlan,
    namespace: String,
}

// === impl Windows ===

impl Windows {
    /// When to look at them again.
    pub(super) fn turn(&self) -> Option<Timestamp> {
        self.turn
    }

    /// A commit that waits.
    pub(super) fn held(&self) -> Option<&String> {
        self.held.as_ref()
    }

    /// Git answers that what is in force is the newest; `true` if that was not known.
    pub(super) fn is_relieved(&mut self) -> bool {
        self.held.is_none() && std::mem::take(&mut self.falls_back)
    }

    /// This is declared from now on.
    pub(super) fn declare(&mut self, revision: &str, plan: &SyncPlan) {
        let (source, namespace) = (plan.source.clone(), plan.namespace.clone());
        self.in_force = Some(InForce { revision: revision.to_owned(), source, namespace });
    }
}

// === impl Keeper ===

impl Keeper {
    /// Why this may not be done now, if it may not. `revision` is the commit it is done for.
    pub(super) fn closed(&self, action: Action, revision: Option<&str>) -> Option<Closed> {
        match gate(&self.windows.list, action, self.by_hand(action, revision), clock::now()) {
            Gate::Open => None,
            Gate::Closed(closed) => Some(closed),
        }
    }

    /// May this not be done now?
    pub(super) fn is_closed(&self, action: Action, revision: Option<&str>) -> bool {
        !is_open(&self.windows.list, action, self.by_hand(action, revision), clock::now())
    }

    fn by_hand(&self, action: Action, revision: Option<&str>) -> bool {
        action != Action::Heal && revision.is_some_and(|revision| self.is_asked_for(revision))
    }

    /// Why an object may not be written now: for a commit, or to undo drift.
    pub(super) fn closed_for(&self, entry: &Entry) -> Option<Closed> {
        self.closed(action_on(entry), self.observed.as_deref())
    }

    /// May an object not be written now?
    pub(super) fn is_closed_for(&self, entry: &Entry) -> bool {
        self.is_closed(action_on(entry), self.observed.as_deref())
    }

    /// May nothing of a commit be written now?
    pub(super) fn keeps_out(&self, revision: &str) -> bool {
        self.is_closed(Action::Sync, Some(revision))
    }

    /// Did somebody ask for this commit by hand?
    fn is_asked_for(&self, revision: &str) -> bool {
        let annotations = self.sync.as_ref().and_then(|sync| sync.metadata.annotations.as_ref());
        let asked = annotations.and_then(|annotations| annotations.get(SYNC_NOW));
        asked.is_some_and(|asked| asked.len() >= TELLING && revision.starts_with(asked.as_str()))
    }

    /// The commit whose declarations hold, or held before the start.
    pub(super) fn in_force(&self) -> Option<String> {
        let known = self.windows.in_force.as_ref().map(|known| known.revision.clone());
        known.or_else(|| self.status.enforced_revision.clone()).or_else(|| self.synced.clone())
    }

    /// The commit to read besides the newest: what held before a start, or what has to hold while the newest waits.
    pub(super) fn read_besides(&self) -> Option<String> {
        let may_wait = self.observed.is_none() && !self.windows.list.is_empty();
        let before = self.synced.clone().filter(|_| self.entries.is_empty());
        if may_wait && self.is_closed(Action::Sync, None) { self.in_force() } else { before }
    }

    /// After a start, the commit that was being made real before, or was by then.
    pub(super) fn begun_before(&self) -> Option<String> {
        self.status.enforced_revision.clone().filter(|_| self.entries.is_empty())
    }

    /// The commit that need not be read if it is still the newest.
    pub(super) fn known(&self) -> Option<String> {
        // What may be synced by now has to be read, and so has what holds meanwhile if it is not known any more.
        let waits = |held: &String| self.keeps_out(held) && (self.observed.is_some() || self.in_force().is_none());
        self.windows.held.clone().filter(waits).or_else(|| self.observed.clone())
    }

    /// The commit to make do with while Git does not answer.
    pub(super) fn fallback(&self) -> Option<String> {
        if self.rollback(clock::now()).is_some() {
            return self.in_force();
        }
        let newest = self.observed.clone().or_else(|| self.status.observed_revision.clone());
        newest.filter(|newest| !self.keeps_out(newest)).or_else(|| self.in_force())
    }

    /// A commit was read: it is made real, or it waits and what was in force before stays so. `is_newest`, as far as Git says: it may not
    /// answer.
    pub(super) async fn take_up(&mut self, reading: Reading, earlier: Earlier, is_newest: bool) {
        let revision = reading.commit.sha.clone();
        let waits = (!self.is_in_force(&revision)).then(|| self.closed(Action::Sync, Some(&revision))).flatten();
        let fell_back = self.windows.falls_back;
        self.windows.falls_back =
            if is_newest { fell_back && waits.is_some() } else { fell_back || self.entries.is_empty() };
        match (waits, earlier) {
            (Some(closed), Earlier { before, .. }) => {
                let held = Held::of(&reading);
                drop(reading);
                self.hold(&revision, &closed, before).await;
                self.announce_held(held);
            }
            (None, earlier) if self.entries.is_empty() && earlier.is_any() => {
                self.windows.held = None;
                self.pass_after_start(reading, earlier).await;
            }
            (None, _) => {
                if self.windows.held.take().as_ref() == Some(&revision) && self.is_closed(Action::Sync, None) {
                    let text = format!("sync of {revision}, which was asked for by hand");
                    self.tell_window(What::WindowOpened, text, false);
                }
                self.pass(reading).await;
            }
        }
    }

    async fn hold(&mut self, revision: &str, closed: &Closed, before: Option<Reading>) {
        if self.windows.held.as_deref() != Some(revision) {
            tracing::info!(sync = self.name, revision, %closed, "a commit waits");
            self.note(Note {
                reason: "CommitHeld".to_owned(),
                text: format!("{revision} waits: {closed}"),
                warning: false,
            });
        }
        self.windows.held = Some(revision.to_owned());
        if self.observed.is_some() {
            return;
        }
        // Something else than the commit has changed, or this is a start: what holds is looked at again.
        match before.filter(|before| self.is_in_force(&before.commit.sha)) {
            Some(before) => {
                self.windows.falls_back |= self.entries.is_empty();
                self.pass(before).await;
            }
            None => self.context.publisher.failed(&self.name, None),
        }
    }

    /// Is this what is declared, from the same place? What a `GitSync` that was pointed elsewhere would bring is new.
    fn is_in_force(&self, revision: &str) -> bool {
        let Some(known) = &self.windows.in_force else {
            return self.in_force().as_deref() == Some(revision);
        };
        let InForce { revision: known, source, namespace } = known;
        let is_there = |plan: &SyncPlan| {
            (&plan.source.url, &plan.source.path, &plan.namespace) == (&source.url, &source.path, namespace)
        };
        known == revision && self.plan.as_ref().is_some_and(is_there)
    }

    /// The windows may be others than before, or another commit may be asked for by hand; `true` if something waits no more.
    pub(super) fn renew_windows(&mut self) -> bool {
        let (namespace, name) = self.name.split_once('/').unwrap_or_default();
        let labels = self.sync.as_ref().and_then(|sync| sync.metadata.labels.as_ref());
        let policy = self.context.windows.borrow().clone();
        let policy = policy.iter().filter(|scoped| scoped.selects(namespace, name, labels));
        let own = self.plan.iter().flat_map(|plan| plan.windows.iter().cloned());
        self.windows.list = own.chain(policy.map(|scoped| scoped.window.clone())).collect();
        self.notice_windows()
    }

    /// Says what closed and what opened since the last look; `true` if something waits no more.
    pub(super) fn notice_windows(&mut self) -> bool {
        self.windows.turn = turn(&self.windows.list, clock::now());
        let shut: Vec<_> =
            ACTIONS.into_iter().filter_map(|action| Some((action, self.closed(action, None)?))).collect();
        let now: BTreeSet<_> = shut.iter().map(|(action, _)| *action).collect();
        let before = std::mem::replace(&mut self.windows.closed, now.clone());
        for (action, closed) in shut.iter().filter(|(action, _)| !before.contains(action)) {
            self.tell_window(What::WindowClosed, format!("{action}: {closed}"), closed.until.at().is_none());
        }
        let opened: Vec<_> = before.difference(&now).map(ToString::to_string).collect();
        if !opened.is_empty() {
            self.tell_window(What::WindowOpened, opened.join(", "), false);
        }
        let released = self.windows.held.as_ref().is_some_and(|held| !self.keeps_out(held));
        !opened.is_empty() || released
    }

    /// The leader says it; the others only keep to it.
    fn tell_window(&self, kind: What, text: String, warning: bool) {
        if !self.leads() {
            return;
        }
        self.context.evidence.record(Record {
            sync: Some(self.name.clone()),
            revision: self.observed.clone(),
            reason: Some(text.clone()),
            ..Record::new(kind, clock::now())
        });
        self.note(Note { reason: format!("{kind:?}"), text, warning });
    }

    /// Does what waited. Drift is undone at once, unless a commit comes now and makes a second write of it; what a commit still has to
    /// write goes wave by wave.
    pub(super) async fn go_on(&mut self) {
        let drifted =
            |(key, entry): (&ObjectKey, &Entry)| (entry.drifted.is_some() && !entry.pending).then(|| key.clone());
        let held = self.windows.held.is_some();
        let drifted: Vec<_> = self.entries.iter().filter(|_| !held).filter_map(drifted).collect();
        for key in drifted {
            self.miss(key).await;
        }
        self.look_again();
    }

    /// What is closed, what waits for it, and when it happens; `None` if all is open.
    pub(super) fn window_words(&self) -> Option<String> {
        let shut = ACTIONS.into_iter().filter_map(|action| Some(format!("{action}: {}", self.closed(action, None)?)));
        let shut: Vec<_> = shut.collect();
        let waiting = self.waiting();
        let waiting =
            if waiting.is_empty() { "nothing waits".to_owned() } else { format!("waiting: {}", waiting.join(", ")) };
        (!shut.is_empty()).then(|| format!("{}; {waiting}", shut.join("; ")))
    }

    /// What waits for a window, in words.
    pub(super) fn waiting(&self) -> Vec<String> {
        let is_closed = |action| self.is_closed(action, self.observed.as_deref());
        let (sync, heal) = (is_closed(Action::Sync), is_closed(Action::Heal));
        let waits = |entry: &&Entry| {
            entry.drifted.is_some() && entry.glass.is_none() && if entry.pending { sync } else { heal }
        };
        let drifted = self.entries.values().filter(waits).count();
        let prunes = self.plan.as_ref().is_some_and(|plan| plan.prune) && is_closed(Action::Prune);
        let strays = if prunes {
            self.left().filter(|(_, stray)| stray.kept.is_none() && stray.goes.is_none()).count()
        } else {
            0
        };
        let commit = self.windows.held.iter().map(|held| format!("commit {}", held.get(..TELLING).unwrap_or(held)));
        let counted = [(drifted, "object(s) that differ"), (strays, "object(s) that left Git")];
        let counted =
            counted.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        commit.chain(counted).collect()
    }

    /// Why the newest commit is not in force.
    pub(super) fn held_words(&self) -> Option<String> {
        let held = self.windows.held.as_ref()?;
        let closed = self.closed(Action::Sync, Some(held))?;
        Some(format!("commit {held} waits: {closed}"))
    }
}

/// What writing this object would be.
fn action_on(entry: &Entry) -> Action {
    if entry.pending { Action::Sync } else { Action::Heal }
}
