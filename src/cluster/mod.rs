//! The API server: the only room that names `kube`'s client.
//!
//! Objects are plain JSON here. Typed structs would drop the fields this build has never heard of, and a tool that compares
//! objects must not be the one that loses parts of them.

pub mod error;
pub mod events;
pub mod fence;
pub mod kinds;
pub mod lease;
pub mod names;
pub mod objects;
pub mod rights;
pub mod secrets;
pub mod watch;

use std::sync::Arc;

use kube::Client;
use tokio::sync::RwLock;

pub use error::{Cause, Error};
pub use kinds::{Kind, Kinds};
pub use names::TypedKind;

use crate::evidence::Metrics;
use fence::Fence;

/// A connection to one cluster, and what it serves.
pub struct Cluster {
    client: Client,
    kinds: Arc<RwLock<Kinds>>,
    metrics: Metrics,
    fence: Fence,
}

// === impl Cluster ===

impl Cluster {
    /// Connects, and asks what kinds there are.
    pub async fn connect(client: Client, metrics: Metrics) -> Result<Self, Error> {
        let kinds = Kinds::discover(&client).await?;
        Ok(Self { client, kinds: Arc::new(RwLock::new(kinds)), metrics, fence: Fence::none() })
    }

    /// The same cluster, where nothing is written unless this fence is open.
    #[must_use]
    pub fn behind(&self, fence: Fence) -> Self {
        let Self { client, kinds, metrics, fence: _ } = self;
        Self { client: client.clone(), kinds: kinds.clone(), metrics: metrics.clone(), fence }
    }

    /// What is asked before anything is written.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// The client, for the few typed objects (our own kinds, events, leases).
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The kind behind an `apiVersion` and `kind`, or `None` when the cluster does not serve it. Asks once more before saying no:
    /// a CRD may have come since.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<Option<Kind>, Error> {
        if let Some(found) = self.kinds.read().await.get(api_version, kind) {
            return Ok(Some(found));
        }
        self.refresh().await?;
        Ok(self.kinds.read().await.get(api_version, kind))
    }

    /// What the cluster serves, as of the last look.
    pub async fn kinds(&self) -> Kinds {
        self.kinds.read().await.clone()
    }

    /// Looks again at what the cluster serves.
    pub async fn refresh(&self) -> Result<(), Error> {
        let kinds = Kinds::discover(&self.client).await?;
        *self.kinds.write().await = kinds;
        Ok(())
    }
}
