//! What exclusions depend on besides the objects, followed: autoscalers, and the labels of namespaces.
//!
//! Nothing is judged before each has been listed once: a Deployment judged without its autoscaler would be scaled back.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::Context;
use super::ground::is_established;
use super::keeper::Keeper;
use super::publish::Publisher;
use crate::cluster::{Cluster, Error, Kind};
use crate::core::exclude::{LabelMap, Presets, Rule, Scaler, Surroundings, Target};
use crate::core::object::{ObjectKey, group_of};
use crate::core::team::Teams;

/// Exclusions of the whole cluster, as the `DriftPolicy` says them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exempt {
    /// Its rules.
    pub rules: Arc<[Rule]>,
    /// Which presets are on.
    pub presets: Presets,
    /// Why neither is known, if no policy could be read yet.
    pub unreadable: Option<Arc<str>>,
    /// How teams are told.
    pub teams: Arc<Teams>,
}

/// One thing seen around the objects; `None` if it is gone, or does nothing (any more).
pub enum Seen {
    /// An autoscaler.
    Scaler(ObjectKey, Option<(Target, Scaler)>),
    /// A namespace.
    Namespace(String, Option<LabelMap>),
}

/// Autoscalers that are looked at, by API version and kind.
const SCALERS: [(&str, &str); 2] = [HORIZONTAL, VERTICAL];
/// Every cluster serves these.
const HORIZONTAL: (&str, &str) = ("autoscaling/v2", "HorizontalPodAutoscaler");
/// These come with a CRD, which may be installed, and go, at any time.
const VERTICAL: (&str, &str) = ("autoscaling.k8s.io/v1", "VerticalPodAutoscaler");
/// That CRD.
const VERTICAL_DEFINITION: &str = "verticalpodautoscalers.autoscaling.k8s.io";

/// How long discovery is waited for after a CRD is established, and how often it is asked.
const LAG: Duration = Duration::from_millis(200);
const LOOKS: usize = 25;

/// Follows all of it; returns when everything is known once. What follows ends with `tasks`.
pub async fn follow(context: &Arc<Context>, tasks: &mut JoinSet<()>) {
    let mut firsts = Vec::new();
    let namespaces = ApiResource::erase::<k8s_openapi::api::core::v1::Namespace>(&());
    let namespaces = Kind { resource: namespaces, namespaced: false };
    let horizontal = ApiResource::erase::<k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler>(&());
    let horizontal = Kind { resource: horizontal, namespaced: true };
    let mut first = || {
        let (done, first) = oneshot::channel();
        firsts.push(first);
        done
    };
    tasks.spawn(follow_kind(context.clone(), namespaces, first()));
    tasks.spawn(follow_kind(context.clone(), horizontal, first()));
    tasks.spawn(follow_definition(context.clone(), first()));
    tasks.spawn(follow_policy(context.clone(), first()));
    futures::future::join_all(firsts).await;
}

/// All of it as it is just now, for a question asked once; and, in sentences, what could not be seen and counts as not there.
pub async fn gather(cluster: &Cluster, exempt: Exempt) -> (Surroundings, Vec<String>) {
    let mut unseen = Vec::new();
    let Exempt { rules, presets, unreadable, teams } = exempt;
    let mut around = Surroundings { rules, presets, unreadable, teams, ..Surroundings::default() };
    for (api_version, kind) in SCALERS.into_iter().chain([("v1", "Namespace")]) {
        let kind = match cluster.kind(api_version, kind).await {
            Ok(Some(kind)) => kind,
            Ok(None) => continue,
            Err(error) => {
                unseen.push(format!("{error}; judged as if there were no {kind}"));
                continue;
            }
        };
        let api: Api<DynamicObject> = Api::all_with(cluster.client().clone(), &kind.resource);
        let list = match api.list(&ListParams::default()).await {
            Ok(list) => list.items,
            Err(error) => {
                let error = Error::new(format!("list {} in all namespaces", kind.resource.plural), &error);
                unseen.push(format!("{error}; judged as if there were none but those Git declares"));
                Vec::new()
            }
        };
        for seen in list.iter().filter_map(|object| read(object, &kind, true)) {
            match seen {
                Seen::Scaler(_, Some((target, scaler))) => around.add(target, scaler),
                Seen::Namespace(name, Some(labels)) => around.add_namespace(&name, &labels),
                Seen::Scaler(_, None) | Seen::Namespace(_, None) => {}
            }
        }
    }
    (around, unseen)
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

/// Follows vertical autoscalers from when their CRD is served, and for as long as it is.
async fn follow_definition(context: Arc<Context>, first: oneshot::Sender<()>) {
    let definitions = ApiResource::erase::<CustomResourceDefinition>(&());
    let api: Api<DynamicObject> = Api::all_with(context.cluster.client().clone(), &definitions);
    let mut states = watcher::watch_object(api, VERTICAL_DEFINITION).default_backoff().boxed();
    let mut first = Some(first);
    let mut following = JoinSet::new();
    loop {
        match states.try_next().await {
            Ok(Some(Some(crd))) if following.is_empty() && is_established(&crd.data) => {
                if let Some(kind) = served(&context.cluster).await {
                    let done = first.take().unwrap_or_else(|| oneshot::channel().0);
                    following.spawn(follow_kind(context.clone(), kind, done));
                }
            }
            Ok(Some(Some(_))) => {}
            Ok(Some(None)) => {
                following.shutdown().await;
                context.publisher.seen_all(group_of(VERTICAL.0), VERTICAL.1, Vec::new());
            }
            Ok(None) => return,
            // Without the right to look there will never be an answer, and everybody waits for the first.
            Err(error) if is_forbidden(&error) => {
                tracing::warn!(kind = VERTICAL.1, %error, "cannot tell whether it is served; its autoscalers are not seen");
            }
            Err(error) => {
                tracing::warn!(kind = VERTICAL.1, %error, "cannot tell whether it is served; trying again");
                continue;
            }
        }
        if following.is_empty() {
            first.take().map(|first| first.send(()).ok());
        }
    }
}

/// Discovery may lag behind the CRD by a moment.
async fn served(cluster: &Cluster) -> Option<Kind> {
    let mut pause = tokio::time::interval(LAG);
    for _ in 0..LOOKS {
        pause.tick().await;
        if let Ok(Some(kind)) = cluster.kind(VERTICAL.0, VERTICAL.1).await {
            return Some(kind);
        }
    }
    tracing::warn!(kind = VERTICAL.1, "its CRD is established, but it is not served; its autoscalers are not seen");
    None
}

fn is_forbidden(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status)) => status.code == 403,
        _ => false,
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

// === impl Keeper ===

impl Keeper {
    /// What exclusions depend on has changed: whatever that concerns is looked at again.
    pub(super) async fn look_around(&mut self) {
        for key in self.take_surroundings() {
            self.miss(key).await;
        }
    }

    /// Resolves exclusions in what surrounds the objects now; answers with the objects it made a difference to.
    pub(super) fn take_surroundings(&mut self) -> Vec<ObjectKey> {
        let around = self.around.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.resolved, around.clone());
        let mut renewed = Vec::new();
        for (key, entry) in self.entries.iter_mut().filter(|(key, _)| !before.is_same_for(&around, key)) {
            if let Some(managed) = entry.managed.within(&around) {
                entry.managed = Arc::new(managed);
                renewed.push(key.clone());
            }
        }
        self.make_peace(&renewed);
        renewed
    }
}
