//! Fights: somebody undoes our heals, again and again.
//!
//! Every effective heal of an object adds to its heat, and heat fades with time, to a third in a minute. Above [`LIMIT`] it is a
//! fight, and we give way: each heal then waits longer than the one before, up to [`LONGEST`]. It is over when a heal has lasted
//! for [`CALM`]; then nothing is waited for any more. What a fight never does is drop a heal: after the last wait the object
//! becomes what Git says, whoever was there meanwhile.
//!
//! Status writes and echoes of our own writes are no heals, and so do not count.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::object::ObjectKey;
use super::path::{Path, Step};

/// Heat above which it is a fight: six heals within seconds, or one every thirteen seconds for ever.
pub const LIMIT: f64 = 5.0;
/// A heal that lasts so long has ended the fight.
pub const CALM: SignedDuration = SignedDuration::from_mins(2);
/// Wait before the next heal in a fight that has just begun; each later wait is twice the one before.
pub const FIRST: Duration = Duration::from_secs(15);
/// No wait is longer, but for its jitter.
pub const LONGEST: Duration = Duration::from_mins(10);
/// Heat that is as good as none.
const COLD: f64 = 0.05;

/// How hot the heals of one object are.
#[derive(Debug, Clone, PartialEq)]
pub struct Bout {
    heat: f64,
    /// The last heal.
    healed: Timestamp,
    fight: Option<Fight>,
}

/// A fight that is going on.
#[derive(Debug, Clone, PartialEq)]
pub struct Fight {
    /// When it began.
    pub since: Timestamp,
    /// Heals since.
    pub rounds: u32,
    /// No heal before this.
    pub until: Timestamp,
}

// === impl Bout ===

impl Bout {
    /// An object that was never healed.
    pub fn new(now: Timestamp) -> Self {
        Self { heat: 0.0, healed: now, fight: None }
    }

    /// It was healed, and that made a difference; `true` if a fight begins with it. `salt` spreads the waits of many objects.
    pub fn healed(&mut self, salt: u64, now: Timestamp) -> bool {
        self.heat = self.heat(now) + 1.0;
        self.healed = self.healed.max(now);
        let begins = self.fight.is_none() && self.heat > LIMIT;
        if begins {
            self.fight = Some(Fight { since: now, rounds: 0, until: now });
        }
        if let Some(fight) = &mut self.fight {
            fight.rounds += 1;
            fight.until = after(now, jittered(wait(fight.rounds), salt, fight.rounds));
        }
        begins
    }

    /// The fight, if there is one.
    pub fn fight(&self) -> Option<&Fight> {
        self.fight.as_ref()
    }

    /// Until when a heal has to wait, if it has to.
    pub fn waits(&self, now: Timestamp) -> Option<Timestamp> {
        self.fight.as_ref().map(|fight| fight.until).filter(|until| now < *until)
    }

    /// When the fight is over unless something happens.
    pub fn calm(&self) -> Option<Timestamp> {
        self.fight.as_ref().map(|_| self.healed.saturating_add(CALM).unwrap_or(Timestamp::MAX))
    }

    /// Has the last heal lasted long enough? `drifted`: it has not lasted at all.
    pub fn is_over(&self, drifted: bool, now: Timestamp) -> bool {
        !drifted && self.calm().is_some_and(|calm| calm <= now)
    }

    /// Nothing worth remembering.
    pub fn is_cold(&self, now: Timestamp) -> bool {
        self.fight.is_none() && self.heat(now) < COLD
    }

    fn heat(&self, now: Timestamp) -> f64 {
        // A clock that was set back makes nothing hotter.
        let minutes = now.duration_since(self.healed).as_secs_f64().max(0.0) / 60.0;
        self.heat * (-minutes).exp()
    }
}

/// A duration, longer by up to a fifth: the same for the same object and try, another one for others.
pub fn jittered(wait: Duration, salt: u64, round: u32) -> Duration {
    let mut hasher = DefaultHasher::new();
    (salt, round).hash(&mut hasher);
    let share = u32::try_from(hasher.finish() % 200).unwrap_or_default();
    wait.saturating_add(wait / 1000 * share)
}

/// What sets this object apart from others.
pub fn salt(key: &ObjectKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// The exclusion that would end the fight, to paste under `spec`; `None` if no exclusion would: an object that is deleted again
/// and again. Places that many are what their writer owns.
pub fn peace(key: &ObjectKey, paths: &[Path], manager: Option<&str>) -> Option<String> {
    /// More places than a person wants to read.
    const MANY: usize = 5;
    if paths.is_empty() || paths.iter().any(|path| path.steps().is_empty()) {
        return None;
    }
    let (pointers, others): (Vec<_>, Vec<_>) = paths.iter().partition(|path| pointer(path).is_some());
    let pointers = list("jsonPointers", pointers.into_iter().filter_map(pointer));
    let others = list("fieldPaths", others.into_iter().map(ToString::to_string));
    let owned = manager.filter(|_| paths.len() > MANY);
    let places = match owned {
        Some(manager) => list("managedFieldsManagers", std::iter::once(manager.to_owned())).unwrap_or_default(),
        None => [pointers, others].into_iter().flatten().collect(),
    };
    let text = |text: &str| Value::from(text).to_string();
    let (group, name) = (text(&key.group), text(&key.name));
    Some(format!("ignoreDifferences:\n- group: {group}\n  kind: {}\n  name: {name}\n{places}", key.kind))
}

/// JSON is YAML, too, and needs no thought about quotes.
fn list(field: &str, texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<_> = texts.map(|text| Value::from(text).to_string()).collect();
    (!texts.is_empty()).then(|| format!("  {field}: [{}]\n", texts.join(", ")))
}

/// The place as a JSON pointer, which cannot name an element of a list.
fn pointer(path: &Path) -> Option<String> {
    let segment = |step: &Step| match step {
        // A star would stand for any field.
        Step::Field(name) if **name != *"*" => Some(format!("/{}", name.replace('~', "~0").replace('/', "~1"))),
        _ => None,
    };
    path.steps().iter().map(segment).collect()
}

fn wait(rounds: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(rounds.saturating_sub(1))).min(LONGEST)
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
