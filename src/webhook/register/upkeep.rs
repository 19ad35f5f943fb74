//! Keeping one configuration as it is to be, without a clock and without a client.
//!
//! Nothing can deny an edit of a webhook configuration: the API server exempts them from admission. So it is watched, and put
//! back. Told what was seen and what is wanted, this says which write is due; told the answer, what there is to record. Our own
//! writes are no tampering: they are what the next sight is compared with.
//!
//! A tool that insists on its own version is met with growing patience. Two programs that correct each other at full speed help
//! nobody, and the log says whose quarrel it is.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::changes::{Change, changes, manager};

/// What one configuration is, was, and is to be.
#[derive(Debug, Default)]
pub struct Upkeep {
    wanted: Option<Value>,
    /// What was last sent, and what was answered.
    registered: Option<Registered>,
    seen: Seen,
    tampering: Option<Tampering>,
    quarrel: Quarrel,
    not_before: Option<Instant>,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// All is well, or nothing is known yet.
    Rest,
    /// Something is due, but not before this.
    Wait(Instant),
    /// There is none: create it.
    Create(Value),
    /// Write over the one that was seen, and over no other: it has the version that was seen.
    Replace(Value),
}

/// What somebody did.
#[derive(Debug, Clone, PartialEq)]
pub struct Tampering {
    /// What is not as it was registered.
    pub changes: Vec<Change>,
    /// Is all of it gone?
    pub deleted: bool,
    /// The tool that did it, as far as ownership tells.
    pub manager: Option<String>,
    /// When it was first seen.
    pub seen: Instant,
    /// How often in a row this very thing was done; 1 the first time.
    pub times: u32,
}

/// What there is.
#[derive(Debug, Default)]
enum Seen {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    Absent,
    Present(Value),
}

#[derive(Debug)]
struct Registered {
    sent: Value,
    answered: Value,
}

/// The same edit, again and again.
#[derive(Debug, Default)]
struct Quarrel {
    about: Vec<String>,
    times: u32,
    last: Option<Instant>,
}

/// A write that failed is tried again after this.
const AGAIN: Duration = Duration::from_secs(2);
/// So often the same edit is undone at once.
const PATIENT: u32 = 5;
/// Never let go for longer than this.
const LONGEST: Duration = Duration::from_secs(30);
/// A quarrel that rested for so long is over.
const FORGOTTEN: Duration = Duration::from_mins(2);

// === impl Upkeep ===

impl Upkeep {
    /// This is to be registered from now on.
    pub fn want(&mut self, configuration: Value) {
        self.wanted = Some(configuration);
    }

    /// This is what there is now.
    pub fn saw(&mut self, found: Option<Value>, now: Instant) {
        let changes = self.registered.as_ref().map(|ours| changes(&ours.answered, found.as_ref())).unwrap_or_default();
        if changes.is_empty() {
            self.tampering = None;
        } else {
            self.tampered(changes, found.as_ref(), now);
        }
        self.seen = found.map_or(Seen::Absent, Seen::Present);
    }

    /// What to do at `now`.
    pub fn step(&self, now: Instant) -> Step {
        let Some(wanted) = &self.wanted else { return Step::Rest };
        let is_registered = self.registered.as_ref().is_some_and(|ours| ours.sent == *wanted);
        if is_registered && self.tampering.is_none() {
            return Step::Rest;
        }
        match (self.not_before, &self.seen) {
            (_, Seen::Unknown) => Step::Rest,
            (Some(then), _) if now < then => Step::Wait(then),
            (_, Seen::Present(found)) => Step::Replace(over(found, wanted)),
            (_, Seen::Absent) => Step::Create(wanted.clone()),
        }
    }

    /// The write of what is wanted succeeded; answers with what it has undone.
    pub fn wrote(&mut self, answer: Value) -> Option<Tampering> {
        let sent = self.wanted.clone().unwrap_or_default();
        self.seen = Seen::Present(answer.clone());
        self.registered = Some(Registered { sent, answered: answer });
        self.not_before = None;
        self.tampering.take()
    }

    /// Somebody else was in charge, or will be: what there is stays, what was thought of it does not.
    pub fn start_over(&mut self) {
        let Self { wanted, seen, .. } = std::mem::take(self);
        *self = Self { wanted, seen, ..Self::default() };
    }

    /// Does what there is trust whom it is to trust? All that those who do not write need to know.
    pub fn is_trusted(&self) -> bool {
        let Seen::Present(found) = &self.seen else { return false };
        let trusted = self.wanted.as_ref().map(trusted).unwrap_or_default();
        !trusted.is_empty() && trusted == self::trusted(found)
    }

    /// The write failed, for whatever reason but that somebody else was faster.
    pub fn failed(&mut self, now: Instant) {
        self.not_before = Some(now + AGAIN);
    }

    /// What is registered now, as the API server answered; `None` while it is not as wanted.
    pub fn registered(&self) -> Option<&Value> {
        let wanted = self.wanted.as_ref()?;
        let ours = self.registered.as_ref().filter(|ours| ours.sent == *wanted && self.tampering.is_none())?;
        Some(&ours.answered)
    }

    fn tampered(&mut self, changes: Vec<Change>, found: Option<&Value>, now: Instant) {
        let ours = self.registered.as_ref().zip(found);
        let manager = ours.and_then(|(ours, found)| manager(&ours.answered, found));
        let times = match &self.tampering {
            Some(before) => before.times,
            None => self.quarrel.again(&changes, now),
        };
        let seen = self.tampering.as_ref().map_or(now, |before| before.seen);
        if self.tampering.is_none() {
            self.not_before = Some(now + pause(times));
        }
        self.tampering = Some(Tampering { changes, deleted: found.is_none(), manager, seen, times });
    }
}

// === impl Quarrel ===

impl Quarrel {
    /// How often in a row this was done.
    fn again(&mut self, changes: &[Change], now: Instant) -> u32 {
        let about: Vec<String> = changes.iter().map(|change| change.path.clone()).collect();
        let is_old = self.last.is_none_or(|last| now.duration_since(last) > FORGOTTEN);
        self.times = if is_old || about != self.about { 1 } else { self.times + 1 };
        self.about = about;
        self.last = Some(now);
        self.times
    }
}

/// Whom a configuration trusts.
fn trusted(configuration: &Value) -> BTreeSet<&str> {
    let webhooks = configuration["webhooks"].as_array().into_iter().flatten();
    webhooks.filter_map(|webhook| webhook.pointer("/clientConfig/caBundle")?.as_str()).collect()
}

/// Nothing at first, then doubling.
fn pause(times: u32) -> Duration {
    let beyond = times.saturating_sub(PATIENT);
    if beyond == 0 { Duration::ZERO } else { Duration::from_secs(1 << (beyond - 1).min(10)).min(LONGEST) }
}

/// `wanted`, with the labels and annotations others have put on what was found, and its version.
fn over(found: &Value, wanted: &Value) -> Value {
    let mut body = found.clone();
    body["webhooks"] = wanted["webhooks"].clone();
    for (label, value) in wanted.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten() {
        body["metadata"]["labels"][label] = value.clone();
    }
    body
}

#[cfg(test)]
mod tests;
