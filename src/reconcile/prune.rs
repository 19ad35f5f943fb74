//! Deleting what left Git: only after a complete reading, only what says it is ours, never most of it at once unless somebody
//! confirmed exactly that commit, and what was written last first.
//!
//! A *stray* is an object that carries our tracking-id and that Git does not declare, nor any other sync. Strays that are kept stay known, so that
//! each is reported once and shown in the status. Waves are deleted in reverse: while something of a higher wave is still going,
//! what it may stand on stays, and the sight of its end goes on. Nothing waits in between.
//!
//! A stray is deleted only as it was judged: whoever takes it over between the look and the deletion (another sync, another
//! cluster's Holdfast, somebody who says `holdfast.dev/prune: disabled`) writes it, and what was written since is judged anew.

use std::collections::BTreeSet;

use serde_json::Value;

use super::keeper::Keeper;
use super::plan::{confirms, is_tracked_by, is_within_limit, may_prune};
use crate::api::PrunePropagation;
use crate::cluster::events::Note;
use crate::cluster::objects::PropagationPolicy;
use crate::cluster::{Error, Kind};
use crate::core::names::CONFIRM_PRUNE;
use crate::core::object::ObjectKey;
use crate::core::waves::wave;
use crate::core::window::Action;

/// An object that left Git and is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// How to address it.
    pub kind: Kind,
    /// Why it is kept, once that is known.
    pub kept: Option<String>,
}

/// How often strays are judged anew at once when somebody writes one meanwhile; after that, with the next try of the commit.
pub(super) const JUDGEMENTS: usize = 5;

/// What a look at a stray shows.
enum Finding {
    /// Gone, or never ours.
    NotOurs,
    /// On its way out.
    Going,
    /// Not to be deleted, for this reason.
    Keep(String),
    /// To be deleted, as it was seen.
    Delete,
}

/// A stray that is to be deleted.
struct Doomed {
    key: ObjectKey,
    kind: Kind,
    judged: Value,
    wave: i32,
}

// === impl Keeper ===

impl Keeper {
    /// An object that says it is ours came into sight, and nobody declared it then.
    pub(super) async fn see_tracked(&mut self, key: ObjectKey, version: u64, api_version: &str, kind: &str) {
        if let Some(heard) = &mut self.heard {
            // The first pass takes stock of it.
            heard.of(&key, version);
            return;
        }
        match self.entries.get(&key) {
            Some(entry) if version <= entry.judged => {}
            Some(_) => self.miss(key).await,
            None => self.see_stray(key, api_version, kind).await,
        }
    }

    /// An undeclared object that says it is ours came into sight.
    pub(super) async fn see_stray(&mut self, key: ObjectKey, api_version: &str, kind: &str) {
        let Ok(Some(kind)) = self.cluster.kind(api_version, kind).await else { return };
        if let std::collections::hash_map::Entry::Vacant(e) = self.strays.entry(key) {
            e.insert(Stray { kind, kept: None });
            self.prune().await;
        }
    }

    /// A stray is gone; what it kept from being deleted may go now.
    pub(super) async fn miss_stray(&mut self, key: &ObjectKey) {
        if self.strays.remove(key).is_some() {
            self.prune().await;
        }
    }

    /// Deletes every stray that may be deleted, if anything may be deleted now.
    pub(super) async fn prune(&mut self) {
        if self.strays.is_empty() || !self.may_prune_now() {
            return;
        }
        let mut pruned = self.try_prune().await;
        for _ in 1..JUDGEMENTS {
            if !pruned.as_ref().is_err_and(Error::is_conflict) {
                break;
            }
            pruned = self.try_prune().await;
        }
        match pruned {
            Ok(()) => {}
            Err(error) if error.is_not_leading() => self.interrupt(),
            Err(error) => self.fail("PruneFailed", error.to_string()),
        }
    }

    fn may_prune_now(&self) -> bool {
        let wanted = self.plan.as_ref().is_some_and(|plan| plan.prune);
        // Until every sync was read, nobody knows what another one declares.
        let all_read = self.context.publisher.is_complete();
        wanted
            && all_read
            && self.observed.is_some()
            && self.problems.is_empty()
            && self.is_unhindered()
            && self.rollout.is_none()
            && !self.windows.falls_back
            && !self.is_paused()
            && !self.is_closed(Action::Prune, self.observed.as_deref())
            && self.leads()
    }

    async fn try_prune(&mut self) -> Result<(), Error> {
        let (mut doomed, mut going) = (Vec::new(), Vec::new());
        let seen = self.strays.iter().filter(|(key, _)| !self.away.keeps(key));
        let strays: Vec<_> = seen.map(|(key, stray)| (key.clone(), stray.clone())).collect();
        for (key, stray) in strays {
            let live = self.cluster.get(&stray.kind, &key).await?;
            let wave = live.as_ref().map(wave).unwrap_or_default();
            match self.judge_stray(&key, live.as_ref()) {
                Finding::NotOurs => drop(self.strays.remove(&key)),
                Finding::Going => going.push((key, wave)),
                Finding::Keep(why) => self.keep_stray(key, stray, why),
                Finding::Delete => {
                    doomed.extend(live.map(|judged| Doomed { key, kind: stray.kind, judged, wave }));
                }
            }
        }
        let revision = self.observed.clone().unwrap_or_default();
        let leaving = doomed.iter().map(|one| one.key.clone()).collect();
        if let Some(accident) = self.accident(leaving, self.entries.len(), &revision) {
            self.fail("PruneLimit", accident);
            return Ok(());
        }
        let lowest = doomed.iter().map(|one| one.wave).min();
        let is_awaited = |wave: i32| lowest.is_some_and(|lowest| lowest < wave);
        for (key, _) in going.iter().filter(|(_, wave)| !is_awaited(*wave)) {
            self.strays.remove(key);
        }
        let highest = going.iter().map(|(_, wave)| *wave).filter(|wave| is_awaited(*wave));
        let highest = highest.chain(doomed.iter().map(|one| one.wave)).max();
        for one in doomed.into_iter().filter(|one| Some(one.wave) == highest) {
            self.delete_stray(one, &revision, is_awaited).await?;
        }
        Ok(())
    }

    async fn delete_stray(
        &mut self,
        doomed: Doomed,
        revision: &str,
        is_awaited: impl Fn(i32) -> bool,
    ) -> Result<(), Error> {
        let Doomed { key, kind, judged, wave } = doomed;
        if is_awaited(wave) {
            // Nobody listens only when the process is stopping.
            self.wanted.send(kind.clone()).ok();
        }
        let intent = self.context.prunes(&self.name, revision, &key);
        self.cluster.delete_as_judged(&kind, &key, &judged, self.propagation()).await?;
        self.context.pruned(&self.name, revision, &key, intent);
        if !is_awaited(wave) {
            self.strays.remove(&key);
        }
        Ok(())
    }

    /// What becomes of the dependents of what is pruned.
    pub(super) fn propagation(&self) -> PropagationPolicy {
        match self.plan.as_ref().map(|plan| plan.propagation).unwrap_or_default() {
            PrunePropagation::Background => PropagationPolicy::Background,
            PrunePropagation::Foreground => PropagationPolicy::Foreground,
            PrunePropagation::Orphan => PropagationPolicy::Orphan,
        }
    }

    fn judge_stray(&self, key: &ObjectKey, live: Option<&Value>) -> Finding {
        let Some(object) = live else { return Finding::NotOurs };
        let taken_over = self.context.publisher.is_claimed_by_other(&self.name, key);
        if taken_over || !is_tracked_by(&self.name, key, object) {
            return Finding::NotOurs;
        }
        if object.pointer("/metadata/deletionTimestamp").is_some() {
            return Finding::Going;
        }
        match may_prune(key, object) {
            Err(kept) => Finding::Keep(kept.to_string()),
            Ok(()) => Finding::Delete,
        }
    }

    fn keep_stray(&mut self, key: ObjectKey, stray: Stray, why: String) {
        if stray.kept.as_ref() != Some(&why) {
            let revision = self.observed.clone().unwrap_or_default();
            self.context.spared(&self.name, &revision, &key, &why);
            self.strays.insert(key, Stray { kept: Some(why), ..stray });
        }
    }

    /// Does so much leave Git at once that it looks like an accident, and has nobody confirmed it? Then this is what is said.
    ///
    /// A confirmation is of one commit. Where many share a repository the newest is soon another one, so it counts for as long as the
    /// very same objects are missing.
    pub(super) fn accident(&mut self, leaving: BTreeSet<ObjectKey>, declared: usize, revision: &str) -> Option<String> {
        let (doomed, all) = (leaving.len(), leaving.len() + declared);
        if is_within_limit(doomed, declared) {
            return None;
        }
        if self.accident.as_ref().is_none_or(|(_, known)| *known != leaving) {
            self.accident = Some((revision.to_owned(), leaving));
        }
        let first = self.accident.as_ref().map_or(revision, |(first, _)| first);
        if self.confirmation().is_some_and(|said| confirms(said, revision) || confirms(said, first)) {
            let text = format!("{doomed} objects left Git at {first}; {CONFIRM_PRUNE} says that they may be deleted");
            tracing::warn!(sync = self.name, text);
            self.note(Note { reason: "PruneConfirmed".to_owned(), text, warning: true });
            return None;
        }
        let (short, (namespace, name)) =
            (first.get(..12).unwrap_or(first), self.name.split_once('/').unwrap_or_default());
        Some(format!(
            "{doomed} of {all} objects left Git at once, which looks like an accident; nothing was deleted. Put them back, \
             remove them in smaller steps, or confirm: kubectl annotate --overwrite -n {namespace} gitsync/{name} \
             {CONFIRM_PRUNE}={short}"
        ))
    }

    /// The commit whose deletions somebody confirmed.
    pub(super) fn confirmation(&self) -> Option<&str> {
        let annotations = self.sync.as_ref()?.metadata.annotations.as_ref()?;
        annotations.get(CONFIRM_PRUNE).map(String::as_str)
    }
}
