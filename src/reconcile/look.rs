//! A look at Git: which commit is the newest, and what it says. Happens beside the keeper's loop; what blocks, on threads that may.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Context;
use super::credentials::{Found, repository, secret_of, signers_of};
use super::share::Question;
use crate::api::meaning::SyncPlan;
use crate::cluster::Kinds;
use crate::cluster::secrets::Secret;
use crate::git::{self, Reading, RenderOptions, Repository};

/// The right to have a commit in memory: given back when what it says is real.
pub type Turn = OwnedSemaphorePermit;

/// What a look at Git brought.
pub enum News {
    /// Still the commit that was read already.
    Same,
    /// A commit to be made real, and the one the cluster was equal to before the start, if it can still be read.
    Commit(Reading, Option<Reading>, Turn),
    /// The server does not answer; this is the last commit known, and why it is used.
    Stale(Reading, Arc<git::Error>, Turn),
}

/// What a look at Git may bring.
pub type Looked = Result<News, Arc<git::Error>>;

/// A look at Git: everything it needs, so that it can happen elsewhere.
pub struct Look {
    /// The sync, as `namespace/name`.
    pub sync: String,
    /// What it asks for.
    pub plan: SyncPlan,
    /// Answers from before this moment are too old.
    pub beat: Instant,
    /// The commit that was read last; there is nothing to do if it is still the newest.
    pub known: Option<String>,
    /// The commit to fall back to when nothing was read yet and the server does not answer.
    pub fallback: Option<String>,
    /// After a start, the commit the cluster was made equal to before.
    pub before: Option<String>,
}

// === impl Look ===

impl Look {
    /// Asks the server, unless somebody else just did, and reads what is new.
    pub async fn look(self, context: Arc<Context>) -> Looked {
        let kinds = context.cluster.kinds().await;
        let source = &self.plan.source;
        let found = context.secret(secret_of(&self.sync, source)).await;
        let signers = context.secret(signers_of(&self.sync, source)).await;
        let here = self.repository(&context, signers.as_ref()).map_err(Arc::new)?;
        let newest = match repository(&context.cache, &self.sync, source, found.as_ref(), signers.as_ref()) {
            Ok(repository) => self.ask(&context, repository.clone()).await.map(|sha| (repository, sha)),
            Err(error) => Err(Arc::new(error)),
        };
        if newest.as_ref().is_ok_and(|(_, sha)| self.known.as_ref() == Some(sha)) {
            return Ok(News::Same);
        }
        // Not before the server has answered: one that hangs keeps nobody else waiting. And not on a thread that waits: each
        // thread that has ever read a commit keeps memory of its own.
        let turn = context.turns.clone().acquire_owned().await.expect("nobody closes it");
        let read = tokio::task::spawn_blocking(move || match newest {
            Ok((repository, sha)) => self.news(&repository, &sha, &kinds, turn).map_err(Arc::new),
            Err(error) => self.fall_back(&here, &kinds, error, turn),
        });
        read.await.expect("reading Git neither panics nor is cancelled")
    }

    /// Without credentials, for what is here already. Whose commits are believed is no matter of credentials.
    fn repository(&self, context: &Context, signers: Option<&Found<Arc<Secret>>>) -> Result<Repository, git::Error> {
        repository(&context.cache, &self.sync, &self.plan.source, None, signers)
    }

    async fn ask(&self, context: &Context, repository: Repository) -> Result<String, Arc<git::Error>> {
        let source = &self.plan.source;
        let secret = secret_of(&self.sync, source).map(|(namespace, name)| format!("{namespace}/{name}"));
        let (url, revision) = (source.url.clone(), source.revision.clone());
        let signers = signers_of(&self.sync, source).map(|(namespace, name)| format!("{namespace}/{name}"));
        let signers = signers.zip(source.verify.as_ref().map(|verify| verify.mode));
        let question = Question { url, secret: secret.unwrap_or_default(), revision: revision.clone(), signers };
        let answer = context.share.ask(&question, self.beat, move || repository.fetch(&revision)).await;
        answer.map(|commit| commit.sha)
    }

    fn news(&self, repository: &Repository, sha: &str, kinds: &Kinds, turn: Turn) -> Result<News, git::Error> {
        let reading = self.read(repository, sha, kinds)?;
        let before = self.before.as_ref().filter(|before| *before != sha);
        let before = before.and_then(|before| self.read(repository, before, kinds).ok());
        Ok(News::Commit(reading, before, turn))
    }

    /// The last commit this sync is known to have had is better than none: it keeps the guard up while the server is down.
    fn fall_back(&self, repository: &Repository, kinds: &Kinds, error: Arc<git::Error>, turn: Turn) -> Looked {
        match (&self.known, &self.fallback) {
            (None, Some(sha)) => match self.read(repository, sha, kinds) {
                Ok(reading) => Ok(News::Stale(reading, error, turn)),
                Err(_) => Err(error),
            },
            _ => Err(error),
        }
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
