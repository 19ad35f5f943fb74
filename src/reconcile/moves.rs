//! What leaves one `GitSync` may have moved to another, in one commit.
//!
//! The one that loses it may be the first to read that commit, and would delete what the other is about to declare. So before anything is
//! deleted, every other sync of the same repository has to have read it since: from then on its claims say what it declares. Syncs
//! of one repository share one fetch, and whoever has not read yet is woken, so that takes as long as reading does. A commit that a
//! window holds back declares something as well: its sync says what.
//!
//! A sync that cannot read (its Secret is gone, a file of its is broken, it is rolled back) must not keep the others from deleting for ever:
//! it is waited for a little, in which it may recover. One that is busy reading is waited for longer.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use super::keeper::Keeper;
use super::prune::Stray;
use crate::core::object::ObjectKey;
use crate::git::Reading;

/// How long a sync is waited for that could not read.
const BROKEN: Duration = Duration::from_secs(30);
/// How long one is waited for that has not come to it.
const BUSY: Duration = Duration::from_mins(10);

/// What every sync has read.
#[derive(Debug, Default)]
pub struct Readers {
    syncs: BTreeMap<String, Reader>,
    /// Does anybody wait for one of them?
    awaited: bool,
}

/// What one has read.
#[derive(Debug, Default)]
struct Reader {
    repository: String,
    /// When Git was asked for the newest commit whose declarations are known.
    read: Option<Instant>,
    /// Could it not read since?
    is_broken: bool,
    /// What a commit declares that is not in force yet.
    ahead: HashSet<ObjectKey>,
}

/// Whom a sync waits for before it deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The others, and whether each is broken.
    pub syncs: BTreeMap<String, bool>,
    /// What they have to have read: what was known then.
    since: Instant,
    /// Until when, at most.
    pub until: Instant,
}

/// The newest commit a sync knows of.
#[derive(Debug, Clone)]
pub struct Tip {
    sha: String,
    /// When Git was first asked for what turned out to be this.
    first: Instant,
    /// And when last.
    last: Instant,
}

// === impl Readers ===

impl Readers {
    /// This sync follows this repository. Another than before: nothing of that was read.
    pub fn follow(&mut self, sync: &str, repository: &str) {
        let reader = self.syncs.entry(sync.to_owned()).or_default();
        if reader.repository != repository {
            *reader = Reader { repository: repository.to_owned(), ..Reader::default() };
        }
    }

    /// What this sync declares is known, as of when Git was asked. `true` if somebody may wait for that.
    pub fn read(&mut self, sync: &str, asked: Instant) -> bool {
        let Some(reader) = self.syncs.get_mut(sync) else { return false };
        reader.is_broken = false;
        let is_news = reader.read.replace(asked).is_none_or(|before| before < asked);
        is_news && std::mem::take(&mut self.awaited)
    }

    /// This sync could not read. `true` if somebody may wait for it.
    pub fn fail(&mut self, sync: &str) -> bool {
        let Some(reader) = self.syncs.get_mut(sync) else { return false };
        !std::mem::replace(&mut reader.is_broken, true) && std::mem::take(&mut self.awaited)
    }

    /// This sync is no more, or at its end. `true` if somebody may wait for it.
    pub fn forget(&mut self, sync: &str) -> bool {
        self.syncs.remove(sync).is_some() && std::mem::take(&mut self.awaited)
    }

    /// A commit of this sync declares this, and is not in force; nothing, if it is.
    pub fn announce(&mut self, sync: &str, ahead: HashSet<ObjectKey>) {
        if let Some(reader) = self.syncs.get_mut(sync) {
            reader.ahead = ahead;
        }
    }

    /// Is another sync going to declare this?
    pub fn is_announced_by_other(&self, sync: &str, key: &ObjectKey) -> bool {
        self.syncs.iter().any(|(other, reader)| other != sync && reader.ahead.contains(key))
    }

    /// Which other syncs of its repository may still declare what `sync` lost in a commit that was known at `since`; `None` if it need
    /// not wait, or not any longer.
    pub fn awaited(&mut self, sync: &str, since: Instant, now: Instant) -> Option<Awaited> {
        let repository = &self.syncs.get(sync)?.repository;
        let patience = |reader: &Reader| since + if reader.is_broken { BROKEN } else { BUSY };
        let is_awaited = |(other, reader): &(&String, &Reader)| {
            let has_read = reader.read.is_some_and(|read| read >= since);
            *other != sync && reader.repository == *repository && !has_read && now < patience(reader)
        };
        let awaited: Vec<_> = self.syncs.iter().filter(is_awaited).collect();
        let until = awaited.iter().map(|(_, reader)| patience(reader)).max()?;
        let syncs = awaited.into_iter().map(|(other, reader)| (other.clone(), reader.is_broken)).collect();
        self.awaited = true;
        Some(Awaited { syncs, since, until })
    }
}

// === impl Awaited ===

impl Awaited {
    /// Why what left Git is still there. Only who cannot read is named: the others come and go within a moment.
    pub fn told(&self) -> String {
        let broken: Vec<_> = self.syncs.iter().filter(|(_, broken)| **broken).map(|(sync, _)| sync.as_str()).collect();
        let which = match broken.as_slice() {
            [] => String::new(),
            broken => format!(" (GitSync {} cannot, and is waited for {} s)", broken.join(", "), BROKEN.as_secs()),
        };
        format!(
            "it left this GitSync, and is not deleted before every other GitSync of the repository has read that commit, \
             which may have moved it there{which}"
        )
    }
}

// === impl Tip ===

impl Tip {
    /// Git, asked at `asked`, says that this is the newest commit.
    pub fn note(tip: &mut Option<Self>, sha: &str, asked: Instant) {
        match tip.as_mut().filter(|tip| tip.sha == sha) {
            Some(tip) => tip.last = tip.last.max(asked),
            None => *tip = Some(Self { sha: sha.to_owned(), first: asked, last: asked }),
        }
    }
}

// === impl Keeper ===

impl Keeper {
    /// What this commit declares is known to all from now on, if all of it could be read.
    pub(super) fn tell_it_is_read(&self, revision: &str, is_whole: bool) {
        match self.tip.as_ref().filter(|tip| tip.sha == revision && is_whole) {
            Some(tip) => self.context.publisher.has_read(&self.name, tip.last),
            None => self.context.publisher.has_not_read(&self.name),
        }
    }

    /// A commit waits for a window. What it declares is nobody else's to delete.
    pub(super) fn announce_held(&self, held: Held) {
        let Held { revision, keys, is_whole } = held;
        self.context.publisher.announces(&self.name, keys);
        self.tell_it_is_read(&revision, is_whole);
    }

    /// When the newest commit was first known: what is seen to have left Git now may be declared by others as of then.
    pub(super) fn since(&self) -> Option<Instant> {
        self.tip.as_ref().map(|tip| tip.first)
    }

    /// May something that left Git have moved to a sync that has not read the commit? Whoever has not is woken. What left before, and
    /// all have read since, need not wait.
    pub(super) fn ask_others(&mut self) {
        let waits = |stray: &Stray| stray.since.filter(|_| stray.goes.is_none() && stray.kept.is_none());
        let since = self.left().filter_map(|(_, stray)| waits(stray)).max();
        let awaited = since.and_then(|since| self.await_others(since));
        let before = std::mem::replace(&mut self.awaited, awaited);
        let Some(Awaited { syncs, since, .. }) = &self.awaited else { return };
        let is_asked = |sync: &String| {
            before.as_ref().is_some_and(|before| before.since == *since && before.syncs.contains_key(sync))
        };
        syncs.keys().filter(|sync| !is_asked(sync)).for_each(|sync| self.context.subscriptions.wake(sync));
    }

    /// Whom what left in a commit that was known at `since` has to wait for.
    pub(super) fn await_others(&self, since: Instant) -> Option<Awaited> {
        self.context.publisher.awaited(&self.name, since, Instant::now())
    }
}

/// What a commit declares that waits for a window.
pub struct Held {
    revision: String,
    keys: HashSet<ObjectKey>,
    is_whole: bool,
}

// === impl Held ===

impl Held {
    pub(super) fn of(reading: &Reading) -> Self {
        Self {
            revision: reading.commit.sha.clone(),
            keys: reading.manifests.iter().map(|manifest| manifest.key.clone()).collect(),
            is_whole: reading.problems.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Instant {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        *START + Duration::from_secs(second)
    }

    fn of(syncs: &[(&str, &str)]) -> Readers {
        let mut readers = Readers::default();
        syncs.iter().for_each(|(sync, repository)| readers.follow(sync, repository));
        readers
    }

    fn names(awaited: Option<Awaited>) -> Vec<String> {
        awaited.map(|awaited| awaited.syncs.into_keys().collect()).unwrap_or_default()
    }

    #[test]
    fn every_other_sync_of_the_repository_has_to_have_read() {
        let mut readers = of(&[("a", "r"), ("b", "r"), ("c", "r"), ("else", "where")]);
        readers.read("a", at(100));
        assert!(!readers.read("b", at(99)) && !readers.read("c", at(100)));
        assert_eq!(names(readers.awaited("a", at(100), at(101))), ["b"], "it has read a commit before");
        assert!(readers.read("b", at(100)), "somebody waits for it");
        assert_eq!(readers.awaited("a", at(100), at(101)), None);
        assert!(!readers.read("b", at(101)), "nobody waits any more");
        readers.follow("b", "r");
        assert_eq!(readers.awaited("a", at(100), at(101)), None, "it follows what it followed");
        readers.follow("b", "where");
        readers.follow("b", "r");
        assert_eq!(names(readers.awaited("a", at(100), at(101))), ["b"]);
        assert!(readers.forget("b"));
        assert_eq!(readers.awaited("a", at(100), at(101)), None);
        assert_eq!(readers.awaited("nobody", at(100), at(101)), None);
    }

    /// Nobody keeps others from deleting for ever, and whoever is waited for is named if that may take long.
    #[test]
    fn who_is_broken_is_waited_for_a_little_and_who_is_busy_longer() {
        let mut readers = of(&[("a", "r"), ("broken", "r"), ("busy", "r")]);
        readers.fail("broken");
        let awaited = readers.awaited("a", at(100), at(100)).expect("two have not read");
        assert_eq!(awaited.until, at(100) + BUSY);
        assert!(awaited.told().contains("(GitSync broken cannot, and is waited for 30 s)"), "{}", awaited.told());
        assert_eq!(names(readers.awaited("a", at(100), at(100) + BROKEN)), ["busy"]);
        assert_eq!(readers.awaited("a", at(100), at(100) + BUSY), None);
        assert!(readers.read("busy", at(100)));
        let awaited = readers.awaited("a", at(100), at(100)).expect("one is broken");
        assert_eq!(awaited.until, at(100) + BROKEN);
        assert!(!readers.fail("broken"), "that is no news");
        assert!(readers.read("broken", at(100)), "it has recovered");
    }

    #[test]
    fn what_a_commit_declares_that_waits_is_nobody_elses_to_delete() {
        let key = ObjectKey { group: String::new(), kind: "Secret".to_owned(), namespace: None, name: "x".to_owned() };
        let mut readers = of(&[("a", "r"), ("b", "r")]);
        readers.announce("b", HashSet::from([key.clone()]));
        assert!(readers.is_announced_by_other("a", &key) && !readers.is_announced_by_other("b", &key));
        readers.announce("b", HashSet::new());
        assert!(!readers.is_announced_by_other("a", &key));
    }
}
