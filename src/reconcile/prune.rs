//! Deleting what left Git: only after a complete reading, only what says it is ours, never most of it at once unless somebody
//! confirmed exactly that commit, and what was written last first.
//!
//! A *stray* is an object that carries our tracking-id and that Git does not declare, nor any other sync. Strays that are kept stay known, so that
//! each is reported once and shown in the status. Waves are deleted in reverse: while something of a higher wave is still going,
//! what it may stand on stays, and the sight of its end goes on. Nothing waits in between.
//!
//! What left one sync may have moved to another: see `moves`. What Git does declare and could not be tried out is no stray: after a start nobody knows what it declares, but it has not left.
//!
//! A commit is synced when what it removes is gone as well: deleted and not on its way out any more. What is kept on purpose is not
//! waited for: everything while `prune` is off or a window closes it, an object that opted out or has an owner, and dependents
//! that are orphaned. More than the share limit is a failure, which ends with a confirmation or with another commit.
//!
//! A stray is deleted only as it was judged: whoever takes it over between the look and the deletion (another sync, another
//! cluster's Holdfast, somebody who says `holdfast.dev/prune: disabled`) writes it, and what was written since is judged anew.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::keeper::{Keeper, Tracked};
use super::moves::Awaited;
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
    /// The wave it is of, once it is on its way out.
    pub goes: Option<i32>,
    /// Its deletion was not answered: whether it was done is not known.
    pub unanswered: bool,
    /// When the commit it left was first known.
    pub since: Option<Instant>,
}

/// How often strays are judged anew at once when somebody writes one meanwhile; after that, with the next try of the commit.
pub(super) const JUDGEMENTS: usize = 5;

/// Why an object that is ours is not as Git says, where Git says nothing that is known.
const DECLARED: &str = "Git declares it, and it is not known what that means";
const UNREAD: &str = "it is not in what could be read of Git, and stays until all of that can be read";
const LEFT: &str = "it left Git; prune is off, or waits for a complete sync, or for what goes before";

/// How long what was deleted may be on its way out before it is looked at again; each time twice as long, up to [`LONG`].
const SOON: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_mins(1);

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

// === impl Stray ===

impl Stray {
    /// One that was not looked at yet.
    pub fn new(kind: Kind, since: Option<Instant>) -> Self {
        Self { kind, kept: None, goes: None, unanswered: false, since }
    }
}

// === impl Keeper ===

impl Keeper {
    /// An object that says it is ours came into sight, and nobody declared it then.
    pub(super) async fn see_tracked(&mut self, key: ObjectKey, seen: Tracked) {
        let Tracked { version, api_version, kind, goes } = seen;
        if let Some(heard) = &mut self.heard {
            // The first pass takes stock of it.
            heard.of(&key, version);
            return;
        }
        match self.entries.get(&key) {
            Some(entry) if version <= entry.judged => {}
            Some(_) => self.miss(key).await,
            None => self.see_stray(key, &api_version, &kind, goes).await,
        }
    }

    /// An undeclared object that says it is ours came into sight, perhaps on its way out.
    pub(super) async fn see_stray(&mut self, key: ObjectKey, api_version: &str, kind: &str, goes: bool) {
        let Ok(Some(kind)) = self.cluster.kind(api_version, kind).await else { return };
        let known = self.strays.get(&key);
        let made_anew = known.is_some_and(|known| known.goes.is_some()) && !goes;
        if known.is_none() || made_anew {
            self.strays.insert(key, Stray::new(kind, self.since()));
            self.prune().await;
        }
    }

    /// A stray is gone; what it kept from being deleted may go now, unless others of its wave keep that still.
    pub(super) async fn miss_stray(&mut self, key: &ObjectKey) {
        let Some(stray) = self.strays.remove(key) else { return };
        self.tell_if_it_was_pruned(key, &stray);
        if !self.strays.values().any(|other| other.goes.is_some() && other.goes >= stray.goes) {
            self.prune().await;
        }
    }

    /// What left Git, and a commit is not synced before it is gone.
    pub(super) fn leaving(&self) -> impl Iterator<Item = &ObjectKey> {
        let kept = self.keeps_all();
        let leaves = move |stray: &Stray| stray.goes.is_some() || (!kept && stray.kept.is_none());
        self.left().filter(move |(_, stray)| leaves(stray)).map(|(key, _)| key)
    }

    /// What left Git and is still there.
    pub(super) fn left(&self) -> impl Iterator<Item = (&ObjectKey, &Stray)> {
        self.strays.iter().filter(|(key, _)| !self.hindered.contains_key(*key))
    }

    /// What is ours and of which nobody knows what Git declares, or that left it, as people are told.
    pub(super) fn undeclared(&self) -> Vec<(&ObjectKey, String)> {
        let window = self.unpruned();
        let why = |(key, stray): (&ObjectKey, &Stray)| match self.hindered.get(key) {
            Some(why) => format!("{DECLARED}: {why}"),
            None if stray.goes.is_some() => "it left Git, and is on its way out".to_owned(),
            None if !self.problems.is_empty() => UNREAD.to_owned(),
            None if self.awaited.is_some() => self.awaited.iter().map(Awaited::told).collect(),
            None => window.clone().unwrap_or_else(|| LEFT.to_owned()),
        };
        let all = self.strays.iter().filter(|(_, stray)| stray.kept.is_none());
        all.map(|(key, stray)| (key, why((key, stray)))).collect()
    }

    /// The window that keeps what left Git.
    fn unpruned(&self) -> Option<String> {
        let prunes = self.plan.as_ref().is_some_and(|plan| plan.prune);
        let closed = self.closed(Action::Prune, self.observed.as_deref()).filter(|_| prunes)?;
        Some(format!("it left Git; {closed}"))
    }

    /// Is everything that left Git kept, on purpose?
    fn keeps_all(&self) -> bool {
        let wanted = self.plan.as_ref().is_some_and(|plan| plan.prune);
        !wanted || self.windows.falls_back || self.is_closed(Action::Prune, self.observed.as_deref())
    }

    /// A stray is gone, or going. If nobody knew whether we had deleted it, this says it.
    fn tell_if_it_was_pruned(&self, key: &ObjectKey, stray: &Stray) {
        if stray.unanswered {
            let revision = self.observed.clone().unwrap_or_default();
            self.context.found_pruned(self.context.pruned(&self.name, &revision, key));
        }
    }

    /// Deletes every stray that may be deleted, if anything may be deleted now.
    pub(super) async fn prune(&mut self) {
        let is_here = self.strays.values().any(|stray| stray.goes.is_none());
        if !is_here || !self.may_prune_now() {
            self.awaited = None;
            return;
        }
        self.ask_others();
        let mut pruned = self.try_prune().await;
        for _ in 1..JUDGEMENTS {
            if !pruned.as_ref().is_err_and(Error::is_conflict) {
                break;
            }
            pruned = self.try_prune().await;
        }
        match pruned {
            Ok(()) => {}
            Err(error) if error.is_not_leading() => return self.interrupt(),
            Err(error) => self.fail("PruneFailed", error.to_string()),
        }
        if !self.is_unhindered() {
            // Whoever made it prune may have been the sight of an object, after which nobody tries again.
            self.try_again();
        }
    }

    fn may_prune_now(&self) -> bool {
        // Until every sync was read, nobody knows what another one declares.
        let all_read = self.context.publisher.is_complete();
        !self.keeps_all()
            && all_read
            && self.observed.is_some()
            && self.problems.is_empty()
            && self.is_unhindered()
            && self.rollout.is_none()
            && !self.is_paused()
            && self.leads()
    }

    async fn try_prune(&mut self) -> Result<(), Error> {
        let mut doomed = Vec::new();
        let mut waits = HashMap::new();
        let mut waits = |since: Instant| *waits.entry(since).or_insert_with(|| self.await_others(since).is_some());
        let seen = self.left().filter(|(key, stray)| stray.goes.is_none() && !self.away.keeps(key));
        let seen = seen.filter(|(_, stray)| !stray.since.is_some_and(&mut waits));
        let strays: Vec<_> = seen.map(|(key, stray)| (key.clone(), stray.clone())).collect();
        for (key, stray) in strays {
            let live = self.cluster.get(&stray.kind, &key).await?;
            let wave = live.as_ref().map(wave).unwrap_or_default();
            let finding = self.judge_stray(&key, live.as_ref());
            if live.is_none() || matches!(finding, Finding::Going) {
                self.tell_if_it_was_pruned(&key, &stray);
            }
            self.strays.get_mut(&key).into_iter().for_each(|stray| stray.unanswered = false);
            match finding {
                Finding::NotOurs => drop(self.strays.remove(&key)),
                Finding::Going => self.is_going(&key, wave),
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
        let going = self.strays.values().filter_map(|stray| stray.goes);
        let highest = doomed.iter().map(|one| one.wave).chain(going).max();
        for one in doomed.into_iter().filter(|one| Some(one.wave) == highest) {
            self.delete_stray(one, &revision).await?;
        }
        Ok(())
    }

    /// A stray is on its way out: the sight of its end is waited for, and it is looked at now and then.
    fn is_going(&mut self, key: &ObjectKey, wave: i32) {
        if let Some(stray) = self.strays.get_mut(key) {
            stray.goes = Some(wave);
            self.look_at_going = None;
            // Nobody listens only when the process is stopping.
            self.wanted.send(stray.kind.clone()).ok();
        }
    }

    async fn delete_stray(&mut self, doomed: Doomed, revision: &str) -> Result<(), Error> {
        let Doomed { key, kind, judged, wave } = doomed;
        let record = self.context.pruned(&self.name, revision, &key);
        let delete = self.cluster.delete_as_judged(&kind, &key, &judged, self.propagation());
        let answer = self.context.on_record(record, delete).await;
        self.strays.get_mut(&key).into_iter().for_each(|stray| {
            stray.unanswered = answer.as_ref().is_err_and(Error::leaves_open);
        });
        answer?;
        self.context.metrics.prunes.inc();
        self.is_going(&key, wave);
        Ok(())
    }

    /// Looks again at what has been on its way out for a while. A watch tells who is gone, but one that begins only after the kind
    /// is served no more says nothing. Where one of a kind is still there, so is the kind.
    pub(super) async fn look_at_what_goes(&mut self, now: Instant) {
        let Some((_, wait)) = self.look_at_going.filter(|(then, _)| *then <= now) else { return };
        let going = self.strays.iter().filter(|(_, stray)| stray.goes.is_some());
        let going: Vec<_> = going.map(|(key, stray)| (key.clone(), stray.kind.clone())).collect();
        let wait = LONG.min(wait * 2);
        self.look_at_going = Some((now + wait, wait));
        let mut served = HashSet::new();
        for (key, kind) in going {
            if served.contains(&kind) {
                continue;
            }
            if let Ok(None) = self.cluster.get(&kind, &key).await {
                self.miss_stray(&key).await;
            } else {
                served.insert(kind);
            }
        }
    }

    /// When to do so.
    pub(super) fn minds_what_goes(&mut self, now: Instant) {
        let any = self.strays.values().any(|stray| stray.goes.is_some());
        self.look_at_going = any.then(|| self.look_at_going.unwrap_or((now + SOON, SOON)));
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
            self.strays.insert(key, Stray { kept: Some(why), unanswered: false, ..stray });
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
