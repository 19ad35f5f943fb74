//! Which GitSyncs a question is about, and who counts as a person in this cluster.

use jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;

use super::error::Error;
use crate::api::meaning::SyncPlan;
use crate::api::policy::POLICY_NAME;
use crate::api::{DriftPolicy, GitSync, Policy};
use crate::cluster::{self, Cluster, clock};
use crate::core::exclude::Surroundings;
use crate::core::who::Identities;
use crate::reconcile::{Exempt, gather};

/// Which GitSyncs, as typed; all of them, if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Their namespace.
    pub namespace: Option<String>,
    /// The name of one.
    pub name: Option<String>,
}

/// A GitSync as far as it can be understood.
pub(super) struct Chosen {
    /// `namespace/name`.
    pub name: String,
    /// What it asks for, or what is wrong with it.
    pub plan: Result<SyncPlan, String>,
    /// Kinds (`apiVersion/Kind`) it had objects of, by its status.
    pub kinds: Vec<String>,
}

// === impl Wanted ===

impl Wanted {
    /// What `NAME` or `NAMESPACE/NAME` and `--namespace` say together.
    pub fn typed(name: Option<&str>, namespace: Option<&str>) -> Self {
        let (before, name) = match name.and_then(|name| name.split_once('/')) {
            Some((namespace, name)) => (Some(namespace), Some(name)),
            None => (None, name),
        };
        let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Self { namespace: owned(before).or(owned(namespace)), name: owned(name) }
    }

    /// Those there are of the wanted ones, sorted by name. A name alone is enough where it is the only one.
    pub(super) async fn choose(&self, cluster: &Cluster) -> Result<Vec<Chosen>, Error> {
        Ok(self.find(cluster).await?.iter().map(Chosen::of).collect())
    }

    /// The only one, as it is.
    pub async fn one(&self, cluster: &Cluster) -> Result<GitSync, Error> {
        let mut found = self.find(cluster).await?;
        let choices = found.iter().map(full_name).collect::<Vec<_>>().join(" or ");
        match (found.pop(), found.is_empty()) {
            (Some(sync), true) => Ok(sync),
            _ => Err(Error::NameOne { what: "this".to_owned(), choices }),
        }
    }

    async fn find(&self, cluster: &Cluster) -> Result<Vec<GitSync>, Error> {
        let mut found = list(cluster, self.namespace.as_deref()).await?;
        let Some(name) = &self.name else { return Ok(found) };
        let all: Vec<_> = found.iter().map(full_name).collect();
        found.retain(|sync| sync.metadata.name.as_ref() == Some(name));
        match found.len() {
            0 => Err(Error::NoSuchSync { wanted: self.to_string(), there: there_are(&all) }),
            1 => Ok(found),
            _ => {
                let choices = found.iter().map(full_name).collect::<Vec<_>>().join(" or ");
                Err(Error::NameOne { what: format!("{name} alone"), choices })
            }
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.name.as_deref().unwrap_or_default();
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{name}"),
            None => write!(f, "{name}"),
        }
    }
}

// === impl Chosen ===

impl Chosen {
    fn of(sync: &GitSync) -> Self {
        let faults =
            |faults: Vec<crate::api::FieldError>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        Self {
            name: full_name(sync),
            plan: SyncPlan::try_from(sync).map(|plan| pinned(plan, sync, clock::now())).map_err(faults),
            kinds: sync.status.as_ref().map(|status| status.kinds.clone()).unwrap_or_default(),
        }
    }
}

/// What it asks for now: while it is rolled back, the commit that is pinned.
fn pinned(mut plan: SyncPlan, sync: &GitSync, now: Timestamp) -> SyncPlan {
    let Some(rollback) = plan.rollback.as_ref().filter(|rollback| rollback.holds(now)) else { return plan };
    let known = sync.status.as_ref().and_then(|status| status.rollback.as_ref());
    let known = known.filter(|known| known.requested == rollback.revision).map(|known| known.revision.clone());
    plan.source.revision = known.unwrap_or_else(|| rollback.revision.clone());
    plan
}

/// `namespace/name`.
fn full_name(sync: &GitSync) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}/{}", text(&sync.metadata.namespace), text(&sync.metadata.name))
}

async fn list(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<GitSync>, Error> {
    let client = cluster.client().clone();
    let api: Api<GitSync> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let failed = |error: kube::Error| match cluster::Error::new("list GitSyncs", &error) {
        error if error.is_not_found() => Error::NotInstalled,
        error => Error::Cluster(error),
    };
    let syncs = api.list(&ListParams::default()).await.map_err(failed)?;
    let mut found = syncs.items;
    found.sort_by_cached_key(full_name);
    Ok(found)
}

/// What holds for the whole cluster.
pub(super) struct ClusterWide {
    /// Who counts as a person.
    pub identities: Identities,
    /// What exclusions depend on besides the objects.
    pub around: Surroundings,
    /// Does the policy only observe?
    pub observe_only: bool,
    /// What could not be seen, and what was taken instead.
    pub notes: Vec<String>,
}

/// Reads the `DriftPolicy`, and who else is at work on objects.
pub(super) async fn cluster_wide(cluster: &Cluster) -> Result<ClusterWide, Error> {
    let (policy, why) = policy(cluster).await?;
    let note = why.map(|why| format!("{why}; judged by its defaults"));
    // Who Holdfast itself is matters to verdicts on requests, and there are none here.
    let ourselves = (String::new(), String::new());
    let Policy { observe_only, controllers, interactive_managers: interactive, ignore: rules, presets, .. } = policy;
    let identities = Identities { ourselves, controllers, interactive };
    let (around, unseen) = gather(cluster, Exempt { rules, presets, ..Exempt::default() }).await;
    Ok(ClusterWide { identities, around, observe_only, notes: note.into_iter().chain(unseen).collect() })
}

/// The `DriftPolicy`, or its defaults and why it is these.
pub(super) async fn policy(cluster: &Cluster) -> Result<(Policy, Option<String>), Error> {
    let api: Api<DriftPolicy> = Api::all(cluster.client().clone());
    match api.get_opt(POLICY_NAME).await {
        Ok(None) => Ok((Policy::default(), None)),
        Ok(Some(typed)) => Ok(match Policy::try_from(&typed) {
            Ok(policy) => (policy, None),
            Err(_) => (Policy::default(), Some("the DriftPolicy makes no sense".to_owned())),
        }),
        Err(error) => match cluster::Error::new("read the DriftPolicy", &error) {
            error if error.is_refused() => Ok((Policy::default(), Some(error.to_string()))),
            error => Err(Error::Cluster(error)),
        },
    }
}

fn there_are(names: &[String]) -> String {
    if names.is_empty() { "there are none here".to_owned() } else { format!("there are: {}", names.join(", ")) }
}
