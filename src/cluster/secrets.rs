//! Secrets that somebody named, as they are now, at no cost while they do not change.
//!
//! Of each namespace with such a Secret the *metadata* of all Secrets is watched, and nothing else: which version each has. A
//! Secret is read when it is named, and again when its version has changed; nobody else's is ever in this memory. So a thousand
//! syncs that poll Git every few seconds ask the API server for nothing, and a rotated token is used the next moment.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret as Typed;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;
use tokio::sync::watch;

use super::{Cluster, Error};
use crate::core::object::ObjectKey;

/// How long to wait for the first list of a namespace before reading the Secret without knowing its version.
const PATIENCE: Duration = Duration::from_secs(5);

/// The versions of all Secrets of a namespace, by name; `None` until they were listed.
pub type Versions = watch::Receiver<Option<Arc<HashMap<String, String>>>>;
type Sender = watch::Sender<Option<Arc<HashMap<String, String>>>>;

/// A Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its `resourceVersion`.
    pub version: String,
    /// Its `type`.
    pub kind: String,
    /// What it holds.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// The Secrets that were named, and what is watched for them.
#[derive(Clone)]
pub struct Secrets {
    cluster: Arc<Cluster>,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    watched: HashMap<String, Arc<Sender>>,
    read: HashMap<(String, String), Arc<Secret>>,
}

// === impl Cluster ===

impl Cluster {
    /// A Secret as it is, or `None` when there is none.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Secret>, Error> {
        let Some(kind) = self.kind("v1", "Secret").await? else { return Ok(None) };
        let key = ObjectKey {
            group: String::new(),
            kind: "Secret".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        Ok(self.get(&kind, &key).await?.as_ref().map(Secret::of))
    }
}

// === impl Secrets ===

impl Secrets {
    /// Watches nothing yet.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, known: Arc::default() }
    }

    /// What versions the Secrets of a namespace have. They are watched for as long as somebody holds the answer.
    pub fn versions(&self, namespace: &str) -> Versions {
        let mut known = self.known();
        if let Some(sender) = known.watched.get(namespace) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        let sender = Arc::new(sender);
        known.watched.insert(namespace.to_owned(), Arc::clone(&sender));
        tokio::spawn(self.clone().follow(namespace.to_owned(), sender));
        receiver
    }

    /// A Secret as it is now, or `None` when there is none. Asks only if it has changed since it was last asked for.
    pub async fn read(&self, namespace: &str, name: &str) -> Result<Option<Arc<Secret>>, Error> {
        let mut versions = self.versions(namespace);
        let listed = tokio::time::timeout(PATIENCE, versions.wait_for(Option::is_some)).await;
        // Without the right to watch there is still the right to read, or its refusal in clear words.
        let version = listed.ok().and_then(Result::ok).and_then(|listed| listed.clone());
        let place = (namespace.to_owned(), name.to_owned());
        if let Some(versions) = version {
            let Some(version) = versions.get(name) else { return Ok(None) };
            let read = self.known().read.get(&place).cloned();
            if let Some(read) = read.filter(|read| read.version == *version) {
                return Ok(Some(read));
            }
        }
        let read = self.cluster.secret(namespace, name).await?.map(Arc::new);
        let mut known = self.known();
        match &read {
            Some(read) => drop(known.read.insert(place, Arc::clone(read))),
            None => drop(known.read.remove(&place)),
        }
        Ok(read)
    }

    /// Keeps the versions of one namespace until nobody wants to know them. A watch that breaks is started again.
    async fn follow(self, namespace: String, sender: Arc<Sender>) {
        let api: Api<PartialObjectMeta<Typed>> = Api::namespaced(self.cluster.client.clone(), &namespace);
        let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
        let mut listing = HashMap::new();
        loop {
            tokio::select! {
                () = sender.closed() => {
                    let mut known = self.known();
                    if sender.receiver_count() == 0 {
                        known.watched.remove(&namespace);
                        known.read.retain(|(of, _), _| *of != namespace);
                        return;
                    }
                }
                event = events.try_next() => match event {
                    Ok(Some(event)) => take(event, &mut listing, &sender),
                    Ok(None) => return,
                    Err(error) => tracing::debug!(namespace, %error, "watch of Secrets broke; starting it again"),
                },
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(event: watcher::Event<PartialObjectMeta<Typed>>, listing: &mut HashMap<String, String>, sender: &Sender) {
    let seen = |secret: &PartialObjectMeta<Typed>| {
        let metadata = &secret.metadata;
        (metadata.name.clone().unwrap_or_default(), metadata.resource_version.clone().unwrap_or_default())
    };
    match event {
        watcher::Event::Init => listing.clear(),
        watcher::Event::InitApply(secret) => listing.extend([seen(&secret)]),
        watcher::Event::InitDone => drop(sender.send_replace(Some(Arc::new(std::mem::take(listing))))),
        watcher::Event::Apply(secret) => sender.send_modify(|versions| {
            Arc::make_mut(versions.get_or_insert_default()).extend([seen(&secret)]);
        }),
        watcher::Event::Delete(secret) => sender.send_modify(|versions| {
            Arc::make_mut(versions.get_or_insert_default()).remove(&seen(&secret).0);
        }),
    }
}

// === impl Secret ===

impl Secret {
    fn of(object: &Value) -> Self {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let data = object.get("data").cloned().unwrap_or_default();
        let data: BTreeMap<String, ByteString> = serde_json::from_value(data).unwrap_or_default();
        let data = data.into_iter().map(|(key, ByteString(value))| (key, value)).collect();
        Self { version: text("/metadata/resourceVersion"), kind: text("/type"), data }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, kind, data: _ } = self;
        f.debug_struct("Secret").field("version", version).field("kind", kind).finish_non_exhaustive()
    }
}
