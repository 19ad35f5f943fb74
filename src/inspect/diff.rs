//! Comparing all of one or more GitSyncs with the cluster: `holdfast diff`.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use futures::StreamExt;
use serde_json::Value;

use super::coming::Coming;
use super::error::{Error, chain};
use super::finding::{Finding, Judging};
use super::read::{Said, Target, read};
use super::refusal::{resource, with_remedy};
use super::report::{Report, Trouble};
use super::syncs::{Chosen, ClusterWide, Wanted, cluster_wide};
use crate::api::meaning::SyncPlan;
use crate::cluster::{Cluster, Kind, clock};
use crate::core::manifest::Manifest;
use crate::core::object::ObjectKey;
use crate::core::path::Path;
use crate::core::snapshot::Sync;
use crate::reconcile::declare::{Declared, Declaring, Undeclared, problem};
use crate::reconcile::plan::is_tracked_by;

/// Requests under way at once, as in the reconciler.
const CONCURRENCY: usize = 16;

/// What to compare.
pub struct Comparing<'a> {
    /// With which cluster.
    pub cluster: &'a Cluster,
    /// Which GitSyncs.
    pub wanted: Wanted,
    /// Which state of Git.
    pub target: Target,
    /// Where clones of repositories are kept.
    pub cache: PathBuf,
    /// Told what is being done, for whoever waits.
    pub progress: &'a dyn Fn(&str),
}

/// Live objects by identity.
type Live = HashMap<ObjectKey, Value>;

// === impl Comparing ===

impl Comparing<'_> {
    /// Compares. What cannot be read or judged is reported and the rest is judged nevertheless.
    pub async fn compare(&self) -> Result<Report, Error> {
        let chosen = self.wanted.choose(self.cluster).await?;
        if self.target != Target::Followed && chosen.len() != 1 {
            let choices: Vec<_> = chosen.iter().map(|sync| sync.name.as_str()).collect();
            return Err(Error::NameOne { what: self.target.to_string(), choices: choices.join(", ") });
        }
        let ClusterWide { identities, around, observe_only, notes } = cluster_wide(self.cluster).await?;
        let mut comparison = Comparison {
            asking: self,
            judging: Judging { identities: &identities, around: &around, observe_only, now: clock::now() },
            report: Report { notes, ..Report::default() },
            claimed: HashMap::new(),
        };
        for sync in &chosen {
            comparison.sync(sync).await?;
        }
        comparison.report.objects.sort_by(|a, b| place(a).cmp(&place(b)));
        Ok(comparison.report)
    }
}

/// A comparison under way.
struct Comparison<'a> {
    asking: &'a Comparing<'a>,
    judging: Judging<'a>,
    report: Report,
    /// Which sync declares an object.
    claimed: HashMap<ObjectKey, String>,
}

// === impl Comparison ===

impl Comparison<'_> {
    async fn sync(&mut self, chosen: &Chosen) -> Result<(), Error> {
        let Comparing { cluster, target, cache, progress, .. } = self.asking;
        self.report.syncs.push(chosen.name.clone());
        let plan = match &chosen.plan {
            Ok(plan) => plan,
            Err(faults) => {
                self.trouble(&chosen.name, faults.clone());
                return Ok(());
            }
        };
        progress(&format!("{}: reading {}", chosen.name, self.asking.source(plan)));
        match read(&chosen.name, plan, target, cache, cluster).await {
            Ok(said) => self.said(chosen, plan, said).await,
            Err(Error::Git { source, .. }) => {
                self.trouble(&chosen.name, chain(&source));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn said(&mut self, chosen: &Chosen, plan: &SyncPlan, said: Said) -> Result<(), Error> {
        let Said { sync, manifests, problems } = said;
        let complete = problems.is_empty();
        self.report.problems.extend(problems.into_iter().map(|problem| Trouble::of(&sync.name, problem)));
        let manifests = self.unclaimed(&sync.name, manifests);
        let declared: BTreeSet<_> = manifests.iter().map(|manifest| manifest.key.clone()).collect();
        let mut live = self.live(chosen, plan, &manifests).await?;
        self.judge(&sync, plan, manifests, &mut live).await?;
        live.retain(|key, _| !declared.contains(key));
        if complete {
            self.strays(&sync, plan, &live);
        } else {
            let note = "objects that left Git are not looked for while some of it cannot be read";
            self.report.notes.push(format!("{}: {note}", sync.name));
        }
        Ok(())
    }

    async fn judge(
        &mut self,
        sync: &Arc<Sync>,
        plan: &SyncPlan,
        manifests: Vec<Manifest>,
        live: &mut Live,
    ) -> Result<(), Error> {
        let coming = Coming::of(plan, &manifests);
        let Judging { identities, around, .. } = self.judging;
        let mut around = around.clone();
        around.add_declared(&manifests);
        let around = &around;
        let declaring = Declaring { cluster: self.asking.cluster, sync, rules: &plan.ignore, around, identities };
        let total = manifests.len();
        let declare = async |manifest: Manifest, known| (manifest.clone(), declaring.declare(manifest, known).await);
        let asked: Vec<_> = manifests
            .into_iter()
            .map(|manifest| {
                let known = live.remove(&manifest.key);
                declare(manifest, known)
            })
            .collect();
        let mut answers = futures::stream::iter(asked).buffer_unordered(CONCURRENCY);
        while let Some((manifest, answer)) = answers.next().await {
            self.report.judged += 1;
            (self.asking.progress)(&format!("{}: judging {} of {total} objects", sync.name, self.report.judged));
            match answer {
                Ok(declared) => self.report.objects.extend(self.declared(&manifest, &declared)),
                Err(Undeclared::Premature(_)) if coming.brings(&manifest) => {
                    self.report.objects.push(self.judging.missing(sync, &manifest, None));
                }
                Err(undeclared) => self.undeclared(&manifest, undeclared, sync).await?,
            }
        }
        Ok(())
    }

    fn declared(&self, manifest: &Manifest, Declared { managed, live, .. }: &Declared) -> Option<Finding> {
        if let Some(live) = live {
            return self.judging.managed(managed, live);
        }
        let excluded = managed.exclusions.covering(&Path::default());
        Some(self.judging.missing(&managed.sync, manifest, excluded))
    }

    async fn undeclared(&mut self, manifest: &Manifest, why: Undeclared, sync: &Sync) -> Result<(), Error> {
        let problem = match why {
            Undeclared::Unavailable(error) => return Err(error.into()),
            Undeclared::Premature(problem)
            | Undeclared::Stuck(problem)
            | Undeclared::Invalid(problem)
            | Undeclared::Forbidden(problem)
            | Undeclared::Refused(problem) => problem,
        };
        let trouble = Trouble::of(&sync.name, problem);
        self.report.problems.push(self.asking.with_remedy(trouble, manifest).await);
        Ok(())
    }

    /// What says it is this sync's and is not declared any more.
    fn strays(&mut self, sync: &Sync, plan: &SyncPlan, undeclared: &Live) {
        let strays = undeclared.iter().filter(|(key, object)| {
            object.pointer("/metadata/deletionTimestamp").is_none() && is_tracked_by(&sync.name, key, object)
        });
        let findings = strays.map(|(key, live)| self.judging.unwanted(sync, plan.prune, key, live));
        self.report.objects.extend(findings);
    }

    /// Those manifests no other GitSync has declared before; the others are a conflict.
    fn unclaimed(&mut self, sync: &str, manifests: Vec<Manifest>) -> Vec<Manifest> {
        let mut unclaimed = Vec::new();
        for manifest in manifests {
            if let Some(other) = self.claimed.get(&manifest.key) {
                let reason = format!("{} is declared by GitSync {other} already; remove it from one", manifest.key);
                self.report.problems.push(Trouble::of(sync, problem(&manifest, reason)));
                continue;
            }
            self.claimed.insert(manifest.key.clone(), sync.to_owned());
            unclaimed.push(manifest);
        }
        unclaimed
    }

    /// Every object that carries our label, of the kinds Git declares and those it declared before, as far as one may look.
    async fn live(&mut self, chosen: &Chosen, plan: &SyncPlan, manifests: &[Manifest]) -> Result<Live, Error> {
        let text = |manifest: &Manifest, name| manifest.value.get(name).and_then(Value::as_str).map(str::to_owned);
        let of = |manifest| text(manifest, "apiVersion").zip(text(manifest, "kind"));
        let mut kinds: BTreeSet<_> = manifests.iter().filter_map(of).collect();
        let before = chosen.kinds.iter().filter_map(|name| name.rsplit_once('/'));
        kinds.extend(before.map(|(api_version, kind)| (api_version.to_owned(), kind.to_owned())));
        let mut namespaces: BTreeSet<_> =
            manifests.iter().filter_map(|manifest| manifest.key.namespace.as_deref()).collect();
        namespaces.insert(&plan.namespace);
        let (mut live, mut hidden) = (Live::new(), Vec::new());
        for (api_version, kind) in kinds {
            let Some(kind) = self.asking.cluster.kind(&api_version, &kind).await? else { continue };
            (self.asking.progress)(&format!("{}: listing {}", chosen.name, kind.resource.plural));
            let (listed, everywhere) = self.list(&kind, &namespaces).await?;
            live.extend(listed.into_iter().filter_map(|object| Some((ObjectKey::of(&object)?, object))));
            hidden.extend((!everywhere).then(|| resource(&kind)));
        }
        if !hidden.is_empty() {
            let note = "you may not list these in all namespaces, so some that left Git may be missed";
            self.report.notes.push(format!("{}: {note}: {}", chosen.name, hidden.join(", ")));
        }
        Ok(live)
    }

    /// Who may not look everywhere looks where the sync's objects are; who may not even do that asks for each object. Also says
    /// whether it was possible to look everywhere.
    async fn list(&self, kind: &Kind, namespaces: &BTreeSet<&str>) -> Result<(Vec<Value>, bool), Error> {
        let cluster = self.asking.cluster;
        match cluster.list_managed(kind).await {
            Err(error) if error.is_refused() => {}
            listed => return Ok((listed?, true)),
        }
        let mut found = Vec::new();
        for namespace in namespaces.iter().filter(|_| kind.namespaced) {
            match cluster.list_managed_in(kind, namespace).await {
                Err(error) if error.is_refused() => {}
                listed => found.extend(listed?),
            }
        }
        Ok((found, false))
    }

    fn trouble(&mut self, sync: &str, reason: String) {
        self.report.problems.push(Trouble { sync: sync.to_owned(), file: None, line: None, reason });
    }
}

/// By sync, then in Git's order, and what Git does not declare last.
fn place(finding: &Finding) -> (&str, bool, Option<&str>, Option<u32>, &ObjectKey) {
    let Finding { sync, file, line, object, .. } = finding;
    (sync, file.is_none(), file.as_deref(), *line, object)
}

// === impl Comparing ===

impl Comparing<'_> {
    fn source(&self, plan: &SyncPlan) -> String {
        match &self.target {
            Target::Followed => plan.source.url.clone(),
            other => other.to_string(),
        }
    }

    async fn with_remedy(&self, trouble: Trouble, manifest: &Manifest) -> Trouble {
        let text = |name| manifest.value.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = self.cluster.kinds().await.get(text("apiVersion"), text("kind"));
        let Some(kind) = kind else { return trouble };
        let reason = with_remedy(&trouble.reason, &kind, manifest.key.namespace.as_deref());
        Trouble { reason, ..trouble }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Followed => write!(f, "what is followed"),
            Self::Revision(revision) => write!(f, "--revision {revision}"),
            Self::Folder(folder) => write!(f, "--path {}", folder.display()),
        }
    }
}
