//! What an edit of our own kinds lets slip: where the guard would be weaker than it was.
//!
//! Whoever may edit a `GitSync` could switch the guard off instead of going around it, so loosening takes a right of its own and
//! leaves a record. Making it stricter takes neither.

mod guards;

use std::fmt::Debug;

use serde_json::Value;

use super::{
    Admission, DriftPolicySpec, GitSyncSpec, Mode, Rollback, Suspend, Undeclared, duration, policy::BreakGlass,
};

mod windows;

/// One place where the guard would be weaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loosened {
    /// Path as in the manifest, such as `spec.admission.mode`.
    pub field: String,
    /// As it was.
    pub from: String,
    /// As it would be.
    pub to: String,
}

/// What an edit of a `GitSync` loosens. Pauses and rollbacks are a matter of their own: see
/// [`pauses`] and [`rolls_back`].
pub fn of_sync(old: &GitSyncSpec, new: &GitSyncSpec) -> Vec<Loosened> {
    let mut found = Vec::new();
    let mut note = |field: &str, from: String, to: String| found.push(Loosened { field: field.to_owned(), from, to });
    // What Git says there now is guarded no more once Git is somewhere else.
    let places = [
        ("spec.source.repoURL", &old.source.repo_url, &new.source.repo_url),
        ("spec.source.targetRevision", &old.source.target_revision, &new.source.target_revision),
        ("spec.source.path", &old.source.path, &new.source.path),
        ("spec.destination.namespace", &old.destination.namespace, &new.destination.namespace),
    ];
    for (field, from, to) in places.into_iter().filter(|(_, from, to)| from != to) {
        note(field, from.clone(), to.clone());
    }
    let Admission { mode, undeclared } = new.admission;
    if mode_strength(mode) < mode_strength(old.admission.mode) {
        note("spec.admission.mode", named(old.admission.mode), named(mode));
    }
    if undeclared_strength(undeclared) < undeclared_strength(old.admission.undeclared) {
        note("spec.admission.undeclared", named(old.admission.undeclared), named(undeclared));
    }
    if old.sync_policy.automated.self_heal && !new.sync_policy.automated.self_heal {
        note("spec.syncPolicy.automated.selfHeal", "true".to_owned(), "false".to_owned());
    }
    // Without an account, Holdfast's own rights apply. Another one may have more than this.
    if let (Some(from), to) = (&old.service_account_name, &new.service_account_name)
        && Some(from) != to.as_ref()
    {
        note("spec.serviceAccountName", from.clone(), to.clone().unwrap_or_else(|| "none".to_owned()));
    }
    found.extend(added("spec.ignoreDifferences", &old.ignore_differences, &new.ignore_differences));
    found.extend(windows::of(&old.sync_windows, &new.sync_windows));
    found
}

/// The pause an edit makes, or makes another: its end and reason. Ending one, or ending it sooner, is no pause.
pub fn pauses(old: Option<&Suspend>, new: Option<&Suspend>) -> Option<Loosened> {
    let said = |suspend: &Suspend| format!("{} until {}", suspend.reason, suspend.until);
    let new = new?;
    let is_shorter = old.is_some_and(|old| old.reason == new.reason && !is_later(&old.until, &new.until));
    let from = old.map_or_else(|| "nothing".to_owned(), said);
    (!is_shorter).then(|| Loosened { field: "spec.suspend".to_owned(), from, to: said(new) })
}

/// The same for a rollback: a pause with content, which keeps commits out as a pause does.
pub fn rolls_back(old: Option<&Rollback>, new: Option<&Rollback>) -> Option<Loosened> {
    let said = |rollback: &Rollback| format!("{} until {} ({})", rollback.revision, rollback.until, rollback.reason);
    let new = new?;
    let same = |old: &Rollback| (&old.revision, &old.reason) == (&new.revision, &new.reason);
    let is_shorter = old.is_some_and(|old| same(old) && !is_later(&old.until, &new.until));
    let from = old.map_or_else(|| "nothing".to_owned(), said);
    (!is_shorter).then(|| Loosened { field: "spec.rollback".to_owned(), from, to: said(new) })
}

/// Is the end another than it was, and not an earlier one?
fn is_later(old: &str, new: &str) -> bool {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    time(new) > time(old)
}

/// What an edit of the `DriftPolicy` loosens; without one, its defaults hold.
pub fn of_policy(old: &DriftPolicySpec, new: &DriftPolicySpec) -> Vec<Loosened> {
    let mut found = added("spec.controllers", &old.controllers, &new.controllers);
    found.extend(added("spec.ignoreDifferences", &old.ignore_differences, &new.ignore_differences));
    // Whoever is not known to be a person may add fields.
    let gone = added("spec.interactiveManagers", &new.interactive_managers, &old.interactive_managers);
    found.extend(gone.into_iter().map(|Loosened { field, from, to }| Loosened { field, from: to, to: from }));
    let BreakGlass { max_duration, default_duration } = &new.break_glass;
    let durations = [
        ("spec.breakGlass.maxDuration", &old.break_glass.max_duration, max_duration),
        ("spec.breakGlass.defaultDuration", &old.break_glass.default_duration, default_duration),
    ];
    let longer = durations.into_iter().filter(|(_, from, to)| duration::parse(to).ok() > duration::parse(from).ok());
    found.extend(longer.map(|(field, from, to)| Loosened {
        field: field.to_owned(),
        from: from.clone(),
        to: to.clone(),
    }));
    found.extend(switched_on(old, new));
    found.extend(windows::of(&old.sync_windows, &new.sync_windows));
    found.extend(guards::loosened(&old.guards, &new.guards));
    found
}

/// Presets that are on again: each is an exclusion.
fn switched_on(old: &DriftPolicySpec, new: &DriftPolicySpec) -> Vec<Loosened> {
    let switches = |spec: &DriftPolicySpec| serde_json::to_value(&spec.presets).unwrap_or_default();
    let (before, after) = (switches(old), switches(new));
    let on =
        after.as_object().into_iter().flatten().filter(|(name, on)| **on == true && before[name.as_str()] == false);
    let on = on.map(|(name, _)| format!("spec.presets.{name}"));
    on.map(|field| Loosened { field, from: "false".to_owned(), to: "true".to_owned() }).collect()
}

/// Elements that were not there before.
fn added<T: serde::Serialize>(field: &str, old: &[T], new: &[T]) -> Vec<Loosened> {
    let values = |list: &[T]| -> Vec<Value> {
        list.iter().map(|element| serde_json::to_value(element).unwrap_or_default()).collect()
    };
    let old = values(old);
    let more = values(new).into_iter().filter(|element| !old.contains(element));
    more.map(|element| {
        let to = element.as_str().map_or_else(|| element.to_string(), str::to_owned);
        Loosened { field: field.to_owned(), from: "nothing".to_owned(), to }
    })
    .collect()
}

/// A warning and a mark both let an edit pass.
fn mode_strength(mode: Mode) -> u8 {
    match mode {
        Mode::Deny => 2,
        Mode::Warn | Mode::Annotate => 1,
        Mode::Off => 0,
    }
}

fn undeclared_strength(undeclared: Undeclared) -> u8 {
    match undeclared {
        Undeclared::Deny => 2,
        Undeclared::Warn => 1,
        Undeclared::Allow => 0,
    }
}

fn named(variant: impl Debug) -> String {
    format!("{variant:?}")
}

// === impl Loosened ===

impl std::fmt::Display for Loosened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { field, from, to } = self;
        write!(f, "{field}: {from} → {to}")
    }
}

#[cfg(test)]
mod tests;
