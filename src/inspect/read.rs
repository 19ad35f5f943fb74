//! What Git says of one GitSync: at the revision it follows, at another one, or in a folder that is not even committed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::Error;
use crate::api::meaning::SyncPlan;
use crate::cluster::secrets::Secret;
use crate::cluster::{Cluster, Kinds};
use crate::core::manifest::Manifest;
use crate::core::snapshot::Sync;
use crate::git::{self, Problem, RenderOptions};
use crate::reconcile::credentials::{Found, repository, secret_of, signers_of};
use crate::reconcile::pass::facts;

/// Which state of Git is in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// What the GitSync follows, as of now.
    Followed,
    /// Another commit of its repository.
    Revision(String),
    /// A folder of this machine, in the place of the GitSync's folder.
    Folder(PathBuf),
}

/// What Git says of one GitSync.
pub(super) struct Said {
    /// The sync, at the commit in question.
    pub sync: Arc<Sync>,
    /// What is declared.
    pub manifests: Vec<Manifest>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// Reads it. Clones are kept below `cache`.
pub(super) async fn read(
    name: &str,
    plan: &SyncPlan,
    target: &Target,
    cache: &Path,
    cluster: &Cluster,
) -> Result<Said, Error> {
    let kinds = cluster.kinds().await;
    // With the rights of whoever asks: a private repository is read by those who may read its Secret.
    let is_folder = matches!(target, Target::Folder(_));
    let secret = async |named: Option<(&str, &str)>| {
        let (namespace, secret) = named.filter(|_| !is_folder)?;
        Some(cluster.secret(namespace, secret).await.map(|found| found.map(Arc::new)))
    };
    let secrets = [secret(secret_of(name, &plan.source)).await, secret(signers_of(name, &plan.source)).await];
    let (name, plan, target, cache) = (name.to_owned(), plan.clone(), target.clone(), cache.to_owned());
    let reading = tokio::task::spawn_blocking(move || read_now(&name, &plan, &target, &cache, &kinds, &secrets));
    reading.await.expect("reading Git is neither cancelled nor panics")
}

fn read_now(
    name: &str,
    plan: &SyncPlan,
    target: &Target,
    cache: &Path,
    kinds: &Kinds,
    [secret, signers]: &[Option<Found<Arc<Secret>>>; 2],
) -> Result<Said, Error> {
    let options = RenderOptions {
        default_namespace: Some(&plan.namespace),
        sync: name,
        cluster_scoped: &|group, kind| kinds.namespaced(group, kind).map(|namespaced| !namespaced),
    };
    let revision = match target {
        Target::Folder(folder) => return read_folder(name, plan, folder, &options),
        Target::Followed => &plan.source.revision,
        Target::Revision(revision) => revision,
    };
    let read = || {
        let repository = repository(cache, name, &plan.source, secret.as_ref(), signers.as_ref())?;
        git::read(&repository, revision, &plan.source.path, &options)
    };
    let reading = read().map_err(|source| Error::Git { sync: name.to_owned(), source })?;
    let sync = Sync { target: revision.clone(), ..facts(name, plan, &reading.commit.sha) };
    Ok(Said { sync: Arc::new(sync), manifests: reading.manifests, problems: reading.problems })
}

fn read_folder(name: &str, plan: &SyncPlan, folder: &Path, options: &RenderOptions<'_>) -> Result<Said, Error> {
    let (manifests, problems) = git::read_folder(folder, options).map_err(Error::Folder)?;
    let shown = folder.display().to_string();
    let sync = Sync { repository: shown, target: "as it is".to_owned(), ..facts(name, plan, "") };
    Ok(Said { sync: Arc::new(sync), manifests, problems })
}
