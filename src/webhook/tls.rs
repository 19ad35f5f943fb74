//! The serving certificate, which can be exchanged while connections are open and handshakes are under way.
//!
//! Brought certificates are read again every few seconds and compared as bytes. File system events would be cheaper and are
//! not enough: a mounted Secret changes by a symlink two folders up, and both inotify and renames have missed that. A pair is
//! used only if chain and key belong together, so half of a change is simply not used until the other half is there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::certs::validity::{Unusable, Validity};

/// How often brought certificates are looked at. The kubelet itself takes up to a minute to mount a changed Secret.
pub const POLL: Duration = Duration::from_secs(10);

/// The certificate that handshakes get. Exchange it with [`Serving::set`].
#[derive(Debug)]
pub struct Serving {
    current: RwLock<Option<Arc<CertifiedKey>>>,
}

/// A chain, its private key and its authority, as PEM files.
#[derive(Debug, Clone)]
pub struct Files {
    /// The leaf, followed by what signed it.
    pub chain: PathBuf,
    /// The leaf's private key.
    pub key: PathBuf,
    /// Whom to trust for the leaf.
    pub ca: PathBuf,
}

/// What brought files hold, when all of it is of use.
#[derive(Debug)]
pub struct Found {
    /// To serve.
    pub pair: CertifiedKey,
    /// To trust, as PEM.
    pub authorities: Vec<u8>,
    /// When the leaf is good.
    pub validity: Validity,
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
    ca: Vec<u8>,
}

/// What an authority's certificate is called in errors.
const AUTHORITY: &str = "the authority's certificate";

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
    #[error("failed to find {what}, written as PEM")]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// What was found.
        source: pem::Error,
    },
    /// Chain and key are not usable, or do not belong together.
    #[error("failed to use the certificate chain with the private key")]
    Pair(#[from] rustls::Error),
    /// The leaf has no dates.
    #[error("failed to read the leaf")]
    Leaf(#[from] Unusable),
}

// === impl Serving ===

impl Serving {
    /// Serves this pair.
    pub fn new(pair: CertifiedKey) -> Arc<Self> {
        Arc::new(Self { current: RwLock::new(Some(Arc::new(pair))) })
    }

    /// Serves nothing yet: handshakes fail until there is a pair.
    pub fn nothing() -> Arc<Self> {
        Arc::new(Self { current: RwLock::new(None) })
    }

    /// Serves another pair from the next handshake on.
    pub fn set(&self, pair: CertifiedKey) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(pair));
    }

    /// The configuration of a server that presents it, speaking HTTP/2 and HTTP/1.1. With authorities for `clients`, whoever
    /// does not present a certificate that one of them signed gets no further than the handshake.
    pub fn config(self: Arc<Self>, clients: Option<RootCertStore>) -> Result<ServerConfig, rustls::Error> {
        let versions = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let asking = match clients {
            Some(authorities) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider()).build();
                versions.with_client_cert_verifier(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
            }
            None => versions.with_no_client_auth(),
        };
        let mut config = asking.with_cert_resolver(self);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl Brought ===

impl Brought {
    /// Reads the files for the first time; without a usable pair there is nothing to serve.
    pub async fn read(files: Files) -> Result<(Self, Found), Error> {
        let seen = files.read().await?;
        let found = seen.found()?;
        Ok((Self { files, seen }, found))
    }

    /// What is new, if the files hold something else than before. What cannot be used is reported once.
    pub async fn changed(&mut self) -> Result<Option<Found>, Error> {
        let found = self.files.read().await?;
        if found == self.seen {
            return Ok(None);
        }
        self.seen = found;
        self.seen.found().map(Some)
    }
}

// === impl Files ===

impl Files {
    async fn read(&self) -> Result<Pem, Error> {
        Ok(Pem { chain: bytes(&self.chain).await?, key: bytes(&self.key).await?, ca: bytes(&self.ca).await? })
    }
}

// === impl Pem ===

impl Pem {
    fn found(&self) -> Result<Found, Error> {
        let Self { chain, key, ca } = self;
        CertificateDer::from_pem_slice(ca).map_err(|source| Error::Pem { what: AUTHORITY, source })?;
        Ok(Found { pair: pair(chain, key)?, authorities: ca.clone(), validity: Validity::of_pem(chain)? })
    }
}

/// The authorities in some PEM; at least one.
pub fn authorities(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut authorities = RootCertStore::empty();
    let none = |source| Error::Pem { what: AUTHORITY, source };
    CertificateDer::from_pem_slice(pem).map_err(none)?;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        authorities.add(certificate.map_err(none)?)?;
    }
    Ok(authorities)
}

/// Reads a chain and its key from PEM, and makes sure that they belong together.
pub fn pair(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, Error> {
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>();
    let chain = chain.map_err(|source| Error::Pem { what: "the certificate chain", source })?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| Error::Pem { what: "the private key", source })?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

async fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    tokio::fs::read(path).await.map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Named here instead of installed for the process, so that a library user's choice is never in the way.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
