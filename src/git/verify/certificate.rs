//! OpenPGP keys that may sign, and whether they may at some moment.
//!
//! A key's owner says in signatures of its own what the key is for, how long it lives, which other keys it speaks through, and that it
//! is not to be believed any more. The newest such signature counts, if it is not a weak one. A revocation counts whatever its
//! reason, its date and its digest are, and even if it is by somebody else: taking a key back must always work.

use std::io::Read as _;

use pgp::armor::{BlockType, Dearmor};
use pgp::composed::{Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{Signature, SignatureType};
use pgp::ser::Serialize as _;
use pgp::types::{Fingerprint, KeyDetails as _, KeyId, PublicParams, Tag};

use super::openpgp::is_strong_hash;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
/// An RSA key of 2048 bits with its exponent cannot be written in less, in bytes.
const SHORTEST_RSA: usize = 2048 / 8;

/// A key that may have signed: the certificate's own, or one it speaks through.
#[derive(Clone, Copy)]
pub(super) enum Signing<'a> {
    Primary(&'a SignedPublicKey),
    Sub(&'a SignedPublicSubKey),
}

/// What is wrong, and what to write instead.
type Fault = (String, &'static str);

/// Every key in a value: one or more armored blocks, each with one or more keys.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<SignedPublicKey>, Fault> {
    let remedy = "write what `gpg --armor --export KEY` prints; SSH keys belong under allowed_signers, and credentials into a \
                  Secret of their own";
    let text = std::str::from_utf8(bytes).map_err(|_| ("is not text".to_owned(), remedy))?;
    if text.contains("PRIVATE KEY BLOCK-----") {
        return Err((
            "holds a private key".to_owned(),
            "take it out, and write what `gpg --armor --export KEY` prints",
        ));
    }
    let mut found = Vec::new();
    for (at, _) in text.match_indices(BEGIN) {
        let rest = &text[at..];
        let block = rest[BEGIN.len()..].find(BEGIN).map_or(rest, |next| &rest[..BEGIN.len() + next]);
        found.extend(
            block_of(block)
                .map_err(|reason| (format!("holds an OpenPGP key that cannot be read: {reason}"), remedy))?,
        );
    }
    if found.is_empty() {
        return Err(("holds no OpenPGP public key".to_owned(), remedy));
    }
    Ok(found)
}

fn block_of(text: &str) -> Result<Vec<SignedPublicKey>, String> {
    let (mut dearmor, mut bytes) = (Dearmor::new(text.as_bytes()), Vec::new());
    dearmor.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if dearmor.typ != Some(BlockType::PublicKey) {
        return Err("it is something else".to_owned());
    }
    let keys = SignedPublicKey::from_bytes_many(bytes.as_slice()).map_err(|error| error.to_string())?;
    keys.map(|key| key.map_err(|error| error.to_string())).collect()
}

/// May this key sign, at all these moments, the last of which is now? If not, why not.
pub(super) fn state(certificate: &SignedPublicKey, key: Signing<'_>, moments: [i64; 2]) -> Result<(), String> {
    if !certificate.details.revocation_signatures.is_empty() {
        return Err("was revoked".to_owned());
    }
    let [_, now] = moments;
    let own = newest(own_signatures(certificate), now).ok_or("has no valid signature of its own")?;
    lives(&certificate.primary_key, own, moments)?;
    match key {
        Signing::Primary(_) if own.key_flags().sign() => is_strong(&certificate.primary_key),
        Signing::Primary(_) => Err("may not sign, by what its owner says of it".to_owned()),
        Signing::Sub(sub) => state_of_sub(certificate, sub, moments),
    }
}

fn state_of_sub(certificate: &SignedPublicKey, sub: &SignedPublicSubKey, moments: [i64; 2]) -> Result<(), String> {
    if sub.signatures.iter().any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation)) {
        return Err("was revoked".to_owned());
    }
    let primary = &certificate.primary_key;
    let bindings = sub.signatures.iter().filter(|signature| {
        signature.typ() == Some(SignatureType::SubkeyBinding)
            && signature.verify_subkey_binding(primary, &sub.key).is_ok()
    });
    let [_, now] = moments;
    let binding = newest(bindings, now).ok_or("is not bound to its owner's key")?;
    lives(&sub.key, binding, moments)?;
    if !binding.key_flags().sign() {
        return Err("may not sign, by what its owner says of it".to_owned());
    }
    // Otherwise anybody could pass off somebody else's key as his own.
    let back = binding.embedded_signature().filter(|back| is_strong_signature(back));
    if back.is_none_or(|back| back.verify_primary_key_binding(&sub.key, primary).is_err()) {
        return Err("does not itself say whose it is".to_owned());
    }
    is_strong(&sub.key)
}

/// What the owner says of the key: in direct signatures, and with each name.
fn own_signatures(certificate: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let SignedPublicKey { primary_key: key, details, public_subkeys: _ } = certificate;
    let direct = details.direct_signatures.iter().filter(move |signature| signature.verify_key(key).is_ok());
    let named = details.users.iter().flat_map(move |user| {
        let own: Vec<_> = user.signatures.iter().collect();
        let own =
            own.into_iter().filter(|signature| signature.verify_certification(key, Tag::UserId, &user.id).is_ok());
        let own: Vec<_> = own.collect();
        let is_revoked = own.iter().any(|signature| signature.typ() == Some(SignatureType::CertRevocation));
        own.into_iter().filter(move |_| !is_revoked)
    });
    direct.chain(named)
}

/// The newest of them that is believable, and has not expired.
fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>, now: i64) -> Option<&'a Signature> {
    let made = |signature: &Signature| signature.created().map(|made| i64::from(made.as_secs()));
    let holds = |signature: &&Signature| {
        let Some(made) = made(signature).filter(|made| *made <= now) else { return false };
        let lasts = signature.signature_expiration_time().map_or(0, |lasts| i64::from(lasts.as_secs()));
        is_strong_signature(signature) && (lasts == 0 || now < made + lasts)
    };
    signatures.filter(holds).max_by_key(|signature| made(signature))
}

fn is_strong_signature(signature: &Signature) -> bool {
    signature.hash_alg().is_some_and(is_strong_hash)
}

/// From when the key was made until when its owner says it ends.
fn lives(key: &impl pgp::types::KeyDetails, said: &Signature, moments: [i64; 2]) -> Result<(), String> {
    let from = i64::from(key.created_at().as_secs());
    let lasts = said.key_expiration_time().map_or(0, |lasts| i64::from(lasts.as_secs()));
    super::was_valid(from, (lasts > 0).then_some(from + lasts), moments)
}

fn is_strong(key: &impl pgp::types::KeyDetails) -> Result<(), String> {
    let is_weak = match (key.algorithm(), key.public_params()) {
        (PublicKeyAlgorithm::DSA, _) => true,
        (_, PublicParams::RSA(rsa)) => rsa.write_len() < SHORTEST_RSA,
        _ => false,
    };
    if is_weak { Err("is too weak: use an Ed25519 key, or RSA of 2048 bits or more".to_owned()) } else { Ok(()) }
}

// === impl Signing ===

impl<'a> Signing<'a> {
    /// All keys of a certificate.
    pub(super) fn all(certificate: &'a SignedPublicKey) -> impl Iterator<Item = Self> {
        std::iter::once(Self::Primary(certificate)).chain(certificate.public_subkeys.iter().map(Self::Sub))
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Primary(certificate) => certificate.fingerprint(),
            Self::Sub(sub) => sub.fingerprint(),
        }
    }

    pub(super) fn legacy_key_id(&self) -> KeyId {
        match self {
            Self::Primary(certificate) => certificate.legacy_key_id(),
            Self::Sub(sub) => sub.legacy_key_id(),
        }
    }

    pub(super) fn verify(&self, signature: &Signature, payload: &[u8]) -> pgp::errors::Result<()> {
        match self {
            Self::Primary(certificate) => signature.verify(&certificate.primary_key, payload),
            Self::Sub(sub) => signature.verify(&sub.key, payload),
        }
    }

    /// The key and whose it is, without an address.
    pub(super) fn name(&self, certificate: &SignedPublicKey) -> String {
        let user = certificate.details.users.iter().find_map(|user| user.id.as_str());
        let user = user.and_then(|user| user.split(" <").next()).unwrap_or("nobody named");
        format!("OpenPGP key {:X} of {user}", self.fingerprint())
    }
}
