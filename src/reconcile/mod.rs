//! The reconciler: makes the cluster what Git says, and keeps it so.
//!
//! One task, a *keeper*, per `GitSync` owns everything about it, so nothing is shared and nothing is locked. Managed objects are
//! watched per kind and by label for all keepers together; a sight is judged at once by the same pure module the webhook asks,
//! and only what is not in sync reaches a keeper as a whole object. In a steady state no request is made at all.
//! Every replica does all of this but look at objects and write: that is the leader's (`follow`), which each shard of `GitSync`s has
//! one of.
//!
//! ```text
//! GitSyncs ──► Reconciler ──► Keeper ──► Git poll ──► pass: declare → validate → publish → apply, wave by wave → prune
//!                  ▲             ▲
//!   watch per kind ┴── sights ───┘ ──► plan::respond ──► heal::settle
//! ```

mod around;
mod away;
mod census;
pub mod claims;
pub mod credentials;
pub mod declare;
pub mod emergencies;
mod entry;
mod errands;
mod failing;
mod farewell;
mod fights;
mod follow;
mod ground;
pub mod heal;
mod history;
mod keeper;
mod later;
mod look;
mod moves;
pub mod pass;
mod pause;
pub mod plan;
mod prune;
pub mod publish;
mod report;
mod requests;
mod respec;
mod rollback;
mod rollout;
mod router;
mod share;
mod status;
mod subscriptions;
mod tally;
mod unanswered;
mod voice;
mod watchful;
mod windows;

use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use around::{Exempt, gather};
pub use census::Census;
pub use publish::{Desired, Publisher};

use crate::api::{BreakGlasses, GitSync, ScopedWindow};
use crate::cluster::Cluster;
use crate::cluster::events::Events;
use crate::cluster::fence::Fence;
use crate::cluster::secrets::Secrets;
use crate::core::judge::Rules;
use crate::evidence::{Evidence, Metrics};
use router::Router;
pub use share::Share;
pub use subscriptions::{Subscription, Subscriptions};
pub use tally::Tally;

/// What every keeper needs.
#[derive(Clone)]
pub struct Context {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// Where records go.
    pub evidence: Evidence,
    /// Where numbers go.
    pub metrics: Metrics,
    /// Where Kubernetes Events go.
    pub events: Events,
    /// Who makes the snapshot.
    pub publisher: Arc<Publisher>,
    /// Who is who; changes with the `DriftPolicy`.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// Exclusions of the whole cluster; changes with the `DriftPolicy`.
    pub exempt: watch::Receiver<Option<Exempt>>,
    /// Windows of the whole cluster; change with the `DriftPolicy`.
    pub windows: watch::Receiver<Arc<[ScopedWindow]>>,
    /// What is noted in the `DriftPolicy` of emergencies on what its guards protect.
    pub emergencies: watch::Receiver<BreakGlasses>,
    /// Service account of every `GitSync` that names none.
    pub account: Option<String>,
    /// What is asked before anything is written for a sync, by its shard.
    pub fences: Vec<Fence>,
    /// Counts of all syncs together.
    pub tally: Arc<Tally>,
    /// What there is, for first passes.
    pub census: Arc<Census>,
    /// Whose turn it is to read a commit and make it real: what that takes is in memory only so many times.
    pub turns: Arc<Semaphore>,
    /// Where clones of repositories are kept.
    pub cache: PathBuf,
    /// What it takes to read them.
    pub secrets: Secrets,
    /// What was asked of Git servers by all syncs together.
    pub share: Arc<Share>,
    /// Who wants to know of pushes.
    pub subscriptions: Arc<Subscriptions>,
}

/// Commits that are read and made real at once. Each makes so many requests at once that more of them would not be faster.
pub const TURNS: usize = 4;

// === impl Context ===

impl Context {
    /// The same, for the syncs of each shard: what they write, and what is said of them, goes through its fence.
    fn of_shards(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let behind = |fence: &Fence| {
            let cluster = Arc::new(self.cluster.behind(fence.clone()));
            Arc::new(Self { events: Events::new(&cluster), cluster, ..Self::clone(self) })
        };
        self.fences.iter().map(behind).collect()
    }
}

/// Keeps every `GitSync` of the cluster until told to stop. Returns when every keeper has finished what it was writing.
pub async fn run(context: Context, desired: Desired, stop: CancellationToken) {
    let (sights, seen) = mpsc::channel(1024);
    let context = Arc::new(context);
    let mut following = tokio::task::JoinSet::new();
    tokio::select! {
        () = stop.cancelled() => return,
        () = around::follow(&context, &mut following) => {}
    }
    following.spawn(emergencies::Watch::new(context.clone()).run());
    let mut router = Router::new(context, desired, sights, stop.clone());
    let api: Api<GitSync> = Api::all(router.context.cluster.client().clone());
    let mut syncs = watcher(api, watcher::Config::default()).default_backoff().boxed();
    let mut seen = seen;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            event = syncs.try_next() => match event {
                Ok(Some(event)) => router.sync(event),
                Ok(None) => break,
                Err(error) => tracing::warn!(%error, "failed to watch GitSyncs; trying again"),
            },
            Some(sight) = seen.recv() => router.sight(sight),
            Some(kind) = router.wanted() => router.watch(kind),
        }
    }
    router.finish().await;
}
