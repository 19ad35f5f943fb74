//! What a keeper makes of its `GitSync` when that is new, or has changed.

use std::sync::Arc;

use super::keeper::Keeper;
use crate::api::GitSync;
use crate::api::meaning::SyncPlan;
use crate::cluster::{Account, Cluster};
use crate::core::names::SYNC_REQUESTED;

// === impl Keeper ===

impl Keeper {
    /// Takes a changed spec as a reason to look at everything again. Our own status updates come back here too, and change
    /// nothing.
    pub(super) fn respec(&mut self, sync: Box<GitSync>) {
        let first = self.sync.is_none();
        let same = self.sync.as_ref().is_some_and(|old| old.spec == sync.spec);
        if first || !self.leads() {
            self.follow_status(&sync);
        }
        let confirmed = self.confirmation().map(str::to_owned);
        if first {
            self.was_paused = self.is_told_paused();
        }
        if self.sync.as_ref().is_some_and(|before| follows(before) != follows(&sync)) {
            self.pin.forget();
        }
        if !same {
            match SyncPlan::try_from(&*sync) {
                Ok(plan) => {
                    self.follow_secrets(&plan);
                    self.subscribe(&plan);
                    self.cluster = self.as_whom(&plan);
                    self.plan = Some(plan);
                }
                Err(faults) => {
                    let message = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                    self.fail("InvalidSpec", message);
                    self.context.publisher.failed(&self.name, None);
                }
            }
            self.look_again();
            // One that is new itself may have been made because of what was pushed a moment ago.
            if first && self.status.observed_revision.is_some() {
                self.beat = self.context.share.first_beat(self.beat);
            }
        }
        let asked = sync.metadata.annotations.as_ref().and_then(|annotations| annotations.get(SYNC_REQUESTED));
        let is_asked = self.requests.want(asked.map(String::as_str));
        self.sync = Some(sync);
        if is_asked && self.plan.is_some() {
            self.look_again();
        }
        if !first && self.confirmation() != confirmed.as_deref() && self.plan.is_some() {
            self.look_again();
        }
        // Each has to be noticed, whatever the other says: an end that is noticed here is noticed nowhere else.
        let (resumed, opened) = (self.notice_ends(), self.renew_windows());
        if resumed || opened {
            self.look_again();
        }
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
}

/// What is followed, and where.
fn follows(sync: &GitSync) -> (&str, &str) {
    let source = &sync.spec.source;
    (&source.repo_url, &source.target_revision)
}
