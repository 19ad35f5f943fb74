//! Finding out who declares an object, and explaining it: `holdfast explain`.

use std::path::PathBuf;

use serde_json::Value;

use super::error::{Error, chain};
use super::explanation::{Case, Explanation};
use super::finding::Judging;
use super::read::{Said, Target, read};
use super::refusal::with_remedy;
use super::syncs::{Chosen, ClusterWide, Wanted, cluster_wide};
use super::unmanaged::{Known, why};
use crate::api::meaning::SyncPlan;
use crate::cluster::{self, Cluster, Kind, TypedKind, clock};
use crate::core::names::TRACKING_ID;
use crate::core::object::ObjectKey;
use crate::core::state::State;
use crate::reconcile::declare::{Declared, Declaring, Undeclared};

/// What to explain.
pub struct Explaining<'a> {
    /// In which cluster.
    pub cluster: &'a Cluster,
    /// `KIND/NAME`, as typed.
    pub object: String,
    /// Its namespace, if its kind lives in namespaces.
    pub namespace: String,
    /// Where clones of repositories are kept.
    pub cache: PathBuf,
    /// Told what is being done, for whoever waits.
    pub progress: &'a dyn Fn(&str),
}

/// The GitSync that declares an object.
struct Found {
    plan: SyncPlan,
    said: Said,
    at: usize,
}

/// The object that was typed.
struct Addressed {
    kind: Kind,
    key: ObjectKey,
    /// Other kinds of that name.
    others: Vec<Kind>,
}

// === impl Explaining ===

impl Explaining<'_> {
    /// Explains. The notes say what whoever reads this should know besides.
    pub async fn explain(&self) -> Result<(Explanation, Vec<String>), Error> {
        let Addressed { kind, key, others } = self.addressed().await?;
        let live = self.cluster.get(&kind, &key).await?;
        let ClusterWide { identities, around, observe_only, mut notes } = cluster_wide(self.cluster).await?;
        let syncs = self.syncs(live.as_ref()).await?;
        let judging = Judging { identities: &identities, around: &around, observe_only, now: clock::now() };
        let mut revisions = Vec::new();
        for sync in &syncs {
            match self.look(sync, &key).await {
                Ok((Some(found), _)) => return Ok((self.declared(found, live, judging).await?, notes)),
                Ok((None, revision)) => revisions.push((sync.name.clone(), revision)),
                Err(reason) => notes.push(format!("{} could not be read, and may declare it: {reason}", sync.name)),
            }
        }
        let Some(live) = live else {
            let elsewhere = "; name another namespace with -n if it is not this one";
            let hints = notes.iter().map(|note| format!("; {note}"));
            let hints = hints.chain(kind.namespaced.then(|| elsewhere.to_owned())).chain(of_other_kinds(&others));
            return Err(Error::NoSuchObject { object: key.to_string(), hint: hints.collect() });
        };
        let prune = |sync: &str| {
            let plan = syncs.iter().find(|known| known.name == sync).and_then(|known| known.plan.as_ref().ok());
            plan.is_some_and(|plan| plan.prune)
        };
        let known =
            Known { revisions: &revisions, exists: &|name| syncs.iter().any(|sync| sync.name == name), prune: &prune };
        Ok((Explanation::unmanaged(key.clone(), why(&key, &live, &known)), notes))
    }

    /// The kind and the object that was typed.
    async fn addressed(&self) -> Result<Addressed, Error> {
        let typed = &self.object;
        let parts = typed.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty());
        let (kind, name) = parts.ok_or_else(|| Error::NotAnObject { typed: typed.clone() })?;
        let mut named = self.cluster.kinds_named(&TypedKind::new(kind)).await?.into_iter();
        let kind = named.next().ok_or_else(|| Error::NoSuchKind { typed: kind.to_owned() })?;
        let key = ObjectKey {
            group: kind.resource.group.clone(),
            kind: kind.resource.kind.clone(),
            namespace: kind.namespaced.then(|| self.namespace.clone()),
            name: name.to_owned(),
        };
        Ok(Addressed { kind, key, others: named.collect() })
    }

    /// Every GitSync, the one that says it manages the object first: usually it is the only one that has to be read.
    async fn syncs(&self, live: Option<&Value>) -> Result<Vec<Chosen>, Error> {
        let mut syncs = Wanted::default().choose(self.cluster).await?;
        let id = live.and_then(|live| State::whole(live).annotation(TRACKING_ID)).unwrap_or_default();
        let owner = id.split(':').next().unwrap_or_default();
        syncs.sort_by_key(|sync| sync.name != owner);
        Ok(syncs)
    }

    /// What this GitSync declares of the object, if anything, and the commit that was looked at.
    async fn look(&self, sync: &Chosen, key: &ObjectKey) -> Result<(Option<Found>, String), String> {
        let plan = sync.plan.clone()?;
        (self.progress)(&format!("{}: reading {}", sync.name, plan.source.url));
        let said = read(&sync.name, &plan, &Target::Followed, &self.cache, self.cluster).await;
        let said = said.map_err(|error| chain(&error))?;
        let revision = said.sync.revision.clone();
        let at = said.manifests.iter().position(|manifest| manifest.key == *key);
        Ok((at.map(|at| Found { plan, said, at }), revision))
    }

    async fn declared(&self, found: Found, live: Option<Value>, judging: Judging<'_>) -> Result<Explanation, Error> {
        let Found { plan, mut said, at } = found;
        let Judging { identities, around, .. } = judging;
        let mut around = around.clone();
        around.add_declared(&said.manifests);
        let (around, manifest) = (&around, said.manifests.swap_remove(at));
        let declaring = Declaring { cluster: self.cluster, sync: &said.sync, rules: &plan.ignore, around, identities };
        // Read again rather than handed over: Git may declare it in another version than kubectl prefers.
        drop(live);
        let key = manifest.key.clone();
        let declared = declaring.declare(manifest, None).await;
        let Declared { managed, live, .. } = match declared {
            Ok(declared) => declared,
            Err(undeclared) => return Err(self.undeclared(undeclared, &key).await),
        };
        Ok(Explanation::of(&Case { managed: &managed, live: live.as_ref(), judging }))
    }

    async fn undeclared(&self, why: Undeclared, key: &ObjectKey) -> Error {
        let problem = match why {
            Undeclared::Unavailable(error) => return error.into(),
            Undeclared::Premature(problem)
            | Undeclared::Stuck(problem)
            | Undeclared::Invalid(problem)
            | Undeclared::Forbidden(problem)
            | Undeclared::Refused(problem) => problem,
        };
        let kinds = self.cluster.kinds_named(&TypedKind::new(&format!("{}.{}", key.kind, key.group))).await;
        let reason = match kinds.unwrap_or_default().first() {
            Some(kind) => with_remedy(&problem.to_string(), kind, key.namespace.as_deref()),
            None => problem.to_string(),
        };
        cluster::Error { doing: format!("read what {key} declares"), cause: cluster::Cause::Refused(reason) }.into()
    }
}

fn of_other_kinds(others: &[Kind]) -> Option<String> {
    let named = others.iter().map(|kind| format!("{}.{}", kind.resource.kind, kind.resource.group));
    let named = named.collect::<Vec<_>>().join(", ");
    (!named.is_empty()).then(|| format!("; other kinds go by that name: {named}"))
}
