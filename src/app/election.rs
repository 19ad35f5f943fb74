//! Takes part in the elections for as long as the process lives, and opens the [`Fence`](crate::cluster::fence::Fence) of each shard
//! while it may write for it.
//!
//! Who does what is [`member`](crate::core::shards::member)'s to say; this asks, waits and tells, one task for each Lease. A replica that
//! loses a Lease stops writing at that moment and goes on as a follower: it serves reviews as before, and leads again when it is its
//! turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::cluster::events::{Events, Note, reference};
use crate::cluster::fence::{Keeper, Role};
use crate::cluster::lease::{Shared, name};
use crate::cluster::{Cluster, Error};
use crate::config::Replica;
use crate::core::lease::{Candidate, Moment, Record};
use crate::core::object::ObjectKey;
use crate::core::shards::member::{Member, Move, Post, Sight};
use crate::evidence::Metrics;

/// What opens for a shard, and where a change of who writes for it is told.
pub(super) struct Gate {
    pub(super) fence: Keeper,
    pub(super) events: Events,
}

/// This replica in all elections.
pub(super) struct Elections {
    cluster: Arc<Cluster>,
    namespace: String,
    shards: u32,
    table: Arc<Table>,
    gates: BTreeMap<Post, Gate>,
    metrics: Metrics,
}

/// What the elections share.
struct Table {
    member: Mutex<Member>,
    /// Woken when one of them learns what concerns the others.
    sight: watch::Sender<Sight>,
    start: Instant,
}

/// This replica in one election.
struct Elector {
    post: Post,
    table: Arc<Table>,
    lease: Shared,
    /// The first Lease of all.
    first: Shared,
    key: ObjectKey,
    /// None where nothing is to be written.
    gate: Option<Gate>,
    metrics: Metrics,
    shards: u32,
    /// The wall clock from before what last renewed the Lease was sent, and this process's own time then.
    asked: (SystemTime, Moment),
    role: Role,
    complained: bool,
}

/// What came back.
enum Answer {
    Is(Option<Record>),
    Wrote(Record),
}

// === impl Elections ===

impl Elections {
    /// One gate for each shard.
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        namespace: &str,
        replica: &Replica,
        gates: Vec<Gate>,
        metrics: Metrics,
    ) -> Self {
        let me = Candidate { name: replica.identity.clone().unwrap_or_else(number), number: number() };
        let member = Member::new(&me, replica.lease, replica.shards);
        let sight = watch::Sender::new(member.sight());
        metrics.shards.set(i64::from(replica.shards));
        Self {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            shards: replica.shards,
            table: Arc::new(Table { member: Mutex::new(member), sight, start: Instant::now() }),
            gates: gates.into_iter().enumerate().map(|(index, gate)| (Post::Shard(index), gate)).collect(),
            metrics,
        }
    }

    /// Takes part until `stop`, which is to come when nothing is written any more; then lets go of everything.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let (mut electors, mut known) = (JoinSet::new(), Vec::new());
        let mut sight = self.table.sight.subscribe();
        loop {
            // There are more when another number of shards is to be done away with.
            let posts = self.table.member().posts();
            for post in posts.iter().filter(|post| !known.contains(*post)) {
                electors.spawn(self.elector(*post).run(stop.clone()));
            }
            known = posts;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = electors.join_next() => ended.expect("an election does not panic"),
                Ok(()) = sight.changed() => {}
            }
        }
        while electors.join_next().await.is_some() {}
    }

    fn elector(&mut self, post: Post) -> Elector {
        let (group, kind) = ("coordination.k8s.io".to_owned(), "Lease".to_owned());
        let key = ObjectKey { group, kind, namespace: Some(self.namespace.clone()), name: name(post) };
        let lease = |post| Shared::new(&self.cluster, &self.namespace, post);
        Elector {
            post,
            lease: lease(post),
            first: lease(Post::Shard(0)),
            table: self.table.clone(),
            key,
            gate: self.gates.remove(&post),
            metrics: self.metrics.clone(),
            shards: self.shards,
            asked: (SystemTime::now(), Moment::ZERO),
            role: Role::Unknown,
            complained: false,
        }
    }
}

// === impl Table ===

impl Table {
    fn member(&self) -> MutexGuard<'_, Member> {
        // Every change is one call; a panic elsewhere leaves none half done.
        self.member.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known, and wakes the others if that concerns them.
    fn with<T>(&self, change: impl FnOnce(&mut Member) -> T) -> T {
        let mut member = self.member();
        let answer = change(&mut member);
        let sight = member.sight();
        self.sight.send_if_modified(|before| {
            let is_news = *before != sight;
            *before = sight;
            is_news
        });
        answer
    }

    fn now(&self) -> Moment {
        self.start.elapsed()
    }
}

// === impl Elector ===

impl Elector {
    async fn run(mut self, stop: CancellationToken) {
        let (mut sights, mut others) = (self.lease.follow(), self.table.sight.subscribe());
        loop {
            others.mark_unchanged();
            let (post, now) = (self.post, self.table.now());
            let step = self.table.with(|member| member.step(post, now));
            self.tell();
            let wait = match step {
                Move::Wait(then) => self.until().map_or(then, |until| until.min(then)),
                step => {
                    self.take(step).await;
                    self.tell();
                    continue;
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(sight) = sights.next() => {
                    let now = self.table.now();
                    self.table.with(|member| member.heard(post, now, sight));
                }
                Ok(()) = others.changed() => {}
                () = sleep_until((self.table.start + wait).into()) => {}
            }
        }
        self.release().await;
    }

    /// Asks or writes; a request that hangs is not waited for any longer than until the next is due.
    async fn take(&mut self, step: Move) {
        // In this order: to stand still in between makes the term shorter, not longer.
        let wall = SystemTime::now();
        let asked = self.table.now();
        let patience = self.table.member().election(self.post).pause();
        let answer = timeout(patience, self.ask(&step)).await;
        let (post, now) = (self.post, self.table.now());
        match (step, answer) {
            (_, Err(_)) => self.failed("the API server does not answer in time"),
            (Move::Write(_), Ok(Err(error))) if error.is_conflict() || error.is_not_found() => {
                self.table.with(|member| member.lost(post));
            }
            (_, Ok(Err(error))) => self.complain(&error),
            (_, Ok(Ok(Answer::Wrote(record)))) => {
                (self.complained, self.asked) = (false, (wall, asked));
                self.table.with(|member| member.wrote(post, asked, now, record));
            }
            (Move::Confirm(version), Ok(Ok(Answer::Is(first)))) => {
                self.table.with(|member| member.confirmed(post, now, version, first));
            }
            (_, Ok(Ok(Answer::Is(record)))) => self.table.with(|member| member.read(post, now, record)),
        }
    }

    async fn ask(&mut self, step: &Move) -> Result<Answer, Error> {
        match step {
            Move::Write(claim) => self.lease.write(claim).await.map(Answer::Wrote),
            Move::Confirm(_) => self.first.read().await.map(Answer::Is),
            Move::Read | Move::Wait(_) => self.lease.read().await.map(Answer::Is),
        }
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
        let (post, now) = (self.post, self.table.now());
        self.table.with(|member| member.failed(post, now));
        if self.role == Role::Unknown {
            self.become_(Role::Following);
        }
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(lease = %self.key, why, "failed to take part in the election; trying again");
        }
    }

    /// Until when this replica may write for the shard.
    fn until(&self) -> Option<Moment> {
        self.table.member().until(self.post, self.table.now())
    }

    fn leader(&self) -> Option<String> {
        self.table.member().election(self.post).holder().map(str::to_owned)
    }

    /// Opens or closes the fence.
    fn tell(&mut self) {
        match self.until() {
            Some(until) => {
                let role = Role::Leading(self.table.member().election(self.post).terms());
                let (wall, asked) = self.asked;
                let end = (self.table.start + until, wall + until.saturating_sub(asked));
                self.gate.iter().for_each(|gate| gate.fence.set(role, Some(end)));
                self.become_(role);
            }
            None if self.leader().is_some() || self.role != Role::Unknown => self.become_(Role::Following),
            None => {}
        }
    }

    fn become_(&mut self, role: Role) {
        let Some(gate) = self.gate.as_ref().filter(|_| self.role != role) else { return };
        let before = std::mem::replace(&mut self.role, role);
        count(&self.metrics, self.post, before.leads(), role.leads());
        if role.leads() {
            tracing::info!(lease = %self.key, "this replica leads: it writes");
            let text = format!("became the leader: this replica writes to the cluster{}", self.of_which());
            let note = Note { reason: "LeaderElected".to_owned(), text, warning: false };
            gate.events.publish(reference(&self.key, "coordination.k8s.io/v1", None), note);
        } else {
            gate.fence.set(role, None);
            let (lease, leader) = (&self.key, self.leader().unwrap_or_default());
            if before.leads() {
                tracing::warn!(%lease, leader, "this replica leads no more: it writes nothing, and goes on guarding");
            } else {
                tracing::info!(%lease, leader, "this replica follows: it guards, and writes nothing");
            }
        }
    }

    fn of_which(&self) -> String {
        match self.post {
            Post::Shard(index) if self.shards > 1 => format!(", for shard {index} of {}", self.shards),
            _ => String::new(),
        }
    }

    /// The next one need not wait.
    async fn release(mut self) {
        self.gate.iter().for_each(|gate| gate.fence.set(Role::Following, None));
        let post = self.post;
        let Some(claim) = self.table.with(|member| member.release(post)) else { return };
        let patience = self.table.member().election(post).pause();
        match timeout(patience, self.lease.write(&claim)).await {
            Ok(Ok(_)) => tracing::info!(lease = %self.key, "let go of the Lease"),
            Ok(Err(error)) => tracing::warn!(%error, "failed to let go of the Lease; it runs out"),
            Err(_) => tracing::warn!("failed to let go of the Lease in time; it runs out"),
        }
    }
}

fn count(metrics: &Metrics, post: Post, led: bool, leads: bool) {
    if post == Post::Shard(0) {
        metrics.leader.set(i64::from(leads));
    }
    metrics.shards_held.inc_by(i64::from(leads) - i64::from(led));
}

/// What no other process has.
fn number() -> String {
    use std::hash::{BuildHasher, RandomState};
    let started = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
    format!("{:016x}", RandomState::new().hash_one((std::process::id(), started)))
}
