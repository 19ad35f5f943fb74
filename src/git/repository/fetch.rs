//! Talking to the server: what it has, and getting it.
//!
//! Asking what a name points to is one listing limited to that name; objects are only transferred when the answer is new. A
//! server that keeps silent is given up on after a while at every step, one that keeps sending beyond [`Limits`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use gix::ObjectId;
use gix::bstr::BString;
use gix::progress::Discard;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::remote::{Connection, Direction, fetch::Shallow, fetch::Tags};
use jiff::Timestamp;

use super::super::error::Error;
use super::access::Access;
use super::app::{self, App};
use super::bounds::Limits;
use super::http;
use super::ssh::{Failure, Said};
use super::url::{RepoUrl, Way};

/// How much history to transfer.
#[derive(Clone, Copy)]
pub(super) enum Depth {
    One,
    Full,
}

/// One repository on a server.
pub(super) struct Server<'a> {
    pub(super) url: &'a RepoUrl,
    pub(super) access: &'a Access,
    pub(super) stall: Duration,
    pub(super) clock: fn() -> Timestamp,
}

type Connected<'r, 'repo> = Connection<'r, 'static, 'repo, Box<dyn Transport + Send>>;

/// An exchange that has begun.
struct Exchange<'r, 'repo> {
    connection: Connected<'r, 'repo>,
    said: Said,
}

// === impl Server ===

impl Server<'_> {
    /// What the server has that `specs` match. An annotated tag is answered with the tag, not with its commit.
    pub(super) fn advertised(
        &self,
        repository: &gix::Repository,
        specs: &[String],
    ) -> Result<Vec<(BString, ObjectId)>, Error> {
        let remote = self.remote(repository, specs).map_err(|source| self.unreachable(source, &Said::default()))?;
        let Exchange { connection, said } = self.connect(&remote, Limits::LISTING)?;
        let listing = connection.ref_map(Discard, gix::remote::ref_map::Options::default());
        let (listing, _) = listing.map_err(|source| self.unreachable(source, &said))?;
        let found = listing.remote_refs.iter().filter_map(|reference| {
            let (name, target, _) = reference.unpack();
            Some((name.to_owned(), target?.to_owned()))
        });
        Ok(found.collect())
    }

    /// Brings everything `specs` match, and remembers it under the names they say.
    pub(super) fn fetch(
        &self,
        repository: &gix::Repository,
        specs: &[String],
        depth: Depth,
        revision: &str,
    ) -> Result<(), Error> {
        let remote = self.remote(repository, specs).map_err(|source| self.failed(source, revision))?;
        let Exchange { connection, said } = self.connect(&remote, Limits::TRANSFER)?;
        let listed = connection.prepare_fetch(Discard, gix::remote::ref_map::Options::default());
        let listed = listed.map_err(|source| self.unreachable(source, &said))?;
        let listed = match depth {
            Depth::One => listed.with_shallow(Shallow::DepthAtRemote(std::num::NonZeroU32::MIN)),
            Depth::Full => listed,
        };
        let received = listed.receive(Discard, &Deadline::after(Limits::TRANSFER.time).passed);
        received.map(drop).map_err(|source| self.failed(source, revision))
    }

    /// Tags are only fetched when asked for: Git's habit of bringing along those it meets would bring history along.
    fn remote<'r>(&self, repository: &'r gix::Repository, specs: &[String]) -> gix::Result<gix::Remote<'r>> {
        repository
            .remote_at_without_url_rewrite(self.url.parsed().clone())?
            .with_fetch_tags(Tags::None)
            .with_refspecs(specs.iter().map(String::as_str), Direction::Fetch)
    }

    /// Credentials are those given, or none: never those of a helper program, an agent or a prompt on this machine.
    fn connect<'r, 'repo>(&self, remote: &'r gix::Remote<'repo>, limits: Limits) -> Result<Exchange<'r, 'repo>, Error> {
        let (transport, said): (Box<dyn Transport + Send>, Said) = match self.url.way() {
            Way::Http { .. } | Way::Https => {
                (Box::new(http::transport(self.url, self.authorization()?, limits)), Said::default())
            }
            Way::Ssh => self.ssh(limits)?,
            Way::File => {
                let local =
                    remote.connect(Direction::Fetch).map_err(|source| self.unreachable(source, &Said::default()));
                return local.map(|connection| Exchange { connection, said: Said::default() });
            }
        };
        let mut connection = remote.to_connection_with_transport(transport).with_credentials(|_| Ok(None));
        connection.set_transport_options(Box::new(http::options(self.access, self.stall)));
        Ok(Exchange { connection, said })
    }

    fn authorization(&self) -> Result<Option<String>, Error> {
        let url = self.url.to_string();
        self.access.authorization((self.clock)(), self.stall).map_err(|failure| {
            let host = self.access.app().map_or("GitHub", App::host);
            match failure {
                app::Failure::Refused(reason) => {
                    Error::Login { url, reason: format!("{host} gives it no token: {reason}") }
                }
                app::Failure::Unreachable(reason) => {
                    let source = format!("a GitHub App needs a token from {host}, which cannot be had: {reason}");
                    Error::Unreachable { url, source: source.into() }
                }
            }
        })
    }

    fn ssh(&self, limits: Limits) -> Result<(Box<dyn Transport + Send>, Said), Error> {
        let url = self.url.to_string();
        let Some(identity) = &self.access.ssh else {
            let reason =
                "ssh takes a private key and the host's key; put them into a Secret, as identity and known_hosts, \
                          and name it in source.secretRef"
                    .to_owned();
            return Err(Error::Untrusted { url, reason });
        };
        match identity.connect(self.url, self.stall, limits) {
            Ok((transport, said)) => Ok((Box::new(transport), said)),
            Err(Failure::Untrusted(reason)) => Err(Error::Untrusted { url, reason }),
            Err(failure @ Failure::Refused(_)) => Err(Error::Refused { url, source: failure.into() }),
            Err(failure @ Failure::Unreachable(_)) => Err(Error::Unreachable { url, source: failure.into() }),
        }
    }

    /// Before anything is transferred: no server, or a server that says no. What it says over ssh tells more than the end of
    /// the connection that follows.
    fn unreachable(&self, source: gix::Error, said: &Said) -> Error {
        let url = self.url.to_string();
        if let Some(text) = said.text() {
            return Error::Refused { url, source: format!("the server says: {text}").into() };
        }
        if self.url.is_local() || http::denied(&source) {
            // Taken back, or for fewer repositories than before: the next try is with another.
            self.access.app().into_iter().for_each(|app| app.forget((self.clock)()));
            return Error::Refused { url, source: source.into() };
        }
        Error::Unreachable { url, source: source.into() }
    }

    /// While objects are transferred: the server again, or the place they are written to. A lock there is what a crash left
    /// behind, since nobody else works in the folder; waiting for it would be in vain.
    fn failed(&self, source: gix::Error, revision: &str) -> Error {
        let url = self.url.to_string();
        let cause = source.downcast_any_ref::<io::Error>();
        let left_over_lock = cause.is_some_and(|cause| cause.kind() == io::ErrorKind::AlreadyExists);
        // On this machine nothing lies between: whoever hangs up there says no.
        let broke_off = !self.url.is_local() && (source.is_retryable() || http::broke_off(&source));
        if broke_off && !left_over_lock {
            return Error::Unreachable { url, source: source.into() };
        }
        Error::Fetch { url, revision: revision.to_owned(), source: source.into() }
    }
}

/// A flag that is raised after a while, for as long as this lives.
struct Deadline {
    passed: Arc<AtomicBool>,
    _done: mpsc::Sender<()>,
}

// === impl Deadline ===

impl Deadline {
    fn after(limit: Duration) -> Self {
        let passed = Arc::new(AtomicBool::new(false));
        let (done, waiting) = mpsc::channel::<()>();
        let raise = Arc::clone(&passed);
        std::thread::spawn(move || {
            if waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                raise.store(true, Ordering::Relaxed);
            }
        });
        Self { passed, _done: done }
    }
}
