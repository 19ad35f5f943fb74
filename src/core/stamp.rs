//! What `/mutate` writes on an object: the stamps of a break-glass, and the mark of a manual edit.
//!
//! A mutating webhook may be asked twice about one request, and `/validate` reads what was written here. So each decision is
//! a function of what the object was and is: asked again about its own work, it has nothing to add.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::breakglass::{self, Change, Limits, Refused, Request};
use super::compare::Deviation;
use super::names::{BREAK_GLASS_BY, BREAK_GLASS_FOR, BREAK_GLASS_UNTIL, MANUAL_EDIT};
use super::state::State;

/// One annotation to write or to take away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Writes it.
    Set(&'static str, String),
    /// Takes it away.
    Remove(&'static str),
}

/// What the stamps of an object need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stamps {
    /// The edit has nothing to do with break-glass.
    Untouched,
    /// It opens one: the stamps that are missing.
    Opening(Vec<Write>),
    /// It closes one: what is left over.
    Closing(Vec<Write>),
}

/// Who edited, when and what: the value of the manual-edit mark.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    user: String,
    at: Timestamp,
    fields: Vec<String>,
}

/// Most fields a mark names: annotations of an object share 256 KiB.
const FIELDS: usize = 20;

/// A mark this recent was written for this very request: no admission takes longer.
const REINVOCATION: SignedDuration = SignedDuration::from_secs(30);

/// The stamps for an edit from `old` (absent on create) to `new` by `user`.
///
/// Stamps that came along unchanged from `old` belong to an earlier break-glass and are renewed. Any others were either
/// written here a moment ago or typed, and then they must say what would have been written.
pub fn stamps(
    old: Option<&State<'_>>,
    new: &State<'_>,
    limits: &Limits,
    user: &str,
    now: Timestamp,
) -> Result<Stamps, Refused> {
    match breakglass::change(old, new, limits)? {
        Change::None => Ok(Stamps::Untouched),
        Change::Forged => Err(Refused::ForgedStamps),
        Change::Close => Ok(Stamps::Closing(leftovers(new))),
        Change::Open(request) if same_stamps(old, new) => Ok(Stamps::Opening(fresh(&request, user, now))),
        Change::Open(request) => match breakglass::check_stamps(&request, new, user, now) {
            Ok(_) => Ok(Stamps::Opening(Vec::new())),
            Err(_) => Err(Refused::ForgedStamps),
        },
    }
}

/// The mark for an edit by `user` that introduced these deviations; `None` if this request already wrote it.
pub fn mark(
    old: Option<&State<'_>>,
    new: &State<'_>,
    user: &str,
    introduced: &[Deviation],
    now: Timestamp,
) -> Option<Write> {
    let mark = Mark { user: user.to_owned(), at: in_seconds(now), fields: fields(introduced) };
    let text = new.annotation(MANUAL_EDIT);
    let written_now = text.is_some() && text != old.and_then(|old| old.annotation(MANUAL_EDIT));
    if written_now && text.is_some_and(|text| mark.is_repeated_by(text)) {
        return None;
    }
    Some(Write::Set(MANUAL_EDIT, serde_json::to_string(&mark).ok()?))
}

// === impl Mark ===

impl Mark {
    /// Does this text say the same, of the same moment?
    fn is_repeated_by(&self, text: &str) -> bool {
        let Ok(Self { user, at, fields }) = serde_json::from_str(text) else { return false };
        let age = self.at.duration_since(at);
        user == self.user && fields == self.fields && age.abs() <= REINVOCATION
    }
}

fn same_stamps(old: Option<&State<'_>>, new: &State<'_>) -> bool {
    let same = |name| old.and_then(|old| old.annotation(name)) == new.annotation(name);
    same(BREAK_GLASS_BY) && same(BREAK_GLASS_UNTIL)
}

fn fresh(request: &Request, user: &str, now: Timestamp) -> Vec<Write> {
    let until = in_seconds(now.saturating_add(request.length).unwrap_or(Timestamp::MAX));
    vec![Write::Set(BREAK_GLASS_BY, user.to_owned()), Write::Set(BREAK_GLASS_UNTIL, until.to_string())]
}

fn leftovers(new: &State<'_>) -> Vec<Write> {
    let there = |name: &&str| new.annotation(name).is_some();
    [BREAK_GLASS_FOR, BREAK_GLASS_BY, BREAK_GLASS_UNTIL].into_iter().filter(there).map(Write::Remove).collect()
}

fn fields(introduced: &[Deviation]) -> Vec<String> {
    let mut fields: Vec<_> = introduced.iter().take(FIELDS).map(|deviation| deviation.path.to_string()).collect();
    if introduced.len() > FIELDS {
        fields.push(format!("… and {} more", introduced.len() - FIELDS));
    }
    fields
}

/// Whole seconds, cut off and never rounded up: a stamp must not promise more than was granted.
fn in_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
