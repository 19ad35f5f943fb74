//! What exclusions depend on besides the objects, followed: autoscalers, and the labels of namespaces.
//!
//! Nothing is judged before each has been listed once: a Deployment judged without its autoscaler would be scaled back.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Context;
use super::publish::Publisher;
use crate::cluster::{Cluster, Kind};
use crate::core::exclude::{LabelMap, Presets, Rule, Scaler, Surroundings, Target};
use crate::core::object::ObjectKey;

/// Exclusions of the whole cluster, as the `DriftPolicy` says them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exempt {
    /// Its rules.
    pub rules: Arc<[Rule]>,
    /// Which presets are on.
    pub presets: Presets,
}

/// One thing seen around the objects; `None` if it is gone, or does nothing (any more).
pub enum Seen {
    /// An autoscaler.
    Scaler(ObjectKey, Option<(Target, Scaler)>),
    /// A namespace.
    Namespace(String, Option<LabelMap>),
}

/// Autoscalers that are looked at, by API version and kind.
const SCALERS: [(&str, &str); 2] =
    [("autoscaling/v2", "HorizontalPodAutoscaler"), ("autoscaling.k8s.io/v1", "VerticalPodAutoscaler")];

/// Follows all of it; returns when everything is known once. What follows ends with `tasks`.
pub async fn follow(context: &Arc<Context>, tasks: &mut JoinSet<()>) {
    let mut firsts = Vec::new();
    let namespaces = ApiResource::erase::<k8s_openapi::api::core::v1::Namespace>(&());
    let mut kinds = vec![Kind { resource: namespaces, namespaced: false }];
    for (api_version, kind) in SCALERS {
        match context.cluster.kind(api_version, kind).await {
            Ok(served) => kinds.extend(served),
            Err(error) => {
                tracing::warn!(%error, kind, "cannot tell whether it is served; its autoscalers are not seen");
            }
        }
    }
    for kind in kinds {
        let (done, first) = oneshot::channel();
        firsts.push(first);
        tasks.spawn(follow_kind(context.clone(), kind, done));
    }
    let (done, first) = oneshot::channel();
    tasks.spawn(follow_policy(context.clone(), done));
    firsts.push(first);
    futures::future::join_all(firsts).await;
}

/// All of it as it is just now, for a question asked once. What may not be listed counts as not there.
pub async fn gather(cluster: &Cluster, exempt: Exempt) -> Surroundings {
    let Exempt { rules, presets } = exempt;
    let mut around = Surroundings { rules, presets, ..Surroundings::default() };
    for (api_version, kind) in SCALERS.into_iter().chain([("v1", "Namespace")]) {
        let Ok(Some(kind)) = cluster.kind(api_version, kind).await else { continue };
        let api: Api<DynamicObject> = Api::all_with(cluster.client().clone(), &kind.resource);
        let list = api.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        for seen in list.iter().filter_map(|object| read(object, &kind, true)) {
            match seen {
                Seen::Scaler(_, Some((target, scaler))) => around.add(target, scaler),
                Seen::Namespace(name, Some(labels)) => around.add_namespace(&name, &labels),
                Seen::Scaler(_, None) | Seen::Namespace(_, None) => {}
            }
        }
    }
    around
}

async fn follow_policy(context: Arc<Context>, first: oneshot::Sender<()>) {
    let mut exempt = context.exempt.clone();
    let mut first = Some(first);
    while exempt.wait_for(Option::is_some).await.is_ok() {
        let now = exempt.borrow_and_update().clone().unwrap_or_default();
        context.publisher.exempt(now);
        first.take().map(|first| first.send(()).ok());
        if exempt.changed().await.is_err() {
            return;
        }
    }
}

async fn follow_kind(context: Arc<Context>, kind: Kind, first: oneshot::Sender<()>) {
    let api: Api<DynamicObject> = Api::all_with(context.cluster.client().clone(), &kind.resource);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    let mut first = Some(first);
    let mut list = Vec::new();
    loop {
        match events.try_next().await {
            Ok(Some(watcher::Event::Init)) => list.clear(),
            Ok(Some(watcher::Event::InitApply(object))) => list.extend(read(&object, &kind, true)),
            Ok(Some(watcher::Event::InitDone)) => {
                context.publisher.seen_all(&kind.resource.group, &kind.resource.kind, std::mem::take(&mut list));
                first.take().map(|first| first.send(()).ok());
            }
            Ok(Some(watcher::Event::Apply(object))) => see(&context.publisher, read(&object, &kind, true)),
            Ok(Some(watcher::Event::Delete(object))) => see(&context.publisher, read(&object, &kind, false)),
            Ok(None) => return,
            Err(error) => tracing::warn!(kind = kind.resource.kind, %error, "watch broke; starting it again"),
        }
    }
}

fn see(publisher: &Publisher, seen: Option<Seen>) {
    if let Some(seen) = seen {
        publisher.seen(seen);
    }
}

fn read(object: &DynamicObject, kind: &Kind, is_there: bool) -> Option<Seen> {
    let name = object.metadata.name.clone()?;
    if kind.resource.kind == "Namespace" {
        return Some(Seen::Namespace(name, is_there.then(|| object.metadata.labels.clone().unwrap_or_default())));
    }
    let key = ObjectKey {
        group: kind.resource.group.clone(),
        kind: kind.resource.kind.clone(),
        namespace: object.metadata.namespace.clone(),
        name,
    };
    let scaler = if is_there { Scaler::read(&key, &object.data) } else { None };
    Some(Seen::Scaler(key, scaler))
}
