//! Who sends a delivery: somebody who knows the secret. Compared in constant time, so that guessing tells nothing.

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// How a host proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    GitHub,
    GitLab,
    Gitea,
    Generic,
}

/// What a delivery brings as proof.
pub(super) enum Signature {
    /// HMAC-SHA256 of the body.
    Code(Vec<u8>),
    /// The secret itself.
    Token(Vec<u8>),
}

// === impl Kind ===

impl Kind {
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::GitHub => "X-Hub-Signature-256",
            Self::GitLab => "X-Gitlab-Token",
            Self::Gitea => "X-Gitea-Signature",
            Self::Generic => "X-Holdfast-Signature",
        }
    }

    /// The proof in these headers.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<Signature> {
        let value = headers.get(self.header())?.as_bytes();
        if self == Self::GitLab {
            return Some(Signature::Token(value.to_vec()));
        }
        let code = unhex(value.strip_prefix(b"sha256=").unwrap_or(value))?;
        (code.len() == 32).then_some(Signature::Code(code))
    }
}

// === impl Signature ===

impl Signature {
    /// How the host at `/hooks/{host}` proves itself.
    pub(super) fn of_host(host: &str) -> Option<Kind> {
        match host {
            "github" => Some(Kind::GitHub),
            "gitlab" => Some(Kind::GitLab),
            "gitea" => Some(Kind::Gitea),
            "generic" => Some(Kind::Generic),
            _ => None,
        }
    }

    /// Did whoever sent this know the secret? An empty one is known to everybody, and so counts for nobody.
    pub(super) fn is_of(&self, secret: &[u8], body: &[u8]) -> bool {
        let secret = secret.trim_ascii_end();
        if secret.is_empty() {
            return false;
        }
        match self {
            Self::Code(code) => {
                let expected = Hmac::<Sha256>::new_from_slice(secret).expect("a key may have any length");
                expected.chain_update(body).verify_slice(code).is_ok()
            }
            // As hashes, lest the length be told.
            Self::Token(token) => Sha256::digest(token).ct_eq(&Sha256::digest(secret)).into(),
        }
    }

    /// The same for the same delivery.
    pub(super) fn digest(&self, body: &[u8]) -> [u8; 32] {
        let (Self::Code(proof) | Self::Token(proof)) = self;
        Sha256::new().chain_update(proof).chain_update(body).finalize().into()
    }
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let pairs = text.chunks(2).map(|pair| std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
