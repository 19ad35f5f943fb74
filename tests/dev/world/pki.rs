//! The keys of a world: a certificate authority, the API server's certificate, and the key that signs service account
//! tokens. Made once for each world, so that kubeconfigs and tokens stay valid when things restart.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use sha2::{Digest, Sha256};

use super::layout::{Layout, write_atomically};

/// Where the keys and certificates are.
#[derive(Clone, Debug)]
pub struct Pki {
    folder: PathBuf,
}

impl Pki {
    /// Makes what is not there yet.
    pub fn create(layout: &Layout) -> Result<Self> {
        let pki = Self { folder: layout.secrets() };
        std::fs::set_permissions(&pki.folder, Permissions::from_mode(0o700))
            .context("failed to lock the secrets up")?;
        // Written last, so its presence says that the rest is there too.
        if !pki.signing_public_key().exists() {
            pki.make_certificates()?;
            pki.make_signing_key()?;
        }
        Ok(pki)
    }

    /// Whom every client of the API server trusts.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// The API server's certificate.
    pub fn serving_certificate(&self) -> PathBuf {
        self.folder.join("apiserver.crt")
    }

    /// The key to that certificate.
    pub fn serving_key(&self) -> PathBuf {
        self.folder.join("apiserver.key")
    }

    /// The key that signs service account tokens.
    pub fn signing_key(&self) -> PathBuf {
        self.folder.join("service-accounts.key")
    }

    /// The key that verifies them.
    pub fn signing_public_key(&self) -> PathBuf {
        self.folder.join("service-accounts.pub")
    }

    /// A bearer token for a person: unguessable from outside this folder, and the same after every restart.
    pub fn token(&self, name: &str) -> Result<String> {
        let secret = std::fs::read(self.signing_key()).context("failed to read the signing key")?;
        let digest = Sha256::new().chain_update(secret).chain_update(name).finalize();
        Ok(digest.iter().fold(String::new(), |token, byte| token + &format!("{byte:02x}")))
    }

    fn make_certificates(&self) -> Result<()> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.distinguished_name.push(DnType::CommonName, "a development cluster's authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority_key = KeyPair::generate()?;
        write(&self.authority(), &authority.self_signed(&authority_key)?.pem())?;

        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(String::from);
        let mut serving = CertificateParams::new(names)?;
        serving.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        let serving_key = KeyPair::generate()?;
        let certificate = serving.signed_by(&serving_key, &Issuer::new(authority, authority_key))?;
        write(&self.serving_certificate(), &certificate.pem())?;
        write(&self.serving_key(), &serving_key.serialize_pem())
    }

    fn make_signing_key(&self) -> Result<()> {
        let key = KeyPair::generate()?;
        write(&self.signing_key(), &key.serialize_pem())?;
        write(&self.signing_public_key(), &key.public_key_pem())
    }
}

fn write(path: &Path, pem: &str) -> Result<()> {
    write_atomically(path, pem)
}
