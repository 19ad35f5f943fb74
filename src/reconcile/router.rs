//! Who gets to see what: starts and ends keepers, and hands every sight to the keeper it concerns.
//!
//! Sights are judged here first. Nearly all of them (a status update, an echo of our own write, the list after a reconnect) find
//! nothing wrong, and are passed on as a version number instead of an object: a keeper that is busy cannot then fill the
//! memory with objects it will not look at.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::watcher;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::claims::Contested;
use super::entry::{goes, version};
use super::keeper::{Input, Keeper, Tracked};
use super::plan::{Policy, Response, respond};
use super::{Context, Desired};
use crate::api::GitSync;
use crate::cluster::watch::Sight;
use crate::cluster::{Kind, clock};
use crate::core::drift::drift;
use crate::core::names::{TRACKING_ID, tracked_by};
use crate::core::object::ObjectKey;
use crate::core::ready::readiness;
use crate::core::shards::shard_of;
use crate::core::state::State;

/// Starts keepers and watches, and routes between them.
pub struct Router {
    pub(super) context: Arc<Context>,
    /// The same for each shard.
    shards: Vec<Arc<Context>>,
    desired: Desired,
    contested: watch::Receiver<Arc<Contested>>,
    sights: mpsc::Sender<Sight>,
    stop: CancellationToken,
    keepers: HashMap<String, mpsc::UnboundedSender<Input>>,
    watched: HashSet<Kind>,
    listed: HashSet<String>,
    tasks: JoinSet<()>,
    watches: JoinSet<()>,
    wanted: (mpsc::UnboundedSender<Kind>, mpsc::UnboundedReceiver<Kind>),
}

// === impl Router ===

impl Router {
    /// A router without keepers.
    pub fn new(context: Arc<Context>, desired: Desired, sights: mpsc::Sender<Sight>, stop: CancellationToken) -> Self {
        let shards = context.of_shards();
        if shards.len() > 1 {
            context.publisher.spread();
        }
        Self {
            shards,
            contested: context.publisher.contested(),
            context,
            desired,
            sights,
            stop,
            keepers: HashMap::new(),
            watched: HashSet::new(),
            listed: HashSet::new(),
            tasks: JoinSet::new(),
            watches: JoinSet::new(),
            wanted: mpsc::unbounded_channel(),
        }
    }

    /// The next kind some keeper has objects of.
    pub async fn wanted(&mut self) -> Option<Kind> {
        self.wanted.1.recv().await
    }

    /// Watches a kind, if nobody does yet.
    pub fn watch(&mut self, kind: Kind) {
        if self.watched.insert(kind.clone()) {
            let cluster = self.context.cluster.clone();
            self.watches.spawn(cluster.watch(kind, self.sights.clone()));
        }
    }

    /// A `GitSync` came, changed or went.
    pub fn sync(&mut self, event: watcher::Event<GitSync>) {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(sync) => {
                self.listed.insert(name(&sync));
                self.keep(sync);
            }
            watcher::Event::InitDone => {
                self.context.publisher.expect(self.listed.iter().cloned());
                let gone: Vec<_> = self.keepers.keys().filter(|name| !self.listed.contains(*name)).cloned().collect();
                gone.iter().for_each(|name| self.forget(name));
            }
            watcher::Event::Apply(sync) => self.keep(sync),
            watcher::Event::Delete(sync) => self.forget(&name(&sync)),
        }
    }

    /// A managed object was seen, or is gone.
    pub fn sight(&mut self, sight: Sight) {
        match sight {
            Sight::Object(key, object) => {
                if self.is_in_another_version(&key, &object) {
                    return;
                }
                if self.is_kept_otherwise(&key, &object) {
                    return;
                }
                if let Some(name) = self.declarer_of(&key) {
                    let input = self.judge(key, object);
                    self.send(&name, input);
                } else if let Some(name) = tracker_of(&key, &object) {
                    self.send(&name, tracked(key, &object));
                }
            }
            // Of what nobody declares, only the keeper that waits to prune it knows whose it was.
            Sight::Gone(key) => match self.declarer_of(&key) {
                Some(name) => self.send(&name, Input::Gone(key)),
                None => {
                    for name in self.keepers.keys() {
                        self.send(name, Input::Gone(key.clone()));
                    }
                }
            },
            Sight::Everything(kind, keys) => {
                let keys = Arc::new(keys);
                let names: Vec<_> = self.keepers.keys().cloned().collect();
                names.iter().for_each(|name| self.send(name, Input::Listed(kind.clone(), keys.clone())));
            }
        }
    }

    /// Lets every keeper finish what it is writing, and ends the watches.
    pub async fn finish(mut self) {
        self.keepers.clear();
        while self.tasks.join_next().await.is_some() {}
        self.watches.shutdown().await;
    }

    fn keep(&mut self, sync: GitSync) {
        let name = name(&sync);
        self.context.publisher.labelled(&name, sync.labels());
        let sync = Box::new(sync);
        if !self.keepers.contains_key(&name) {
            self.context.publisher.know(&name);
            self.context.metrics.knows(&name, true);
            let (sender, inputs) = mpsc::unbounded_channel();
            let keeper = Keeper::new(self.shards[self.shard_of(&name)].clone(), name.clone(), self.wanted.0.clone());
            self.tasks.spawn(keeper.run(inputs, self.stop.clone()));
            self.keepers.insert(name.clone(), sender);
        }
        self.send(&name, Input::Spec(sync));
    }

    /// To which shard a sync belongs.
    fn shard_of(&self, name: &str) -> usize {
        shard_of(name, u32::try_from(self.shards.len()).unwrap_or(u32::MAX)) as usize
    }

    /// Dropping the channel ends the keeper.
    fn forget(&mut self, name: &str) {
        self.keepers.remove(name);
        self.context.publisher.forget(name);
        self.context.subscriptions.forget(name);
        self.context.metrics.knows(name, false);
        self.context.tally.set(name, None);
    }

    fn send(&self, name: &str, input: Input) {
        if let Some(keeper) = self.keepers.get(name)
            && keeper.send(input).is_err()
        {
            tracing::error!(sync = name, "the keeper of this GitSync is gone");
        }
    }

    /// Who declares this object? What Git says decides; of what it does not declare, the tracking-id tells whose it was.
    fn declarer_of(&self, key: &ObjectKey) -> Option<String> {
        self.desired.borrow().as_ref().and_then(|snapshot| Some(snapshot.get(key)?.sync.name.clone()))
    }

    /// Where several replicas write: has one written this object for another sync than this replica thinks keeps it? One that declares
    /// it as well keeps it then; one that is not known to may have a newer commit.
    fn is_kept_otherwise(&self, key: &ObjectKey, object: &Value) -> bool {
        let tracker = tracker_of(key, object).filter(|name| self.shards.len() > 1 && self.keepers.contains_key(name));
        let Some(tracker) = tracker else { return false };
        self.context.publisher.tracked(key, &tracker);
        let Some(name) = self.declarer_of(key).filter(|name| *name != tracker) else { return false };
        let contested = self.contested.borrow();
        let declares = contested.objects.get(key).is_some_and(|shared| shared.claimants.contains_key(&tracker));
        if !declares {
            [&name, &tracker].into_iter().for_each(|sync| self.context.subscriptions.wake(sync));
        }
        declares
    }

    /// Where Git declares some objects of a kind in one version and some in another, all are seen in both. A declaration says
    /// nothing of the other shape.
    fn is_in_another_version(&self, key: &ObjectKey, object: &Value) -> bool {
        let desired = self.desired.borrow();
        let managed = desired.as_ref().and_then(|snapshot| snapshot.get(key));
        managed.is_some_and(|managed| {
            object.get("apiVersion").is_none_or(|version| *version != *managed.manifest.api_version)
        })
    }

    fn judge(&self, key: ObjectKey, object: Box<Value>) -> Input {
        let fine = self.desired.borrow().as_ref().and_then(|snapshot| {
            let managed = snapshot.get(&key)?;
            let state = State::whole(&object);
            let rules = self.context.rules.borrow();
            let drift = drift(managed, &state, &|entry| rules.identities.is_interactive(entry));
            let policy = Policy { self_heal: true, suspended: false, held: false, now: clock::now() };
            let quiet = state.annotation(crate::core::names::BREAK_GLASS).is_none();
            Some(quiet && respond(&state, &drift, policy) == Response::InSync)
        });
        if fine == Some(true) {
            Input::Fine(key, version(&object), readiness(&object))
        } else {
            Input::Seen(key, object)
        }
    }
}

/// The sync that this object says it belongs to.
fn tracker_of(key: &ObjectKey, object: &Value) -> Option<String> {
    let id = State::whole(object).annotation(TRACKING_ID)?;
    tracked_by(id, key).map(str::to_owned)
}

fn tracked(key: ObjectKey, object: &Value) -> Input {
    let text = |name| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, api_version, kind) = (version(object), text("apiVersion"), text("kind"));
    Input::Tracked(key, Tracked { version, api_version, kind, goes: goes(object) })
}

fn name(sync: &GitSync) -> String {
    format!("{}/{}", sync.namespace().unwrap_or_default(), sync.name_any())
}
