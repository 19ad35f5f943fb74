//! The API server: the only room that names `kube`'s client.
//!
//! Objects are plain JSON here. Typed structs would drop the fields this build has never heard of, and a tool that compares
//! objects must not be the one that loses parts of them.

pub mod account;
pub mod clock;
pub mod error;
pub mod events;
pub mod fence;
pub mod kinds;
pub mod lease;
pub mod names;
pub mod objects;
pub mod rights;
pub mod secrets;
pub mod select;
pub mod watch;

use std::sync::Arc;

use kube::Client;
use tokio::sync::RwLock;

pub use account::Account;
pub use error::{Cause, Error};
pub use kinds::{Kind, Kinds};
pub use names::TypedKind;

use crate::evidence::Metrics;
use fence::Fence;

/// A connection to one cluster, and what it serves.
pub struct Cluster {
    client: Client,
    /// Makes the requests in the name of others: impersonation is not passed on, so it may impersonate nobody itself.
    bare: Client,
    kinds: Arc<RwLock<Kinds>>,
    metrics: Metrics,
    /// In whose name objects are read and written, if not in our own.
    account: Option<Account>,
    /// What is asked before anything is written.
    fence: Fence,
}

// === impl Cluster ===

impl Cluster {
    /// Connects, and asks what kinds there are.
    pub async fn connect(client: Client, metrics: Metrics) -> Result<Self, Error> {
        let kinds = Kinds::discover(&client).await?;
        let bare = client.clone();
        let kinds = Arc::new(RwLock::new(kinds));
        Ok(Self { client, bare, kinds, metrics, account: None, fence: Fence::none() })
    }

    /// The same cluster, where nothing is written unless this fence is open.
    #[must_use]
    pub fn behind(&self, fence: Fence) -> Self {
        Self { fence, ..self.again() }
    }

    /// What is asked before anything is written.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// With another client for requests in the name of others, where ours impersonates our own account already.
    #[must_use]
    pub fn impersonating_by(self, bare: Client) -> Self {
        Self { bare, ..self }
    }

    /// The same cluster, as seen and written by this account.
    #[must_use]
    pub fn acting_as(&self, account: Account) -> Self {
        Self { account: Some(account), ..self.again() }
    }

    fn again(&self) -> Self {
        let Self { client, bare, kinds, metrics, account, fence } = self;
        let (client, bare, kinds) = (client.clone(), bare.clone(), kinds.clone());
        Self { client, bare, kinds, metrics: metrics.clone(), account: account.clone(), fence: fence.clone() }
    }

    /// The client, for the few typed objects (our own kinds, events, leases).
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The kind behind an `apiVersion` and `kind`, or `None` when the cluster does not serve it. Asks once more before saying no:
    /// a CRD may have come since. Where an aggregated API is away, nobody knows what it serves.
    pub async fn kind(&self, api_version: &str, kind: &str) -> Result<Option<Kind>, Error> {
        if let Some(found) = self.kinds.read().await.get(api_version, kind) {
            return Ok(Some(found));
        }
        self.refresh().await?;
        let kinds = self.kinds.read().await;
        if kinds.is_silent(api_version) {
            let cause = Cause::Away("the aggregated API behind it does not answer".to_owned());
            return Err(Error { doing: format!("ask what {api_version} serves"), cause });
        }
        Ok(kinds.get(api_version, kind))
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
