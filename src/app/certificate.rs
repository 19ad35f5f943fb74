//! The certificate the webhook serves, and the authorities the API server is told to trust.
//!
//! Either somebody brings it in files ([`brought`]), or it is made here and shared by all replicas in a Secret ([`shared`]).
//! There is no third way, no certificate of one process alone: with two of them, each would register an authority the other's
//! leaf is not signed by. A process that may not read the Secret says so, heals, and guards nothing until it may.

mod brought;
mod shared;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::admin::Pending;
use crate::certs::validity::Validity;
use crate::config::{CertificateFiles, Config};
use crate::evidence::Metrics;
use crate::shutdown::Shutdown;
use crate::webhook::register::Registration;
use crate::webhook::tls::Serving;
pub(super) use shared::Shared;

/// From here on the log speaks of the end.
const NEAR: SignedDuration = SignedDuration::from_hours(14 * 24);
/// How often it does.
const HOURLY: Duration = Duration::from_hours(1);

/// What the API server trusts, as each of the two configurations says.
pub(super) type Registered = [watch::Receiver<Option<Vec<u8>>>; 2];

/// Keeps a certificate served that everybody trusts.
pub(super) struct Certificate {
    serving: Arc<Serving>,
    trust: watch::Sender<Option<Vec<u8>>>,
    registered: Registered,
    metrics: Metrics,
    pending: Option<Pending>,
}

// === impl Certificate ===

impl Certificate {
    /// Nothing yet: handshakes fail, and nothing is registered.
    pub(super) fn new(
        serving: Arc<Serving>,
        trust: watch::Sender<Option<Vec<u8>>>,
        registered: Registered,
        metrics: Metrics,
        pending: Pending,
    ) -> Self {
        Self { serving, trust, registered, metrics, pending: Some(pending) }
    }

    /// Obtains one from the files, or else from the Secret, and looks after it until `shutdown`.
    pub(super) async fn keep(
        self,
        files: Option<CertificateFiles>,
        secret: Shared,
        shutdown: Shutdown,
    ) -> anyhow::Result<()> {
        let kept = async {
            match files {
                Some(files) => brought::keep(self, files).await,
                None => secret.keep(self).await,
            }
        };
        tokio::select! {
            biased; // who registers may have gone before us, and that is no failure then
            () = shutdown.requested() => Ok(()),
            ended = kept => ended,
        }
    }

    /// Serves this pair from the next handshake on.
    fn serve(&mut self, pair: rustls::sign::CertifiedKey, validity: Validity) {
        self.serving.set(pair);
        self.metrics.certificate_expires(validity.until);
        tracing::info!(until = %format_args!("{:.0}", validity.until), "serving a new certificate");
        if let Some(pending) = self.pending.take() {
            pending.ready();
        }
    }

    /// Has these authorities registered.
    fn trust(&self, authorities: &[u8]) {
        self.trust.send_if_modified(|before| {
            let differs = before.as_deref() != Some(authorities);
            *before = Some(authorities.to_owned());
            differs
        });
    }

    /// Do both configurations hold exactly what is to be trusted?
    fn is_published(&self) -> bool {
        let trust = self.trust.borrow().clone();
        trust.is_some() && self.registered.iter().all(|registered| *registered.borrow() == trust)
    }

    /// Resolves when either configuration has changed.
    async fn published_otherwise(&mut self) -> anyhow::Result<()> {
        let [one, other] = &mut self.registered;
        tokio::select! {
            changed = one.changed() => changed?,
            changed = other.changed() => changed?,
        }
        Ok(())
    }
}

/// What is to be registered, short of what changes.
pub(super) fn registration(config: &Config, bound: SocketAddr) -> Registration {
    Registration {
        client: config.webhook.client(bound),
        ca_bundle: Vec::new(),
        failure_policy: config.webhook.failure_policy,
        timeout_seconds: i32::try_from(config.webhook.timeout.as_secs()).unwrap_or(1),
        namespace: config.namespace.clone(),
        declared: Vec::new(),
        guards: Arc::default(),
    }
}

/// Says so when the end is near: somebody should have renewed it long ago.
fn warn_if_near(validity: Validity, now: Timestamp, remedy: &str) {
    let left = validity.until.duration_since(now);
    if left < NEAR {
        tracing::warn!(until = %format_args!("{:.0}", validity.until), hours = left.as_hours(), "the serving certificate runs out: {remedy}");
    }
}
