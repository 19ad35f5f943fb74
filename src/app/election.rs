//! Takes part in the election for as long as the process lives, and opens the [`Fence`](crate::cluster::fence::Fence) while it leads.
//!
//! Who leads is [`lease`](crate::core::lease)'s to say; this asks, waits and tells. A replica that loses the Lease stops writing at
//! that moment and goes on as a follower: it serves reviews as before, and leads again when it is its turn.

use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::events::{Events, Note, reference};
use crate::cluster::fence::{Keeper, Role};
use crate::cluster::lease::{NAME, Shared};
use crate::cluster::{Cluster, Error};
use crate::config::Replica;
use crate::core::lease::{Candidate, Election, Moment, Record, Step};
use crate::core::object::ObjectKey;
use crate::evidence::Metrics;

/// Where a change of leaders is told.
pub(super) struct Voice {
    pub(super) events: Events,
    pub(super) metrics: Metrics,
}

/// This replica in the election.
pub(super) struct Elector {
    election: Election,
    lease: Shared,
    key: ObjectKey,
    fence: Keeper,
    voice: Voice,
    start: Instant,
    /// The wall clock from before what last renewed the Lease was sent, and this process's own time then.
    asked: (SystemTime, Moment),
    role: Role,
    complained: bool,
}

// === impl Elector ===

impl Elector {
    pub(super) fn new(cluster: &Cluster, namespace: &str, replica: &Replica, fence: Keeper, voice: Voice) -> Self {
        let me = Candidate { name: replica.identity.clone().unwrap_or_else(number), number: number() };
        let key = ObjectKey {
            group: "coordination.k8s.io".to_owned(),
            kind: "Lease".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: NAME.to_owned(),
        };
        Self {
            election: Election::new(me, replica.lease),
            lease: Shared::new(cluster, namespace),
            key,
            fence,
            voice,
            start: Instant::now(),
            asked: (SystemTime::now(), Moment::ZERO),
            role: Role::Unknown,
            complained: false,
        }
    }

    /// Takes part until `stop`, which is to come when nothing is written any more; then lets go.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut sights = self.lease.follow();
        loop {
            let step = self.election.step(self.now());
            self.tell();
            let wait = match step {
                Step::Wait(then) => self.election.until(self.now()).map_or(then, |until| until.min(then)),
                step => {
                    self.take(step).await;
                    self.tell();
                    continue;
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(sight) = sights.next() => self.election.heard(self.now(), sight),
                () = sleep_until((self.start + wait).into()) => {}
            }
        }
        self.release().await;
    }

    /// Asks or writes; a request that hangs is not waited for any longer than until the next is due.
    async fn take(&mut self, step: Step) {
        // In this order: to stand still in between makes the term shorter, not longer.
        let wall = SystemTime::now();
        let asked = self.now();
        let patience = self.election.pause();
        let answer = match &step {
            Step::Write(claim) => timeout(patience, self.lease.write(claim)).await.map(|answer| answer.map(Some)),
            _ => timeout(patience, self.lease.read()).await,
        };
        let now = self.now();
        match (step, answer) {
            (_, Err(_)) => self.failed("the API server does not answer in time"),
            (Step::Write(_), Ok(Err(error))) if error.is_conflict() || error.is_not_found() => self.election.lost(),
            (_, Ok(Err(error))) => self.complain(&error),
            (Step::Write(_), Ok(Ok(Some(record)))) => self.wrote((wall, asked), now, record),
            (_, Ok(Ok(record))) => self.election.read(now, record),
        }
    }

    fn wrote(&mut self, asked: (SystemTime, Moment), now: Moment, record: Record) {
        (self.complained, self.asked) = (false, asked);
        self.election.wrote(asked.1, now, record);
    }

    fn complain(&mut self, error: &Error) {
        if error.is_refused() {
            self.failed(&format!(
                "{error}; grant get, list, watch, create and update on that Lease (the Role holdfast of \
                `holdfast render --only rbac` does), or nothing is healed"
            ));
        } else {
            self.failed(&error.to_string());
        }
    }

    /// Said once, until it works again.
    fn failed(&mut self, why: &str) {
        self.election.failed(self.now());
        if self.role == Role::Unknown {
            self.become_(Role::Following);
        }
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(lease = %self.key, why, "failed to take part in the election; trying again");
        }
    }

    /// Opens or closes the fence.
    fn tell(&mut self) {
        let now = self.now();
        match self.election.until(now) {
            Some(until) => {
                let role = Role::Leading(self.election.terms());
                let (wall, asked) = self.asked;
                self.fence.set(role, Some((self.start + until, wall + until.saturating_sub(asked))));
                self.become_(role);
            }
            None if self.election.holder().is_some() || self.role != Role::Unknown => self.become_(Role::Following),
            None => {}
        }
    }

    fn become_(&mut self, role: Role) {
        if self.role == role {
            return;
        }
        let before = std::mem::replace(&mut self.role, role);
        self.voice.metrics.leader.set(i64::from(role.leads()));
        if role.leads() {
            tracing::info!(lease = %self.key, "this replica leads: it writes");
            let text = "became the leader: this replica writes to the cluster".to_owned();
            let note = Note { reason: "LeaderElected".to_owned(), text, warning: false };
            self.voice.events.publish(reference(&self.key, "coordination.k8s.io/v1", None), note);
        } else {
            self.fence.set(role, None);
            let leader = self.election.holder().unwrap_or_default();
            if before.leads() {
                tracing::warn!(leader, "this replica leads no more: it writes nothing, and goes on guarding");
            } else {
                tracing::info!(leader, "this replica follows: it guards, and writes nothing");
            }
        }
    }

    /// The next one need not wait.
    async fn release(mut self) {
        self.fence.set(Role::Following, None);
        let Some(claim) = self.election.release() else { return };
        match timeout(self.election.pause(), self.lease.write(&claim)).await {
            Ok(Ok(_)) => tracing::info!(lease = %self.key, "let go of the Lease"),
            Ok(Err(error)) => tracing::warn!(%error, "failed to let go of the Lease; it runs out"),
            Err(_) => tracing::warn!("failed to let go of the Lease in time; it runs out"),
        }
    }

    fn now(&self) -> Moment {
        self.start.elapsed()
    }
}

/// What no other process has.
fn number() -> String {
    use std::hash::{BuildHasher, RandomState};
    let started = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
    format!("{:016x}", RandomState::new().hash_one((std::process::id(), started)))
}
