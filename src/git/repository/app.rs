//! Logging in to GitHub as an App: a key that never leaves is turned into a token that lasts an hour.
//!
//! The App proves itself with a JWT it signs, and gets a token for one installation, which then serves as a password. All syncs of one
//! App share one token; it is fetched anew a quarter of an hour before it ends, or when the Git server refuses it. While GitHub
//! does not answer, a token that still lives is used on.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Where apps of github.com get their tokens.
const GITHUB: &str = "https://api.github.com";
/// A token is fetched anew when it has so long left, in seconds.
const EARLY: i64 = 15 * 60;
/// A token that ends sooner is of no use any more.
const USELESS: i64 = 60;
/// GitHub takes no JWT that is longer than ten minutes, and clocks differ.
const JWT: i64 = 9 * 60;
/// Clocks that differ by more than this are worth mentioning.
const SKEW: i64 = 30;
/// Tokens are thrown away no more often than this, in seconds: a repository that an App may not read refuses each of them.
const PATIENCE: i64 = 5 * 60;
/// An answer with a token is a few kilobytes.
const ANSWER: u64 = 256 << 10;

/// All tokens of this process, by App, installation and key.
static TOKENS: LazyLock<Mutex<HashMap<[u8; 32], Shared>>> = LazyLock::new(Mutex::default);

/// One token, and whoever fetches it keeps the others waiting.
type Shared = Arc<Mutex<Held>>;

#[derive(Default)]
struct Held {
    token: Option<Token>,
    /// When a token was last thrown away before its end.
    thrown_away: i64,
}

/// An installation of an App.
pub(super) struct App {
    id: String,
    installation: u64,
    base: String,
    key: EncodingKey,
    token: Shared,
}

#[derive(Clone)]
struct Token {
    text: String,
    ends: i64,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// GitHub does not answer, or not as GitHub does.
    #[error("{0}")]
    Unreachable(String),
    /// GitHub says no.
    #[error("{0}")]
    Refused(String),
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    exp: i64,
    iss: &'a str,
}

#[derive(Deserialize)]
struct Granted {
    token: String,
    expires_at: Timestamp,
}

// === impl App ===

impl App {
    /// The App a Secret names; what is wrong with it, and what to write instead.
    pub(super) fn read(
        id: String,
        installation: &str,
        pem: &str,
        base: Option<String>,
    ) -> Result<Self, (&'static str, &'static str)> {
        let is_name = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        if !is_name {
            return Err((
                "key githubAppID is no App id",
                "write the number, or the client id, that the App's page shows",
            ));
        }
        let Ok(installation) = installation.parse() else {
            let remedy = "write the number at the end of the installation's page";
            return Err(("key githubAppInstallationID is no number", remedy));
        };
        let key = EncodingKey::from_rsa_pem(pem.as_bytes());
        let remedy = "write the whole .pem file GitHub made, with its first and last line";
        let key = key.map_err(|_| ("key githubAppPrivateKey holds no RSA private key", remedy))?;
        let base = base.unwrap_or_else(|| GITHUB.to_owned()).trim_end_matches('/').to_owned();
        if !is_safe(&base) {
            let remedy = "write it as https://HOST/api/v3";
            return Err((
                "key githubAppBaseURL is no https:// URL, and the App's proof would be sent in clear text",
                remedy,
            ));
        }
        let installation: u64 = installation;
        let token = shared(&[&id, &installation.to_string(), &base, pem]);
        Ok(Self { id, installation, base, key, token })
    }

    /// Is the repository on the host that gives the tokens? Nobody else has any use for one.
    pub(super) fn is_for(&self, host: &str) -> bool {
        let base = host_of(&self.base);
        base.strip_prefix("api.").is_some_and(|base| base.eq_ignore_ascii_case(host)) || base.eq_ignore_ascii_case(host)
    }

    /// The host of the base URL.
    pub(super) fn host(&self) -> &str {
        host_of(&self.base)
    }

    /// A token that lives; the password of the user `x-access-token`.
    pub(super) fn token(
        &self,
        now: Timestamp,
        client: &dyn Fn() -> Result<Client, Failure>,
    ) -> Result<String, Failure> {
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.as_second();
        let lives = held.token.clone().filter(|token| token.ends - now > USELESS);
        if let Some(token) = lives.as_ref().filter(|token| token.ends - now > EARLY) {
            return Ok(token.text.clone());
        }
        match client().and_then(|client| self.fetch(&client, now)) {
            Ok(token) => Ok(held.token.insert(token).text.clone()),
            // Until it ends it is as good as a new one.
            Err(failure) => lives.map(|token| token.text).ok_or(failure),
        }
    }

    /// The Git server does not take it any more.
    pub(super) fn forget(&self, now: Timestamp) {
        let mut held = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now.as_second();
        if now - held.thrown_away > PATIENCE {
            *held = Held { token: None, thrown_away: now };
        }
    }

    fn fetch(&self, client: &Client, now: i64) -> Result<Token, Failure> {
        let claims = Claims { iat: now - 60, exp: now + JWT, iss: &self.id };
        let jwt = encode(&Header::new(Algorithm::RS256), &claims, &self.key);
        let jwt =
            jwt.map_err(|_| Failure::Refused("its private key cannot sign; make a new one in GitHub".to_owned()))?;
        let Self { base, installation, .. } = self;
        let request = client.post(format!("{base}/app/installations/{installation}/access_tokens"));
        let request = request.bearer_auth(jwt).header("Accept", "application/vnd.github+json");
        let request = request.header("X-GitHub-Api-Version", "2022-11-28").header("User-Agent", "holdfast");
        // Without the URL, which says nothing, and without headers.
        let answer = request.send().map_err(|error| Failure::Unreachable(cause(&error.without_url())))?;
        self.granted(answer, now)
    }

    fn granted(&self, answer: Response, now: i64) -> Result<Token, Failure> {
        let status = answer.status();
        if status != StatusCode::CREATED {
            return Err(self.refusal(status, &answer, now));
        }
        let mut text = Vec::new();
        let nonsense = |_| Failure::Unreachable("the answer is no token".to_owned());
        answer.take(ANSWER).read_to_end(&mut text).map_err(|error| Failure::Unreachable(error.to_string()))?;
        let Granted { token, expires_at } = serde_json::from_slice(&text).map_err(nonsense)?;
        if token.is_empty() || token.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(Failure::Unreachable("the answer is no token".to_owned()));
        }
        Ok(Token { text: token, ends: expires_at.as_second() })
    }

    fn refusal(&self, status: StatusCode, answer: &Response, now: i64) -> Failure {
        let Self { id, installation, .. } = self;
        let number = status.as_u16();
        match number {
            401 => match skew(answer, now) {
                Some(skew) => Failure::Refused(format!(
                    "it says {number}, and the clock here is {skew} s away from GitHub's: set it right"
                )),
                None => Failure::Refused(format!(
                    "it says {number}: the private key is not, or no longer, one of App {id}; make a new one in GitHub"
                )),
            },
            403 => Failure::Refused(format!(
                "it says {number}: installation {installation} is suspended, or may not do this; look at it in GitHub"
            )),
            404 => Failure::Refused(format!(
                "it says {number}: App {id} has no installation {installation}; check githubAppInstallationID"
            )),
            300..400 => Failure::Refused(format!(
                "it says {number}, and a redirect is not followed; write the URL it leads to as githubAppBaseURL"
            )),
            400..500 if number != 408 && number != 429 => Failure::Refused(format!("it says {number}")),
            _ => Failure::Unreachable(format!("it says {number}")),
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, installation, base, key: _, token: _ } = self;
        f.debug_struct("App").field("id", id).field("installation", installation).field("base", base).finish()
    }
}

/// A client for one question: no redirect, which would take the proof elsewhere, and no patience beyond `stall`.
pub(super) fn client(authorities: Option<&Vec<reqwest::Certificate>>, stall: Duration) -> Result<Client, Failure> {
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(stall).connect_timeout(stall);
    let client = match authorities {
        Some(authorities) => client.tls_certs_only(authorities.clone()),
        None => client,
    };
    client.build().map_err(|error| Failure::Unreachable(cause(&error)))
}

/// The token of whoever has all of these in common. Those that ended long ago make room.
fn shared(parts: &[&str]) -> Shared {
    let mut digest = Sha256::new();
    for part in parts {
        digest = digest.chain_update(part).chain_update([0]);
    }
    let mut tokens = TOKENS.lock().unwrap_or_else(PoisonError::into_inner);
    tokens.retain(|_, token| Arc::strong_count(token) > 1 || token.try_lock().is_ok_and(|held| lives(&held)));
    Arc::clone(tokens.entry(digest.finalize().into()).or_default())
}

/// Is there still something to remember?
fn lives(held: &Held) -> bool {
    let now = Timestamp::now().as_second();
    held.token.as_ref().is_some_and(|token| token.ends > now) || now - held.thrown_away <= PATIENCE
}

/// How far GitHub's clock is from ours, in seconds, if that is far.
fn skew(answer: &Response, now: i64) -> Option<i64> {
    let date = answer.headers().get("date")?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second();
    Some(now - theirs).filter(|skew| skew.abs() > SKEW)
}

/// An error with its causes.
fn cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// https, or this very machine.
fn is_safe(base: &str) -> bool {
    let host = host_of(base);
    let is_plain = !host.is_empty() && !base.contains(['@', '?', '#']) && !base.contains(char::is_whitespace);
    is_plain && (base.starts_with("https://") || base.starts_with("http://") && super::url::is_loopback(host))
}

/// Without the port.
fn host_of(base: &str) -> &str {
    let authority = base.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}
