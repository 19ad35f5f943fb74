//! The Lease as an object: read, written over exactly what was read, followed.
//!
//! Renewals are not among the counted requests: they go on in a steady state, which is told by the others standing still.

use futures::stream::BoxStream;
use futures::{StreamExt, future};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt, watcher};

use super::{Cluster, Error};
use crate::core::lease::{Claim, Record};
use crate::core::names::FIELD_MANAGER;

/// Its name, in Holdfast's namespace.
pub const NAME: &str = "holdfast";

/// The Lease of all replicas.
pub struct Shared {
    api: Api<Lease>,
    namespace: String,
    /// As it was last seen: what is written carries on what others have put into it.
    seen: Option<Lease>,
}

// === impl Shared ===

impl Shared {
    /// The Lease in this namespace.
    pub fn new(cluster: &Cluster, namespace: &str) -> Self {
        let api = Api::namespaced(cluster.client().clone(), namespace);
        Self { api, namespace: namespace.to_owned(), seen: None }
    }

    /// The newest there is.
    pub async fn read(&mut self) -> Result<Option<Record>, Error> {
        let found = self.api.get_opt(NAME).await;
        self.seen = found.map_err(|error| Error::new(format!("read the Lease {NAME}"), &error))?;
        Ok(self.seen.as_ref().map(record))
    }

    /// Writes a claim over what it names; a conflict if that is not there any more.
    pub async fn write(&mut self, claim: &Claim) -> Result<Record, Error> {
        let lease = self.lease(claim, Timestamp::now());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let written = match &claim.over {
            Some(_) => self.api.replace(NAME, &params, &lease).await,
            None => self.api.create(&params, &lease).await,
        };
        let written = written.map_err(|error| Error::new(format!("write the Lease {NAME}"), &error))?;
        let record = record(&written);
        self.seen = Some(written);
        Ok(record)
    }

    /// What it becomes; speaks again, of the same, after a break.
    pub fn follow(&self) -> BoxStream<'static, Option<Record>> {
        let states = watcher::watch_object(self.api.clone(), NAME).default_backoff();
        states.filter_map(|state| future::ready(state.ok().map(|lease| lease.as_ref().map(record)))).boxed()
    }

    fn lease(&self, claim: &Claim, now: Timestamp) -> Lease {
        let before = self.seen.clone().filter(|_| claim.over.is_some()).unwrap_or_default();
        let spec = before.spec.unwrap_or_default();
        let acquired = spec.acquire_time.clone().filter(|_| !claim.is_new).unwrap_or(MicroTime(now));
        Lease {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: Some(self.namespace.clone()),
                resource_version: claim.over.clone(),
                ..before.metadata
            },
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

/// A record without a duration is of somebody else's making: as long as an hour, so that nobody is surprised.
fn record(lease: &Lease) -> Record {
    const UNSAID: u64 = 3600;
    let LeaseSpec { holder_identity, lease_duration_seconds, lease_transitions, .. } =
        lease.spec.clone().unwrap_or_default();
    let seconds = lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(UNSAID);
    Record {
        holder: holder_identity.unwrap_or_default(),
        duration: std::time::Duration::from_secs(seconds),
        transitions: lease_transitions.unwrap_or_default(),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}
