//! An independent witness: a watch of its own on one Deployment, with the time at which each number of replicas arrived.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The numbers of replicas, as they come.
pub struct Replicas {
    seen: mpsc::UnboundedReceiver<(i32, Instant)>,
    _watcher: JoinSet<()>,
}

// === impl Replicas ===

impl Replicas {
    /// Watches a Deployment; done when its present number has arrived.
    pub async fn of(client: Client, namespace: &str, name: &str, now: i32) -> Result<Self> {
        let (sender, seen) = mpsc::unbounded_channel();
        let api = Api::namespaced(client, namespace);
        let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut watcher = JoinSet::new();
        watcher.spawn(follow(api, only, sender));
        let mut replicas = Self { seen, _watcher: watcher };
        replicas.until(now).await?;
        Ok(replicas)
    }

    /// When this number arrived.
    pub async fn until(&mut self, wanted: i32) -> Result<Instant> {
        let arrives = async {
            loop {
                let (number, at) = self.seen.recv().await.context("the watch has ended")?;
                if number == wanted {
                    return Ok(at);
                }
            }
        };
        let patience = Duration::from_secs(15);
        tokio::time::timeout(patience, arrives).await.with_context(|| format!("replicas never became {wanted}"))?
    }
}

/// The time is taken here, where the event arrives, not where somebody waits for it.
async fn follow(api: Api<Deployment>, only: watcher::Config, sender: mpsc::UnboundedSender<(i32, Instant)>) {
    let mut events = watcher::watcher(api, only).applied_objects().boxed();
    while let Ok(Some(deployment)) = events.try_next().await {
        let replicas = deployment.spec.and_then(|spec| spec.replicas).unwrap_or_default();
        if sender.send((replicas, Instant::now())).is_err() {
            return;
        }
    }
}
