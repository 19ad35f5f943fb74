//! From the Secrets a `GitSync` names to what its repository takes, and to whose commits are believed. The one place where they meet:
//! there is no other way to a repository, so none past `source.verify`.

use super::Context;
use super::keeper::Keeper;
use crate::api::meaning::{SourcePlan, SyncPlan, VerifyPlan};
use crate::cluster::secrets::{Secret, Versions};
use crate::cluster::{self, clock};
use crate::git::{Access, Error, RepoUrl, Repository, Signers};

/// Secrets that are credentials of the cluster itself. Whoever may write a `GitSync` must not be able to have one sent to a
/// server of their choice because it happens to have a key called `token`.
const OF_THE_CLUSTER: [&str; 2] = ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"];

/// What is known of a Secret: that it is there, that it is not, or why neither is known.
pub type Found<S> = Result<Option<S>, cluster::Error>;

/// The namespace of a sync's Secret, and the Secret's name, if it has one.
pub fn secret_of<'a>(sync: &'a str, source: &'a SourcePlan) -> Option<(&'a str, &'a str)> {
    let (namespace, _) = sync.split_once('/')?;
    Some((namespace, source.secret.as_deref()?))
}

/// The namespace of the Secret with the keys that may sign, and its name, if commits must be signed.
pub fn signers_of<'a>(sync: &'a str, source: &'a SourcePlan) -> Option<(&'a str, &'a str)> {
    let (namespace, _) = sync.split_once('/')?;
    Some((namespace, source.verify.as_ref()?.secret.as_str()))
}

/// The repository of a sync, come to with the Secret that was found, or without one; and believing who may sign by the other.
pub fn repository<S: AsRef<Secret>>(
    cache: &std::path::Path,
    sync: &str,
    source: &SourcePlan,
    found: Option<&Found<S>>,
    signers: Option<&Found<S>>,
) -> Result<Repository, Error> {
    let url = RepoUrl::parse(&source.url)?;
    let shown = url.to_string();
    let unusable = |secret: &str, reason| Error::Secret { secret: secret.to_owned(), url: shown.clone(), reason };
    let repository = match secret_of(sync, source) {
        None => Repository::open(cache, url)?,
        Some((namespace, name)) => {
            let secret = format!("{namespace}/{name}");
            let access = found.map_or_else(|| Ok(Access::default()), |found| access(found, &url));
            Repository::open_with(cache, url, &secret, access.map_err(|reason| unusable(&secret, reason))?)?
        }
    };
    let repository = repository.with_clock(clock::now);
    match signers_of(sync, source).zip(source.verify.as_ref()) {
        None => Ok(repository),
        Some(((namespace, name), verify)) => {
            let secret = format!("{namespace}/{name}");
            let signers = who_may_sign(signers, &secret, verify).map_err(|reason| unusable(&secret, reason))?;
            Ok(repository.signed_by(signers))
        }
    }
}

fn access<S: AsRef<Secret>>(found: &Found<S>, url: &RepoUrl) -> Result<Access, String> {
    let Secret { data, .. } = usable(found, "source.secretRef")?;
    Access::read(data, url).map_err(|unusable| unusable.to_string())
}

/// Without the keys nobody is believed.
fn who_may_sign<S: AsRef<Secret>>(
    found: Option<&Found<S>>,
    secret: &str,
    verify: &VerifyPlan,
) -> Result<Signers, String> {
    let found = found.ok_or("it was not read, and without it no commit is believed")?;
    let Secret { data, .. } = usable(found, "source.verify")?;
    Signers::read(secret, verify.mode, data).map_err(|unusable| unusable.to_string())
}

fn usable<'a, S: AsRef<Secret>>(found: &'a Found<S>, field: &str) -> Result<&'a Secret, String> {
    let found = found.as_ref().map_err(ToString::to_string)?;
    let missing = || format!("there is no such Secret; create it, or take {field} out");
    let found = found.as_ref().ok_or_else(missing)?.as_ref();
    if OF_THE_CLUSTER.contains(&found.kind.as_str()) {
        let kind = &found.kind;
        return Err(format!(
            "it is of type {kind}, which is for this cluster and for no Git server; create one of type Opaque"
        ));
    }
    Ok(found)
}

// === impl Keeper ===

impl Keeper {
    /// Takes part in the watch of the namespace the sync's Secrets are in.
    pub(super) fn follow_secrets(&mut self, plan: &SyncPlan) {
        let named = secret_of(&self.name, &plan.source).or_else(|| signers_of(&self.name, &plan.source));
        self.secrets = named.map(|(namespace, _)| self.context.secrets.versions(namespace));
        self.secret_versions = self.current_secret_versions(&plan.source);
    }

    /// Looks at Git at once when a Secret of this sync has come, changed or gone; the others are none of its business.
    pub(super) fn notice_secret(&mut self) {
        let Some(plan) = &self.plan else { return };
        let versions = self.current_secret_versions(&plan.source);
        if versions != self.secret_versions {
            self.secret_versions = versions;
            self.poll_now();
        }
    }

    fn current_secret_versions(&self, source: &SourcePlan) -> [Option<String>; 2] {
        let SourcePlan { secret, verify, .. } = source;
        [secret.as_ref(), verify.as_ref().map(|verify| &verify.secret)]
            .map(|name| self.secrets.as_ref()?.borrow().as_ref()?.get(name?).cloned())
    }
}

/// The next change of what may not be followed at all; never, if it is not.
pub(super) async fn changed(versions: &mut Option<Versions>) {
    // The sender lives as long as its receivers.
    let changed = match versions {
        Some(versions) => versions.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending::<()>().await;
    }
}

// === impl Context ===

impl Context {
    /// What a Secret holds now, if one is named.
    pub(super) async fn secret(&self, named: Option<(&str, &str)>) -> Option<Found<std::sync::Arc<Secret>>> {
        let (namespace, name) = named?;
        Some(self.secrets.read(namespace, name).await)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn said(kind: &str, data: &[(&str, &str)]) -> Result<Repository, Error> {
        let source = SourcePlan {
            url: "https://example.org/m.git".to_owned(),
            revision: "HEAD".to_owned(),
            path: String::new(),
            interval: Duration::from_secs(30),
            secret: Some("repo".to_owned()),
            verify: None,
        };
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        let secret = Secret { version: "1".to_owned(), kind: kind.to_owned(), data };
        let cache = tempfile::tempdir().expect("a folder");
        repository(cache.path(), "team/api", &source, Some(&Ok(Some(Arc::new(secret)))), None)
    }

    #[test]
    fn a_credential_of_the_cluster_is_sent_to_nobody() {
        for kind in OF_THE_CLUSTER {
            let error = said(kind, &[("token", "eyJhbGci"), ("ca.crt", "…")]).expect_err(kind);
            assert!(error.to_string().contains("which is for this cluster"), "{error}");
            assert_eq!(error.condition(), "SecretUnusable");
        }
        said("Opaque", &[("token", "eyJhbGci")]).expect("a token for a Git server");
    }

    #[test]
    fn what_is_wrong_with_a_secret_names_it_its_key_and_the_remedy_but_no_value() {
        let error = said("Opaque", &[("password", "hunter2")]).expect_err("no user name");
        assert_eq!(
            error.full(),
            "failed to use Secret team/repo for https://example.org/m.git: key password is there without username; add \
             username; with a token most servers take any, such as git"
        );
    }
}
