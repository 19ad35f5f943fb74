//! The address of a repository, with its credentials kept apart from it.
//!
//! An URL ends up in error messages, logs, status fields and in the messages of libraries below us. So credentials are taken
//! out of it once, here, and the rest of the program only ever holds an URL that may be shown to anyone.

use std::fmt;
use std::fmt::Write as _;

use gix::bstr::ByteSlice as _;
use gix::url::Scheme;
use sha2::{Digest as _, Sha256};

use super::super::error::Error;

/// A repository's URL: `https://`, `http://` or `file://`.
#[derive(Clone, PartialEq, Eq)]
pub struct RepoUrl {
    shown: String,
    parsed: gix::Url,
    credentials: Option<Credentials>,
}

/// Who to be towards the server. For a token, most servers take any user name.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password or token.
    pub password: String,
}

// === impl RepoUrl ===

impl RepoUrl {
    /// Reads an URL as typed. Credentials in it (`https://user:token@host/…`) are used, and never shown again.
    pub fn parse(typed: &str) -> Result<Self, Error> {
        let refuse = |shown: String, reason| Err(Error::Url { url: shown, reason });
        let Ok(mut parsed) = gix::url::parse(typed.trim().as_bytes().as_bstr()) else {
            return refuse(redacted(typed), "it is not a valid URL");
        };
        if !matches!(parsed.scheme, Scheme::Https | Scheme::Http | Scheme::File) || !typed.contains("://") {
            return refuse(redacted(typed), "only https://, http:// and file:// are supported");
        }
        let credentials = parsed.user().filter(|user| !user.is_empty()).map(|username| Credentials {
            username: username.to_owned(),
            password: parsed.password().unwrap_or_default().to_owned(),
        });
        parsed.set_user(None);
        parsed.set_password(None);
        Ok(Self { shown: parsed.to_bstring().to_string(), parsed, credentials })
    }

    /// The same URL with credentials from elsewhere, which take precedence over those in the URL.
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    pub(super) fn parsed(&self) -> &gix::Url {
        &self.parsed
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Whether the objects come from this machine, so that "not found" is about a folder and not about a server.
    pub(super) fn is_local(&self) -> bool {
        self.parsed.scheme == Scheme::File
    }

    /// The name of the cache folder. The password is left out, so that rotating a token keeps the cache.
    pub(super) fn cache_name(&self) -> String {
        let username = self.credentials.as_ref().map_or("", |credentials| credentials.username.as_str());
        let digest = Sha256::new().chain_update(&self.shown).chain_update([0]).chain_update(username).finalize();
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

// === impl Credentials ===

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username: _, password: _ } = self;
        f.write_str("Credentials(…)")
    }
}

/// Something that may not even be an URL, without what stands before its last `@`.
fn redacted(typed: &str) -> String {
    let Some((before, host)) = typed.rsplit_once('@') else { return typed.to_owned() };
    match before.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://{host}"),
        None => host.to_owned(),
    }
}
