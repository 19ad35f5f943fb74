//! The Lease as an object: read, written over exactly what was read, followed.
//!
//! The first Lease also says over how many shards the writing is spread, in an annotation that is not there while it is one.
//!
//! Renewals are not among the counted requests: they go on in a steady state, which is told by the others standing still.

use futures::stream::BoxStream;
use futures::{StreamExt, future};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt, watcher};

use super::clock;
use super::{Cluster, Error};
use crate::core::lease::{Claim, Record};
use crate::core::names::{FIELD_MANAGER, SHARDS};
use crate::core::shards::member::Post;
use crate::core::shards::{MAX, Spread};

/// The name of the first, in Holdfast's namespace, and what the names of the others begin with.
pub const NAME: &str = "holdfast";

/// A Lease of all replicas.
pub struct Shared {
    api: Api<Lease>,
    namespace: String,
    name: String,
    is_first: bool,
    /// As it was last seen: what is written carries on what others have put into it.
    seen: Option<Lease>,
}

/// The name of the Lease about this.
pub fn name(post: Post) -> String {
    match post {
        Post::Shard(0) => NAME.to_owned(),
        Post::Shard(index) => format!("{NAME}-{index}"),
        Post::Asking => format!("{NAME}-asking"),
    }
}

/// The names of all there may be.
pub fn names() -> Vec<String> {
    (0..MAX as usize).map(Post::Shard).chain([Post::Asking]).map(name).collect()
}

// === impl Shared ===

impl Shared {
    /// The Lease about this, in this namespace.
    pub fn new(cluster: &Cluster, namespace: &str, post: Post) -> Self {
        let api = Api::namespaced(cluster.client().clone(), namespace);
        let (namespace, name, is_first) = (namespace.to_owned(), name(post), post == Post::Shard(0));
        Self { api, namespace, name, is_first, seen: None }
    }

    /// The newest there is.
    pub async fn read(&mut self) -> Result<Option<Record>, Error> {
        let found = self.api.get_opt(&self.name).await;
        self.seen = found.map_err(|error| Error::new(format!("read the Lease {}", self.name), &error))?;
        Ok(self.seen.as_ref().map(record))
    }

    /// Writes a claim over what it names; a conflict if that is not there any more.
    pub async fn write(&mut self, claim: &Claim) -> Result<Record, Error> {
        let lease = self.lease(claim, clock::now());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let written = match &claim.over {
            Some(_) => self.api.replace(&self.name, &params, &lease).await,
            None => self.api.create(&params, &lease).await,
        };
        let written = written.map_err(|error| Error::new(format!("write the Lease {}", self.name), &error))?;
        let record = record(&written);
        self.seen = Some(written);
        Ok(record)
    }

    /// What it becomes; speaks again, of the same, after a break.
    pub fn follow(&self) -> BoxStream<'static, Option<Record>> {
        let states = watcher::watch_object(self.api.clone(), &self.name).default_backoff();
        states.filter_map(|state| future::ready(state.ok().map(|lease| lease.as_ref().map(record)))).boxed()
    }

    fn lease(&self, claim: &Claim, now: Timestamp) -> Lease {
        let before = self.seen.clone().filter(|_| claim.over.is_some()).unwrap_or_default();
        let spec = before.spec.unwrap_or_default();
        let mut metadata = ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            resource_version: claim.over.clone(),
            ..before.metadata
        };
        if self.is_first {
            say(&mut metadata, claim.spread);
        }
        let acquired = spec.acquire_time.clone().filter(|_| !claim.is_new).unwrap_or(MicroTime(now));
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(claim.holder.clone()),
                lease_duration_seconds: i32::try_from(claim.duration.as_secs()).ok(),
                lease_transitions: Some(claim.transitions),
                acquire_time: Some(acquired),
                renew_time: Some(MicroTime(now)),
                ..spec
            }),
        }
    }
}

fn say(metadata: &mut ObjectMeta, spread: Spread) {
    let mut annotations = metadata.annotations.take().unwrap_or_default();
    annotations.remove(SHARDS);
    annotations.extend(spread.annotation().map(|text| (SHARDS.to_owned(), text)));
    metadata.annotations = Some(annotations).filter(|annotations| !annotations.is_empty());
}

/// A record without a duration is of somebody else's making: as long as an hour, so that nobody is surprised.
fn record(lease: &Lease) -> Record {
    const UNSAID: u64 = 3600;
    let LeaseSpec { holder_identity, lease_duration_seconds, lease_transitions, .. } =
        lease.spec.clone().unwrap_or_default();
    let annotations = lease.metadata.annotations.as_ref();
    let seconds = lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(UNSAID);
    Record {
        holder: holder_identity.unwrap_or_default(),
        duration: std::time::Duration::from_secs(seconds),
        transitions: lease_transitions.unwrap_or_default(),
        spread: Spread::read(annotations.and_then(|annotations| annotations.get(SHARDS)).map(String::as_str)),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}
