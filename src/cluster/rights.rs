//! Answers what an admission verdict may hang on: who may break glass, whether a scaled object has one open, what else it is and
//! where it keeps its replicas.
//!
//! No answer is kept. A right that was taken away a second ago must be gone, and all questions are rare.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::select::Found;
use super::{Cluster, Error, Kind};
use crate::api::GitSync;
use crate::core::breakglass::{Glass, stamped};
use crate::core::guard::Guard;
use crate::core::names::{FIELD_MANAGER, GROUP};
use crate::core::state::State;
use crate::evidence::Metrics;
use crate::evidence::metrics::Ask;
use crate::webhook::upstream::{BoxError, Kept, Place, Requester, Right, Unanswered, Upstream};

/// The cluster's own answers.
#[derive(Clone)]
pub struct Rights {
    client: Client,
    cluster: Arc<Cluster>,
    /// Longest wait for what takes many requests: whoever asks waits no longer than this.
    patience: Duration,
    metrics: Metrics,
}

// === impl Rights ===

impl Rights {
    /// Asks through this client.
    pub fn new(client: Client, cluster: Arc<Cluster>, patience: Duration, metrics: Metrics) -> Self {
        Self { client, cluster, patience, metrics }
    }

    async fn is_allowed(&self, who: &Requester, right: &Right) -> Result<bool, kube::Error> {
        self.metrics.called(Ask::Review);
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        let answered = reviews.create(&PostParams::default(), &question(who, right)).await?;
        Ok(answered.status.is_some_and(|status| status.allowed && !status.denied.unwrap_or_default()))
    }

    /// An object that is gone has no break-glass.
    async fn glass_at(&self, place: &Place) -> Result<Option<Glass>, kube::Error> {
        self.metrics.called(Ask::Get);
        let (api, name) = (self.api(place), &place.name);
        let Some(object) = api.get_metadata_opt(name).await? else { return Ok(None) };
        let object = json!({"metadata": {"annotations": object.metadata.annotations}});
        Ok(stamped(&State::whole(&object)))
    }

    async fn pristine_at(&self, place: &Place, manifest: &Value) -> Result<Option<Value>, kube::Error> {
        self.metrics.called(Ask::DryRun);
        let mut nameless = manifest.clone();
        if let Some(metadata) = nameless.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("name");
            metadata.insert("generateName".to_owned(), "holdfast-".into());
        }
        let nameless: DynamicObject = serde_json::from_value(nameless).map_err(kube::Error::SerdeError)?;
        let dry_run = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        match self.api(place).create(&dry_run, &nameless).await {
            Ok(answer) => serde_json::to_value(answer).map(Some).map_err(kube::Error::SerdeError),
            Err(kube::Error::Api(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn replicas_path_of(&self, place: &Place) -> Result<Option<Vec<String>>, kube::Error> {
        self.metrics.called(Ask::Get);
        let definitions = Api::<CustomResourceDefinition>::all(self.client.clone());
        let definition = definitions.get_opt(&format!("{}.{}", place.resource, place.group)).await?;
        let versions = definition.map(|definition| definition.spec.versions).unwrap_or_default();
        let version = versions.into_iter().find(|version| version.name == place.version);
        let scale = version.and_then(|version| version.subresources).and_then(|subresources| subresources.scale);
        let steps = |path: String| path.split('.').filter(|step| !step.is_empty()).map(str::to_owned).collect();
        Ok(scale.map(|scale| steps(scale.spec_replicas_path)))
    }

    async fn object_at(&self, place: &Place) -> Result<Option<Value>, kube::Error> {
        self.metrics.called(Ask::Get);
        let Some(object) = self.api(place).get_opt(&place.name).await? else { return Ok(None) };
        Ok(Some(serde_json::to_value(object).map_err(kube::Error::SerdeError)?))
    }

    /// Kinds that came since the last look may be just what a namespace holds.
    async fn kept_in(&self, guard: &Guard, namespace: &str) -> Result<Option<Kept>, Error> {
        let known = self.cluster.kinds().await;
        let kept = self.kept_of(known.listable(), guard, namespace).await;
        if !matches!(kept, Ok(None)) {
            return kept;
        }
        self.cluster.refresh().await?;
        let kinds = self.cluster.kinds().await;
        let new: Vec<_> = kinds.listable().iter().filter(|kind| !known.listable().contains(kind)).cloned().collect();
        self.kept_of(&new, guard, namespace).await
    }

    async fn kept_of(&self, kinds: &[Kind], guard: &Guard, namespace: &str) -> Result<Option<Kept>, Error> {
        let pick = |kind: &Kind, object: Value| {
            let plural = kind.resource.plural.clone();
            let is_it = guard.keeps(&object) && guard.is_about(&kind.resource.group, &plural, Some(namespace));
            is_it.then_some(Kept { plural, object })
        };
        let Found { mut found, mut unseen } = self.cluster.look_for(kinds, guard, Some(namespace), 1, &pick).await;
        match (found.pop(), unseen.pop()) {
            (None, Some(error)) => Err(error),
            (kept, _) => Ok(kept),
        }
    }

    async fn syncs_at(&self, namespace: &str) -> Result<Vec<String>, kube::Error> {
        self.metrics.called(Ask::List);
        let syncs = Api::<GitSync>::namespaced(self.client.clone(), namespace);
        let syncs = syncs.list_metadata(&ListParams::default()).await?;
        let staying = syncs.items.into_iter().filter(|sync| sync.metadata.deletion_timestamp.is_none());
        Ok(staying.filter_map(|sync| sync.metadata.name).collect())
    }

    fn api(&self, place: &Place) -> Api<DynamicObject> {
        let resource = api_resource(place);
        match &place.namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }
}

impl Upstream for Rights {
    fn may<'a>(&'a self, who: &'a Requester, right: &'a Right) -> BoxFuture<'a, Result<bool, Unanswered>> {
        let unanswered = |source: kube::Error| Unanswered::Right {
            user: who.user.name.clone(),
            right: right.clone(),
            source: source.into(),
        };
        async move { self.is_allowed(who, right).await.map_err(unanswered) }.boxed()
    }

    fn glass<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Glass>, Unanswered>> {
        async move { self.glass_at(place).await.map_err(|error| unread(place, error)) }.boxed()
    }

    fn pristine<'a>(
        &'a self,
        place: &'a Place,
        manifest: &'a Value,
    ) -> BoxFuture<'a, Result<Option<Value>, Unanswered>> {
        let resource = || place.resource.clone();
        let unanswered =
            move |source: kube::Error| Unanswered::Defaults { resource: resource(), source: source.into() };
        async move { self.pristine_at(place, manifest).await.map_err(unanswered) }.boxed()
    }

    fn replicas_path<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Vec<String>>, Unanswered>> {
        let resource = || format!("{}.{}", place.resource, place.group);
        let unanswered =
            move |source: kube::Error| Unanswered::Definition { resource: resource(), source: source.into() };
        async move { self.replicas_path_of(place).await.map_err(unanswered) }.boxed()
    }

    fn object<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Value>, Unanswered>> {
        async move { self.object_at(place).await.map_err(|error| unread(place, error)) }.boxed()
    }

    fn kept<'a>(&'a self, guard: &'a Guard, namespace: &'a str) -> BoxFuture<'a, Result<Option<Kept>, Unanswered>> {
        let unanswered = |source: BoxError| Unanswered::Namespace {
            namespace: namespace.to_owned(),
            guard: guard.name.to_string(),
            source,
        };
        async move {
            let answered = timeout(self.patience, self.kept_in(guard, namespace)).await;
            answered.map_err(|late| unanswered(late.into()))?.map_err(|error| unanswered(error.into()))
        }
        .boxed()
    }

    fn syncs_in<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unanswered>> {
        let unanswered =
            |source: kube::Error| Unanswered::Syncs { namespace: namespace.to_owned(), source: source.into() };
        async move { self.syncs_at(namespace).await.map_err(unanswered) }.boxed()
    }
}

fn unread(place: &Place, source: kube::Error) -> Unanswered {
    let Place { resource, name, .. } = place.clone();
    Unanswered::Parent { resource, name, source: source.into() }
}

/// Has this user this right? Asked with everything the authenticator said, because authorizers may use it.
fn question(who: &Requester, right: &Right) -> SubjectAccessReview {
    let Requester { user, uid, extra } = who;
    let Right { verb, resource, namespace, name } = right;
    let attributes = ResourceAttributes {
        group: Some(GROUP.to_owned()),
        resource: Some((*resource).to_owned()),
        verb: Some((*verb).to_owned()),
        namespace: Some(namespace.clone()).filter(|namespace| !namespace.is_empty()),
        name: Some(name.clone()).filter(|name| !name.is_empty()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(user.name.clone()),
        groups: Some(user.groups.clone()),
        uid: uid.clone(),
        extra: Some(extra.clone()).filter(|extra: &BTreeMap<_, _>| !extra.is_empty()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    SubjectAccessReview { spec, ..SubjectAccessReview::default() }
}

/// Only what a URL is made of; the kind is not.
fn api_resource(place: &Place) -> ApiResource {
    let Place { group, version, resource, .. } = place;
    let api_version = if group.is_empty() { version.clone() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.clone(),
        version: version.clone(),
        api_version,
        kind: String::new(),
        plural: resource.clone(),
    }
}
