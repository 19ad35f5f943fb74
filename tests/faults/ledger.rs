//! What may be written in a round, what was, and what is said of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::repository::{Id, Repository, id};
use crate::trace::written;

/// What may happen to each object, and what did.
#[derive(Default)]
pub struct Ledger {
    /// How often it may be written.
    allowed: BTreeMap<Id, usize>,
    /// What may be another object afterwards.
    anew: BTreeSet<Id>,
    written: BTreeMap<Id, usize>,
}

// === impl Ledger ===

impl Ledger {
    /// A commit makes the second of the first.
    pub fn commit(&mut self, before: &Repository, after: &Repository) {
        let all: BTreeSet<_> = before.objects().keys().chain(after.objects().keys()).collect();
        for id in all {
            let (old, new) = (before.objects().get(id), after.objects().get(id));
            let replaced = new.is_some_and(|new| !new["metadata"]["annotations"]["holdfast.dev/replace"].is_null());
            if old.is_none() || new.is_none() || replaced {
                self.anew.insert(id.clone());
            }
            if old != new {
                *self.allowed.entry(id.clone()).or_default() += if replaced { 2 } else { 1 };
            }
        }
    }

    /// Somebody changed or deleted this behind Holdfast's back.
    pub fn drifted(&mut self, id: Id, deleted: bool) {
        *self.allowed.entry(id.clone()).or_default() += 1;
        if deleted {
            self.anew.insert(id);
        }
    }

    /// These requests were made.
    pub fn note(&mut self, requests: &[Value]) {
        for id in requests.iter().filter_map(written) {
            *self.written.entry(id).or_default() += 1;
        }
    }

    /// Was anything written more often than there was reason to?
    pub fn is_frugal(&self) -> Result<()> {
        let allowed = |id: &Id| self.allowed.get(id).copied().unwrap_or(0);
        let lavish: Vec<_> = self.written.iter().filter(|(id, times)| **times > allowed(id)).collect();
        ensure!(lavish.is_empty(), "written too often: {lavish:?}, allowed: {:?}", self.allowed);
        Ok(())
    }

    /// Is every write on record, and is what the records are sure of true?
    pub fn is_told(&self, records: &[Value]) -> Result<()> {
        let mut told = BTreeMap::<Id, BTreeSet<&str>>::new();
        let mut sure = BTreeMap::<Id, usize>::new();
        for record in records.iter().filter(|record| is_of_a_write(record)) {
            let who = whose(record);
            let is_new = told.entry(who.clone()).or_default().insert(record["id"].as_str().unwrap_or_default());
            let is_unsure = record["reason"].to_string().contains("whether it was done is not known");
            // What somebody else has deleted meanwhile is as good as pruned.
            *sure.entry(who).or_default() += usize::from(is_new && !is_unsure && record["kind"] != "Pruned");
        }
        let told = |id: &Id| told.get(id).map_or(0, BTreeSet::len);
        let untold: Vec<_> = self.written.iter().filter(|(id, times)| told(id) < **times).collect();
        ensure!(untold.is_empty(), "not on record: {untold:?}");
        let done = |id: &Id| self.written.get(id).copied().unwrap_or(0);
        let invented: Vec<_> = sure.iter().filter(|(id, times)| **times > done(id)).collect();
        ensure!(invented.is_empty(), "on record, and never done: {invented:?}");
        Ok(())
    }

    /// Is everything that had no reason to be made anew still the same object?
    pub fn is_same(&self, before: &BTreeMap<Id, Value>, after: &BTreeMap<Id, Value>) -> Result<()> {
        let is_other =
            |(id, uid): &(&Id, &Value)| after.get(*id).is_none_or(|after| after != *uid) && !self.anew.contains(*id);
        let others: Vec<_> = before.iter().filter(is_other).map(|(id, _)| id).collect();
        ensure!(others.is_empty(), "gone, or made anew: {others:?}");
        Ok(())
    }
}

fn is_of_a_write(record: &Value) -> bool {
    ["Applied", "Healed", "Replaced", "Pruned"].iter().any(|kind| record["kind"] == *kind)
}

fn whose(record: &Value) -> Id {
    let of = &record["object"];
    id(&serde_json::json!({"kind": of["kind"], "metadata": {"namespace": of["namespace"], "name": of["name"]}}))
}
