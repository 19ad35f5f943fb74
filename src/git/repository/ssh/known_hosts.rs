//! Which hosts have which keys: the `known_hosts` format, as OpenSSH documents it in sshd(8).
//!
//! Names may be patterns, negated or hashed. A revoked key is never believed. Certificate authorities are passed over: hosts that
//! are only known by one are unknown here.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::{Algorithm, HashAlg, PublicKey, parse_public_key_base64};
use sha1::Sha1;

use crate::core::exclude::glob;
use crate::git::yaml::base64;

/// The lines of a `known_hosts` file.
#[derive(Debug, Clone)]
pub(in super::super) struct KnownHosts(Vec<Line>);

#[derive(Debug, Clone)]
struct Line {
    revoked: bool,
    names: String,
    key: PublicKey,
}

/// What the lines say of a host's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Known,
    /// Another key of the same kind is known, or this one was revoked.
    Changed,
    Unknown,
}

// === impl KnownHosts ===

impl KnownHosts {
    /// Reads the lines, or names the first that is none.
    pub(in super::super) fn read(text: &str) -> Result<Self, usize> {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let lines = lines.filter(|(_, line)| !line.starts_with("@cert-authority"));
        lines.map(|(at, line)| Line::read(line).ok_or(at)).collect::<Result<_, _>>().map(Self)
    }

    /// Is this the host's key?
    pub(super) fn trust(&self, host: &str, port: u16, key: &PublicKey) -> Trust {
        let of_host: Vec<_> = self.of(host, port).collect();
        let same = |line: &&&Line| line.key.key_data() == key.key_data();
        if of_host.iter().filter(same).any(|line| line.revoked) {
            return Trust::Changed;
        }
        if of_host.iter().any(|line| same(&line)) {
            return Trust::Known;
        }
        let same_kind = |line: &&Line| line.key.algorithm() == key.algorithm();
        if of_host.iter().any(same_kind) { Trust::Changed } else { Trust::Unknown }
    }

    /// What to ask the host for: signatures by the kinds of key that are known for it.
    pub(super) fn kinds(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let mut kinds = Vec::new();
        for line in self.of(host, port).filter(|line| !line.revoked) {
            let kind = line.key.algorithm();
            let rsa = [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) });
            kinds.extend(if kind.clone().is_rsa() { rsa.to_vec() } else { vec![kind] });
        }
        let mut seen = Vec::new();
        kinds.retain(|kind| {
            !seen.contains(kind) && {
                seen.push(kind.clone());
                true
            }
        });
        kinds
    }

    /// The words with which a host nobody knows is refused.
    pub(super) fn unknown(host: &str, port: u16, shown: Option<&PublicKey>) -> String {
        let mut said = format!("known_hosts has no key of {}", name(host, port));
        if let Some(key) = shown {
            write!(said, " of the kind it shows: {}", describe(key)).expect("a String takes everything");
        }
        said.push_str(
            "; compare with what the host publishes, and add the line that `ssh-keyscan` prints to the Secret",
        );
        said
    }

    /// The words with which a host that is not who it was is refused.
    pub(super) fn changed(&self, host: &str, port: u16, shown: &PublicKey) -> String {
        let known: Vec<_> = self.of(host, port).filter(|line| !line.revoked).map(|line| describe(&line.key)).collect();
        format!(
            "THE HOST KEY OF {} HAS CHANGED: it shows {}, and known_hosts has {}. Somebody may be in between. If the host publishes \
             that its key is new, replace it in the Secret",
            name(host, port),
            describe(shown),
            if known.is_empty() { "revoked it".to_owned() } else { known.join(", ") }
        )
    }

    fn of(&self, host: &str, port: u16) -> impl Iterator<Item = &Line> {
        let name = name(host, port);
        self.0.iter().filter(move |line| line.names(&name))
    }
}

// === impl Line ===

impl Line {
    fn read(line: &str) -> Option<Self> {
        let revoked = line.starts_with("@revoked");
        let mut words = line.split_whitespace().skip(usize::from(revoked));
        let (names, kind, key) = (words.next()?, words.next()?, words.next()?);
        let key = parse_public_key_base64(key).ok()?;
        (key.algorithm().as_str() == kind).then(|| Self { revoked, names: names.to_owned(), key })
    }

    fn names(&self, name: &str) -> bool {
        let mut named = false;
        for pattern in self.names.split(',') {
            match pattern.strip_prefix('!') {
                Some(pattern) if matches(pattern, name) => return false,
                Some(_) => {}
                None => named |= matches(pattern, name),
            }
        }
        named
    }
}

/// `host`, or `[host]:port` if the port is not ssh's own.
fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("|1|").and_then(|hashed| hashed.split_once('|')) {
        Some((salt, hash)) => is_hash_of(salt, hash, name).unwrap_or(false),
        None => glob(&pattern.to_ascii_lowercase(), name),
    }
}

fn is_hash_of(salt: &str, hash: &str, name: &str) -> Option<bool> {
    let (salt, hash) = (base64::bytes(salt)?, base64::bytes(hash)?);
    let hashed = Hmac::<Sha1>::new_from_slice(&salt).ok()?.chain_update(name);
    Some(hashed.verify_slice(&hash).is_ok())
}

fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm().as_str(), key.fingerprint(HashAlg::Sha256))
}
