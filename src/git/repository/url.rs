//! The address of a repository. It never holds a credential.
//!
//! An URL ends up in error messages, logs, status fields and in the messages of libraries below us. So one with a password in it
//! is refused here, once, and the rest of the program only ever holds an URL that may be shown to anyone.

use std::fmt;
use std::fmt::Write as _;
use std::net::IpAddr;

use gix::bstr::ByteSlice as _;
use gix::url::Scheme;
use sha2::{Digest as _, Sha256};

use super::super::error::Error;

/// A repository's URL: `https://`, `http://`, `ssh://` (or `user@host:path`, the same) or `file://`.
#[derive(Clone, PartialEq, Eq)]
pub struct RepoUrl {
    shown: String,
    parsed: gix::Url,
}

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Https,
    /// In clear text; harmless only if it does not leave this machine.
    Http {
        loopback: bool,
    },
    Ssh,
    File,
}

/// Where an ssh server is, and as whom to log in there.
pub(super) struct SshPlace<'a> {
    pub(super) user: &'a str,
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// The repository's path, as the server's shell takes it.
    pub(super) path: gix::bstr::BString,
}

// === impl RepoUrl ===

impl RepoUrl {
    /// Reads an URL as typed. One with credentials in it is refused, without repeating them.
    pub fn parse(typed: &str) -> Result<Self, Error> {
        let refuse = |shown: String, reason| Err(Error::Url { url: shown, reason });
        let Ok(parsed) = gix::url::parse(typed.trim().as_bytes().as_bstr()) else {
            return refuse(redacted(typed), "it is not a valid URL");
        };
        let is_ssh = parsed.scheme == Scheme::Ssh;
        let known = is_ssh || matches!(parsed.scheme, Scheme::Https | Scheme::Http | Scheme::File);
        let names_user = || typed.split_once(':').is_some_and(|(place, _)| place.contains('@'));
        if !known || !(typed.contains("://") || is_ssh && names_user()) {
            return refuse(
                redacted(typed),
                "only https://, http://, ssh:// (or user@host:path) and file:// are supported",
            );
        }
        if parsed.password().is_some() || parsed.user().is_some_and(|user| !is_ssh && !user.is_empty()) {
            return refuse(
                redacted(typed),
                "it carries credentials; put them into a Secret and name it in source.secretRef",
            );
        }
        let is_argument = |text: Option<&str>| text.is_some_and(|text| text.starts_with('-'));
        if is_ssh && (is_argument(parsed.host()) || is_argument(parsed.user())) {
            return refuse(redacted(typed), "a user or host cannot begin with a dash");
        }
        Ok(Self { shown: parsed.to_bstring().to_string(), parsed })
    }

    /// The host, without the port.
    pub(super) fn host(&self) -> &str {
        self.parsed.host().unwrap_or_default()
    }

    pub(super) fn parsed(&self) -> &gix::Url {
        &self.parsed
    }

    pub(super) fn way(&self) -> Way {
        match self.parsed.scheme {
            Scheme::Https => Way::Https,
            Scheme::Ssh => Way::Ssh,
            Scheme::File => Way::File,
            _ => Way::Http { loopback: self.parsed.host().is_some_and(is_loopback) },
        }
    }

    pub(super) fn ssh(&self) -> SshPlace<'_> {
        SshPlace {
            user: self.parsed.user().filter(|user| !user.is_empty()).unwrap_or("git"),
            host: self.parsed.host().unwrap_or_default().trim_matches(['[', ']']),
            port: self.parsed.port.unwrap_or(22),
            path: gix::url::expand_path::for_shell(self.parsed.path.clone()),
        }
    }

    /// Whether the objects come from this machine, so that "not found" is about a folder and not about a server.
    pub(super) fn is_local(&self) -> bool {
        self.way() == Way::File
    }

    /// The name of the cache folder. Whoever comes with another Secret, or with none, gets a cache of his own: what one was
    /// allowed to read another could otherwise ask for by its commit id. What the Secret holds is left out, so that rotating
    /// a token keeps the cache.
    pub(super) fn cache_name(&self, secret: &str) -> String {
        let digest = Sha256::new().chain_update(&self.shown).chain_update([0]).chain_update(secret).finalize();
        digest.iter().take(16).fold(String::new(), |mut name, byte| {
            write!(name, "{byte:02x}").expect("writing to a String cannot fail");
            name
        })
    }
}

impl fmt::Display for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RepoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepoUrl({self})")
    }
}

/// Where a repository is, however its URL is written: host and path, without scheme, user, port and `.git`. Different servers at
/// different ports of one host count as one; who compares places must not mind.
pub fn place_of(url: &str) -> Option<String> {
    let url = gix::url::parse(url.trim().as_bytes().as_bstr()).ok()?;
    let path = url.path.to_str().ok()?.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let host = if url.scheme == Scheme::File { "" } else { url.host().filter(|host| !host.is_empty())? };
    (!path.is_empty()).then(|| format!("{host}/{path}").to_ascii_lowercase())
}

/// Names can be made to lead anywhere, but for the one that is this machine by definition.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Something that may not even be an URL, without what stands before its last `@`.
fn redacted(typed: &str) -> String {
    let Some((before, host)) = typed.rsplit_once('@') else { return typed.to_owned() };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://{host}"),
        None => host.to_owned(),
    }
}
