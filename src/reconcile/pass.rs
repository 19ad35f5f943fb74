//! A pass: from a commit that was read to a cluster that equals it.
//!
//! Declare everything, refuse the commit if any of it is invalid, publish what is declared so that the guard stands before the
//! first write, write what differs in stages, and delete what left Git. Namespaces and CRDs others depend on are written
//! first, and the commit is read again: only then is it known what the rest means.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use serde_json::Value;

use super::census::Live;
use super::claims::Claim;
use super::declare::{Declared, Declaring, Undeclared, fingerprint};
use super::entry::Entry;
use super::keeper::Keeper;
use super::plan::{Stage, is_within_limit, stage};
use super::prune::{Stray, too_many};
use super::status::Failure;
use crate::api::meaning::SyncPlan;
use crate::cluster::Error;
use crate::cluster::events::Note;
use crate::cluster::objects::Write;
use crate::core::manifest::Manifest;
use crate::core::object::ObjectKey;
use crate::core::snapshot::{Suspension, Sync};
use crate::git::{Problem, Reading};

/// Requests under way at once in one pass: enough to keep an API server busy, few enough not to be throttled by it.
const CONCURRENCY: usize = 16;

/// Reason of the failure when a commit is not applied at all.
const REFUSED: &str = "Invalid";

/// What became of a commit's manifests.
#[derive(Default)]
struct Understood {
    entries: HashMap<ObjectKey, Entry>,
    /// Live objects of the entries that are to be looked at, `None` where there is none.
    live: HashMap<ObjectKey, Option<Value>>,
    /// Objects of kinds, or in namespaces, that are not there yet.
    premature: Vec<Problem>,
    /// Objects that exist and cannot become what this commit says.
    stuck: Vec<Problem>,
    invalid: Vec<Problem>,
    /// Objects another sync keeps.
    lost: HashSet<ObjectKey>,
    unavailable: Option<Error>,
}

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
            Err(error) if error.is_not_leading() => {
                self.interrupt();
                self.context.publisher.failed(&self.name);
            }
            Err(error) => {
                self.fail("ClusterUnavailable", error.to_string());
                self.context.publisher.failed(&self.name);
            }
        }
    }

    /// The first pass after a start, to another commit than the cluster was equal to before. What is wrong with an object whose
    /// manifest is still the same has drifted meanwhile. And if this commit is refused, the one before stays in force.
    pub(super) async fn pass_after_start(&mut self, reading: Reading, before: Reading) {
        self.before =
            before.manifests.iter().map(|manifest| (manifest.key.clone(), fingerprint(&manifest.text()))).collect();
        self.pass(reading).await;
        self.before.clear();
        let is_refused = |failure: &Failure| failure.reason == REFUSED;
        if self.entries.is_empty() && self.failure.as_ref().is_some_and(is_refused) {
            let (refusal, refused) = (self.failure.take(), self.observed.take());
            self.pass(before).await;
            self.complete = false;
            self.failure = refusal;
            self.observed = refused;
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
        if !self.keeps_out(revision) {
            self.make_namespace(plan, &manifests).await?;
        }
        let known = if again { self.list(&manifests).await? } else { Live::new() };
        let sync = Arc::new(facts(&self.name, plan, revision));
        let mut understood = self.understand(&sync, plan, manifests, known, again).await;
        if let Some(error) = understood.unavailable.take() {
            return Err(error);
        }
        if !understood.premature.is_empty() && !self.keeps_out(revision) && self.lay_foundation(&mut understood).await?
        {
            self.observed = None;
            self.poll_now();
            return Ok(());
        }
        if plan.options.validate && !understood.invalid.is_empty() {
            self.observed = Some(revision.to_owned());
            self.fail(REFUSED, refusal(revision, &understood.invalid));
            self.context.publisher.failed(&self.name);
            return Ok(());
        }
        problems.append(&mut understood.invalid);
        let mut hindered = understood.premature;
        hindered.append(&mut understood.stuck);
        let is_synced = self.synced.as_deref() == Some(revision);
        for (key, entry) in &mut understood.entries {
            entry.pending &= !is_synced && self.before.get(key) != Some(&entry.fingerprint);
        }
        self.failed_before = self.failure.take().or(self.failed_before.take());
        self.complete = false;
        self.lost = understood.lost;
        let is_complete = problems.is_empty() && hindered.is_empty();
        self.problems = problems;
        let mut renewed = self.excluded_otherwise(&understood.entries);
        self.make_peace(&renewed);
        self.windows.declare(revision, plan);
        if let Some(accident) = self.adopt(revision, understood.entries, is_complete) {
            self.fail("PruneLimit", accident);
        }
        renewed.extend(self.take_surroundings());
        renewed.retain(|key| !understood.live.contains_key(key));
        self.write(understood.live).await;
        for key in renewed {
            self.miss(key).await;
        }
        self.tell_what_failed(&hindered);
        self.prune().await;
        self.complete = self.failure.is_none() && self.problems.is_empty() && self.lost.is_empty();
        self.settle_revision();
        Ok(())
    }

    /// Objects of which something else is excluded than when they were judged: a rule that changed while a commit was read must not
    /// be lost in between.
    fn excluded_otherwise(&self, entries: &HashMap<ObjectKey, Entry>) -> HashSet<ObjectKey> {
        let is_other = |(key, entry): &(&ObjectKey, &Entry)| {
            let known = self.entries.get(*key);
            known.is_some_and(|known| !known.managed.exclusions.same_as(&entry.managed.exclusions))
        };
        entries.iter().filter(is_other).map(|(key, _)| key.clone()).collect()
    }

    /// What of this commit could not be made real, in one message: it is tried again, waiting longer each time.
    fn tell_what_failed(&mut self, hindered: &[Problem]) {
        let failed = self.entries.values().filter(|entry| entry.pending).filter_map(|entry| entry.drifted.as_ref());
        let failed = failed.filter(|drifted| drifted.failures > 0).map(|drifted| drifted.why.clone());
        let mut said: Vec<_> = hindered.iter().map(ToString::to_string).chain(failed).collect();
        said.sort();
        if !said.is_empty() {
            self.fail("ApplyFailed", summary(&said));
        }
    }

    /// Does the cluster equal the commit that was read? Not before all of a pass went well, and not while a break-glass keeps the
    /// commit from an object.
    pub(super) fn settle_revision(&mut self) {
        let done = self.complete && !self.is_paused() && self.leads();
        let waits = |entry: &Entry| entry.pending && entry.drifted.is_some() && self.is_closed_for(entry);
        let held = self.entries.values().any(|entry| entry.is_held() || waits(entry));
        if let Some(revision) = self.observed.clone().filter(|_| done && !held) {
            self.failed_before = None;
            self.arrive(&revision);
        }
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
        let around = &self.resolved.clone();
        let declaring = Declaring { cluster: &self.context.cluster, sync, rules: &plan.ignore, around, identities };
        let mut understood = Understood::default();
        let mut asked = Vec::new();
        let claims = manifests.iter().map(|manifest| Claim::of(manifest, known.get(&manifest.key))).collect();
        understood.lost = self.context.publisher.claim(&self.name, claims);
        for manifest in manifests {
            if understood.lost.contains(&manifest.key) {
                continue;
            }
            let live = known.remove(&manifest.key);
            let fingerprint = fingerprint(&manifest.text());
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
        if self.is_paused() || missing.is_empty() || !self.leads() {
            return Ok(false);
        }
        for (kind, managed) in &missing {
            let manifest = &managed.manifest;
            self.context.cluster.apply(kind, &manifest.key, &manifest.value(), Write::Real).await?;
            self.context.applied(managed, &[]);
            if manifest.key.kind == "CustomResourceDefinition" {
                self.wait_until_served(kind, &manifest.key).await?;
            }
        }
        self.context.cluster.refresh().await?;
        Ok(true)
    }

    /// Takes over what a commit declares. What left Git becomes a stray, unless another sync declares it; while parts of the commit could not be read, nothing
    /// has left it, and what those parts declared before still holds. So it does when so much left at once that it looks like an
    /// accident: what is withheld from pruning keeps its guard, too. Says so then.
    fn adopt(&mut self, revision: &str, entries: HashMap<ObjectKey, Entry>, is_complete: bool) -> Option<String> {
        let goes_on = |key: &ObjectKey| self.context.publisher.is_claimed_by_other(&self.name, key);
        let leaving = self.entries.keys().filter(|key| !entries.contains_key(*key) && !goes_on(key)).count();
        let prunes = self.plan.as_ref().is_some_and(|plan| plan.prune);
        let accident = prunes && is_complete && !is_within_limit(leaving, entries.len());
        let accident = accident.then(|| too_many(leaving, entries.len()));
        let complete = is_complete && accident.is_none();
        for (key, entry) in std::mem::replace(&mut self.entries, entries) {
            match self.entries.get_mut(&key) {
                Some(renewed) => renewed.replaces(&entry),
                None if complete => _ = self.strays.insert(key, Stray { kind: entry.kind, kept: None }),
                None => _ = self.entries.insert(key, entry),
            }
        }
        let Self { strays, entries, .. } = self;
        strays.retain(|key, _| !entries.contains_key(key));
        let kinds: HashSet<_> = entries.values().map(|entry| entry.kind.clone()).collect();
        for kind in kinds {
            // Nobody listens only when the process is stopping.
            self.wanted.send(kind).ok();
        }
        let managed = entries.values().map(|entry| entry.managed.clone()).collect();
        self.context.publisher.declare(&self.name, managed, &self.lost, &self.resolved);
        self.observed = Some(revision.to_owned());
        accident
    }

    /// Writes what differs, stage by stage.
    pub(super) async fn write(&mut self, mut live: HashMap<ObjectKey, Option<Value>>) {
        for stage_now in [Stage::Foundation, Stage::Access, Stage::Rest] {
            let keys: Vec<_> = live.keys().filter(|key| stage(key) == stage_now).cloned().collect();
            let batch = keys.into_iter().filter_map(|key| live.remove_entry(&key)).collect();
            self.settle_all(batch).await;
        }
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
                let fingerprint = fingerprint(managed.manifest.text());
                self.look_at(Entry::new(Arc::new(managed), kind, fingerprint), live);
            }
            Err(Undeclared::Premature(problem)) => self.premature.push(problem),
            Err(Undeclared::Stuck(problem)) => self.stuck.push(problem),
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
        tool: None,
    }
}

fn refusal(revision: &str, problems: &[Problem]) -> String {
    let short = revision.get(..7).unwrap_or(revision);
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    format!("commit {short} was refused before any of it was written: {}", summary(&said))
}

/// At most five of these, and how many more.
fn summary(said: &[String]) -> String {
    let more = said.len().saturating_sub(5);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}", said[..said.len().min(5)].join("; "))
}
