//! Signatures by SSH keys, as `ssh-keygen -Y sign -n git` makes them.

use jiff::Timestamp;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, HashAlg, ssh_key::SshSig};

use super::allowed::{Allowed, NAMESPACE};
use super::{SKEW, day, was_valid};

/// The shortest RSA key that is believed, in bits.
const SHORTEST_RSA: u32 = 2048;

/// Is this such a signature?
pub(super) fn is(signature: &[u8]) -> bool {
    signature.starts_with(b"-----BEGIN SSH SIGNATURE-----")
}

/// Did one of those who may sign `payload`?
pub(super) fn check(
    allowed: &[Allowed],
    payload: &[u8],
    signature: &[u8],
    made: Timestamp,
    now: Timestamp,
) -> Result<(), String> {
    let signature = SshSig::from_pem(signature.trim_ascii_end()).map_err(|error| {
        format!("its SSH signature cannot be read ({error}); signatures by certificates are not supported")
    })?;
    let shown = format!("SSH key {}", signature.public_key().fingerprint(HashAlg::Sha256));
    let known: Vec<_> = allowed.iter().filter(|allowed| allowed.key.key_data() == signature.public_key()).collect();
    let Some(first) = known.first() else {
        return Err(format!("it is signed with {shown}, which is none of those that may sign"));
    };
    is_strong(&signature)?;
    if signature.namespace() != NAMESPACE {
        return Err(format!("its signature is for {:?}, and not for Git", signature.namespace()));
    }
    let of = format!("{shown} of {}", first.principals);
    first.key.verify(NAMESPACE, payload, &signature).map_err(|_| {
        format!("its signature by {of} does not fit it: it was changed afterwards, or the signature is another's")
    })?;
    let made = made.as_second();
    if made > now.as_second() + SKEW {
        return Err(format!("it says it was made in the future, at {}", day(made)));
    }
    let judged = known.iter().map(|allowed| may_sign(allowed, &of, [made.min(now.as_second()), now.as_second()]));
    judged.reduce(Result::or).unwrap_or(Err(shown))
}

fn may_sign(allowed: &Allowed, of: &str, moments: [i64; 2]) -> Result<(), String> {
    if !allowed.is_for_git() {
        return Err(format!("{of} may not sign for Git: its namespaces say so"));
    }
    let valid = was_valid(allowed.from.unwrap_or(i64::MIN), allowed.until, moments);
    valid.map_err(|reason| format!("{of} {reason}"))
}

/// Nothing that can be forged: no SHA-1, no DSA, no short RSA; and nothing of a later version of the format.
fn is_strong(signature: &SshSig) -> Result<(), String> {
    if signature.version() != SshSig::VERSION {
        return Err(format!("its SSH signature is of version {}", signature.version()));
    }
    match (signature.algorithm(), signature.public_key()) {
        (Algorithm::Rsa { hash: None } | Algorithm::Dsa, _) => {
            Err("its signature uses SHA-1, which can be forged".to_owned())
        }
        (_, KeyData::Rsa(key)) if key.key_size() < SHORTEST_RSA => {
            Err("its signature is by an RSA key of less than 2048 bits".to_owned())
        }
        _ => Ok(()),
    }
}
