//! Signatures by OpenPGP keys, as `gpg --detach-sign` makes them.

use std::io::Read as _;

use jiff::Timestamp;
use pgp::armor::{BlockType, Dearmor};
use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Signature, SignatureConfig, SignatureType, SignatureVersion, SubpacketData};
use pgp::ser::Serialize as _;

use super::certificate::{Signing, state};
use super::{SKEW, day, was_valid};

/// Is this such a signature?
pub(super) fn is(signature: &[u8]) -> bool {
    signature.starts_with(b"-----BEGIN PGP SIGNATURE-----")
}

/// Did one of those who may sign `payload`?
pub(super) fn check(signers: &[SignedPublicKey], payload: &[u8], armored: &[u8], now: Timestamp) -> Result<(), String> {
    let signature = read(armored)?;
    let candidates = signers.iter().flat_map(|signer| Signing::all(signer).map(move |key| (signer, key)));
    let candidates: Vec<_> = candidates.filter(|(_, key)| made_by(&signature, key)).collect();
    if candidates.is_empty() {
        return Err(format!("it is signed with {}, which is none of those that may sign", issuer(&signature)));
    }
    is_strong(&signature)?;
    let judged = candidates.iter().map(|(signer, key)| by(signer, *key, &signature, payload, now.as_second()));
    judged.reduce(Result::or).unwrap_or_else(|| Err("nobody made its signature".to_owned()))
}

/// One signature, written as every program writes it: what means the same in two spellings is refused in one of them, so that
/// nobody can change a byte of it.
fn read(armored: &[u8]) -> Result<Signature, String> {
    let malformed = |error: &dyn std::fmt::Display| format!("its OpenPGP signature cannot be read: {error}");
    let (mut dearmor, mut bytes) = (Dearmor::new(armored), Vec::new());
    dearmor.read_to_end(&mut bytes).map_err(|error| malformed(&error))?;
    if dearmor.typ != Some(BlockType::Signature) {
        return Err(malformed(&"there is something else in it"));
    }
    let mut found = DetachedSignature::from_bytes_many(bytes.as_slice()).map_err(|error| malformed(&error))?;
    let first = found.next().ok_or_else(|| malformed(&"there is none in it"))?.map_err(|error| malformed(&error))?;
    if found.next().is_some() {
        return Err("it bears several OpenPGP signatures".to_owned());
    }
    let again = first.to_bytes().map_err(|error| malformed(&error))?;
    if again != bytes {
        return Err(malformed(&"it is not written as OpenPGP programs write it"));
    }
    Ok(first.signature)
}

/// Does the signature say it was made by this key, wherever it says so?
fn made_by(signature: &Signature, key: &Signing<'_>) -> bool {
    let (ids, fingerprints) = (signature.issuer_key_id(), signature.issuer_fingerprint());
    let says = !(ids.is_empty() && fingerprints.is_empty());
    says && ids.iter().all(|id| **id == key.legacy_key_id())
        && fingerprints.iter().all(|fingerprint| **fingerprint == key.fingerprint())
}

fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|fingerprint| format!("{fingerprint:X}"));
    let id = || signature.issuer_key_id().first().map(|id| format!("{id}").to_uppercase());
    let name = fingerprint.or_else(id);
    name.map_or_else(|| "an OpenPGP key it does not name".to_owned(), |name| format!("OpenPGP key {name}"))
}

/// A signature of what Git signs, that cannot be forged, and that says nothing that nobody has signed.
fn is_strong(signature: &Signature) -> Result<(), String> {
    if !matches!(signature.version(), SignatureVersion::V4 | SignatureVersion::V6) {
        return Err(format!("its OpenPGP signature is of version {:?}", signature.version()));
    }
    if signature.typ() != Some(SignatureType::Binary) {
        return Err("its OpenPGP signature is not one of a file".to_owned());
    }
    if let Some(weak) = signature.hash_alg().filter(|hash| !is_strong_hash(*hash)) {
        return Err(format!("its signature uses {weak}, which can be forged"));
    }
    let unsigned = signature.config().into_iter().flat_map(SignatureConfig::unhashed_subpackets);
    let is_name =
        |data: &SubpacketData| matches!(data, SubpacketData::IssuerKeyId(_) | SubpacketData::IssuerFingerprint(_));
    if unsigned.into_iter().any(|subpacket| !is_name(&subpacket.data)) {
        return Err("its OpenPGP signature has parts that nobody signed".to_owned());
    }
    Ok(())
}

pub(super) fn is_strong_hash(hash: HashAlgorithm) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    matches!(hash, Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512)
}

/// Did this very key sign it, and may it?
fn by(
    signer: &SignedPublicKey,
    key: Signing<'_>,
    signature: &Signature,
    payload: &[u8],
    now: i64,
) -> Result<(), String> {
    let of = key.name(signer);
    key.verify(signature, payload).map_err(|_| {
        format!("its signature by {of} does not fit it: it was changed afterwards, or the signature is another's")
    })?;
    let made = signature.created().ok_or("its OpenPGP signature does not say when it was made")?;
    let made = i64::from(made.as_secs());
    if made > now + SKEW {
        return Err(format!("its signature says it was made in the future, at {}", day(made)));
    }
    let moments = [made.min(now), now];
    let lasts = signature.signature_expiration_time().map(|lasts| i64::from(lasts.as_secs()));
    let ends = lasts.filter(|lasts| *lasts > 0).map(|lasts| made + lasts);
    was_valid(made.min(now), ends, moments).map_err(|reason| format!("its signature {reason}"))?;
    state(signer, key, moments).map_err(|reason| format!("{of} {reason}"))
}
