//! From when until when a certificate is good, and whether a client that trusts these authorities would take it.
//!
//! rustls verifies, and tells nobody the dates. They stand at a fixed place near the start of a certificate, so they are read
//! from there: `Certificate { tbs { [0] version, serial, algorithm, issuer, validity { from, until }, … } … }`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;

/// Both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub from: Timestamp,
    /// Not after.
    pub until: Timestamp,
}

/// Why nobody would take a certificate.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is no certificate.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// It is one, and its dates are not where they belong.
    #[error("its dates cannot be read")]
    NoDates,
    /// The key is no key, or that of another certificate.
    #[error("its key is not the certificate's")]
    Key,
    /// Expired, of another authority, for another name.
    #[error("a client would not take it as {name}")]
    Refused {
        /// The name it was asked for.
        name: String,
        /// Why.
        source: rustls::Error,
    },
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

// === impl Validity ===

impl Validity {
    /// Of the first certificate in PEM.
    pub fn of_pem(chain: &[u8]) -> Result<Self, Unusable> {
        let leaf = CertificateDer::from_pem_slice(chain).map_err(|_| Unusable::NoCertificate)?;
        Self::of(&leaf).ok_or(Unusable::NoDates)
    }

    fn of(certificate: &[u8]) -> Option<Self> {
        let (_, certificate, _) = element(certificate)?;
        let (_, mut fields, _) = element(certificate)?;
        let (first, _, rest) = element(fields)?;
        // The version may be left out; then the serial comes first.
        let before = if first == VERSION { 3 } else { 2 };
        fields = rest;
        for _ in 0..before {
            (_, _, fields) = element(fields)?;
        }
        let (tag, validity, _) = element(fields)?;
        let (from, rest) = time(validity)?;
        let (until, _) = time(rest)?;
        (tag == SEQUENCE).then_some(Self { from, until })
    }

    /// When two thirds of it are over.
    pub fn two_thirds(&self) -> Timestamp {
        self.from + self.until.duration_since(self.from) / 3 * 2
    }
}

/// Would a client that trusts the authorities in `trust` take this chain as each of `names`, at `now`?
pub fn verify(chain: &[u8], trust: &[u8], names: &[String], now: Timestamp) -> Result<Validity, Unusable> {
    let mut chain = CertificateDer::pem_slice_iter(chain).filter_map(Result::ok);
    let leaf = chain.next().ok_or(Unusable::NoCertificate)?;
    let others: Vec<_> = chain.collect();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(trust).filter_map(Result::ok));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|_| Unusable::NoCertificate)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default()));
    for name in names {
        let asked = ServerName::try_from(name.as_str()).map_err(|_| rustls::Error::General("not a name".to_owned()));
        let taken = asked.and_then(|asked| verifier.verify_server_cert(&leaf, &others, &asked, &[], now));
        taken.map_err(|source| Unusable::Refused { name: name.clone(), source })?;
    }
    Validity::of(&leaf).ok_or(Unusable::NoDates)
}

/// Is this the key of the chain's leaf?
pub fn belong_together(chain: &[u8], key: &[u8]) -> Result<(), Unusable> {
    let chain = CertificateDer::pem_slice_iter(chain).filter_map(Result::ok).collect();
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Unusable::Key)?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|_| Unusable::Key).map(drop)
}

/// The first element of some DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f)).filter(|(bytes, _)| bytes.len() <= 4)?;
        (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ` until 2049, `YYYYMMDDhhmmssZ` after it.
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (tag, content, rest) = element(der)?;
    let text = std::str::from_utf8(content).ok()?;
    let text = match tag {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let civil = DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    Some((civil.to_zoned(TimeZone::UTC).ok()?.timestamp(), rest))
}
