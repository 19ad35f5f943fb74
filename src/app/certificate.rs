//! The certificate the webhook serves, and the CA the API server is told to trust: made at start, or brought in files.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::certs;
use crate::config::{CertificateFiles, Config};
use crate::evidence::Metrics;
use crate::webhook::register::Registration;
use crate::webhook::tls::{Brought, Files, POLL, Serving, pair};

/// A self-made certificate dies with its process, so this only has to outlive the longest run.
const VALIDITY: Duration = Duration::from_hours(365 * 24);

/// What is served, and by what it is recognised.
pub(super) struct Certificate {
    /// What is served.
    pub(super) serving: Arc<Serving>,
    ca: Vec<u8>,
}

// === impl Certificate ===

impl Certificate {
    /// Makes a certificate for `names`, or reads and follows the one that was brought.
    pub(super) async fn obtain(config: &Config, names: &[String], metrics: &Metrics) -> anyhow::Result<Self> {
        match &config.webhook.certificate {
            Some(files) => Self::follow(files, metrics).await,
            None => Self::make(names, metrics),
        }
    }

    /// What is to be registered for this certificate.
    pub(super) fn registration(&self, config: &Config, bound: SocketAddr) -> Registration {
        Registration {
            client: config.webhook.client(bound),
            ca_bundle: self.ca.clone(),
            failure_policy: config.webhook.failure_policy,
            timeout_seconds: i32::try_from(config.webhook.timeout.as_secs()).unwrap_or(1),
            namespace: config.namespace.clone(),
            declared: Vec::new(),
        }
    }

    fn make(names: &[String], metrics: &Metrics) -> anyhow::Result<Self> {
        let made = certs::issue(names, VALIDITY, Timestamp::now())?;
        metrics.certificate_expires(made.expires);
        let pair = pair(made.chain.as_bytes(), made.key.as_bytes())?;
        Ok(Self { serving: Serving::new(pair), ca: made.ca.into_bytes() })
    }

    async fn follow(files: &CertificateFiles, metrics: &Metrics) -> anyhow::Result<Self> {
        let CertificateFiles { cert, key, ca } = files.clone();
        let (brought, pair) = Brought::read(Files { chain: cert, key }).await?;
        let ca_bundle = tokio::fs::read(&ca).await;
        let ca_bundle = ca_bundle.with_context(|| format!("failed to read {}; check --ca-file", ca.display()))?;
        let serving = Serving::new(pair);
        tokio::spawn(brought.follow(serving.clone(), POLL, metrics.certificate_failures.clone()));
        Ok(Self { serving, ca: ca_bundle })
    }
}
