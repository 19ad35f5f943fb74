//! A pass: from a commit that was read to a cluster that equals it.
//!
//! Declare everything, refuse the commit if any of it is invalid, publish what is declared so that the guard stands before the
//! first write, write what differs in stages, and delete what left Git. Namespaces and CRDs others depend on are written
//! first, and the commit is read again: only then is it known what the rest means.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::declare::{Declared, Declaring, Undeclared, fingerprint, problem};
use super::entry::Entry;
use super::keeper::Keeper;
use super::plan::{Stage, is_tracked_by, is_within_limit, stage};
use super::prune::{Stray, too_many};
use crate::api::meaning::SyncPlan;
use crate::cluster::events::Note;
use crate::cluster::objects::Write;
use crate::cluster::{Error, Kind};
use crate::core::manifest::Manifest;
use crate::core::object::ObjectKey;
use crate::core::snapshot::{Suspension, Sync};
use crate::git::{Problem, Reading};

/// Requests under way at once in one pass: enough to keep an API server busy, few enough not to be throttled by it.
const CONCURRENCY: usize = 16;
/// How long a new CRD may take to be served.
const CRD_PATIENCE: Duration = Duration::from_secs(30);

/// What became of a commit's manifests.
#[derive(Default)]
struct Understood {
    entries: HashMap<ObjectKey, Entry>,
    /// Live objects of the entries that are to be looked at, `None` where there is none.
    live: HashMap<ObjectKey, Option<Value>>,
    premature: Vec<Problem>,
    invalid: Vec<Problem>,
    unavailable: Option<Error>,
}

/// Live objects by identity.
type Live = HashMap<ObjectKey, Value>;

// === impl Keeper ===

impl Keeper {
    /// Makes the cluster equal to this commit.
    pub(super) async fn pass(&mut self, reading: Reading) {
        let Some(plan) = self.plan.clone() else { return };
        let Reading { commit, manifests, problems } = reading;
        let again = self.observed.is_none();
        tracing::info!(sync = self.name, revision = commit.sha, manifests = manifests.len(), "read a commit");
        match self.try_pass(&plan, &commit.sha, manifests, problems, again).await {
            Ok(()) => {}
            Err(error) => {
                self.fail("ClusterUnavailable", error.to_string());
                self.context.publisher.failed(&self.name);
            }
        }
    }

    async fn try_pass(
        &mut self,
        plan: &SyncPlan,
        revision: &str,
        manifests: Vec<Manifest>,
        mut problems: Vec<Problem>,
        again: bool,
    ) -> Result<(), Error> {
        self.make_namespace(plan, &manifests).await?;
        let known = if again { self.list(&manifests).await? } else { Live::new() };
        let sync = Arc::new(facts(&self.name, plan, revision));
        let mut understood = self.understand(&sync, plan, manifests, known, again).await;
        if let Some(error) = understood.unavailable.take() {
            return Err(error);
        }
        if !understood.premature.is_empty() && self.lay_foundation(&mut understood).await? {
            self.observed = None;
            self.poll_now();
            return Ok(());
        }
        understood.invalid.append(&mut understood.premature);
        if plan.options.validate && !understood.invalid.is_empty() {
            self.observed = Some(revision.to_owned());
            self.fail("Invalid", refusal(revision, &understood.invalid));
            self.context.publisher.failed(&self.name);
            return Ok(());
        }
        problems.append(&mut understood.invalid);
        if self.synced.as_deref() == Some(revision) {
            understood.entries.values_mut().for_each(|entry| entry.pending = false);
        }
        self.failure = None;
        if let Some(accident) = self.adopt(revision, understood.entries, problems) {
            self.fail("PruneLimit", accident);
        }
        self.write(understood.live).await;
        self.prune().await;
        if self.failure.is_none() && self.problems.is_empty() && !self.is_paused() {
            self.arrive(revision);
        }
        Ok(())
    }

    /// The cluster equals this commit.
    fn arrive(&mut self, revision: &str) {
        let before = self.synced.replace(revision.to_owned());
        if before.as_deref() != Some(revision) {
            let text = format!("{} objects were made equal to {revision}", self.entries.len());
            tracing::info!(sync = self.name, revision, objects = self.entries.len(), "synced");
            self.note(Note { reason: "Synced".to_owned(), text, warning: false });
        }
    }

    /// Every object that carries our label, of the kinds this commit has and those the last one had.
    async fn list(&mut self, manifests: &[Manifest]) -> Result<Live, Error> {
        let text = |manifest: &Manifest, name| manifest.value.get(name).and_then(Value::as_str).map(str::to_owned);
        let of = |manifest| text(manifest, "apiVersion").zip(text(manifest, "kind"));
        let mut kinds: BTreeSet<_> = manifests.iter().filter_map(of).collect();
        kinds.extend(self.kinds_before().filter_map(|name| {
            let (api_version, kind) = name.rsplit_once('/')?;
            Some((api_version.to_owned(), kind.to_owned()))
        }));
        let mut live = Live::new();
        for (api_version, kind) in kinds {
            let Some(kind) = self.context.cluster.kind(&api_version, &kind).await? else { continue };
            for object in self.context.cluster.list_managed(&kind).await? {
                let Some(key) = ObjectKey::of(&object) else { continue };
                if is_tracked_by(&self.name, &key, &object) {
                    let stray = Stray { kind: kind.clone(), kept: None };
                    self.strays.entry(key.clone()).or_insert(stray);
                }
                live.insert(key, object);
            }
        }
        Ok(live)
    }

    /// Declares every manifest; what has not changed since the last commit is known already.
    async fn understand(
        &self,
        sync: &Arc<Sync>,
        plan: &SyncPlan,
        manifests: Vec<Manifest>,
        mut known: Live,
        again: bool,
    ) -> Understood {
        let identities = &self.context.rules.borrow().identities.clone();
        let around = &self.around.borrow().clone();
        let declaring = Declaring { cluster: &self.context.cluster, sync, rules: &plan.ignore, around, identities };
        let mut understood = Understood::default();
        let mut asked = Vec::new();
        for manifest in manifests {
            if let Some(other) = self.context.publisher.claimed_by_other(&self.name, &manifest.key) {
                let reason = format!("{} is declared by GitSync {other} already; remove it from one", manifest.key);
                understood.invalid.push(problem(&manifest, reason));
                continue;
            }
            let live = known.remove(&manifest.key);
            let fingerprint = fingerprint(&manifest);
            match self.entries.get(&manifest.key).filter(|entry| entry.fingerprint == fingerprint) {
                Some(entry) => {
                    let managed = declaring.again(manifest, &entry.managed, &entry.kind);
                    let entry = entry.renewed(managed);
                    if again { understood.look_at(entry, live) } else { understood.keep(entry) }
                }
                None => asked.push(declaring.declare(manifest, live)),
            }
        }
        let mut answers = futures::stream::iter(asked).buffer_unordered(CONCURRENCY);
        while let Some(answer) = answers.next().await {
            understood.hear(answer);
        }
        understood
    }

    /// Writes the namespaces and CRDs this commit brings, if it brings any that are not there. `false`: it does not.
    async fn lay_foundation(&mut self, understood: &mut Understood) -> Result<bool, Error> {
        let missing = |(key, entry): (&ObjectKey, &Entry)| {
            (stage(key) == Stage::Foundation && understood.live.get(key) == Some(&None))
                .then(|| (entry.kind.clone(), entry.managed.clone()))
        };
        let missing: Vec<_> = understood.entries.iter().filter_map(missing).collect();
        if self.is_paused() || missing.is_empty() {
            return Ok(false);
        }
        for (kind, managed) in &missing {
            let manifest = &managed.manifest;
            self.context.cluster.apply(kind, &manifest.key, &manifest.value, Write::Real).await?;
            self.context.applied(managed, &[]);
            if manifest.key.kind == "CustomResourceDefinition" {
                self.wait_until_served(kind, &manifest.key).await?;
            }
        }
        self.context.cluster.refresh().await?;
        Ok(true)
    }

    pub(super) async fn wait_until_served(&self, kind: &Kind, key: &ObjectKey) -> Result<(), Error> {
        let deadline = Instant::now() + CRD_PATIENCE;
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        while Instant::now() < deadline {
            pause.tick().await;
            let crd = self.context.cluster.get(kind, key).await?;
            if crd.is_some_and(|crd| is_established(&crd)) {
                return Ok(());
            }
        }
        tracing::warn!(sync = self.name, crd = %key, "still not served; going on without it");
        Ok(())
    }

    /// Takes over what a commit declares. What left Git becomes a stray; while parts of the commit could not be read, nothing
    /// has left it, and what those parts declared before still holds. So it does when so much left at once that it looks like an
    /// accident: what is withheld from pruning keeps its guard, too. Says so then.
    fn adopt(&mut self, revision: &str, entries: HashMap<ObjectKey, Entry>, problems: Vec<Problem>) -> Option<String> {
        let leaving = self.entries.keys().filter(|key| !entries.contains_key(*key)).count();
        let prunes = self.plan.as_ref().is_some_and(|plan| plan.prune);
        let accident = prunes && problems.is_empty() && !is_within_limit(leaving, entries.len());
        let accident = accident.then(|| too_many(leaving, entries.len()));
        let complete = problems.is_empty() && accident.is_none();
        for (key, entry) in std::mem::replace(&mut self.entries, entries) {
            if let Some(renewed) = self.entries.get_mut(&key) {
                let says_otherwise = renewed.fingerprint != entry.fingerprint;
                renewed.held_open = says_otherwise && entry.glass.is_some() && entry.drifted.is_some();
                continue;
            }
            if complete {
                self.strays.insert(key, Stray { kind: entry.kind, kept: None });
            } else {
                self.entries.insert(key, entry);
            }
        }
        let Self { strays, entries, .. } = self;
        strays.retain(|key, _| !entries.contains_key(key));
        let kinds: std::collections::HashSet<_> = entries.values().map(|entry| entry.kind.clone()).collect();
        for kind in kinds {
            // Nobody listens only when the process is stopping.
            self.wanted.send(kind).ok();
        }
        self.context.publisher.declare(&self.name, entries.values().map(|entry| entry.managed.clone()).collect());
        self.take_surroundings();
        self.observed = Some(revision.to_owned());
        self.problems = problems;
        accident
    }

    /// Writes what differs, stage by stage.
    async fn write(&mut self, mut live: HashMap<ObjectKey, Option<Value>>) {
        for stage_now in [Stage::Foundation, Stage::Access, Stage::Rest] {
            let keys: Vec<_> = live.keys().filter(|key| stage(key) == stage_now).cloned().collect();
            let batch = keys.into_iter().filter_map(|key| live.remove_entry(&key)).collect();
            self.settle_all(batch).await;
        }
    }

    /// `CreateNamespace=true`: makes the destination unless it is there, or the commit itself declares it.
    async fn make_namespace(&self, plan: &SyncPlan, manifests: &[Manifest]) -> Result<(), Error> {
        let key =
            ObjectKey { group: String::new(), kind: "Namespace".into(), namespace: None, name: plan.namespace.clone() };
        let declared = manifests.iter().any(|manifest| manifest.key == key);
        let Some(kind) = self.context.cluster.kind("v1", "Namespace").await? else { return Ok(()) };
        if !plan.options.create_namespace || declared || self.is_paused() {
            return Ok(());
        }
        if self.context.cluster.get(&kind, &key).await?.is_none() {
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": key.name}});
            self.context.cluster.apply(&kind, &key, &body, Write::Real).await?;
        }
        Ok(())
    }
}

// === impl Understood ===

impl Understood {
    fn keep(&mut self, entry: Entry) {
        self.entries.insert(entry.managed.manifest.key.clone(), entry);
    }

    /// An entry that is to be looked at, and the object as it is.
    fn look_at(&mut self, entry: Entry, live: Option<Value>) {
        self.live.insert(entry.managed.manifest.key.clone(), live);
        self.keep(entry);
    }

    fn hear(&mut self, answer: Result<Declared, Undeclared>) {
        match answer {
            Ok(Declared { managed, kind, live }) => {
                let fingerprint = fingerprint(&managed.manifest);
                self.look_at(Entry::new(Arc::new(managed), kind, fingerprint), live);
            }
            Err(Undeclared::Premature(problem)) => self.premature.push(problem),
            Err(Undeclared::Invalid(problem) | Undeclared::Refused(problem)) => self.invalid.push(problem),
            Err(Undeclared::Unavailable(error)) => self.unavailable = Some(error),
        }
    }
}

/// What a verdict needs to know of this sync at this commit.
pub fn facts(name: &str, plan: &SyncPlan, revision: &str) -> Sync {
    Sync {
        name: name.to_owned(),
        repository: plan.source.url.clone(),
        target: plan.source.revision.clone(),
        revision: revision.to_owned(),
        mode: plan.admission.mode.into(),
        undeclared: plan.admission.undeclared.into(),
        self_heal: plan.self_heal,
        suspension: plan
            .suspend
            .as_ref()
            .map(|suspend| Suspension { reason: suspend.reason.clone(), until: suspend.until }),
    }
}

fn is_established(crd: &Value) -> bool {
    let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").is_some_and(|kind| kind == "Established")
            && condition.get("status").is_some_and(|status| status == "True")
    })
}

fn refusal(revision: &str, problems: &[Problem]) -> String {
    let short = revision.get(..7).unwrap_or(revision);
    let said: Vec<_> = problems.iter().take(5).map(ToString::to_string).collect();
    let more = problems.len().saturating_sub(5);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("commit {short} was refused before any of it was written: {}{more}", said.join("; "))
}
