//! The serving certificate, which can be exchanged while connections are open and handshakes are under way.
//!
//! Brought certificates are read again every few seconds and compared as bytes. File system events would be cheaper and are
//! not enough: a mounted Secret changes by a symlink two folders up, and both inotify and renames have missed that. A pair is
//! used only if chain and key belong together, so half of a change is simply not used until the other half is there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::{MissedTickBehavior, interval};

/// How often brought certificates are looked at. The kubelet itself takes up to a minute to mount a changed Secret.
pub const POLL: Duration = Duration::from_secs(10);

/// The certificate that handshakes get. Exchange it with [`Serving::set`].
#[derive(Debug)]
pub struct Serving {
    current: RwLock<Arc<CertifiedKey>>,
}

/// A chain and its private key, as PEM files.
#[derive(Debug, Clone)]
pub struct Files {
    /// The leaf, followed by what signed it.
    pub chain: PathBuf,
    /// The leaf's private key.
    pub key: PathBuf,
}

/// Brought files, and what they last held.
#[derive(Debug)]
pub struct Brought {
    files: Files,
    seen: Pem,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Pem {
    chain: Vec<u8>,
    key: Vec<u8>,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no certificate, or no key, in what should hold one.
    #[error("failed to read a certificate chain and a private key as PEM")]
    Pem(#[from] pem::Error),
    /// Chain and key are not usable, or do not belong together.
    #[error("failed to use the certificate chain with the private key")]
    Pair(#[from] rustls::Error),
}

// === impl Serving ===

impl Serving {
    /// Serves this pair.
    pub fn new(pair: CertifiedKey) -> Arc<Self> {
        Arc::new(Self { current: RwLock::new(Arc::new(pair)) })
    }

    /// Serves another pair from the next handshake on.
    pub fn set(&self, pair: CertifiedKey) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }

    /// The configuration of a server that presents it, speaking HTTP/2 and HTTP/1.1.
    pub fn config(self: Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let versions = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let mut config = versions.with_no_client_auth().with_cert_resolver(self);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

// === impl Brought ===

impl Brought {
    /// Reads the files for the first time; without a usable pair there is nothing to serve.
    pub async fn read(files: Files) -> Result<(Self, CertifiedKey), Error> {
        let seen = files.read().await?;
        let pair = pair(&seen.chain, &seen.key)?;
        Ok((Self { files, seen }, pair))
    }

    /// The new pair, if the files hold another one than before. A pair that cannot be used is reported once.
    pub async fn changed(&mut self) -> Result<Option<CertifiedKey>, Error> {
        let found = self.files.read().await?;
        if found == self.seen {
            return Ok(None);
        }
        self.seen = found;
        pair(&self.seen.chain, &self.seen.key).map(Some)
    }

    /// Keeps `serving` equal to the files, for as long as the process lives.
    pub async fn follow(mut self, serving: Arc<Serving>, every: Duration, failures: Counter) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.changed().await {
                Ok(None) => {}
                Ok(Some(pair)) => {
                    serving.set(pair);
                    tracing::info!(chain = %self.files.chain.display(), "serving a new certificate");
                }
                Err(error) => {
                    failures.inc();
                    tracing::warn!(error = &error as &dyn std::error::Error, "keeping the certificate in use");
                }
            }
        }
    }
}

// === impl Files ===

impl Files {
    async fn read(&self) -> Result<Pem, Error> {
        Ok(Pem { chain: bytes(&self.chain).await?, key: bytes(&self.key).await? })
    }
}

/// Reads a chain and its key from PEM, and makes sure that they belong together.
pub fn pair(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, Error> {
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key)?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

async fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path).await.map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Named here instead of installed for the process, so that a library user's choice is never in the way.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
