//! From the Secret a `GitSync` names to what its repository takes. The one place where the two meet.

use super::Context;
use super::keeper::Keeper;
use crate::api::meaning::{SourcePlan, SyncPlan};
use crate::cluster;
use crate::cluster::secrets::{Secret, Versions};
use crate::git::{Access, Error, RepoUrl, Repository};

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

/// The repository of a sync, come to with what was found.
pub fn repository<S: AsRef<Secret>>(
    cache: &std::path::Path,
    sync: &str,
    source: &SourcePlan,
    found: Option<Found<S>>,
) -> Result<Repository, Error> {
    let url = RepoUrl::parse(&source.url)?;
    let Some((namespace, name)) = secret_of(sync, source) else { return Repository::open(cache, url) };
    let secret = format!("{namespace}/{name}");
    let access = found.map_or_else(|| Ok(Access::default()), |found| access(found, &url));
    match access {
        Ok(access) => Repository::open_with(cache, url, &secret, access),
        Err(reason) => Err(Error::Secret { secret, url: url.to_string(), reason }),
    }
}

fn access<S: AsRef<Secret>>(found: Found<S>, url: &RepoUrl) -> Result<Access, String> {
    let found = found.map_err(|error| error.to_string())?;
    let missing = || "there is no such Secret; create it, or take source.secretRef out".to_owned();
    let found = found.ok_or_else(missing)?;
    let Secret { kind, data, .. } = found.as_ref();
    if OF_THE_CLUSTER.contains(&kind.as_str()) {
        return Err(format!(
            "it is of type {kind}, which is for this cluster and for no Git server; create one of type Opaque"
        ));
    }
    Access::read(data, url).map_err(|unusable| unusable.to_string())
}

// === impl Keeper ===

impl Keeper {
    /// Takes part in the watch of the namespace the sync's Secret is in.
    pub(super) fn follow_secret(&mut self, plan: &SyncPlan) {
        let namespace = secret_of(&self.name, &plan.source).map(|(namespace, _)| namespace);
        self.secrets = namespace.map(|namespace| self.context.secrets.versions(namespace));
        self.secret_version = self.current_secret_version(&plan.source);
    }

    /// Looks at Git at once when the Secret of this sync has come, changed or gone; the others are none of its business.
    pub(super) fn notice_secret(&mut self) {
        let Some(plan) = &self.plan else { return };
        let version = self.current_secret_version(&plan.source);
        if version != self.secret_version {
            self.secret_version = version;
            self.poll_now();
        }
    }

    fn current_secret_version(&self, source: &SourcePlan) -> Option<String> {
        self.secrets.as_ref()?.borrow().as_ref()?.get(source.secret.as_ref()?).cloned()
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
    /// What the Secret of a sync holds now, if it names one.
    pub(super) async fn secret(&self, sync: &str, source: &SourcePlan) -> Option<Found<std::sync::Arc<Secret>>> {
        let (namespace, name) = secret_of(sync, source)?;
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
        };
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        let secret = Secret { version: "1".to_owned(), kind: kind.to_owned(), data };
        let cache = tempfile::tempdir().expect("a folder");
        repository(cache.path(), "team/api", &source, Some(Ok(Some(Arc::new(secret)))))
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
