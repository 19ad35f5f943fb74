//! How things stand over all syncs: the gauges, which no single keeper can set.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::evidence::Metrics;

/// How things stand with one sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Objects that differ.
    pub drifted: i64,
    /// Objects with an open break-glass.
    pub open: i64,
    /// Does something wait for a window?
    pub waiting: bool,
    /// Objects fought over.
    pub fighting: i64,
    /// Is it ready?
    pub ready: bool,
}

/// The counts of all syncs.
#[derive(Debug)]
pub struct Tally {
    counts: Mutex<BTreeMap<String, Count>>,
    metrics: Metrics,
}

// === impl Tally ===

impl Tally {
    /// Counts nothing yet.
    pub fn new(metrics: Metrics) -> Self {
        Self { counts: Mutex::default(), metrics }
    }

    /// This is how things stand with `sync`; `None` when it is no more.
    pub fn set(&self, sync: &str, count: Option<Count>) {
        // Each change is one insert or remove: a panic elsewhere cannot leave half of one.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match count {
            Some(count) => counts.insert(sync.to_owned(), count),
            None => counts.remove(sync),
        };
        let sum = |of: fn(&Count) -> i64| counts.values().map(of).sum::<i64>();
        self.metrics.drifted_objects.set(sum(|count| count.drifted));
        self.metrics.break_glass_open.set(sum(|count| count.open));
        self.metrics.windows_waited_for.set(sum(|count| i64::from(count.waiting)));
        self.metrics.fighting_objects.set(sum(|count| count.fighting));
        self.metrics.syncs(sum(|count| i64::from(count.ready)), sum(|count| i64::from(!count.ready)));
    }
}
