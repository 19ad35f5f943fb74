//! Break-glass: an annotation that lets people with a right edit one object for a while, with a reason and an end.
//!
//! What people type (`break-glass`, `break-glass-for`) and what Holdfast stamps (`…-by`, `…-until`) are kept apart: `/mutate`
//! writes the stamps, `/validate` checks that they say who really asked and no later than they may. Typed stamps are refused.

use jiff::{SignedDuration, Timestamp};

use super::names::{BREAK_GLASS, BREAK_GLASS_BY, BREAK_GLASS_FOR, BREAK_GLASS_UNTIL, GROUP};
use super::state::State;

/// An open break-glass, as stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glass {
    /// Why, as typed.
    pub reason: String,
    /// Who opened it.
    pub by: String,
    /// When it closes by itself.
    pub until: Timestamp,
}

// === impl Glass ===

impl Glass {
    /// When to remind people that it ends; a short one reminds of itself.
    pub fn reminder(&self, opened: Timestamp) -> Option<Timestamp> {
        let reminder = self.until.saturating_sub(REMINDER).ok()?;
        (reminder > opened).then_some(reminder)
    }
}

/// How long a break-glass may stay open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// When nothing is typed.
    pub default: SignedDuration,
    /// At most.
    pub max: SignedDuration,
}

/// What an edit does to an object's break-glass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Neither annotations nor stamps are touched.
    None,
    /// It is opened, or its reason or duration is typed anew.
    Open(Request),
    /// The annotation is removed: Git wins again.
    Close,
    /// Only stamps are touched, and only we may do that.
    Forged,
}

/// A break-glass as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Why.
    pub reason: String,
    /// For how long.
    pub length: SignedDuration,
}

/// Why a break-glass is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody will have to understand it at three in the morning.
    #[error("{BREAK_GLASS} needs a reason: {BREAK_GLASS}=\"INC-4211: failover\"")]
    NoReason,
    /// The duration cannot be read.
    #[error("{BREAK_GLASS_FOR}=\"{0}\" is not a duration; write 30m or 1h30m")]
    BadDuration(String),
    /// The duration is longer than the policy allows.
    #[error("{BREAK_GLASS_FOR} asks for {asked:#}; the policy allows {max:#} at most")]
    TooLong {
        /// As typed.
        asked: SignedDuration,
        /// As allowed.
        max: SignedDuration,
    },
    /// The RBAC verb is missing.
    #[error("user \"{user}\" lacks the verb \"break-glass\" on {resource}.{GROUP} \"{name}\"")]
    NoRight {
        /// Who asked.
        user: String,
        /// Plural of the kind the right would be on.
        resource: &'static str,
        /// `namespace/name` of the object.
        name: String,
    },
    /// The stamps are not ours.
    #[error("{BREAK_GLASS_BY} and {BREAK_GLASS_UNTIL} are stamped by Holdfast and cannot be written by hand")]
    ForgedStamps,
    /// `/mutate` did not run, so nobody knows who opened this.
    #[error("the break-glass was not stamped (Holdfast's mutating webhook did not see this request); try again")]
    NotStamped,
}

/// The break-glass that is open on this object at `now`; an incomplete or expired one is not open.
pub fn open(state: &State<'_>, now: Timestamp) -> Option<Glass> {
    stamped(state).filter(|glass| now < glass.until)
}

/// How long before its end people are reminded of an open break-glass.
pub const REMINDER: SignedDuration = SignedDuration::from_mins(5);

/// The break-glass stamped on this object, expired or not.
pub fn stamped(state: &State<'_>) -> Option<Glass> {
    Some(Glass {
        reason: state.annotation(BREAK_GLASS)?.to_owned(),
        by: state.annotation(BREAK_GLASS_BY)?.to_owned(),
        until: state.annotation(BREAK_GLASS_UNTIL)?.parse().ok()?,
    })
}

/// What an edit from `old` (absent on create) to `new` does to the break-glass.
pub fn change(old: Option<&State<'_>>, new: &State<'_>, limits: &Limits) -> Result<Change, Refused> {
    let differs = |name| old.and_then(|old| old.annotation(name)) != new.annotation(name);
    let was_open = old.is_some_and(|old| old.annotation(BREAK_GLASS).is_some());
    Ok(match new.annotation(BREAK_GLASS) {
        Some(reason) if differs(BREAK_GLASS) || differs(BREAK_GLASS_FOR) => Change::Open(request(reason, new, limits)?),
        None if was_open => Change::Close,
        _ if differs(BREAK_GLASS_BY) || differs(BREAK_GLASS_UNTIL) => Change::Forged,
        _ => Change::None,
    })
}

/// How much further ahead the clock of the replica that stamps may be than the clock of the one that checks. All go by the API
/// server's, as well as each can see it. Whoever types the stamps by hand gains a minute at most.
pub const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// Checks the stamps of a freshly opened break-glass: `user` opened it, and it ends in time.
pub fn check_stamps(request: &Request, new: &State<'_>, user: &str, now: Timestamp) -> Result<Glass, Refused> {
    let glass = stamped(new).ok_or(Refused::NotStamped)?;
    let latest = now.saturating_add(request.length + SKEW).unwrap_or(Timestamp::MAX);
    if glass.by == user && glass.until <= latest { Ok(glass) } else { Err(Refused::ForgedStamps) }
}

fn request(reason: &str, new: &State<'_>, limits: &Limits) -> Result<Request, Refused> {
    if reason.trim().is_empty() {
        return Err(Refused::NoReason);
    }
    let length = match new.annotation(BREAK_GLASS_FOR) {
        Some(typed) => match typed.parse() {
            Ok(length) if length > SignedDuration::ZERO => length,
            _ => return Err(Refused::BadDuration(typed.to_owned())),
        },
        None => limits.default,
    };
    if length > limits.max {
        return Err(Refused::TooLong { asked: length, max: limits.max });
    }
    Ok(Request { reason: reason.to_owned(), length })
}

#[cfg(test)]
mod tests;
