//! Whose commits are believed: signatures by OpenPGP and SSH keys, and the keys that may make them.
//!
//! Whoever can push can make the cluster anything; with signatures it takes a key as well, which the Git server does not have. So
//! a commit is judged by its own bytes and by keys from a Secret, never by what a server says of it, and what is not clearly
//! right is refused: no signature, one too many, somebody else's, a weak digest, a key that is revoked or not valid at the
//! time. A key counts only while it is valid, when it signed *and* now: who has an old key can write any date.
//!
//! ```text
//! object ─► signed: what was signed, and the signature ─► openpgp or ssh ─► believed, or a Distrust
//! ```

mod allowed;
mod certificate;
mod openpgp;
mod signed;
mod ssh;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use pgp::composed::SignedPublicKey;

use super::Keys;
use crate::api::VerifyMode;
use allowed::Allowed;
pub(super) use signed::Signed;

/// The key of a Secret that holds SSH keys, in the format of Git's `gpg.ssh.allowedSignersFile`.
const ALLOWED_SIGNERS: &str = "allowed_signers";

/// How far the clocks of people may be ahead of ours, in seconds.
const SKEW: i64 = 300;

/// Who may sign, and what must be signed.
#[derive(Clone)]
pub struct Signers {
    /// The Secret they are from, as `namespace/name`.
    pub(super) secret: String,
    mode: VerifyMode,
    openpgp: Arc<[SignedPublicKey]>,
    ssh: Arc<[Allowed]>,
}

/// Why a signature, or the want of one, is not enough; and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct Distrust {
    reason: String,
    remedy: String,
}

/// A key of the Secret that cannot be used, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {key} {reason}; {remedy}")]
pub struct Unusable {
    key: String,
    reason: String,
    remedy: &'static str,
}

// === impl Signers ===

impl Signers {
    /// Those a Secret names.
    pub fn read(secret: &str, mode: VerifyMode, keys: &Keys) -> Result<Self, Unusable> {
        let (mut openpgp, mut ssh) = (Vec::new(), Vec::new());
        for (key, value) in keys {
            let of_key = |(reason, remedy)| Unusable { key: key.clone(), reason, remedy };
            if key == ALLOWED_SIGNERS {
                ssh.extend(allowed::read(value).map_err(of_key)?);
            } else {
                openpgp.extend(certificate::read(value).map_err(of_key)?);
            }
        }
        if openpgp.is_empty() && ssh.is_empty() {
            let reason = "is missing, and so is every other: the Secret names no signer".to_owned();
            let remedy = "add OpenPGP public keys, ASCII-armored, under any key, or SSH keys as allowed_signers";
            return Err(Unusable { key: ALLOWED_SIGNERS.to_owned(), reason, remedy });
        }
        Ok(Self { secret: secret.to_owned(), mode, openpgp: openpgp.into(), ssh: ssh.into() })
    }

    /// Must the tag be signed as well?
    pub(super) fn want_tags(&self) -> bool {
        self.mode == VerifyMode::TagAndHead
    }

    /// Did one of them sign this? `made` is when the object says it was made.
    pub(super) fn check(&self, signed: &Signed, made: Timestamp, now: Timestamp) -> Result<(), Distrust> {
        let secret = &self.secret;
        let Some(signature) = &signed.signature else {
            let remedy = format!("sign it (`git commit -S`, `git tag -s`) with a key that Secret {secret} has");
            return Err(Distrust::new("it is not signed", remedy));
        };
        let judged = if ssh::is(signature) {
            ssh::check(&self.ssh, &signed.payload, signature, made, now)
        } else if openpgp::is(signature) {
            openpgp::check(&self.openpgp, &signed.payload, signature, now)
        } else {
            Err("its signature is neither an OpenPGP nor an SSH one".to_owned())
        };
        judged.map_err(|reason| {
            let remedy =
                format!("sign a commit with a valid key that Secret {secret} has, or add the signer's key there");
            Distrust::new(reason, remedy)
        })
    }
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret, mode, openpgp, ssh } = self;
        let counts = (openpgp.len(), ssh.len());
        f.debug_struct("Signers").field("secret", secret).field("mode", mode).field("keys", &counts).finish()
    }
}

// === impl Distrust ===

impl Distrust {
    pub(super) fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }

    /// What is signed, or by what, is not clear.
    pub(super) fn unclear(reason: String) -> Self {
        Self::new(reason, "make the commit anew with Git, and one signature")
    }
}

/// Was something valid at both moments that matter, which are in seconds as are the ends of its life? If not, what it is instead.
fn was_valid(from: i64, until: Option<i64>, moments: [i64; 2]) -> Result<(), String> {
    if moments.iter().any(|moment| *moment < from) {
        return Err(format!("is valid only from {}", day(from)));
    }
    match until.filter(|until| moments.iter().any(|moment| moment >= until)) {
        Some(until) => Err(format!("expired at {}", day(until))),
        None => Ok(()),
    }
}

fn day(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(|_| second.to_string(), |time| time.to_string())
}
