//! What a keeper does while another replica leads, and what when it comes to lead itself.
//!
//! A follower reads Git, declares and publishes, so that its webhook guards like the leader's. It looks at no object, writes nothing,
//! and says nothing: what it would find is the leader's to find. What the leader has achieved it learns from the `GitSync`'s status.
//! When it leads, it looks at everything at once; there is no list of what it has seen meanwhile that could be incomplete.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::fights::Fights;
use super::keeper::Keeper;
use super::status::Failure;
use crate::api::GitSync;
use crate::core::object::ObjectKey;

/// Before what was interrupted is looked at again.
const PAUSE: Duration = Duration::from_secs(2);

/// Reason of the failure when the lead was lost in the middle of something.
const INTERRUPTED: &str = "Interrupted";

// === impl Keeper ===

impl Keeper {
    /// Is it this replica that writes?
    pub(super) fn leads(&self) -> bool {
        self.context.cluster.fence().is_open()
    }

    /// This replica leads from now on, or does no more.
    pub(super) async fn change_role(&mut self) {
        self.forget_findings();
        let leads = self.role.borrow_and_update().leads();
        if leads && self.sync.is_some() {
            self.take_over().await;
        }
    }

    /// What the leader has written into the status is as good as if this replica had.
    pub(super) fn follow_status(&mut self, sync: &GitSync) {
        self.status = sync.status.clone().unwrap_or_default();
        self.synced.clone_from(&self.status.synced_revision);
        self.history.follow(&self.status.history);
        self.pin.follow(&self.status);
        self.requests.follow(self.status.handled_request.as_ref());
        if self.synced.is_none() || self.synced != self.observed {
            return;
        }
        for entry in self.entries.values_mut() {
            entry.pending = false;
        }
        if self.failure.take().is_some() {
            // What was missing, a namespace or a kind, is there now.
            self.look_again();
        }
    }

    /// Has it been told that the sync is paused? The leader that died may not have come to that.
    pub(super) fn is_told_paused(&self) -> bool {
        self.status.conditions.iter().any(|condition| condition.type_ == "Suspended")
    }

    /// Something was not written because this replica leads no more. Should it lead again, it begins anew; so it does, before long, if
    /// it was only its clock that jumped.
    pub(super) fn interrupt(&mut self) {
        let message = "this replica lost the lead in between; whoever leads begins anew".to_owned();
        self.failure = Some(Failure { reason: INTERRUPTED, message, count: 1 });
        self.retry = Some(Instant::now() + PAUSE);
    }

    /// What was found wrong is the business of whoever leads.
    fn forget_findings(&mut self) {
        for entry in self.entries.values_mut() {
            (entry.drifted, entry.glass, entry.reminder) = (None, None, None);
        }
        self.fights = Fights::default();
    }

    /// Looks at every object as it is now, without waiting for Git; then at Git.
    async fn take_over(&mut self) {
        tracing::info!(sync = self.name, objects = self.entries.len(), "taking over");
        self.was_paused = self.is_told_paused();
        self.notice_ends();
        if self.mind_the_end().await {
            return;
        }
        let kinds: HashSet<_> = self.entries.values().map(|entry| entry.kind.clone()).collect();
        let (mut live, mut missing) = (HashMap::new(), Vec::new());
        for kind in kinds {
            let listed = match self.context.cluster.list_managed(&kind).await {
                Ok(listed) => listed,
                Err(error) => {
                    tracing::warn!(sync = self.name, %error, "failed to look at what is there; trying again");
                    continue;
                }
            };
            let mut found: HashMap<_, _> =
                listed.into_iter().filter_map(|object| Some((ObjectKey::of(&object)?, object))).collect();
            for (key, _) in self.entries.iter().filter(|(_, entry)| entry.kind == kind) {
                match found.remove(key) {
                    Some(object) => _ = live.insert(key.clone(), Some(object)),
                    None => missing.push(key.clone()),
                }
            }
        }
        self.write(live).await;
        for key in missing {
            self.miss(key).await;
        }
        self.look_again();
    }
}
