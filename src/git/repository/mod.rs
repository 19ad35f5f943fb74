//! A repository's objects on this machine, kept as fresh as they need to be.
//!
//! This folder is the only place that names `gix`; to everything else a commit is a [`Snapshot`] of folders and files.
//!
//! What lies in the cache folder is a cache in the strict sense: it can be thrown away at any moment at the price of one
//! fetch. So there is no repair, no garbage collection and no lock recovery: whatever is wrong with it, it is fetched anew.
//!
//! Two bare repositories are kept per URL. `tips` is shallow: branches, tags, `HEAD` and full commit ids are fetched with depth
//! 1, because only the tree of one commit is ever read and the history of an infrastructure repository is the bulk of it.
//! `history` is complete, and only made when an *abbreviated* commit id is asked for, as no server resolves those.

mod access;
mod app;
mod bounds;
mod cache;
mod fetch;
mod http;
mod lineage;
mod resolve;
mod snapshot;
mod ssh;
#[cfg(test)]
mod tests;
mod url;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use access::{Access, Keys, Unusable, WEBHOOK_SECRET};
pub use lineage::Lineage;
pub use snapshot::{Commit, Entry, EntryKind, Snapshot};
pub use url::{RepoUrl, place_of};

use jiff::Timestamp;

use super::error::Error;
use super::verify::Signers;
use cache::Cache;
use fetch::Server;
use resolve::Resolver;

/// How long a server may keep silent, at any point, before it counts as unreachable.
const STALL: Duration = Duration::from_secs(30);

/// A remote repository, as seen through its cache folder. All methods block.
#[derive(Debug, Clone)]
pub struct Repository {
    url: RepoUrl,
    access: Access,
    folder: PathBuf,
    stall: Duration,
    /// Whose commits are believed; everybody's, if nobody is named.
    signers: Option<Signers>,
    clock: fn() -> Timestamp,
}

// === impl Repository ===

impl Repository {
    /// A repository cached below `cache_dir`, come to without credentials. Nothing is fetched yet. Several may share a
    /// `cache_dir`, and even an URL.
    pub fn open(cache_dir: &Path, url: RepoUrl) -> Result<Self, Error> {
        Self::open_with(cache_dir, url, "", Access::default())
    }

    /// The same with what the Secret of this name says. What is cached is shared with whoever uses the same Secret only.
    pub fn open_with(cache_dir: &Path, url: RepoUrl, secret: &str, access: Access) -> Result<Self, Error> {
        let folder = cache_dir.join(url.cache_name(secret));
        std::fs::create_dir_all(&folder)
            .map_err(|source| Error::Cache { url: url.to_string(), source: source.into() })?;
        Ok(Self { url, access, folder, stall: STALL, signers: None, clock: Timestamp::now })
    }

    /// The same repository, giving up on a silent server after `stall`.
    #[must_use]
    pub fn with_stall_timeout(self, stall: Duration) -> Self {
        Self { stall, ..self }
    }

    /// The same repository, believing the commits of these signers only. What is not believed is handed to nobody.
    #[must_use]
    pub fn signed_by(self, signers: Signers) -> Self {
        Self { signers: Some(signers), ..self }
    }

    /// The same repository, told the time by `clock` instead of this machine: whether keys are valid and tokens live hangs on it.
    #[must_use]
    pub fn with_clock(self, clock: fn() -> Timestamp) -> Self {
        Self { clock, ..self }
    }

    /// The URL.
    pub fn url(&self) -> &RepoUrl {
        &self.url
    }

    /// Which commit `target` is now. Asks the server, unless `target` is a full commit id that is here already.
    pub fn fetch(&self, target: &str) -> Result<Commit, Error> {
        self.at(target, |snapshot| Ok(snapshot.commit().clone()))
    }

    /// The full id of the commit that `revision` (an id, the beginning of one, or a tag) is, if one may go back to it.
    pub fn within(&self, revision: &str, lineage: &Lineage<'_>) -> Result<String, Error> {
        self.asked(|resolver| resolver.within(revision, lineage))
    }

    /// Reads the commit that `target` is now: a branch, a tag, `HEAD`, or a commit id. This is the only way to a commit, so here
    /// it is decided whether it is believed.
    ///
    /// The cache is locked against other threads and processes meanwhile. When it turns out to be damaged, `read` is called a
    /// second time, on a cache made anew.
    pub fn at<T>(&self, target: &str, read: impl Fn(&Snapshot) -> Result<T, Error>) -> Result<T, Error> {
        self.asked(|resolver| {
            let at = resolver.resolve(target)?;
            self.signers.as_ref().map_or(Ok(()), |signers| at.believed(signers, (self.clock)()))?;
            read(&at)
        })
    }

    fn asked<T>(&self, ask: impl Fn(&Resolver<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let cache = Cache::lock(&self.folder).map_err(|source| self.cache_error(source))?;
        let server = Server { url: &self.url, access: &self.access, stall: self.stall, clock: self.clock };
        let attempt = || ask(&Resolver { cache: &cache, server: &server });
        match attempt() {
            Err(Error::Cache { .. } | Error::Fetch { .. }) => {
                cache.clear().map_err(|source| self.cache_error(source))?;
                attempt()
            }
            outcome => outcome,
        }
    }

    fn cache_error(&self, source: std::io::Error) -> Error {
        Error::Cache { url: self.url.to_string(), source: source.into() }
    }
}
