//! Git over ssh, in this process: no `ssh` program, no key in a file, nothing of the user's `~/.ssh`.
//!
//! The server must prove who it is before anything is sent to it, by a key that the Secret's `known_hosts` names. The key exchange
//! is restricted to the kinds of key known for the host, as OpenSSH does, so that a host with several keys shows the right one.

mod known_hosts;
mod pipe;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::git::{ConnectMode, blocking_io::Connection};
use russh::client::{self, AuthResult, Handle};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate, decode_secret_key};
use russh::{ChannelMsg, Preferred};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

pub(super) use known_hosts::KnownHosts;
use known_hosts::Trust;
pub(super) use pipe::Said;
use pipe::{Line, Reader, Writer};

use super::bounds::{Bounded, Limits};
use super::url::{RepoUrl, SshPlace};

/// The transport for one exchange with one server.
pub(super) type Transport = Connection<Bounded<Reader>, Writer>;

/// A private key, and the servers to show it to.
pub(super) struct Identity {
    key: Arc<PrivateKey>,
    known_hosts: KnownHosts,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nobody there, or nobody who answers.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody is there, but who?
    #[error("{0}")]
    Untrusted(String),
    /// The server does not want us.
    #[error("{0}")]
    Refused(String),
}

/// Decides about the server, and remembers why.
struct Host {
    known: KnownHosts,
    name: String,
    port: u16,
    verdict: Arc<Mutex<Option<String>>>,
}

// === impl Identity ===

impl Identity {
    /// The key as written, unlocked. What is wrong with it is said without a word of it.
    pub(super) fn read(
        pem: &str,
        passphrase: Option<&str>,
        known_hosts: KnownHosts,
    ) -> Result<Self, (&'static str, &'static str)> {
        let key = decode_secret_key(&format!("{}\n", pem.trim()), passphrase).map_err(|error| match error {
            russh::keys::Error::KeyIsEncrypted => {
                ("the private key is locked with a passphrase", "add the passphrase as key password")
            }
            _ if passphrase.is_some() => (
                "the private key cannot be read with this password",
                "check both: an OpenSSH or PEM key, its passphrase",
            ),
            _ => (
                "the private key cannot be read",
                "write a whole OpenSSH or PEM private key, with its first and last line",
            ),
        })?;
        Ok(Self { key: Arc::new(key), known_hosts })
    }

    /// Connects to the server and starts `git-upload-pack` there. Every step ends after `stall`.
    pub(super) fn connect(&self, url: &RepoUrl, stall: Duration, limits: Limits) -> Result<(Transport, Said), Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let place = url.ssh();
        let handle = self.session(&runtime, &place, stall)?;
        let channel = runtime.block_on(within(stall, open(&handle, &place)))?;
        let (read, write) = channel.split();
        let said = Said::default();
        let line = Arc::new(Line { _handle: handle, runtime, stall });
        let reader = Bounded::new(Reader::new(Arc::clone(&line), read, said.clone()), limits);
        let writer = Writer { line, half: write };
        let none = None::<(&str, _)>;
        Ok((Connection::new(reader, writer, Protocol::V2, place.path, none, ConnectMode::Process, false), said))
    }

    /// A server that proved who it is, and let us in.
    fn session(&self, runtime: &Runtime, place: &SshPlace<'_>, stall: Duration) -> Result<Handle<Host>, Failure> {
        let SshPlace { user, host, port, .. } = place;
        let kinds = self.known_hosts.kinds(host, *port);
        if kinds.is_empty() {
            return Err(Failure::Untrusted(KnownHosts::unknown(host, *port, None)));
        }
        let preferred = Preferred { key: Cow::Owned(kinds), ..Preferred::default() };
        let config = client::Config { preferred, nodelay: true, ..client::Config::default() };
        let verdict = Arc::new(Mutex::new(None));
        let known = self.known_hosts.clone();
        let judge = Host { known, name: (*host).to_owned(), port: *port, verdict: Arc::clone(&verdict) };
        let connecting = client::connect(Arc::new(config), (*host, *port), judge);
        let connected = runtime.block_on(async { timeout(stall, connecting).await });
        let mut handle = match connected {
            Ok(Ok(handle)) => handle,
            Ok(Err(error)) => {
                let untrusted = verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
                return Err(untrusted.map_or_else(|| Self::broken(&error, place), Failure::Untrusted));
            }
            Err(_) => return Err(silent(stall)),
        };
        let answer = runtime.block_on(within(stall, self.log_in(&mut handle, user)))?;
        if answer.success() {
            return Ok(handle);
        }
        let fingerprint = self.key.public_key().fingerprint(HashAlg::Sha256);
        Err(Failure::Refused(format!("the server does not let {user:?} in with key {fingerprint}")))
    }

    async fn log_in(&self, handle: &mut Handle<Host>, user: &str) -> Result<AuthResult, russh::Error> {
        // SHA-1 signatures are what `None` would mean; no server worth the name takes only those.
        let hash = if self.key.algorithm().is_rsa() {
            let best = handle.best_supported_rsa_hash().await?.flatten();
            best.or(Some(HashAlg::Sha512))
        } else {
            None
        };
        handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::clone(&self.key), hash)).await
    }

    /// A server with none of the kinds of key that are known for it has another key than it had.
    fn broken(error: &russh::Error, place: &SshPlace<'_>) -> Failure {
        let no_common_key = matches!(error, russh::Error::NoCommonAlgo { kind: russh::AlgorithmKind::Key, .. });
        if no_common_key {
            return Failure::Untrusted(KnownHosts::unknown(place.host, place.port, None));
        }
        Failure::Unreachable(error.to_string())
    }
}

/// Starts the server's side of a fetch. The path is quoted for the shell that reads it.
async fn open(handle: &Handle<Host>, place: &SshPlace<'_>) -> Result<russh::Channel<client::Msg>, russh::Error> {
    let mut channel = handle.channel_open_session().await?;
    // A server that does not take it answers in the older protocol, which is understood as well.
    channel.set_env(false, "GIT_PROTOCOL", "version=2").await?;
    let mut command = b"git-upload-pack ".to_vec();
    command.extend_from_slice(gix::quote::single(place.path.as_ref()).as_slice());
    channel.exec(true, command).await?;
    loop {
        match channel.wait().await {
            Some(ChannelMsg::Success) => return Ok(channel),
            Some(ChannelMsg::Failure) | None => return Err(russh::Error::RequestDenied),
            Some(_) => {}
        }
    }
}

async fn within<T>(stall: Duration, step: impl Future<Output = Result<T, russh::Error>>) -> Result<T, Failure> {
    match timeout(stall, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failure::Unreachable(error.to_string())),
        Err(_) => Err(silent(stall)),
    }
}

fn silent(stall: Duration) -> Failure {
    Failure::Unreachable(format!("the ssh server kept silent for {stall:?}"))
}

// === impl Host ===

impl client::Handler for Host {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let refusal = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.refusal(key),
            PublicKeyOrCertificate::Certificate(_) => Some("the host shows a certificate, not a key".to_owned()),
        };
        let trusted = refusal.is_none();
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
        Ok(trusted)
    }
}

impl Host {
    fn refusal(&self, key: &PublicKey) -> Option<String> {
        let Self { known, name, port, .. } = self;
        match known.trust(name, *port, key) {
            Trust::Known => None,
            Trust::Changed => Some(known.changed(name, *port, key)),
            Trust::Unknown => Some(KnownHosts::unknown(name, *port, Some(key))),
        }
    }
}
