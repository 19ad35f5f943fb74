//! Fights at work: who undoes our heals is named once, given way to, and told how to have it their way.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::keeper::Keeper;
use super::report::{Author, summary};
use crate::cluster::clock;
use crate::core::compare::Deviation;
use crate::core::fight::{Bout, peace, salt};
use crate::core::object::ObjectKey;
use crate::core::snapshot::Managed;
use crate::evidence::{Actor, Kind as What, Record};

/// An edit that admission saw so lately may be the one that is being healed.
const RECENT: SignedDuration = SignedDuration::from_mins(1);
/// Fights a condition tells of in full.
const TOLD: usize = 3;

/// How hot the heals of each object are, and whom we fight over it.
pub type Fights = HashMap<ObjectKey, Contest>;

/// The heals of one object.
pub struct Contest {
    bout: Bout,
    /// Who, as far as can be told: a user if admission saw them, else a field manager.
    opponent: String,
    paths: Vec<String>,
    /// The exclusion that would end it.
    peace: Option<String>,
}

// === impl Contest ===

impl Contest {
    fn words(&self, key: &ObjectKey) -> String {
        let Self { bout, opponent, paths, peace } = self;
        let next = bout.fight().map(|fight| fight.until).unwrap_or_default();
        let mut said = format!("{key}: {opponent} undoes every heal of {}; we wait until {next:.0}. ", summary(paths));
        match peace {
            Some(rule) => {
                said.push_str("Stop it there, or let it have its way with this in the GitSync's spec:\n");
                said.push_str(rule);
            }
            None => said.push_str("Stop it there, or take the object out of Git"),
        }
        said
    }
}

// === impl Keeper ===

impl Keeper {
    /// An object was healed, and that made a difference.
    pub(super) fn count_heal(&mut self, managed: &Managed, deviations: &[Deviation], author: Option<&Author>) {
        let now = clock::now();
        let key = managed.manifest.key.clone();
        let seen = self.context.evidence.last_editor(&key, now.saturating_sub(RECENT).unwrap_or(now));
        let manager = author.map(|author| author.manager.as_str());
        let contest = self.fights.entry(key.clone()).or_insert_with(|| Contest {
            bout: Bout::new(now),
            opponent: String::new(),
            paths: Vec::new(),
            peace: None,
        });
        let begins = contest.bout.healed(salt(&key), now);
        if begins {
            let by_name = seen.map(|user| format!("user {user:?}"));
            let by_tool = || manager.map(|manager| format!("field manager {manager:?}"));
            contest.opponent = by_name.or_else(by_tool).unwrap_or_else(|| "somebody".to_owned());
            contest.paths = deviations.iter().map(|deviation| deviation.path.to_string()).collect();
            let places: Vec<_> = deviations.iter().map(|deviation| deviation.path.clone()).collect();
            contest.peace = peace(&key, &places, manager);
            let words = contest.words(&key);
            self.context.fight_begins(managed, deviations, author, words);
        }
        self.fights.retain(|_, contest| !contest.bout.is_cold(now));
    }

    /// Why a heal waits, and until when: somebody would undo it.
    pub(super) fn gives_way(&self, key: &ObjectKey) -> Option<(String, Timestamp)> {
        let contest = self.fights.get(key)?;
        let until = contest.bout.waits(clock::now())?;
        Some((format!("fighting with {}; healed again at {until:.0}", contest.opponent), until))
    }

    /// When to look whether a fight is over.
    pub(super) fn calm(&self) -> Option<Timestamp> {
        let lasts = |(key, contest): (&ObjectKey, &Contest)| contest.bout.calm().filter(|_| !self.is_drifted(key));
        self.fights.iter().filter_map(lasts).min()
    }

    /// Fights that are over.
    pub(super) fn end_fights(&mut self) {
        let now = clock::now();
        let is_over = |(key, contest): (&ObjectKey, &Contest)| {
            (contest.bout.is_over(self.is_drifted(key), now) || !self.entries.contains_key(key)).then(|| key.clone())
        };
        let over: Vec<_> = self.fights.iter().filter_map(is_over).collect();
        self.end(&over, "the last heal has lasted");
    }

    /// Something else is excluded of these objects now: what was fought over may be nobody's business any more.
    pub(super) fn make_peace<'k>(&mut self, keys: impl IntoIterator<Item = &'k ObjectKey>) {
        let keys: Vec<_> = keys.into_iter().cloned().collect();
        self.end(&keys, "what is excluded has changed");
    }

    fn end(&mut self, keys: &[ObjectKey], why: &str) {
        for key in keys {
            let Some(contest) = self.fights.remove(key).filter(|contest| contest.bout.fight().is_some()) else {
                continue;
            };
            if let Some(entry) = self.entries.get(key) {
                self.context.fight_ends(&entry.managed, format!("{why}; it was with {}", contest.opponent));
            }
        }
    }

    fn is_drifted(&self, key: &ObjectKey) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.drifted.is_some())
    }

    /// The fights going on.
    pub(super) fn fighting(&self) -> usize {
        self.fights.values().filter(|contest| contest.bout.fight().is_some()).count()
    }

    /// The fights going on, in words; `None` if there are none.
    pub(super) fn fight_words(&self) -> Option<String> {
        let going = self.fights.iter().filter(|(_, contest)| contest.bout.fight().is_some());
        let mut said: Vec<_> = going.map(|(key, contest)| contest.words(key)).collect();
        said.sort();
        let more = said.len().saturating_sub(TOLD);
        said.truncate(TOLD);
        let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
        (!said.is_empty()).then(|| format!("{}{more}", said.join("\n")))
    }
}

// === impl Context ===

impl super::Context {
    fn fight_begins(&self, managed: &Managed, deviations: &[Deviation], author: Option<&Author>, words: String) {
        self.metrics.fights.inc();
        let by = author.map(|author| Actor { manager: Some(author.manager.clone()), ..Actor::default() });
        let record = self.record(What::FightBegan, managed, deviations);
        self.evidence.record(Record { by, reason: Some(words.clone()), ..record });
        self.note(managed, "FightBegan", words, true);
    }

    fn fight_ends(&self, managed: &Managed, words: String) {
        self.evidence.record(Record { reason: Some(words.clone()), ..self.record(What::FightEnded, managed, &[]) });
        self.note(managed, "FightEnded", words, false);
    }
}
