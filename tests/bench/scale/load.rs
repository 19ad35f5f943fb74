//! Who loads the API server: a bare apply of everything, for what is possible at all; and people, a hundred edits a second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::objects::{self, config_maps};

/// Requests under way at once: as many as Holdfast has.
const CONCURRENCY: usize = 64;

/// Edits a second.
const RATE: u32 = 100;

/// After this long an edit that is not healed counts as never healed, and the measurement as failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a hundred edits a second came to.
pub struct Healed {
    /// From the acknowledgement of each edit to the event that shows Git's value again.
    pub latencies: Vec<Duration>,
    /// How long all the edits took.
    pub took: Duration,
}

/// What the API server takes for every object, with nothing else to do.
#[derive(Debug, Clone, Copy)]
pub struct Floor {
    /// To try all of them out, as whoever refuses a bad commit before any of it is written has to.
    pub tried: Duration,
    /// To apply all of them.
    pub applied: Duration,
}

/// Tries out every object, then applies every object, with nothing before or after it.
pub async fn apply_all(client: &Client, size: usize) -> Result<Floor> {
    let apply_once = PatchParams::apply("bench").force();
    for sync in objects::syncs(size) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": sync}});
        apply(client, namespace, &apply_once).await?;
    }
    let each = async |params: PatchParams| {
        let started = Instant::now();
        let applies = objects::all(size).map(|object| apply(client, object.document, &params));
        futures::stream::iter(applies).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
        anyhow::Ok(started.elapsed())
    };
    Ok(Floor { tried: each(apply_once.clone().dry_run()).await?, applied: each(apply_once).await? })
}

async fn apply(client: &Client, object: Value, params: &PatchParams) -> Result<()> {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let (group, version) = text("/apiVersion").map(|it| it.split_once('/').unwrap_or(("", it))).context("a version")?;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind").context("a kind")?));
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let name = text("/metadata/name").context("a name")?;
    api.patch(name, params, &Patch::Apply(&object)).await?;
    Ok(())
}

/// Waits until each of these `GitSync`s says that the cluster equals this commit. Those that do not are left, with what they say. It
/// watches: who asks all the time has a share in what is measured.
pub async fn synced(syncs: Api<DynamicObject>, commit: &str, late: &mut HashMap<String, Value>) -> Result<()> {
    let mut seen = watcher(syncs, watcher::Config::default()).default_backoff().applied_objects().boxed();
    while !late.is_empty() {
        let sync = seen.try_next().await?.context("the watch has ended")?;
        let status = &sync.data["status"];
        if status["syncedRevision"] == commit {
            late.remove(&sync.name_any());
        } else {
            late.entry(sync.name_any()).and_modify(|said| *said = status.clone());
        }
    }
    Ok(())
}

/// Edits at the rate, each edit of another object, and waits until each was healed.
pub async fn edit_all(client: &Client, objects: Vec<(String, String)>) -> Result<Healed> {
    let mut witness = Witness::start(client).await?;
    let mut editing = JoinSet::new();
    let mut beat = tokio::time::interval(Duration::from_secs(1) / RATE);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let (count, started) = (objects.len(), Instant::now());
    for (namespace, name) in objects {
        beat.tick().await;
        editing.spawn(slip(client.clone(), namespace, name));
    }
    let mut slipped = HashMap::new();
    while let Some(edit) = editing.join_next().await {
        let (object, version, acknowledged) = edit??;
        slipped.insert(object, (version, acknowledged));
    }
    let took = started.elapsed();
    let healing = witness.all_healed(slipped, count);
    let latencies = tokio::time::timeout(PATIENCE, healing).await.context("not every edit was healed")??;
    Ok(Healed { latencies, took })
}

type Slipped = ((String, String), u64, Instant);

async fn slip(client: Client, namespace: String, name: String) -> Result<Slipped> {
    let api: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &config_maps());
    let edited = api.patch(&name, &PatchParams::default(), &Patch::Merge(level("debug"))).await?;
    Ok(((namespace, name), version(&edited)?, Instant::now()))
}

fn level(value: &str) -> Value {
    json!({"data": {"level": value}})
}

fn version(object: &DynamicObject) -> Result<u64> {
    object.resource_version().context("an object without a resource version")?.parse().context("no number")
}

/// One event: which object, at which version, with which value, and when it arrived.
struct Seen {
    object: (String, String),
    version: u64,
    level: Option<String>,
    at: Instant,
}

/// A watch that has nothing to do with Holdfast's.
pub struct Witness {
    events: tokio::sync::mpsc::UnboundedReceiver<Result<Seen>>,
    _task: JoinSet<()>,
}

// === impl Witness ===

impl Witness {
    /// Watches every `ConfigMap`; what there was before is not told.
    pub async fn start(client: &Client) -> Result<Self> {
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        let (listed, first) = tokio::sync::oneshot::channel();
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &config_maps());
        let mut watching = watcher(api, watcher::Config::default()).default_backoff().boxed();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut listed = Some(listed);
            loop {
                let seen = match watching.try_next().await {
                    Ok(Some(watcher::Event::InitDone)) => {
                        listed.take().map(|listed| listed.send(()).ok());
                        continue;
                    }
                    Ok(Some(watcher::Event::Apply(object))) => Seen::of(&object),
                    Ok(Some(_)) => continue,
                    Ok(None) => return,
                    Err(error) => Err(error.into()),
                };
                if sender.send(seen).is_err() {
                    return;
                }
            }
        });
        first.await.context("the witness saw nothing")?;
        Ok(Self { events, _task: task })
    }

    /// When this object was first seen with this value.
    pub async fn sees(&mut self, object: &(String, String), level: &str) -> Result<Instant> {
        let seeing = async {
            loop {
                let seen = self.events.recv().await.context("the watch has ended")??;
                if seen.object == *object && seen.level.as_deref() == Some(level) {
                    return Ok(seen.at);
                }
            }
        };
        tokio::time::timeout(PATIENCE, seeing).await.context("it was not seen in time")?
    }

    async fn all_healed(
        &mut self,
        slipped: HashMap<(String, String), (u64, Instant)>,
        count: usize,
    ) -> Result<Vec<Duration>> {
        let mut healed = HashMap::new();
        while healed.len() < count {
            let seen = self.events.recv().await.context("the watch has ended")??;
            let Some((version, acknowledged)) = slipped.get(&seen.object) else { continue };
            if seen.version > *version && seen.level.as_deref() == Some("info") {
                healed.entry(seen.object).or_insert(seen.at.saturating_duration_since(*acknowledged));
            }
        }
        Ok(healed.into_values().collect())
    }
}

// === impl Seen ===

impl Seen {
    fn of(object: &DynamicObject) -> Result<Self> {
        let at = Instant::now();
        let level = object.data.pointer("/data/level").and_then(Value::as_str).map(str::to_owned);
        let name = (object.namespace().unwrap_or_default(), object.name_any());
        Ok(Self { object: name, version: version(object)?, level, at })
    }
}
