//! A pause of the whole sync: that it began, that it ends soon, that it is over.

use jiff::Timestamp;

use super::keeper::Keeper;
use crate::api::meaning::Suspension;
use crate::cluster::clock;
use crate::cluster::events::Note;
use crate::evidence::{Actor, Kind as What, Record};

// === impl Keeper ===

impl Keeper {
    /// The pause in force at `now`.
    pub(super) fn pause(&self, now: Timestamp) -> Option<&Suspension> {
        self.plan.as_ref()?.suspend.as_ref().filter(|suspend| suspend.holds(now))
    }

    /// Is the sync paused now?
    pub(super) fn is_paused(&self) -> bool {
        self.pause(clock::now()).is_some()
    }

    /// Notices that a pause or a rollback began or ended; `true` when one ended.
    pub(super) fn notice_ends(&mut self) -> bool {
        // Each has to be noticed, whatever the other says.
        let (resumed, rolled_on) = (self.notice_pause(), self.notice_rollback());
        resumed || rolled_on
    }

    /// Says, once, that a pause or a rollback ends soon.
    pub(super) fn remind_of_ends(&mut self) {
        self.remind_of_the_pause();
        self.remind_of_the_rollback();
    }

    /// Records that a pause began or ended; `true` when it ended.
    fn notice_pause(&mut self) -> bool {
        let now = clock::now();
        self.pause_reminder = self.pause(now).and_then(|pause| pause.reminder(now));
        let paused = self.is_paused();
        if paused == self.was_paused {
            return false;
        }
        self.was_paused = paused;
        if !self.leads() {
            return !paused;
        }
        let suspend = self.plan.as_ref().and_then(|plan| plan.suspend.as_ref());
        let words = suspend.map(Suspension::words);
        let by = suspend.filter(|_| paused).and_then(|suspend| suspend.by.clone());
        self.context.evidence.record(Record {
            sync: Some(self.name.clone()),
            revision: self.observed.clone(),
            reason: words.clone(),
            by: by.map(|user| Actor { user: Some(user), ..Actor::default() }),
            ..Record::new(if paused { What::Suspended } else { What::Resumed }, clock::now())
        });
        let reason = if paused { "Suspended" } else { "Resumed" }.to_owned();
        self.note(Note { reason, text: words.unwrap_or_else(|| "the pause is over".to_owned()), warning: false });
        !paused
    }

    /// Says, once, that the pause ends soon: what differs is undone then.
    fn remind_of_the_pause(&mut self) {
        let is_due = self.pause_reminder.is_some_and(|reminder| reminder <= clock::now());
        let pause = self.plan.as_ref().and_then(|plan| plan.suspend.as_ref()).filter(|_| is_due);
        let Some(pause) = pause.cloned() else { return };
        self.pause_reminder = None;
        if !self.leads() {
            return;
        }
        let differ = self.entries.values().filter(|entry| entry.drifted.is_some()).count();
        let text = format!("the pause ends soon: {}; {differ} object(s) differ from Git", pause.words());
        self.context.evidence.record(Record {
            sync: Some(self.name.clone()),
            revision: self.observed.clone(),
            reason: Some(text.clone()),
            ..Record::new(What::PauseEnding, clock::now())
        });
        self.note(Note { reason: "PauseEnding".to_owned(), text, warning: differ > 0 });
    }
}
