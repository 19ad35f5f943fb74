//! Answers what an admission verdict may hang on: who may break glass, whether a scaled object has one open, and what else it is.
//!
//! No answer is kept. A right that was taken away a second ago must be gone, and all questions are rare.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::core::breakglass::{Glass, stamped};
use crate::core::names::GROUP;
use crate::core::state::State;
use crate::evidence::Metrics;
use crate::evidence::metrics::Ask;
use crate::webhook::upstream::{Place, Requester, Unanswered, Upstream};

/// The RBAC verb on `gitsyncs` that lets a user open and use a break-glass on the objects of that sync.
pub const VERB: &str = "break-glass";

/// The cluster's own answers.
#[derive(Clone)]
pub struct Rights {
    client: Client,
    metrics: Metrics,
}

// === impl Rights ===

impl Rights {
    /// Asks through this client.
    pub fn new(client: Client, metrics: Metrics) -> Self {
        Self { client, metrics }
    }

    async fn is_allowed(&self, who: &Requester, sync: &str) -> Result<bool, kube::Error> {
        self.metrics.called(Ask::Review);
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        let answered = reviews.create(&PostParams::default(), &question(who, sync)).await?;
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

    async fn object_at(&self, place: &Place) -> Result<Option<Value>, kube::Error> {
        self.metrics.called(Ask::Get);
        let Some(object) = self.api(place).get_opt(&place.name).await? else { return Ok(None) };
        Ok(Some(serde_json::to_value(object).map_err(kube::Error::SerdeError)?))
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
    fn may_break_glass<'a>(&'a self, who: &'a Requester, sync: &'a str) -> BoxFuture<'a, Result<bool, Unanswered>> {
        let unanswered = |source: kube::Error| Unanswered::Right {
            user: who.user.name.clone(),
            sync: sync.to_owned(),
            source: source.into(),
        };
        async move { self.is_allowed(who, sync).await.map_err(unanswered) }.boxed()
    }

    fn glass<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Glass>, Unanswered>> {
        async move { self.glass_at(place).await.map_err(|error| unread(place, error)) }.boxed()
    }

    fn object<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Value>, Unanswered>> {
        async move { self.object_at(place).await.map_err(|error| unread(place, error)) }.boxed()
    }
}

fn unread(place: &Place, source: kube::Error) -> Unanswered {
    let Place { resource, name, .. } = place.clone();
    Unanswered::Parent { resource, name, source: source.into() }
}

/// May this user break glass on this sync? Asked with everything the authenticator said, because authorizers may use it.
fn question(who: &Requester, sync: &str) -> SubjectAccessReview {
    let Requester { user, uid, extra } = who;
    let (namespace, name) = sync.split_once('/').unwrap_or_default();
    let attributes = ResourceAttributes {
        group: Some(GROUP.to_owned()),
        resource: Some("gitsyncs".to_owned()),
        verb: Some(VERB.to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
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
