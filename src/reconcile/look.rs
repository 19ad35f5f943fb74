//! A look at Git: which commit is the newest, and what it says. Happens beside the keeper's loop, on a thread that may block.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::meaning::SyncPlan;
use crate::cluster::Kinds;
use crate::git::{self, Reading, RenderOptions, RepoUrl, Repository};

/// The right to have a commit in memory: given back when what it says is real.
pub type Turn = OwnedSemaphorePermit;

/// What a look at Git brought.
pub enum News {
    /// Still the commit that was read already.
    Same,
    /// A commit to be made real, and the one the cluster was equal to before the start, if it can still be read.
    Commit(Reading, Option<Reading>, Turn),
    /// The server does not answer; this is the last commit known, and why it is used.
    Stale(Reading, git::Error, Turn),
}

/// A look at Git: everything it needs, so that it can happen elsewhere.
pub struct Look {
    /// Whose turn it is.
    pub turns: Arc<Semaphore>,
    /// Where clones are kept.
    pub cache: PathBuf,
    /// The sync, as `namespace/name`.
    pub sync: String,
    /// What it asks for.
    pub plan: SyncPlan,
    /// The commit that was read last; there is nothing to do if it is still the newest.
    pub known: Option<String>,
    /// The commit to fall back to when nothing was read yet and the server does not answer.
    pub fallback: Option<String>,
    /// After a start, the commit the cluster was made equal to before.
    pub before: Option<String>,
}

// === impl Look ===

impl Look {
    /// Asks the server, and reads what is new. Blocks.
    pub fn look(&self, kinds: &Kinds) -> Result<News, git::Error> {
        let repository = Repository::open(&self.cache, RepoUrl::parse(&self.plan.source.url)?)?;
        let commit = match repository.fetch(&self.plan.source.revision) {
            Ok(commit) => commit,
            Err(error) => return self.fall_back(&repository, kinds, error),
        };
        if self.known.as_ref() == Some(&commit.sha) {
            return Ok(News::Same);
        }
        let turn = self.turn();
        let reading = self.read(&repository, &commit.sha, kinds)?;
        let before = self.before.as_ref().filter(|before| **before != commit.sha);
        let before = before.and_then(|before| self.read(&repository, before, kinds).ok());
        Ok(News::Commit(reading, before, turn))
    }

    /// The last commit this sync is known to have had is better than none: it keeps the guard up while the server is down.
    fn fall_back(&self, repository: &Repository, kinds: &Kinds, error: git::Error) -> Result<News, git::Error> {
        match (&self.known, &self.fallback) {
            (None, Some(sha)) => {
                let turn = self.turn();
                match self.read(repository, sha, kinds) {
                    Ok(reading) => Ok(News::Stale(reading, error, turn)),
                    Err(_) => Err(error),
                }
            }
            _ => Err(error),
        }
    }

    /// Waits for our turn, after the server has answered: one that hangs keeps nobody else waiting.
    fn turn(&self) -> Turn {
        let turn = futures::executor::block_on(self.turns.clone().acquire_owned());
        turn.expect("nobody closes it")
    }

    fn read(&self, repository: &Repository, target: &str, kinds: &Kinds) -> Result<Reading, git::Error> {
        let options = RenderOptions {
            default_namespace: Some(&self.plan.namespace),
            sync: &self.sync,
            cluster_scoped: &|group, kind| kinds.namespaced(group, kind).map(|namespaced| !namespaced),
        };
        git::read(repository, target, &self.plan.source.path, &options)
    }
}
