//! Carrying out writes, several at once: each is noted before it begins, and told as soon as it has ended.
//!
//! A commit of a thousand objects takes seconds. Whoever looks meanwhile should see what is true by now, and a process that is killed
//! in between leaves a note of each write it had begun and not told (see [`Intent`]).

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::Value;

use super::entry::Entry;
use super::ground::wait_until_served;
use super::heal::{End, Writing};
use super::keeper::Keeper;
use super::watchful::Job;
use crate::cluster::Error;
use crate::core::object::ObjectKey;
use crate::evidence::{Intent, Kind as What};

/// Writes under way at once.
const CONCURRENCY: usize = 16;

// === impl Keeper ===

impl Keeper {
    /// Writes or reports all of these, several at once; nothing while another replica leads.
    pub(super) async fn settle_all(&mut self, batch: Vec<(ObjectKey, Option<Value>)>) {
        if !self.leads() {
            return;
        }
        let jobs: Vec<_> = batch.into_iter().filter_map(|(key, live)| self.job_or_notice(key, live)).collect();
        let (mut waiting, mut writes) = (jobs.into_iter(), FuturesUnordered::new());
        loop {
            let free = if self.leads() { CONCURRENCY - writes.len() } else { 0 };
            writes.extend(waiting.by_ref().take(free).filter_map(|job| self.begin(job)));
            // Told as it happens: the rest may take long, and whoever looks should see what is true by now.
            let Some((job, intent, end)) = writes.next().await else { break };
            self.conclude(&job, intent, end);
        }
        if waiting.len() > 0 {
            self.interrupt();
        }
    }

    /// Writes or reports this one.
    pub(super) async fn settle(&mut self, key: ObjectKey, live: Option<Value>) {
        self.settle_all(vec![(key, live)]).await;
    }

    /// Begins a write; noted first, so that it is on record whatever becomes of this process.
    fn begin(&self, job: Job) -> Option<impl Future<Output = (Job, Intent, Result<End, Error>)> + use<>> {
        let entry = self.entries.get(&job.key)?;
        let rules = self.context.rules.borrow().clone();
        let (cluster, managed, kind) = (self.cluster.clone(), entry.managed.clone(), entry.kind.clone());
        let caught_up = entry.held_open && job.deviations.is_empty();
        let intent = self.context.evidence.intend(self.context.record(aim(entry), &managed, &job.deviations));
        Some(async move {
            let (cluster, managed, kind) = (&*cluster, &*managed, &kind);
            let writing = Writing { cluster, identities: &rules.identities, managed, kind, caught_up };
            let end = carry_out(&job, writing).await;
            (job, intent, end)
        })
    }
}

/// What a write of this is called when it is done.
pub(super) fn aim(entry: &Entry) -> What {
    if entry.pending { What::Applied } else { What::Healed }
}

/// Writes, and waits until others can rely on what was made. It is written even if nobody can tell whether they can.
async fn carry_out(job: &Job, writing: Writing<'_>) -> Result<End, Error> {
    let (cluster, kind) = (writing.cluster, writing.kind);
    let end = writing.settle(job.live.clone()).await;
    if matches!(end, Ok(End::Done(_))) && job.live.is_none() && job.key.kind == "CustomResourceDefinition" {
        let served = async {
            wait_until_served(cluster, kind, &job.key).await?;
            cluster.refresh().await
        };
        if let Err(error) = served.await {
            tracing::warn!(crd = %job.key, %error, "failed to see whether it is served");
        }
    }
    end
}
