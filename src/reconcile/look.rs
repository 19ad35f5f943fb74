//! A look at Git: which commit is the newest, and what it says. Happens beside the keeper's loop; what blocks, on threads that may.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Context;
use super::credentials::{Found, repository, secret_of, signers_of};
use super::failing::START;
use super::share::Question;
use crate::api::meaning::SyncPlan;
use crate::cluster::Kinds;
use crate::cluster::secrets::Secret;
use crate::git::{self, Lineage, Reading, RenderOptions, Repository};

/// The right to have a commit in memory: given back when what it says is real.
pub type Turn = OwnedSemaphorePermit;

/// What a look at Git brought.
pub enum News {
    /// Still the commit that was read already.
    Same,
    /// A commit to be made real, and what was in force before the start.
    Commit(Reading, Box<Earlier>, Turn),
    /// The server does not answer, or has not what somebody rolled back to; this is the last commit known, and why it is used.
    Stale(Reading, Arc<git::Error>, Turn),
}

/// What was in force before a start, as far as it can still be read.
#[derive(Default)]
pub struct Earlier {
    /// The commit the cluster was equal to.
    pub before: Option<Reading>,
    /// The one that was being made real, if that is neither of the others.
    pub begun: Option<Reading>,
}

/// What a look at Git brought, and what it saw besides.
pub struct Looked {
    /// What is to be made real.
    pub news: Result<News, Arc<git::Error>>,
    /// The newest commit, if the server answered, and when it was asked.
    pub newest: Option<(String, Instant)>,
    /// The older commit that was sought in its place, as it was asked for, and which one that is, if it was found.
    pub sought: Option<(String, Option<String>)>,
}

/// A commit somebody rolled back to.
pub struct Sought {
    /// A commit id, the beginning of one, or a tag.
    pub revision: String,
    /// Which commit that is, if it was found before.
    pub found: Option<String>,
    /// Commits that were synced before: these need no proof.
    pub synced: Vec<String>,
}

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
    /// After a start, the commit that was being made real before.
    pub begun: Option<String>,
    /// The older commit that is to be made real in the place of the newest.
    pub sought: Option<Sought>,
    /// Do others wait for this sync to be read for the first time?
    pub is_awaited: bool,
}

// === impl Earlier ===

impl Earlier {
    /// Was anything in force, and can it be read?
    pub fn is_any(&self) -> bool {
        self.before.is_some() || self.begun.is_some()
    }
}

// === impl Sought ===

impl Sought {
    /// Which commit it is, as far as that is known without Git.
    fn known(&self) -> Option<&String> {
        let mut meant = self.synced.iter().filter(|synced| synced.starts_with(&self.revision));
        let only = meant.next().filter(|first| meant.all(|other| other == *first));
        self.found.as_ref().or(only)
    }
}

// === impl Look ===

impl Look {
    /// Asks the server, unless somebody else just did, and reads what is new.
    pub async fn look(self, context: Arc<Context>) -> Looked {
        let kinds = context.cluster.kinds().await;
        let source = &self.plan.source;
        let found = context.secret(secret_of(&self.sync, source)).await;
        let signers = context.secret(signers_of(&self.sync, source)).await;
        let newest = match repository(&context.cache, &self.sync, source, found.as_ref(), signers.as_ref()) {
            Ok(repository) => {
                let repository = self.patient(repository);
                self.ask(&context, repository.clone()).await.map(|newest| (repository, newest))
            }
            Err(error) => Err(Arc::new(error)),
        };
        let tip = newest.as_ref().ok().map(|(_, newest)| newest.clone());
        let wanted = match newest {
            Ok((repository, (newest, _))) => self.wanted(repository, newest).await,
            Err(error) => Err(error),
        };
        let found = wanted.as_ref().ok().map(|(_, sha)| sha.clone());
        let sought = self.sought.as_ref().map(|sought| (sought.revision.clone(), sought.known().cloned()));
        let news = self.read_wanted(&context, signers.as_ref(), wanted, kinds).await;
        let is_used = |sha: &String| matches!(&news, Ok(News::Stale(reading, ..)) if reading.commit.sha == *sha);
        let sought = sought.map(|(revision, known)| (revision, found.or_else(|| known.filter(is_used))));
        Looked { news, newest: tip, sought }
    }

    /// Which commit is to be made real: the newest, or the one somebody rolled back to.
    async fn wanted(&self, repository: Repository, newest: String) -> Result<(Repository, String), Arc<git::Error>> {
        let Some(Sought { revision, found, synced }) = &self.sought else { return Ok((repository, newest)) };
        if let Some(found) = found {
            return Ok((repository, found.clone()));
        }
        let (revision, known, target) = (revision.clone(), synced.clone(), self.plan.source.revision.clone());
        let find = move || {
            let lineage = Lineage { target: &target, tip: &newest, known: &known };
            repository.within(&revision, &lineage).map(|found| (repository, found)).map_err(git::Error::of_rollback)
        };
        let found = tokio::task::spawn_blocking(find).await;
        found.expect("asking Git neither panics nor is cancelled").map_err(Arc::new)
    }

    async fn read_wanted(
        self,
        context: &Context,
        signers: Option<&Found<Arc<Secret>>>,
        wanted: Result<(Repository, String), Arc<git::Error>>,
        kinds: Kinds,
    ) -> Result<News, Arc<git::Error>> {
        if wanted.as_ref().is_ok_and(|(_, sha)| self.known.as_ref() == Some(sha)) {
            return Ok(News::Same);
        }
        let here = self.repository(context, signers).map_err(Arc::new)?;
        // Not before the server has answered: one that hangs keeps nobody else waiting. And not on a thread that waits: each
        // thread that has ever read a commit keeps memory of its own.
        let turn = context.turns.clone().acquire_owned().await.expect("nobody closes it");
        let read = tokio::task::spawn_blocking(move || match wanted {
            Ok((repository, sha)) => self.news(&repository, &sha, &here, &kinds, turn),
            Err(error) => self.fall_back(&here, &kinds, error, turn),
        });
        read.await.expect("reading Git neither panics nor is cancelled")
    }

    /// Without credentials, for what is here already. Whose commits are believed is no matter of credentials.
    fn repository(&self, context: &Context, signers: Option<&Found<Arc<Secret>>>) -> Result<Repository, git::Error> {
        repository(&context.cache, &self.sync, &self.plan.source, None, signers)
    }

    /// A server that keeps silent has less time for that while others wait and there is a commit to make do with.
    fn patient(&self, repository: Repository) -> Repository {
        let makes_do = self.is_awaited && self.fallback.is_some();
        if makes_do { repository.with_stall_timeout(START) } else { repository }
    }

    async fn ask(&self, context: &Context, repository: Repository) -> Result<(String, Instant), Arc<git::Error>> {
        let source = &self.plan.source;
        let secret = secret_of(&self.sync, source).map(|(namespace, name)| format!("{namespace}/{name}"));
        let (url, revision) = (source.url.clone(), source.revision.clone());
        let signers = signers_of(&self.sync, source).map(|(namespace, name)| format!("{namespace}/{name}"));
        let signers = signers.zip(source.verify.as_ref().map(|verify| verify.mode));
        let question = Question { url, secret: secret.unwrap_or_default(), revision: revision.clone(), signers };
        let (asked, answer) = context.share.ask(&question, self.beat, move || repository.fetch(&revision)).await;
        answer.map(|commit| (commit.sha, asked))
    }

    fn news(
        &self,
        repository: &Repository,
        sha: &str,
        here: &Repository,
        kinds: &Kinds,
        turn: Turn,
    ) -> Result<News, Arc<git::Error>> {
        let reading = match self.read(repository, sha, kinds) {
            Ok(reading) => reading,
            Err(error) if self.sought.is_some() => {
                return self.fall_back(here, kinds, Arc::new(error.of_rollback()), turn);
            }
            Err(error) => return Err(Arc::new(error)),
        };
        let earlier = |which: &Option<String>, but: Option<&String>| {
            let which = which.as_ref().filter(|which| *which != sha && Some(*which) != but)?;
            self.read(repository, which, kinds).ok()
        };
        let (before, begun) = (earlier(&self.before, None), earlier(&self.begun, self.before.as_ref()));
        Ok(News::Commit(reading, Box::new(Earlier { before, begun }), turn))
    }

    /// The last commit this sync is known to have had is better than none: it keeps the guard up while the server is down. And one
    /// that was synced before can be rolled back to meanwhile, if it is here.
    fn fall_back(
        &self,
        here: &Repository,
        kinds: &Kinds,
        error: Arc<git::Error>,
        turn: Turn,
    ) -> Result<News, Arc<git::Error>> {
        if self.known.is_some() {
            return Err(error);
        }
        let sought = self.sought.as_ref().and_then(Sought::known);
        let mut found = sought.into_iter().chain(&self.fallback).map(|sha| self.read(here, sha, kinds));
        match found.find_map(Result::ok) {
            Some(reading) => Ok(News::Stale(reading, error, turn)),
            None => Err(error),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_is_known_by_digits_that_mean_one_commit() {
        let synced = ["12345aa", "12345bb", "abcdef0", "12345aa"].map(str::to_owned).to_vec();
        let known = |revision: &str, found: Option<&str>| {
            let (revision, found, synced) = (revision.to_owned(), found.map(str::to_owned), synced.clone());
            Sought { revision, found, synced }.known().cloned()
        };
        assert_eq!(known("abc", None).as_deref(), Some("abcdef0"));
        assert_eq!(known("12345a", None).as_deref(), Some("12345aa"), "it is there twice, and is one");
        assert_eq!(known("12345", None), None);
        assert_eq!(known("v1.2", None), None);
        assert_eq!(known("v1.2", Some("fffffff")).as_deref(), Some("fffffff"));
    }
}
