//! The independent witness: a watch of its own on what is edited, with the time at which each event arrived.

use std::time::Instant;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::manifests::{Kind, NAMESPACE};

/// One event.
pub struct Seen {
    /// The edited value as it was then.
    pub value: Option<Value>,
    /// The object's resource version then.
    pub version: u64,
    kind: Kind,
    name: String,
    at: Instant,
}

/// The events, as they come.
pub struct Watch {
    events: mpsc::UnboundedReceiver<Result<Seen>>,
    _watchers: JoinSet<()>,
}

// === impl Seen ===

impl Seen {
    /// Is it about this object?
    pub fn is(&self, kind: Kind, name: &str) -> bool {
        self.kind == kind && self.name == name
    }
}

// === impl Watch ===

impl Watch {
    /// Watches everything that is edited.
    pub fn start(client: &Client) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let mut watchers = JoinSet::new();
        for kind in Kind::ALL {
            watchers.spawn(follow(client.clone(), kind, sender.clone()));
        }
        Self { events, _watchers: watchers }
    }

    /// When the first event arrived that `is_it`.
    pub async fn wait_for(&mut self, is_it: impl Fn(&Seen) -> bool) -> Result<Instant> {
        loop {
            let seen = self.events.recv().await.context("the watch has ended")??;
            if is_it(&seen) {
                return Ok(seen.at);
            }
        }
    }
}

/// The time is taken here, where the event arrives, not where somebody waits for it.
async fn follow(client: Client, kind: Kind, sender: mpsc::UnboundedSender<Result<Seen>>) {
    let resource = kind.resource();
    let api: Api<DynamicObject> = Api::namespaced_with(client, NAMESPACE, &resource);
    let mut events = watcher::watcher(api, watcher::Config::default()).applied_objects().boxed();
    loop {
        let event = events.try_next().await;
        let at = Instant::now();
        let seen = match event {
            Ok(Some(object)) => version(&object).map(|version| Seen {
                value: kind.value_of(&object).cloned(),
                version,
                kind,
                name: object.name_any(),
                at,
            }),
            Ok(None) => return,
            Err(error) => Err(error.into()),
        };
        if sender.send(seen).is_err() {
            return;
        }
    }
}

/// Resource versions are opaque to clients in principle, and numbers that grow in every API server there is.
pub fn version(object: &DynamicObject) -> Result<u64> {
    let version = object.resource_version().context("an object without a resource version")?;
    version.parse().with_context(|| format!("{version} is no number"))
}
