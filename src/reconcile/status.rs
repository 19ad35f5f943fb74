//! The status of a `GitSync`: a pure function of what its keeper knows, written only when it changes.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::entry::{Drifted, Entry};
use crate::api::{DriftedObject, GitSyncStatus, HistoryEntry, ObjectRef, PinnedRevision};
use crate::core::object::ObjectKey;
use crate::git::Problem;

/// Drifted objects listed; the count tells the rest.
const LISTED: usize = 50;
/// Problems or objects named in a condition's message.
const NAMED: usize = 5;

/// What a status is made of.
pub struct Facts<'a> {
    /// Generation of the spec in force.
    pub generation: Option<i64>,
    /// Newest commit read.
    pub observed: Option<&'a str>,
    /// Commit whose declarations hold.
    pub enforced: Option<String>,
    /// Commit the cluster was last found equal to.
    pub synced: Option<&'a str>,
    /// The objects.
    pub entries: &'a mut dyn Iterator<Item = &'a Entry>,
    /// What is there, is ours, and is not known to be declared; and why.
    pub undeclared: Vec<(&'a ObjectKey, String)>,
    /// What other syncs declare as well, in words, and whether one of them keeps it.
    pub shared: &'a [(bool, String)],
    /// What could not be read.
    pub problems: &'a [Problem],
    /// What could not be done, if anything.
    pub failure: Option<&'a Failure>,
    /// Failures in a row that make it stalled.
    pub limit: u32,
    /// What a commit that is being written waits for.
    pub waiting: Option<String>,
    /// The pause in force: its reason and end.
    pub paused: Option<String>,
    /// The rollback in force: why, until when, by whom, from where to where.
    pub rolled_back: Option<String>,
    /// The commit it pins.
    pub pinned: Option<PinnedRevision>,
    /// Why the newest commit is not made real, if a rollback keeps it out.
    pub kept_out: Option<String>,
    /// What windows keep closed, and what waits for them.
    pub window: Option<String>,
    /// Why the newest commit is not in force.
    pub waits: Option<String>,
    /// Fights with others.
    pub fighting: Option<String>,
    /// Kinds there are objects of.
    pub kinds: Vec<String>,
    /// What became of the last commits.
    pub history: Vec<HistoryEntry>,
    /// The request that was answered last.
    pub handled: Option<String>,
}

/// A sync that did not work out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One word in CamelCase.
    pub reason: &'static str,
    /// What happened, naming object and remedy.
    pub message: String,
    /// How often in a row.
    pub count: u32,
}

/// The status that says all this. Conditions that have not changed keep their transition times from `before`.
pub fn status(facts: Facts<'_>, before: &GitSyncStatus, now: Timestamp) -> GitSyncStatus {
    let Facts { generation, observed, synced, entries, undeclared, shared, problems, .. } = facts;
    let Facts { failure, limit, paused, kinds, window, waits, kept_out, fighting, .. } = facts;
    let Facts { enforced, waiting, history, handled, .. } = facts;
    let Facts { rolled_back, pinned, .. } = facts;
    let (mut objects, mut drift, mut open) = (0, Vec::new(), 0_usize);
    let (mut undecided, mut held) = (Vec::new(), Vec::new());
    for entry in entries {
        undecided.extend(entry.drifted.as_ref().filter(|drifted| drifted.undecided).map(|drifted| drifted.why.clone()));
        objects += 1;
        held.extend(entry.is_held().then(|| entry.managed.manifest.key.to_string()));
        open += usize::from(entry.glass.is_some());
        drift.extend(entry.drifted.as_ref().map(|drifted| listed(entry, drifted)));
    }
    drift.extend(undeclared.into_iter().map(|(key, why)| unwanted(key, why, before, now)));
    drift.sort_by_cached_key(|object| format!("{:?}", object.object));
    let drifted = drift.len();
    drift.truncate(LISTED);
    held.sort();
    let (waits, kept_out, waiting) = (waits.as_deref(), kept_out.as_deref(), waiting.as_deref());
    let whole = Whole { problems, failure, synced, shared, held: &held, waits, kept_out, waiting };
    let mut conditions = vec![whole.synced(), whole.ready(drifted), stalled_condition(failure, limit)];
    if !shared.is_empty() {
        let said: Vec<_> = shared.iter().map(|(_, said)| said.clone()).collect();
        conditions.push(Said { kind: "Conflict", holds: true, reason: "Shared", message: some(&said) });
    }
    conditions.extend(while_they_hold(paused, rolled_back, window, fighting));
    if let Some(first) = undecided.iter().min() {
        let message = format!("{} object(s) are left as they are: {first}", undecided.len());
        conditions.push(Said { kind: "RuleError", holds: true, reason: "RuleFailed", message });
    }
    if open > 0 {
        let message = format!("{open} object(s) are open for emergency edits");
        conditions.push(Said { kind: "BreakGlass", holds: true, reason: "Open", message });
    }
    GitSyncStatus {
        observed_generation: generation,
        revision: Some(synced.map_or_else(|| "not synced".to_owned(), |sha| sha.chars().take(7).collect())),
        observed_revision: observed.map(str::to_owned),
        synced_revision: synced.map(str::to_owned),
        enforced_revision: enforced,
        rollback: pinned,
        objects,
        drifted: u32::try_from(drifted).unwrap_or(u32::MAX),
        drift,
        kinds,
        history,
        handled_request: handled,
        conditions: conditions.into_iter().map(|said| said.since(before, generation, now)).collect(),
    }
}

/// Conditions that are there only while they hold, each with its message.
fn while_they_hold(
    paused: Option<String>,
    rolled_back: Option<String>,
    window: Option<String>,
    fighting: Option<String>,
) -> impl Iterator<Item = Said> {
    let paused = paused.map(|message| Said { kind: "Suspended", holds: true, reason: "Suspended", message });
    let pinned = rolled_back.map(|message| Said { kind: "RolledBack", holds: true, reason: "Pinned", message });
    let window = window.map(|message| Said { kind: "WindowClosed", holds: true, reason: "Closed", message });
    let fighting = fighting.map(|message| Said { kind: "Fighting", holds: true, reason: "BackedOff", message });
    [paused, pinned, window, fighting].into_iter().flatten()
}

/// A condition before it is known since when it holds.
struct Said {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

/// What decides whether the cluster equals the commit that was read.
struct Whole<'a> {
    problems: &'a [Problem],
    failure: Option<&'a Failure>,
    synced: Option<&'a str>,
    shared: &'a [(bool, String)],
    /// Objects that a break-glass keeps a commit from.
    held: &'a [String],
    /// Why the newest commit is not in force, if it waits for a window.
    waits: Option<&'a str>,
    /// Likewise, if a rollback keeps it out.
    kept_out: Option<&'a str>,
    /// What a commit that is being written waits for.
    waiting: Option<&'a str>,
}

// === impl Whole ===

impl Whole<'_> {
    fn synced(&self) -> Said {
        let Self { problems, failure, synced, shared, held, waits, kept_out, waiting } = *self;
        let said = |holds, reason, message| Said { kind: "Synced", holds, reason, message };
        let lost: Vec<_> = shared.iter().filter(|(lost, _)| *lost).map(|(_, said)| said.clone()).collect();
        let broken: Vec<_> = problems.iter().map(ToString::to_string).collect();
        if let Some(failure) = failure {
            let all: Vec<_> = std::iter::once(failure.message.clone()).chain(broken).collect();
            said(false, failure.reason, some(&all))
        } else if !broken.is_empty() {
            said(false, "BrokenManifests", some(&broken))
        } else if let Some(waiting) = waiting {
            said(false, "Waiting", waiting.to_owned())
        } else if !lost.is_empty() {
            said(false, "Conflict", some(&lost))
        } else if !held.is_empty() {
            let message = format!("a break-glass keeps the newest commit from {}", some(held));
            said(false, "BreakGlass", message)
        } else if let Some(waits) = waits {
            said(false, "WindowClosed", waits.to_owned())
        } else if let Some(kept_out) = kept_out {
            said(false, "RolledBack", kept_out.to_owned())
        } else if let Some(sha) = synced {
            said(true, "Synced", format!("the cluster was made equal to {sha}"))
        } else {
            said(false, "NotYet", "nothing has been read yet".to_owned())
        }
    }

    fn ready(&self, drifted: usize) -> Said {
        let Said { holds, reason, message, .. } = self.synced();
        let said = |holds, reason, message| Said { kind: "Ready", holds, reason, message };
        match drifted {
            _ if !holds => said(false, reason, message),
            0 => said(true, "InSync", message),
            count => said(false, "Drifted", format!("{count} object(s) differ from Git; see .status.drift")),
        }
    }
}

fn stalled_condition(failure: Option<&Failure>, limit: u32) -> Said {
    let said = |holds, reason, message| Said { kind: "Stalled", holds, reason, message };
    match failure {
        Some(Failure { count, message, .. }) if *count >= limit => {
            said(true, "RetriesExhausted", format!("{count} failures in a row; still trying. Last: {message}"))
        }
        _ => said(false, "Progressing", String::new()),
    }
}

// === impl Said ===

impl Said {
    fn since(self, before: &GitSyncStatus, generation: Option<i64>, now: Timestamp) -> Condition {
        let Self { kind, holds, reason, message } = self;
        let status = if holds { "True" } else { "False" }.to_owned();
        let same = before.conditions.iter().find(|old| old.type_ == kind && old.status == status);
        Condition {
            type_: kind.to_owned(),
            last_transition_time: same.map_or_else(|| Time(now), |old| old.last_transition_time.clone()),
            observed_generation: generation,
            status,
            reason: reason.to_owned(),
            message,
        }
    }
}

fn listed(entry: &Entry, drifted: &Drifted) -> DriftedObject {
    let Drifted { paths, since, by, why, .. } = drifted;
    DriftedObject {
        object: (&entry.managed.manifest.key).into(),
        paths: paths.clone(),
        since: Time(*since),
        by: by.clone(),
        why: Some(why.clone()),
    }
}

/// An object that is not known to be declared, and is still there. Since when is remembered by the status itself.
fn unwanted(key: &ObjectKey, why: String, before: &GitSyncStatus, now: Timestamp) -> DriftedObject {
    let object = ObjectRef::from(key);
    let known = before.drift.iter().find(|known| known.object == object);
    DriftedObject {
        since: known.map_or(Time(now), |known| known.since.clone()),
        object,
        paths: Vec::new(),
        by: None,
        why: Some(why),
    }
}

/// The first few of these, and how many more.
fn some(said: &[String]) -> String {
    let named = said[..said.len().min(NAMED)].join("; ");
    match said.len().saturating_sub(NAMED) {
        0 => named,
        rest => format!("{named}; and {rest} more"),
    }
}
