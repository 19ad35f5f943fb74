//! Rolling out a commit in waves: what may be written now, and what it waits for.
//!
//! Objects say in Git which wave they belong to; lower ones come first, and a wave begins when all that was written in the ones
//! before is [ready](super::ready). This is only the bookkeeping: whoever keeps it writes what [`Rollout::next`] hands out, tells
//! what becomes of it, and asks again. Nothing in here waits, so nobody else has to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::names::{ARGO_WAVE, WAVE};
use super::ready::Readiness;
use super::state::State;

/// A commit on its way into the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout<K> {
    /// What is to be written later, by wave.
    ahead: BTreeMap<i32, BTreeSet<K>>,
    /// The wave that was begun last.
    wave: Option<i32>,
    /// What of it is not ready, and why.
    awaited: BTreeMap<K, String>,
    /// When it was begun, or last complained about.
    since: Timestamp,
    /// Does it wait for the last wave, too?
    to_the_end: bool,
}

/// The wave a manifest belongs to; an Argo CD one counts as well, where there is none of ours. Of no wave is wave 0.
pub fn wave(manifest: &Value) -> i32 {
    let state = State::whole(manifest);
    let number = |name| state.annotation(name).and_then(|text| text.trim().parse().ok());
    match state.annotation(WAVE) {
        Some(_) => number(WAVE),
        None => number(ARGO_WAVE),
    }
    .unwrap_or_default()
}

// === impl Rollout ===

impl<K: Ord + Clone> Rollout<K> {
    /// These objects are to be written, each in its wave. `to_the_end`: it is not over before even the last of them is ready.
    pub fn new(objects: impl IntoIterator<Item = (K, i32)>, to_the_end: bool, now: Timestamp) -> Self {
        let mut ahead = BTreeMap::<i32, BTreeSet<K>>::new();
        for (key, wave) in objects {
            ahead.entry(wave).or_default().insert(key);
        }
        Self { ahead, wave: None, awaited: BTreeMap::new(), since: now, to_the_end }
    }

    /// What is to be written now: the next wave, unless the one before is awaited still.
    pub fn next(&mut self, now: Timestamp) -> Option<BTreeSet<K>> {
        if !self.awaited.is_empty() {
            return None;
        }
        let (wave, objects) = self.ahead.pop_first()?;
        (self.wave, self.since) = (Some(wave), now);
        if self.to_the_end || !self.ahead.is_empty() {
            self.awaited = objects.iter().map(|key| (key.clone(), "it is being written".to_owned())).collect();
        }
        Some(objects)
    }

    /// What became of an object.
    pub fn seen(&mut self, key: &K, readiness: Readiness) {
        match (self.awaited.get_mut(key), readiness) {
            (Some(_), Readiness::Ready) => drop(self.awaited.remove(key)),
            (Some(why), Readiness::Waits(reason)) => *why = reason,
            (None, _) => {}
        }
    }

    /// Is it to be written in a later wave?
    pub fn holds(&self, key: &K) -> bool {
        self.ahead.values().any(|objects| objects.contains(key))
    }

    /// Is it waited for?
    pub fn awaits(&self, key: &K) -> bool {
        self.awaited.contains_key(key)
    }

    /// What is waited for.
    pub fn awaited(&self) -> impl Iterator<Item = &K> {
        self.awaited.keys()
    }

    /// Is there nothing more to write, and nothing to wait for?
    pub fn is_over(&self) -> bool {
        self.ahead.is_empty() && self.awaited.is_empty()
    }

    /// When it will have taken too long; `None` while nothing is waited for.
    pub fn deadline(&self, patience: SignedDuration) -> Option<Timestamp> {
        (!self.awaited.is_empty()).then(|| self.since.saturating_add(patience).unwrap_or(Timestamp::MAX))
    }

    /// Complains if a wave has taken too long, and is patient for as long again.
    pub fn complain(&mut self, patience: SignedDuration, now: Timestamp) -> bool {
        let late = self.deadline(patience).is_some_and(|deadline| deadline <= now);
        if late {
            self.since = now;
        }
        late
    }
}

impl<K: Ord + Clone + std::fmt::Display> Rollout<K> {
    /// What it waits for, in words; `None` if it does not.
    pub fn told(&self) -> Option<String> {
        let (key, why) = self.awaited.first_key_value()?;
        let more = match self.awaited.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let next = match self.ahead.first_key_value() {
            Some((next, _)) => format!("wave {next} waits for"),
            None => "what left Git waits for".to_owned(),
        };
        Some(format!("{next} {key} of wave {}{more}: {why}", self.wave.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests;
