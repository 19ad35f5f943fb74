//! Who to be towards a server, and which server to believe: what a `GitSync`'s Secret says, read and checked.
//!
//! The keys are those of Flux and Argo CD, so that a Secret made for them serves as it is. What a URL has no use for is
//! refused rather than ignored, and a credential is only ever given to a server whose identity is certain: over TLS, over ssh
//! with a known host key, or to this very machine.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::app::{App, Failure, client};
use super::ssh::{Identity, KnownHosts};
use super::url::{RepoUrl, Way};

/// What a Secret holds, by key.
pub type Keys = BTreeMap<String, Vec<u8>>;

/// The key of the shared secret of push webhooks, which is no matter of reading Git.
pub const WEBHOOK_SECRET: &str = "webhookSecret";

const PRIVATE_KEYS: [&str; 3] = ["identity", "sshPrivateKey", "ssh-privatekey"];
const APP: [&str; 3] = ["githubAppID", "githubAppInstallationID", "githubAppPrivateKey"];
const APP_BASES: [&str; 2] = ["githubAppBaseURL", "githubAppEnterpriseBaseUrl"];
const TOKENS: [&str; 2] = ["bearerToken", "token"];
const KNOWN_HOSTS: &str = "known_hosts";
const AUTHORITY: &str = "ca.crt";

/// How to come to a repository. Never shown, in whatever form.
#[derive(Clone, Default)]
pub struct Access {
    pub(super) login: Option<Login>,
    /// The only authorities to believe, instead of the system's.
    pub(super) authorities: Option<Vec<reqwest::Certificate>>,
    pub(super) ssh: Option<Arc<Identity>>,
}

/// How to log in over HTTP.
#[derive(Clone)]
pub(super) enum Login {
    Basic { username: String, password: String },
    Bearer(String),
    App(Arc<App>),
}

/// A key of a Secret that cannot be used, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct Unusable {
    reason: String,
    remedy: &'static str,
}

/// A Secret while it is read.
struct Reader<'a>(&'a Keys);

// === impl Access ===

impl Access {
    /// What `keys` mean for `url`.
    pub fn read(keys: &Keys, url: &RepoUrl) -> Result<Self, Unusable> {
        let keys = Reader(keys);
        match url.way() {
            Way::Ssh => Ok(Self { ssh: Some(Arc::new(keys.identity()?)), ..Self::default() }),
            Way::File => keys.nothing_for_a_folder(),
            Way::Https => {
                Ok(Self { login: keys.login(url)?, authorities: keys.authorities()?, ssh: None }.at_all(&keys)?)
            }
            Way::Http { loopback } => keys.in_clear(url, loopback),
        }
    }

    /// A Secret made for something else is a mistake to be told, not a reason to ask without credentials.
    fn at_all(self, keys: &Reader<'_>) -> Result<Self, Unusable> {
        let says_nothing = self.login.is_none() && self.authorities.is_none() && !keys.has(WEBHOOK_SECRET);
        if says_nothing {
            let remedy = "add username and password, or bearerToken, or githubAppID and its kin, or ca.crt for a server with \
                          a CA of its own";
            return Err(unusable("it has none of the keys an https:// repository takes", remedy));
        }
        Ok(self)
    }

    /// The `Authorization` header, if there is to be one. For an App this may take a question to GitHub, of `stall` at most.
    pub(super) fn authorization(&self, now: Timestamp, stall: Duration) -> Result<Option<String>, Failure> {
        let header = match &self.login {
            None => return Ok(None),
            Some(Login::Basic { username, password }) => basic(username, password),
            Some(Login::Bearer(token)) => format!("Bearer {token}"),
            Some(Login::App(app)) => {
                basic("x-access-token", &app.token(now, &|| client(self.authorities.as_ref(), stall))?)
            }
        };
        Ok(Some(header))
    }

    /// The App to log in as, if that is how.
    pub(super) fn app(&self) -> Option<&App> {
        if let Some(Login::App(app)) = &self.login { Some(app) } else { None }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { login: _, authorities: _, ssh: _ } = self;
        f.write_str("Access(…)")
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn login(&self, url: &RepoUrl) -> Result<Option<Login>, Unusable> {
        let token = self.first(&TOKENS)?;
        if APP.iter().chain(&APP_BASES).any(|key| self.has(key)) {
            return self.app(url).map(Some);
        }
        match (self.text("username")?, self.text("password")?, token) {
            (None, None, None) => Ok(None),
            (Some(username), Some(password), None) => Ok(Some(Login::Basic { username, password })),
            (None, None, Some(token)) => Ok(Some(Login::Bearer(token))),
            (Some(_), None, None) => {
                Err(unusable("key username is there without password", "add password; for a token, it is the token"))
            }
            (None, Some(_), None) => {
                let remedy = "add username; with a token most servers take any, such as git";
                Err(unusable("key password is there without username", remedy))
            }
            (_, _, Some(_)) => {
                let remedy = "keep username and password, or the token";
                Err(unusable("it has both a bearer token and a user name or password", remedy))
            }
        }
    }

    /// The App, if all of it is there and nothing else, and its tokens are for where the repository is.
    fn app(&self, url: &RepoUrl) -> Result<Login, Unusable> {
        let missing = APP.iter().find(|key| !self.has(key));
        if let Some(missing) = missing {
            let remedy = "a GitHub App takes githubAppID, githubAppInstallationID and githubAppPrivateKey; add it";
            return Err(unusable(format!("key {missing} is missing"), remedy));
        }
        if ["username", "password"].iter().chain(&TOKENS).any(|key| self.has(key)) {
            let remedy = "keep the keys that begin with githubApp, or the others";
            return Err(unusable("it has both a GitHub App and a token or password", remedy));
        }
        let [id, installation, key] = APP.map(|key| self.text(key).map(Option::unwrap_or_default));
        let app = App::read(id?, &installation?, &key?, self.first(&APP_BASES)?);
        let app = app.map_err(|(reason, remedy)| unusable(reason, remedy))?;
        if !app.is_for(url.host()) {
            let reason = format!("its GitHub App gets tokens from {}, and the repository is elsewhere", app.host());
            return Err(unusable(reason, "for a GitHub of your own, add githubAppBaseURL, as https://HOST/api/v3"));
        }
        Ok(Login::App(Arc::new(app)))
    }

    fn authorities(&self) -> Result<Option<Vec<reqwest::Certificate>>, Unusable> {
        let Some(pem) = self.0.get(AUTHORITY) else { return Ok(None) };
        let found = reqwest::Certificate::from_pem_bundle(pem).ok().filter(|found| !found.is_empty());
        let broken = || unusable("key ca.crt holds no certificate", "write one or more CA certificates as PEM");
        found.ok_or_else(broken).map(Some)
    }

    /// Over plain HTTP anybody on the way can read along.
    fn in_clear(&self, url: &RepoUrl, loopback: bool) -> Result<Access, Unusable> {
        if self.has(AUTHORITY) {
            let remedy = "write the repository as https://, or take the key out";
            return Err(unusable("key ca.crt means nothing over http://", remedy));
        }
        let access = Access { login: self.login(url)?, ..Access::default() }.at_all(self)?;
        if access.login.is_some() && !loopback {
            let remedy = "write the repository as https://";
            return Err(unusable("it has credentials, and http:// would send them in clear text", remedy));
        }
        Ok(access)
    }

    fn nothing_for_a_folder(&self) -> Result<Access, Unusable> {
        if self.0.keys().all(|key| key == WEBHOOK_SECRET) {
            return Ok(Access::default());
        }
        Err(unusable("a file:// repository takes no credentials", "take source.secretRef out"))
    }

    fn identity(&self) -> Result<Identity, Unusable> {
        let missing = |reason, remedy| move || unusable(reason, remedy);
        let key = self.first(&PRIVATE_KEYS)?;
        let key = key.ok_or_else(missing(
            "an ssh repository takes a private key, and key identity is missing",
            "add identity, the private key as OpenSSH or PEM, and known_hosts",
        ))?;
        let known = self.text(KNOWN_HOSTS)?.ok_or_else(missing(
            "key known_hosts is missing, and no server is believed without it",
            "add known_hosts, such as what `ssh-keyscan HOST` prints, compared with what the host publishes",
        ))?;
        let known = KnownHosts::read(&known).map_err(|line| Unusable {
            reason: format!("key known_hosts cannot be read at line {line}"),
            remedy: "write lines as in ~/.ssh/known_hosts: host, kind of key, key",
        })?;
        Identity::read(&key, self.text("password")?.as_deref(), known)
            .map_err(|(reason, remedy)| unusable(reason, remedy))
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The one of several names for one thing that is there.
    fn first(&self, names: &[&str]) -> Result<Option<String>, Unusable> {
        names.iter().find(|name| self.has(name)).map_or(Ok(None), |name| self.text(name))
    }

    /// A value as text. Editors and `--from-file` leave a line end behind that is no part of it.
    fn text(&self, key: &str) -> Result<Option<String>, Unusable> {
        let Some(bytes) = self.0.get(key) else { return Ok(None) };
        let of_key = |reason: &str| Unusable { reason: format!("key {key} {reason}"), remedy: "write it anew" };
        let text = std::str::from_utf8(bytes).map_err(|_| of_key("is not text"))?.trim_end_matches(['\r', '\n']);
        if text.trim().is_empty() {
            return Err(of_key("is empty"));
        }
        let is_one_line = key != KNOWN_HOSTS && key != APP[2] && !PRIVATE_KEYS.contains(&key);
        if is_one_line && text.contains(char::is_control) {
            return Err(of_key("holds a line break or another control character"));
        }
        Ok(Some(text.to_owned()))
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", crate::git::yaml::base64::encode(format!("{username}:{password}").as_bytes()))
}

fn unusable(reason: impl Into<String>, remedy: &'static str) -> Unusable {
    Unusable { reason: reason.into(), remedy }
}
