//! What a keeper remembers of each object: what Git says, and what was last seen to be wrong.
//!
//! Live objects are not kept. A judgement needs one only at the moment it is seen; ten thousand of them would be the memory of
//! the process.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::cluster::Kind;
use crate::core::breakglass::Glass;
use crate::core::snapshot::Managed;

/// A declared object under a keeper's care.
pub struct Entry {
    /// What Git says.
    pub managed: Arc<Managed>,
    /// How to address it.
    pub kind: Kind,
    /// Tells this manifest from a later one.
    pub fingerprint: u64,
    /// The newest `resourceVersion` that was judged. Older sights are echoes of what was already answered.
    pub judged: u64,
    /// What is wrong with it, if anything is.
    pub drifted: Option<Drifted>,
    /// The break-glass that was open when it was last seen.
    pub glass: Option<Glass>,
    /// When people are to be reminded that it ends, unless they have been.
    pub reminder: Option<Timestamp>,
    /// Was it edited under a break-glass when Git last said otherwise? Then Git has caught up once the two are equal.
    pub held_open: bool,
    /// Does it still have to be made what a commit says? Without `selfHeal` this is the one reason to write it.
    pub pending: bool,
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Drifted {
    /// The paths, as people read them; empty when the object as a whole is missing.
    pub paths: Vec<String>,
    /// Since when, as far as can be told.
    pub since: Timestamp,
    /// Which field manager did it, as far as can be told.
    pub by: Option<String>,
    /// Why it is still there.
    pub why: String,
    /// How often healing it has failed.
    pub failures: u32,
    /// When to try again; `None` if it is not to be tried.
    pub retry: Option<Instant>,
    /// An exclusion rule failed: whether it is drift at all is not known.
    pub undecided: bool,
    /// The last write of it was not answered: whether it was done is not known.
    pub unanswered: bool,
}

// === impl Entry ===

impl Entry {
    /// An object that has not been looked at yet.
    pub fn new(managed: Arc<Managed>, kind: Kind, fingerprint: u64) -> Self {
        Self {
            managed,
            kind,
            fingerprint,
            judged: 0,
            drifted: None,
            glass: None,
            reminder: None,
            held_open: false,
            pending: true,
        }
    }

    /// The same object at another commit that says the same of it.
    pub fn renewed(&self, managed: Managed) -> Self {
        let Self { managed: _, kind, fingerprint, judged, drifted, glass, reminder, held_open, pending } = self;
        Self {
            managed: Arc::new(managed),
            kind: kind.clone(),
            fingerprint: *fingerprint,
            judged: *judged,
            drifted: drifted.clone(),
            glass: glass.clone(),
            reminder: *reminder,
            held_open: *held_open,
            pending: *pending,
        }
    }

    /// Does a break-glass keep out what a commit says of it?
    pub fn is_held(&self) -> bool {
        self.pending && self.glass.is_some() && self.drifted.is_some()
    }

    /// Is it on its way out, to be made anew as a commit says? Written but for that, it would have drifted or not be pending.
    pub fn is_going(&self) -> bool {
        self.pending && self.drifted.is_none()
    }

    /// When this object wants to be looked at without being seen: a retry, or the end of a break-glass.
    pub fn due(&self, now: Instant, wall: Timestamp) -> Option<Instant> {
        let retry = self.drifted.as_ref().and_then(|drifted| drifted.retry);
        let expiry = self.glass.as_ref().map(|glass| now + until(glass.until, wall));
        let reminder = self.reminder.map(|reminder| now + until(reminder, wall));
        retry.into_iter().chain(expiry).chain(reminder).min()
    }

    /// Remembers of an earlier commit whether the object is held open, and otherwise than Git said then.
    pub fn replaces(&mut self, before: &Self) {
        let says_otherwise = self.fingerprint != before.fingerprint;
        self.held_open = says_otherwise && before.glass.is_some() && before.drifted.is_some();
    }

    /// Notes the break-glass the object carries, if it is open. Another end is another one to be reminded of.
    pub fn note_glass(&mut self, glass: Option<Glass>, now: Timestamp) {
        let known = self.glass.as_ref().map(|glass| glass.until);
        if known != glass.as_ref().map(|glass| glass.until) {
            self.reminder = glass.as_ref().and_then(|glass| glass.reminder(now));
        }
        self.glass = glass;
    }
}

/// From `now` to `then`, or nothing if that has passed. Otherwise a millisecond more, so that the moment is really over.
pub fn until(then: Timestamp, now: Timestamp) -> Duration {
    if then <= now {
        return Duration::ZERO;
    }
    Duration::try_from(then.duration_since(now)).unwrap_or_default() + Duration::from_millis(1)
}

/// The `resourceVersion` of an object as a number: the API server has promised since 1.35 that they can be compared.
pub fn version(object: &serde_json::Value) -> u64 {
    let text = object.pointer("/metadata/resourceVersion").and_then(serde_json::Value::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Is this object on its way out?
pub fn goes(object: &serde_json::Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is due must be due at the very moment it is looked for: a millisecond later would be so for ever.
    #[test]
    fn what_has_passed_is_due_now() {
        let moment: Timestamp = "2026-11-21T10:00:00Z".parse().expect("a time");
        assert_eq!(until(moment, moment), Duration::ZERO);
        assert_eq!(until(moment, moment + Duration::from_secs(9)), Duration::ZERO);
        assert_eq!(until(moment + Duration::from_secs(2), moment), Duration::from_millis(2001));
    }
}
