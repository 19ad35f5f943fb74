//! The status of a `GitSync`: a pure function of what its keeper knows, written only when it changes.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::entry::{Drifted, Entry};
use super::prune::Stray;
use crate::api::{DriftedObject, GitSyncStatus, ObjectRef};
use crate::core::object::ObjectKey;
use crate::git::Problem;

/// Drifted objects listed; the count tells the rest.
const LISTED: usize = 50;
/// Problems named in a condition's message.
const NAMED: usize = 5;

/// What a status is made of.
pub struct Facts<'a> {
    /// Generation of the spec in force.
    pub generation: Option<i64>,
    /// Newest commit read.
    pub observed: Option<&'a str>,
    /// Commit the cluster was last found equal to.
    pub synced: Option<&'a str>,
    /// The objects.
    pub entries: &'a mut dyn Iterator<Item = &'a Entry>,
    /// What left Git and is still there.
    pub strays: &'a HashMap<ObjectKey, Stray>,
    /// What could not be read.
    pub problems: &'a [Problem],
    /// What could not be done, if anything.
    pub failure: Option<&'a Failure>,
    /// Failures in a row that make it stalled.
    pub limit: u32,
    /// The pause in force: its reason and end.
    pub paused: Option<String>,
    /// Kinds there are objects of.
    pub kinds: Vec<String>,
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
    let Facts { generation, observed, synced, entries, strays, problems, failure, limit, paused, kinds } = facts;
    let (mut objects, mut drift, mut open) = (0, Vec::new(), 0_usize);
    let mut undecided = Vec::new();
    for entry in entries {
        undecided.extend(entry.drifted.as_ref().filter(|drifted| drifted.undecided).map(|drifted| drifted.why.clone()));
        objects += 1;
        open += usize::from(entry.glass.is_some());
        drift.extend(entry.drifted.as_ref().map(|drifted| listed(entry, drifted)));
    }
    let left = strays.iter().filter(|(_, stray)| stray.kept.is_none());
    drift.extend(left.map(|(key, _)| unwanted(key, before, now)));
    drift.sort_by_cached_key(|object| format!("{:?}", object.object));
    let drifted = drift.len();
    drift.truncate(LISTED);
    let mut conditions = vec![
        synced_condition(problems, failure, synced),
        ready_condition(problems, failure, synced, drifted),
        stalled_condition(failure, limit),
    ];
    conditions.extend(paused.map(|why| Said { kind: "Suspended", holds: true, reason: "Suspended", message: why }));
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
        objects,
        drifted: u32::try_from(drifted).unwrap_or(u32::MAX),
        drift,
        kinds,
        conditions: conditions.into_iter().map(|said| said.since(before, generation, now)).collect(),
    }
}

/// A condition before it is known since when it holds.
struct Said {
    kind: &'static str,
    holds: bool,
    reason: &'static str,
    message: String,
}

fn synced_condition(problems: &[Problem], failure: Option<&Failure>, synced: Option<&str>) -> Said {
    let said = |holds, reason, message| Said { kind: "Synced", holds, reason, message };
    match (failure, problems, synced) {
        (Some(failure), _, _) => said(false, failure.reason, failure.message.clone()),
        (None, [_, ..], _) => said(false, "BrokenManifests", name(problems)),
        (None, [], Some(sha)) => said(true, "Synced", format!("the cluster was made equal to {sha}")),
        (None, [], None) => said(false, "NotYet", "nothing has been read yet".to_owned()),
    }
}

fn ready_condition(problems: &[Problem], failure: Option<&Failure>, synced: Option<&str>, drifted: usize) -> Said {
    let Said { holds, reason, message, .. } = synced_condition(problems, failure, synced);
    let said = |holds, reason, message| Said { kind: "Ready", holds, reason, message };
    match drifted {
        _ if !holds => said(false, reason, message),
        0 => said(true, "InSync", message),
        count => said(false, "Drifted", format!("{count} object(s) differ from Git; see .status.drift")),
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

/// An object that left Git and is still there. Since when is remembered by the status itself.
fn unwanted(key: &ObjectKey, before: &GitSyncStatus, now: Timestamp) -> DriftedObject {
    let object = ObjectRef::from(key);
    let known = before.drift.iter().find(|known| known.object == object);
    DriftedObject {
        since: known.map_or(Time(now), |known| known.since.clone()),
        object,
        paths: Vec::new(),
        by: None,
        why: Some("it left Git; prune is off, or waits for a complete sync".to_owned()),
    }
}

fn name(problems: &[Problem]) -> String {
    let named: Vec<_> = problems.iter().take(NAMED).map(ToString::to_string).collect();
    match problems.len().saturating_sub(NAMED) {
        0 => named.join("; "),
        rest => format!("{}; and {rest} more", named.join("; ")),
    }
}
