//! Certificates for the webhook, made from nothing but names, a validity and the time.
//!
//! An authority that lives as long as its leaf is enough: its key is dropped as soon as the leaf is signed, so nobody can steal
//! it and sign another. A longer-lived one would have to be kept somewhere, and be guarded better than the cluster itself.

pub mod rotation;
pub mod validity;

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// Clocks of two machines may differ by this much before a fresh certificate is "not yet valid".
const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// A CA, and a leaf it signed, as PEM.
#[derive(Clone)]
pub struct Bundle {
    /// The CA's certificate: the `caBundle`.
    pub ca: String,
    /// The leaf, followed by the CA: what the server presents.
    pub chain: String,
    /// The leaf's private key.
    pub key: String,
    /// When the leaf runs out.
    pub expires: Timestamp,
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name cannot stand in a certificate, or the key could not be made.
    #[error("failed to make a certificate for {names}")]
    Make {
        /// The names asked for.
        names: String,
        /// What the library says.
        #[source]
        source: rcgen::Error,
    },
    /// The end of validity is beyond what a calendar holds.
    #[error("a certificate cannot be valid for {0:?}")]
    Validity(Duration),
}

// === impl Bundle ===

impl std::fmt::Debug for Bundle {
    /// Without the key: bundles end up in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// A new CA and a leaf for `names` (DNS names or addresses), valid from a little before `now` until `validity` after it.
pub fn issue(names: &[String], validity: Duration, now: Timestamp) -> Result<Bundle, Error> {
    let expires = now.checked_add(validity).map_err(|_| Error::Validity(validity))?;
    let starts = now.checked_sub(CLOCK_SKEW).map_err(|_| Error::Validity(validity))?;
    let dated = |params| valid(params, starts, expires);
    issue_dated(names, dated, expires).map_err(|source| Error::Make { names: names.join(", "), source })
}

fn issue_dated(
    names: &[String],
    dated: impl Fn(CertificateParams) -> CertificateParams,
    expires: Timestamp,
) -> Result<Bundle, rcgen::Error> {
    let ca = CertifiedIssuer::self_signed(dated(authority()), KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = dated(server(names)?).signed_by(&key, &ca)?;
    Ok(Bundle { chain: leaf.pem() + &ca.pem(), ca: ca.pem(), key: key.serialize_pem(), expires })
}

fn valid(mut params: CertificateParams, from: Timestamp, to: Timestamp) -> CertificateParams {
    params.not_before = SystemTime::from(from).into();
    params.not_after = SystemTime::from(to).into();
    params
}

/// May sign leaves and nothing else, not even another CA.
fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("holdfast CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn server(names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = named("holdfast");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests;
