//! Windows: times at which Holdfast may, or may not, sync, heal or prune.
//!
//! A window begins whenever its schedule says so in the local time of its zone, and lasts for so much elapsed time. A beginning
//! that falls into the hour that is left out in spring takes place when that hour would have been over; one that comes twice in
//! autumn takes place once, the first time. Beginnings may follow each other faster than the window is long, and then it does not
//! end in between.
//!
//! Deny beats allow. Where there are allow windows for an action, it is closed outside of all of them. A window that denies heals
//! does not lose them: what is closed says when it opens, and whoever asked comes back then.

mod schedule;

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

pub use schedule::{BadSchedule, Schedule};

/// How far ahead an opening is looked for; what is closed for longer is closed for ever.
const HORIZON: SignedDuration = SignedDuration::from_hours(5 * 366 * 24);
/// Most beginnings and ends looked at for one answer: every day of a year, with one window that opens and one that closes. Windows that
/// take turns every minute for months are nobody's plan, and are asked about whenever something happens.
pub const TURNS: usize = 1000;

/// What a window may open or close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Making a commit real.
    Sync,
    /// Undoing drift.
    Heal,
    /// Deleting what left Git.
    Prune,
}

/// What a window does while it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It opens, and without another one that does all is closed.
    Allow,
    /// It closes, whatever else is open.
    Deny,
}

/// A recurring span of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Where it is written, such as `spec.syncWindows[0]`.
    pub called: Box<str>,
    /// What it does.
    pub effect: Effect,
    /// When it begins.
    pub schedule: Schedule,
    /// How long it lasts.
    pub length: SignedDuration,
    /// Whose local time the schedule is in.
    pub zone: TimeZone,
    /// What it bears on.
    pub applies: BTreeSet<Action>,
    /// May people sync by hand while it closes?
    pub manual: bool,
}

/// May something happen?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Yes.
    Open,
    /// Not now.
    Closed(Closed),
}

/// Why something may not happen now, and when it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The window that closes it, in words.
    pub by: String,
    /// When it may next happen.
    pub until: Opening,
}

/// When what is closed opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Then.
    At(Timestamp),
    /// Never.
    Never,
    /// Not while windows begin and end so many times, which is as far as was looked.
    NotWithin(usize),
}

/// May this happen at `now`? `manual` is somebody's express wish to have it happen all the same.
pub fn gate(windows: &[Window], action: Action, manual: bool, now: Timestamp) -> Gate {
    match closing(windows, action, manual, now) {
        None => Gate::Open,
        Some(by) => Gate::Closed(Closed { by: by.to_string(), until: opening(windows, action, manual, now) }),
    }
}

/// May this happen at `now`? The same answer as [`gate`]'s, for those who ask often and need no reason.
pub fn is_open(windows: &[Window], action: Action, manual: bool, now: Timestamp) -> bool {
    closing(windows, action, manual, now).is_none()
}

/// When any window next begins or ends, if one does: until then every [`gate`] stays as it is. Of one that begins anew while it is on,
/// too often to follow, it is a time at which it is on still.
pub fn turn(windows: &[Window], now: Timestamp) -> Option<Timestamp> {
    let horizon = after(now, HORIZON);
    let turn = |window: &Window| {
        let mut turns = TURNS;
        match window.covered_until(now, horizon, &mut turns) {
            Some(end) if end > now => (end < horizon).then_some(end),
            _ => window.next_beginning(now),
        }
    };
    windows.iter().filter_map(turn).min()
}

/// The window that keeps this from happening.
fn closing(windows: &[Window], action: Action, manual: bool, at: Timestamp) -> Option<&Window> {
    let bearing = || windows.iter().filter(|window| window.applies.contains(&action));
    let denied = bearing().filter(|window| window.effect == Effect::Deny && !(manual && window.manual));
    let mut allowing = bearing().filter(|window| window.effect == Effect::Allow).peekable();
    let denied = denied.clone().find(|window| window.is_on(at));
    denied.or_else(|| {
        let first = *allowing.peek()?;
        let allowing: Vec<_> = allowing.collect();
        let waived = manual && allowing.iter().all(|window| window.manual);
        (!waived && !allowing.iter().any(|window| window.is_on(at))).then_some(first)
    })
}

/// The first instant from `now` on at which nothing keeps this from happening.
fn opening(windows: &[Window], action: Action, manual: bool, now: Timestamp) -> Opening {
    let horizon = after(now, HORIZON);
    let (mut at, mut turns) = (now, TURNS);
    // When each begins next is looked for once it has begun, and not each time: it may be years away.
    let allowing = windows.iter().filter(|window| window.effect == Effect::Allow && window.applies.contains(&action));
    let mut allowing: Vec<_> = allowing.map(|window| (window, Some(now))).collect();
    while turns > 0 {
        let Some(window) = closing(windows, action, manual, at) else { return Opening::At(at) };
        let next = match window.effect {
            Effect::Deny => window.covered_until(at, horizon, &mut turns),
            Effect::Allow => {
                turns -= 1;
                let begun = allowing.iter_mut().filter(|(_, next)| next.is_some_and(|next| next <= at));
                begun.for_each(|(window, next)| *next = window.next_beginning(at));
                allowing.iter().filter_map(|(_, next)| *next).min()
            }
        };
        match next.filter(|next| *next < horizon) {
            Some(next) => at = next,
            None => return Opening::Never,
        }
    }
    Opening::NotWithin(TURNS)
}

// === impl Opening ===

impl Opening {
    /// When that is, if it is known.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::At(then) => Some(then),
            Self::Never | Self::NotWithin(_) => None,
        }
    }
}

// === impl Window ===

impl Window {
    /// Is it on at this instant?
    pub fn is_on(&self, at: Timestamp) -> bool {
        self.last_beginning(at).is_some_and(|begun| at < after(begun, self.length))
    }

    /// When a window that is on goes off, or the horizon; `None` if it is off. If it begins anew more often than there are turns, it is a
    /// time until which it is on.
    fn covered_until(&self, at: Timestamp, horizon: Timestamp, turns: &mut usize) -> Option<Timestamp> {
        let end = |at| self.last_beginning(at).map(|begun| after(begun, self.length)).filter(|end| *end > at);
        let mut until = end(at)?;
        while until < horizon && *turns > 0 {
            *turns -= 1;
            until = self.leap(until, horizon);
            match end(until) {
                Some(later) => until = later,
                None => return Some(until),
            }
        }
        Some(until.min(horizon))
    }

    /// Over days whose every beginning comes before the end of the one before, all at once: one a minute for months would
    /// take too long to follow. Not over a day when local time jumps, which has a beginning too few.
    fn leap(&self, at: Timestamp, horizon: Timestamp) -> Timestamp {
        let is_seamless = SignedDuration::from_mins(self.schedule.longest_gap.into()) <= self.length;
        if !is_seamless || !self.is_on(at) {
            return at;
        }
        let jump = self.zone.following(at).next().map_or(horizon, |jump| jump.timestamp()).min(horizon);
        let last = self.local(jump).date().yesterday().unwrap_or_default();
        let mut date = self.local(at).date();
        while date < last && date.tomorrow().is_ok_and(|next| self.schedule.names_day(next)) {
            date = date.tomorrow().expect("just looked at");
        }
        let begun = self.schedule.previous(date.at(23, 59, 0, 0), 1).and_then(|local| self.instant(local));
        begun.filter(|begun| *begun > at && *begun <= jump).unwrap_or(at)
    }

    /// The last beginning at or before `at`, unless it is so long ago that the window is off by now.
    fn last_beginning(&self, at: Timestamp) -> Option<Timestamp> {
        let moment = after(at, SignedDuration::from_nanos(1));
        // Local times that have been may lie ahead of the local time that is: in autumn, in the hour that comes twice.
        let been = self.zone.preceding(moment).next().map(|jump| {
            let before = after(jump.timestamp(), SignedDuration::from_nanos(-1));
            self.zone.to_datetime(before)
        });
        let local = self.local(at);
        let latest = been.map_or(local, |been| been.max(local));
        // Local time is never days ahead, or behind, of the time that elapses.
        let days = usize::try_from(self.length.as_hours() / 24).unwrap_or_default() + 3;
        self.schedule.previous(latest, days).and_then(|local| self.instant(local))
    }

    /// The first beginning after `at`.
    fn next_beginning(&self, at: Timestamp) -> Option<Timestamp> {
        let mut local = self.local(at);
        loop {
            local = self.schedule.next(local)?;
            let begins = self.instant(local)?;
            if begins > at {
                return Some(begins);
            }
            local = local.checked_add(SignedDuration::from_mins(1)).ok()?;
        }
    }

    fn local(&self, at: Timestamp) -> DateTime {
        self.zone.to_datetime(at)
    }

    /// When it is this time there: at the end of a gap, and the first of two times.
    fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let of = |offset: Offset| offset.to_timestamp(local).ok();
        match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => of(offset),
            AmbiguousOffset::Gap { before, .. } => {
                let past = after(of(before)?, SignedDuration::from_nanos(1));
                self.zone.preceding(past).next().map(|jump| jump.timestamp())
            }
        }
    }
}

fn after(at: Timestamp, time: SignedDuration) -> Timestamp {
    at.saturating_add(time).unwrap_or(Timestamp::MAX)
}

// === display ===

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { called, effect, schedule, length, zone, .. } = self;
        let effect = if *effect == Effect::Deny { "deny" } else { "allow only" };
        let zone = zone.iana_name().unwrap_or("UTC");
        write!(f, "{called} ({effect} \"{schedule}\" for {length:#} {zone})")
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Opening::At(until) => write!(f, "window {} keeps it closed until {until:.0}", self.by),
            Opening::Never => write!(f, "window {} keeps it closed for as long as it is there", self.by),
            Opening::NotWithin(turns) => {
                let by = &self.by;
                write!(
                    f,
                    "window {by} keeps it closed; it does not open within the next {turns} times a window begins or ends"
                )
            }
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sync => "sync",
            Self::Heal => "heal",
            Self::Prune => "prune",
        })
    }
}

#[cfg(test)]
mod tests;
