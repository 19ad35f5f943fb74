//! What could not be done: said once, and tried again, later each time.
//!
//! At a start it is tried again every second first. Until every sync was read nobody is told that this replica is ready, and
//! what cannot be read because the API server or the network comes up together with us mostly can be a moment later. A guard that says
//! it is ready and does not know what to guard lets pass in silence. But not for long: one sync that cannot be read keeps the
//! others waiting for ten seconds at most.

use std::time::Duration;

use tokio::time::Instant;

use super::keeper::Keeper;
use super::status::Failure;
use crate::api::meaning::SyncPlan;
use crate::cluster::events::Note;
use crate::cluster::{Kind, clock};
use crate::core::fight::{jittered, salt};
use crate::core::snapshot::{Mode, Resource};
use crate::evidence::{Kind as What, Record};
use crate::git;

/// For how long after a start others wait for who cannot be read.
pub(super) const START: Duration = Duration::from_secs(10);
/// How soon a sync is tried again that others wait for.
const SOON: Duration = Duration::from_secs(1);

// === impl Keeper ===

impl Keeper {
    /// Nothing is known of this sync, for a reason that may be gone in a moment. Others need not wait for it when they have waited
    /// long enough.
    pub(super) async fn could_not_be_read(&self) {
        if self.is_starting() {
            return;
        }
        if self.is_awaited() {
            tracing::warn!(
                sync = self.name,
                "could not be read since the start: what it declares is not guarded before it is"
            );
        }
        self.remains_unread().await;
    }

    /// Nothing is known of this sync, or nothing newer than before, and others need not wait. Whom it would refuse gets no decision
    /// then.
    pub(super) async fn remains_unread(&self) {
        let denies = |plan: &SyncPlan| Mode::from(plan.admission.mode) == Mode::Deny;
        let refuses = self.plan.as_ref().is_some_and(denies) && !self.is_paused();
        // What it has declared holds on, and then nobody asks for more.
        let of = if refuses && self.entries.is_empty() { Some(self.resources_before().await) } else { None };
        self.context.publisher.failed(&self.name, of);
    }

    /// As what the kinds are served that the sync had objects of when it last reported, as far as the API server says.
    async fn resources_before(&self) -> Vec<Resource> {
        let mut resources = Vec::new();
        for (api_version, kind) in self.kinds_before() {
            let found = self.context.cluster.kind(api_version, kind).await.ok().flatten();
            resources.extend(found.map(|Kind { resource, .. }| Resource {
                group: resource.group,
                version: resource.version,
                plural: resource.plural,
            }));
        }
        resources
    }

    /// Do others wait for this sync to be read for the first time?
    pub(super) fn is_awaited(&self) -> bool {
        self.context.publisher.awaits(&self.name)
    }

    /// Do they, and not for too long yet?
    fn is_starting(&self) -> bool {
        self.is_awaited() && self.created.elapsed() < START
    }

    /// Sees to it that what failed is tried again, later each time; a Git server too, whose next interval may be hours away.
    pub(super) fn try_again(&mut self) {
        let salt = salt(&self.key());
        let wait =
            |(failure, plan): (&Failure, &SyncPlan)| jittered(plan.retry.wait(failure.count), salt, failure.count);
        let wait = self.failure.as_ref().zip(self.plan.as_ref()).map(wait);
        let wait = wait.map(|wait| if self.is_starting() { wait.min(SOON) } else { wait });
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
        let again = u32::from(!self.is_starting());
        let count = before.map_or(1, |before| before.count.saturating_add(again));
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
