//! Talking to the server: what it has, and getting it.
//!
//! Asking what a name points to is one listing limited to that name; objects are only transferred when the answer is new. A
//! server that keeps silent is given up on after a while at every step, one that keeps dripping bytes after [`LIMIT`].

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gix::ObjectId;
use gix::bstr::BString;
use gix::progress::Discard;
use gix::protocol::transport::client::blocking_io::{Transport, http};
use gix::remote::{Connection, Direction, fetch::Shallow, fetch::Tags};

use super::super::error::Error;
use super::url::{Credentials, RepoUrl};

/// How long one transfer may take as a whole.
const LIMIT: Duration = Duration::from_mins(15);

/// How much history to transfer.
#[derive(Clone, Copy)]
pub(super) enum Depth {
    One,
    Full,
}

/// One repository on a server.
pub(super) struct Server<'a> {
    pub(super) url: &'a RepoUrl,
    pub(super) stall: Duration,
}

type Connected<'r, 'repo> = Connection<'r, 'static, 'repo, Box<dyn Transport + Send>>;

// === impl Server ===

impl Server<'_> {
    /// What the server says each of `names` points to. An annotated tag is answered with the tag, not with its commit.
    pub(super) fn advertised(
        &self,
        repository: &gix::Repository,
        specs: &[String],
        names: &[BString],
    ) -> Result<Vec<(BString, ObjectId)>, Error> {
        let remote = self.remote(repository, specs).map_err(|source| self.unreachable(source))?;
        let listing =
            self.connect(&remote).and_then(|to| to.ref_map(Discard, gix::remote::ref_map::Options::default()));
        let (listing, _) = listing.map_err(|source| self.unreachable(source))?;
        let found = listing.remote_refs.iter().filter_map(|reference| {
            let (name, target, _) = reference.unpack();
            Some((name.to_owned(), target?.to_owned())).filter(|(name, _)| names.contains(name))
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
        let failed = |source| self.failed(source, revision);
        let remote = self.remote(repository, specs).map_err(failed)?;
        let connection = self.connect(&remote).map_err(|source| self.unreachable(source))?;
        let listed = connection.prepare_fetch(Discard, gix::remote::ref_map::Options::default());
        let listed = listed.map_err(|source| self.unreachable(source))?;
        let listed = match depth {
            Depth::One => listed.with_shallow(Shallow::DepthAtRemote(std::num::NonZeroU32::MIN)),
            Depth::Full => listed,
        };
        listed.receive(Discard, &Deadline::after(LIMIT).passed).map_err(failed)?;
        Ok(())
    }

    /// Tags are only fetched when asked for: Git's habit of bringing along those it meets would bring history along.
    fn remote<'r>(&self, repository: &'r gix::Repository, specs: &[String]) -> gix::Result<gix::Remote<'r>> {
        repository
            .remote_at_without_url_rewrite(self.url.parsed().clone())?
            .with_fetch_tags(Tags::None)
            .with_refspecs(specs.iter().map(String::as_str), Direction::Fetch)
    }

    /// Credentials are those given, or none: never those of a helper program or a prompt on this machine.
    fn connect<'r, 'repo>(&self, remote: &'r gix::Remote<'repo>) -> gix::Result<Connected<'r, 'repo>> {
        let mut connection = remote.connect(Direction::Fetch)?.with_credentials(|_| Ok(None));
        if let (Some(Credentials { username, password }), false) =
            (self.url.credentials().cloned(), self.url.is_local())
        {
            let account = gix::sec::identity::Account { username, password, oauth_refresh_token: None };
            connection.transport_mut().set_identity(account).map_err(gix::Error::from_error)?;
        }
        connection.set_transport_options(Box::new(self.http()));
        Ok(connection)
    }

    fn http(&self) -> http::Options {
        let stall = self.stall;
        let options = http::reqwest::Options {
            configure_client: Some(Box::new(move |client| Ok(client.connect_timeout(stall).timeout(stall)))),
            configure_request: None,
        };
        http::Options { backend: Some(Arc::new(Mutex::new(options))), ..http::Options::default() }
    }

    /// Before anything is transferred: no server, or a server that says no.
    fn unreachable(&self, source: gix::Error) -> Error {
        let url = self.url.to_string();
        if self.url.is_local() || denied(&source) {
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
        if source.is_retryable() && !left_over_lock {
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

/// Whether the server answered that this repository is not there, or not for us. `gix` classifies 401 and 403; 404 only
/// shows in its text.
fn denied(error: &gix::Error) -> bool {
    error.is_unauthenticated() || error.is_permission_denied() || format!("{error:#}").contains("HTTP status 404")
}
