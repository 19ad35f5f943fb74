//! What `holdfast run` was told, as it is meant.
//!
//! Flags, environment and file name the same settings ([`Settings`] is all three), the command line wins, and everything is
//! checked before anything is started. An error names the setting as it was given, its value, and what to write instead.

mod read;
pub mod settings;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use tracing_subscriber::EnvFilter;

use crate::{
    telemetry::{Format, traces::Collector},
    webhook::register::{Client, FailurePolicy},
};
pub use read::Error;
pub use settings::Settings;

/// Everything `holdfast run` depends on.
#[derive(Debug)]
pub struct Config {
    /// Which cluster; absent means the usual places: `KUBECONFIG`, the user's file, the pod's account.
    pub kubeconfig: Option<PathBuf>,
    /// The namespace Holdfast runs in.
    pub namespace: String,
    /// This replica among others.
    pub replica: Replica,
    /// Service account of every `GitSync` that names none; absent means our own.
    pub default_service_account: Option<String>,
    /// The webhook.
    pub webhook: Webhook,
    /// Where probes and scrapes are answered.
    pub admin_listen: SocketAddr,
    /// Push webhooks; absent means that none are taken.
    pub receiver: Option<Receiver>,
    /// Clones of repositories, and evidence that could not be written yet.
    pub cache_dir: PathBuf,
    /// The log.
    pub log: Log,
    /// Who collects traces; absent means nobody.
    pub collector: Option<Collector>,
}

/// One replica among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// By which the next process in its place is known as its successor; absent means that there is none.
    pub identity: Option<String>,
    /// How long the others wait before they take over from one that is gone: whole seconds.
    pub lease: Duration,
    /// Over how many shards the `GitSync`s are spread: 1 to [`MAX`](crate::core::shards::MAX).
    pub shards: u32,
}

/// How the webhook is served and registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Is there one at all? Without it nothing is refused, and drift is healed.
    pub on: bool,
    /// Where reviews are answered.
    pub listen: SocketAddr,
    /// How the API server reaches it; absent means at the very address it listens on.
    pub client: Option<Client>,
    /// What happens to edits while it cannot be reached.
    pub failure_policy: FailurePolicy,
    /// How long the API server waits for it: whole seconds, 1 to 30.
    pub timeout: Duration,
    /// Certificates somebody else looks after; absent means that one is made, and shared in a Secret.
    pub certificate: Option<CertificateFiles>,
    /// Who signs the certificate an API server presents to us; absent means that it needs none.
    pub client_ca: Option<PathBuf>,
}

/// Files of a certificate that was brought along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The serving certificate and what is needed to verify it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The CA for the API server to trust.
    pub ca: PathBuf,
}

/// Where push webhooks of Git hosts are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// The address.
    pub listen: SocketAddr,
    /// A secret that counts for every `GitSync`; absent means that only those in their own Secrets do.
    pub secret: Option<PathBuf>,
}

/// How to log.
#[derive(Debug)]
pub struct Log {
    /// How lines look.
    pub format: Format,
    /// What is worth a line.
    pub filter: EnvFilter,
}

// === impl Webhook ===

impl Webhook {
    /// How the API server reaches us, now that it is known which address was bound.
    pub fn client(&self, bound: SocketAddr) -> Client {
        self.client.clone().unwrap_or_else(|| Client::Url(format!("https://{bound}")))
    }

    /// The names its certificate must carry.
    pub fn names(&self, bound: SocketAddr) -> Vec<String> {
        self.client(bound).names()
    }
}

#[cfg(test)]
mod tests;
