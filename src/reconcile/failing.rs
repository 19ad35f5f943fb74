//! What could not be done: said once, and tried again, later each time.

use tokio::time::Instant;

use super::keeper::Keeper;
use super::status::Failure;
use crate::api::meaning::SyncPlan;
use crate::cluster::clock;
use crate::cluster::events::Note;
use crate::core::fight::{jittered, salt};
use crate::evidence::{Kind as What, Record};
use crate::git;

// === impl Keeper ===

impl Keeper {
    /// Sees to it that what failed is tried again, later each time; a Git server too, whose next interval may be hours away.
    pub(super) fn try_again(&mut self) {
        let salt = salt(&self.key());
        let wait =
            |(failure, plan): (&Failure, &SyncPlan)| jittered(plan.retry.wait(failure.count), salt, failure.count);
        let wait = self.failure.as_ref().zip(self.plan.as_ref()).map(wait);
        let again = wait.map(|wait| Instant::now() + wait);
        let is_of_git = self.failure.as_ref().is_some_and(|failure| git::Error::is_condition(failure.reason));
        self.retry = again.filter(|_| !is_of_git);
        if let Some(again) = again.filter(|again| is_of_git && *again < self.next_poll) {
            (self.next_poll, self.beat) = (again, again);
        }
    }

    /// Notes a failure; the same one again only counts.
    pub(super) fn fail(&mut self, reason: &'static str, message: String) {
        let before = self.failure.as_ref().or(self.failed_before.as_ref()).filter(|before| before.reason == reason);
        let count = before.map_or(1, |before| before.count.saturating_add(1));
        if self.leads() && before.is_none_or(|before| before.message != message) {
            tracing::warn!(sync = self.name, reason, message, "sync failed");
            self.context.evidence.record(Record {
                sync: Some(self.name.clone()),
                revision: self.observed.clone(),
                reason: Some(message.clone()),
                ..Record::new(What::SyncFailed, clock::now())
            });
            self.note(Note { reason: reason.to_owned(), text: message.clone(), warning: true });
        }
        self.failure = Some(Failure { reason, message, count });
    }
}
