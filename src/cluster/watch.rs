//! Watching managed objects: one watch per kind, by label, for every sync together. What is ours alone is followed by name.
//!
//! A watch begins with what there is, streamed object by object where the server offers that (Kubernetes 1.32 and newer, by
//! default): neither side then holds a page of five hundred at once. A server that does not refuses such a watch at its start, with
//! a status that says so, because it takes `resourceVersionMatch` for a mistake there; so does an aggregated API of an older
//! make. Those are listed page by page, each kind on its own.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, DynamicObject};
use kube::core::Status;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{Cluster, Kind};
use crate::core::names::MANAGED_LABEL;
use crate::core::object::ObjectKey;

/// What a watch has seen.
#[derive(Debug)]
pub enum Sight {
    /// The object is, or has become, this.
    Object(ObjectKey, Box<Value>),
    /// The object is gone, or has lost its label: the watch cannot tell.
    Gone(ObjectKey),
    /// The watch started over, and these are all the objects of the kind there are.
    Everything(Kind, HashSet<ObjectKey>),
}

// === impl Cluster ===

impl Cluster {
    /// Watches managed objects of `kind` until the receiver is dropped. Never gives up: a watch that breaks (API server
    /// restart, 410 Gone, a CRD that went away) is started again with back-off, and reports everything anew.
    pub async fn watch(self: Arc<Self>, kind: Kind, sights: mpsc::Sender<Sight>) {
        let mut events = self.events(&kind, labelled().streaming_lists());
        let mut listed = HashSet::new();
        loop {
            let sight = match events.try_next().await {
                Ok(Some(event)) => read(event, &kind, &mut listed),
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(kind = kind.resource.kind, %error, "watch broke; starting it again");
                    if refuses_to_stream(&error) {
                        events = self.events(&kind, labelled());
                    }
                    None
                }
            };
            if let Some(sight) = sight
                && sights.send(sight).await.is_err()
            {
                return;
            }
        }
    }

    fn events(
        &self,
        kind: &Kind,
        config: watcher::Config,
    ) -> BoxStream<'static, Result<watcher::Event<DynamicObject>, watcher::Error>> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind.resource);
        watcher(api, config).default_backoff().boxed()
    }
}

fn labelled() -> watcher::Config {
    watcher::Config::default().labels(&format!("{MANAGED_LABEL}=true"))
}

/// Does the server take what asks for a streamed list for a mistake? (A watch that was begun differently is never one.)
fn refuses_to_stream(error: &watcher::Error) -> bool {
    let refused = |status: &Status| [400, 422].contains(&status.code);
    matches!(error, watcher::Error::WatchStartFailed(kube::Error::Api(status)) if refused(status))
}

/// One object of a kind, as it is from now on; `None` while there is none. Never ends, and speaks again after a break.
pub fn follow(
    cluster: &Cluster,
    kind: &Kind,
    namespace: Option<&str>,
    name: &str,
) -> BoxStream<'static, Option<Value>> {
    let (client, resource) = (cluster.client.clone(), &kind.resource);
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    };
    let (kind, name) = (kind.clone(), name.to_owned());
    let states = watcher::watch_object(api, &name).default_backoff();
    let states = states.filter_map(move |state| {
        let state = match state {
            Ok(object) => Some(object.and_then(|object| plain(&object, &kind)).map(|(_, object)| object)),
            Err(error) => {
                tracing::debug!(kind = kind.resource.kind, name, %error, "watch broke; starting it again");
                None
            }
        };
        std::future::ready(state)
    });
    states.boxed()
}

fn read(event: watcher::Event<DynamicObject>, kind: &Kind, listed: &mut HashSet<ObjectKey>) -> Option<Sight> {
    match event {
        watcher::Event::Init => {
            listed.clear();
            None
        }
        watcher::Event::InitApply(object) => {
            let (key, object) = plain(&object, kind)?;
            listed.insert(key.clone());
            Some(Sight::Object(key, Box::new(object)))
        }
        watcher::Event::InitDone => Some(Sight::Everything(kind.clone(), std::mem::take(listed))),
        watcher::Event::Apply(object) => plain(&object, kind).map(|(key, object)| Sight::Object(key, Box::new(object))),
        watcher::Event::Delete(object) => plain(&object, kind).map(|(key, _)| Sight::Gone(key)),
    }
}

/// The object as JSON, with the type that lists leave out.
fn plain(object: &DynamicObject, kind: &Kind) -> Option<(ObjectKey, Value)> {
    let mut value = serde_json::to_value(object).ok()?;
    value["apiVersion"] = kind.resource.api_version.clone().into();
    value["kind"] = kind.resource.kind.clone().into();
    Some((ObjectKey::of(&value)?, value))
}
