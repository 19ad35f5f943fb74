//! From a `GitSync` as typed to a [`SyncPlan`] as meant.
//!
//! This is the only reader. Admission runs it on what somebody is about to write and refuses with its words; the runtime runs
//! it again on what is stored, because an object may have been stored while the webhook was down. The schema catches most of
//! the same mistakes earlier; it is a convenience, this is the rule.

mod namespace;
mod options;
mod rollback;
mod source;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub use super::fault::FieldError;
use super::{
    Admission, Backoff, GitSync, PrunePropagation, Retry, SyncPolicy, duration, fault::Faults, ignore, window,
};
use crate::core::breakglass::REMINDER;
use crate::core::exclude::Rule;
use crate::core::names::{ROLLED_BACK_BY, SUSPENDED_BY};
use crate::core::window::Window;
pub use namespace::NamespacePlan;
pub use options::SyncOptions;
pub use rollback::{RollbackPlan, TELLING, is_commit_id};
pub use source::{SourcePlan, version_range};

/// What a `GitSync` asks for, checked and in the types the program works with.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncPlan {
    /// Where the manifests are.
    pub source: SourcePlan,
    /// Namespace for namespaced manifests that name none.
    pub namespace: String,
    /// What that namespace is to carry, if it is made.
    pub made_with: NamespacePlan,
    /// Service account whose rights apply.
    pub account: Option<String>,
    /// What admission does.
    pub admission: Admission,
    /// Delete what left Git.
    pub prune: bool,
    /// Undo drift.
    pub self_heal: bool,
    /// The switches of `syncOptions`.
    pub options: SyncOptions,
    /// How long a wave may take.
    pub wave_timeout: Duration,
    /// What becomes of the dependents of what is pruned.
    pub propagation: PrunePropagation,
    /// How failures are tried again.
    pub retry: RetryPlan,
    /// Exclusion rules.
    pub ignore: Arc<[Rule]>,
    /// Times at which things may, or may not, happen.
    pub windows: Vec<Window>,
    /// The pause, which may already be over: ask [`Suspension::holds`].
    pub suspend: Option<Suspension>,
    /// The rollback, likewise.
    pub rollback: Option<RollbackPlan>,
}

/// Exponential waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPlan {
    /// Failures in a row that make a sync `Stalled`.
    pub limit: u32,
    /// Wait after the first failure.
    pub first: Duration,
    /// Growth per failure.
    pub factor: u32,
    /// Longest wait.
    pub longest: Duration,
}

/// A pause with its reason and end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Timestamp,
    /// Who, as stamped; `None` if Git said so, or nobody was there to stamp it.
    pub by: Option<String>,
}

// === impl SyncPlan ===

impl TryFrom<&GitSync> for SyncPlan {
    type Error = Vec<FieldError>;

    fn try_from(sync: &GitSync) -> Result<Self, Self::Error> {
        let spec = &sync.spec;
        let mut faults = Faults::default();
        let SyncPolicy { automated, sync_options, managed_namespace, wave_timeout, prune_propagation, retry } =
            &spec.sync_policy;
        let plan = Self {
            source: source::read(&spec.source, &mut faults),
            namespace: destination(&spec.destination.namespace, &mut faults),
            made_with: namespace::read(managed_namespace.as_ref(), &mut faults),
            account: spec.service_account_name.clone(),
            admission: spec.admission.clone(),
            prune: automated.prune,
            self_heal: automated.self_heal,
            options: options::read(sync_options, &mut faults),
            wave_timeout: duration_at("spec.syncPolicy.waveTimeout", wave_timeout, &mut faults),
            propagation: *prune_propagation,
            retry: retry_plan(retry, &mut faults),
            ignore: ignore::read(&spec.ignore_differences, "spec.ignoreDifferences", &called(sync), &mut faults).into(),
            windows: window::read(&spec.sync_windows, "spec.syncWindows", &mut faults),
            suspend: spec.suspend.as_ref().map(|typed| {
                let by = stamp(sync, SUSPENDED_BY);
                suspension("spec.suspend", (&typed.reason, &typed.until), by, &mut faults)
            }),
            rollback: spec
                .rollback
                .as_ref()
                .map(|typed| rollback::read(typed, stamp(sync, ROLLED_BACK_BY), &mut faults)),
        };
        faults.or(plan)
    }
}

// === impl RetryPlan ===

impl RetryPlan {
    /// How long to wait after `failures` in a row; zero after none.
    pub fn wait(&self, failures: u32) -> Duration {
        let Some(steps) = failures.checked_sub(1) else { return Duration::ZERO };
        let growth = self.factor.saturating_pow(steps);
        self.first.saturating_mul(growth).min(self.longest)
    }
}

// === impl Suspension ===

impl Suspension {
    /// In words: why, until when, by whom.
    pub fn words(&self) -> String {
        let Self { reason, until, by } = self;
        let by = by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
        format!("{reason} (until {until}{by})")
    }

    /// When to remind people that it ends, seen at `now`; a short one reminds of itself.
    pub fn reminder(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.saturating_sub(REMINDER).ok().filter(|reminder| *reminder > now)
    }

    /// Whether the pause is on at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

// === readers ===

fn destination(typed: &str, faults: &mut Faults) -> String {
    let remedy = "name the namespace the manifests go to";
    faults.require(!typed.trim().is_empty(), "spec.destination.namespace", "is empty", remedy);
    typed.to_owned()
}

fn retry_plan(typed: &Retry, faults: &mut Faults) -> RetryPlan {
    let Retry { limit, backoff: Backoff { duration: first, factor, max_duration } } = typed;
    let at = |name: &str| format!("spec.syncPolicy.retry.{name}");
    faults.require(*limit > 0, &at("limit"), "is 0", "write at least 1; a sync never gives up for good");
    faults.require(*factor > 0, &at("backoff.factor"), "is 0", "write at least 1, which keeps the wait as it is");
    let first = duration_at(&at("backoff.duration"), first, faults);
    let longest = duration_at(&at("backoff.maxDuration"), max_duration, faults);
    RetryPlan { limit: *limit, first, factor: *factor, longest: longest.max(first) }
}

/// What rules call the sync they stand in.
fn called(sync: &GitSync) -> String {
    let name = sync.metadata.name.as_deref().unwrap_or_default();
    match sync.metadata.namespace.as_deref() {
        Some(namespace) => format!("GitSync {namespace}/{name}"),
        None => format!("GitSync {name}"),
    }
}

/// What a pause and a rollback say besides what they do: why and until when.
fn suspension(at: &str, typed: (&str, &str), by: Option<String>, faults: &mut Faults) -> Suspension {
    let (reason, until) = typed;
    let remedy = "say why, for whoever finds it later: a ticket and a few words";
    faults.require(!reason.trim().is_empty(), &format!("{at}.reason"), "is empty", remedy);
    let until = until.parse().unwrap_or_else(|_| {
        let remedy = "write an end as an RFC 3339 time such as 2026-12-01T10:00:00Z; nothing is paused for ever";
        faults.add(&format!("{at}.until"), format!("{until:?} is not a time"), remedy);
        Timestamp::UNIX_EPOCH
    });
    Suspension { reason: reason.trim().to_owned(), until, by }
}

fn stamp(sync: &GitSync, name: &str) -> Option<String> {
    sync.metadata.annotations.as_ref()?.get(name).cloned()
}

/// A duration longer than nothing.
pub(super) fn duration_at(field: &str, text: &str, faults: &mut Faults) -> Duration {
    let remedy = "write a duration such as 30s, 2m or 1h30m";
    match duration::parse(text) {
        Ok(Duration::ZERO) => faults.add(field, format!("{text:?} is no time at all"), remedy),
        Ok(duration) => return duration,
        Err(reason) => faults.add(field, reason, remedy),
    }
    Duration::ZERO
}

#[cfg(test)]
mod tests;
