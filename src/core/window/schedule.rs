//! When windows begin: five cron fields, in the local time of somewhere.
//!
//! A schedule knows calendars and no clocks: it is asked for the next and the previous minute it names, as a date and a time
//! of day. What instant that is, on the two days of the year when local time jumps, is the window's business.
//!
//! The fields are those of cron, with its oddity: where both the day of the month and the day of the week are restricted, either
//! is enough.

use jiff::civil::{Date, DateTime};

/// The days looked at for one the schedule names: five years, so that the 29th of February is found.
const DAYS: usize = 5 * 366 + 1;
/// The last minute of a day.
const LAST_MINUTE: u32 = 24 * 60 - 1;

#[cfg(test)]
thread_local! {
    /// Days that were looked at.
    pub(super) static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Minutes named by five cron fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: Box<str>,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both kinds of days are restricted: either is enough.
    either: bool,
    /// The longest time from one minute named to the next, in minutes, where every day is named.
    pub(super) longest_gap: u32,
}

/// Why a text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    /// Not five fields.
    #[error("has {0} fields, not minute, hour, day of month, month and day of week")]
    Fields(usize),
    /// A field that cannot be read.
    #[error("has {part:?} as {field}, which is not within {first}-{last}")]
    Field {
        /// What cannot be read.
        part: String,
        /// In which field.
        field: &'static str,
        /// The smallest number it may have.
        first: u32,
        /// The largest.
        last: u32,
    },
}

/// One of the five: its name, its numbers, and their names, if they have any.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", first: 0, last: 59, names: &[] },
    Field { name: "hour", first: 0, last: 23, names: &[] },
    Field { name: "day of month", first: 1, last: 31, names: &[] },
    Field { name: "month", first: 1, last: 12, names: MONTHS },
    // Sunday is 0, and 7 as well.
    Field { name: "day of week", first: 0, last: 7, names: WEEKDAYS },
];

// === impl Schedule ===

impl std::str::FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<_> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else { return Err(BadSchedule::Fields(parts.len())) };
        let weekdays = FIELDS[4].read(weekday)?;
        let (minutes, hours) = (FIELDS[0].read(minute)?, FIELDS[1].read(hour)?);
        Ok(Self {
            text: parts.join(" ").into(),
            minutes,
            hours,
            days: FIELDS[2].read(day)?,
            months: FIELDS[3].read(month)?,
            weekdays: weekdays | (weekdays >> 7 & 1),
            either: !day.starts_with('*') && !weekday.starts_with('*'),
            longest_gap: longest_gap(hours, minutes),
        })
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl Schedule {
    /// The first minute named at or after `from`; none within five years means never.
    pub fn next(&self, from: DateTime) -> Option<DateTime> {
        let mut after = minute_of_day(from);
        let mut date = from.date();
        for _ in 0..DAYS {
            if let Some(minute) = self.names_day(date).then(|| self.first(after)).flatten() {
                return Some(at(date, minute));
            }
            (date, after) = (date.tomorrow().ok()?, 0);
        }
        None
    }

    /// The last minute named at or before `until`, on that day or one of the days before, `days` in all.
    pub fn previous(&self, until: DateTime, days: usize) -> Option<DateTime> {
        let mut before = minute_of_day(until);
        let mut date = until.date();
        for _ in 0..days.min(DAYS) {
            if let Some(minute) = self.names_day(date).then(|| self.last(before)).flatten() {
                return Some(at(date, minute));
            }
            (date, before) = (date.yesterday().ok()?, LAST_MINUTE);
        }
        None
    }

    /// Is this minute named?
    pub fn names(&self, moment: DateTime) -> bool {
        let minute = minute_of_day(moment);
        self.names_day(moment.date()) && has(self.hours, minute / 60) && has(self.minutes, minute % 60)
    }

    /// Is any minute of this day named?
    pub fn names_day(&self, date: Date) -> bool {
        #[cfg(test)]
        LOOKS.set(LOOKS.get() + 1);
        let day = has(self.days, number(date.day()));
        let weekday = has(self.weekdays, number(date.weekday().to_sunday_zero_offset()));
        has(self.months, number(date.month())) && if self.either { day || weekday } else { day && weekday }
    }

    /// The first minute of a day it names, at `after` or later.
    fn first(&self, after: u32) -> Option<u32> {
        let (hour, minute) = (after / 60, after % 60);
        let this =
            lowest(self.minutes & from(minute)).filter(|_| has(self.hours, hour)).map(|minute| hour * 60 + minute);
        this.or_else(|| Some(lowest(self.hours & from(hour + 1))? * 60 + lowest(self.minutes)?))
    }

    /// The last, at `before` or earlier.
    fn last(&self, before: u32) -> Option<u32> {
        let (hour, minute) = (before / 60, before % 60);
        let this = highest(self.minutes & !from(minute + 1)).filter(|_| has(self.hours, hour));
        let this = this.map(|minute| hour * 60 + minute);
        this.or_else(|| Some(highest(self.hours & !from(hour))? * 60 + highest(self.minutes)?))
    }
}

// === impl Field ===

impl Field {
    /// The numbers a list of ranges and steps stands for, as bits.
    fn read(&self, text: &str) -> Result<u64, BadSchedule> {
        text.split(',').map(|part| self.part(part)).try_fold(0, |all, part| Ok(all | part?))
    }

    fn part(&self, part: &str) -> Result<u64, BadSchedule> {
        let bad = || BadSchedule::Field { part: part.to_owned(), field: self.name, first: self.first, last: self.last };
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| (1..=self.last).contains(step))),
            None => (part, Some(1)),
        };
        let step = step.ok_or_else(bad)?;
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last - u32::from(self.last == 7)),
            Some((first, last)) => (self.number(first).ok_or_else(bad)?, self.number(last).ok_or_else(bad)?),
            None => {
                let only = self.number(range).ok_or_else(bad)?;
                (only, if part.contains('/') { self.last } else { only })
            }
        };
        let numbers = (first..=last).step_by(step as usize).fold(0, |bits, number| bits | 1 << number);
        if numbers == 0 { Err(bad()) } else { Ok(numbers) }
    }

    fn number(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|at| u32::try_from(at).ok()).map(|at| at + self.first);
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        named.or(digits).filter(|number| (self.first..=self.last).contains(number))
    }
}

/// From one minute of these to the next, around midnight, too.
fn longest_gap(hours: u64, minutes: u64) -> u32 {
    let hours = (0..24).filter(|hour| has(hours, *hour));
    let times =
        hours.flat_map(|hour| (0..60).filter(|minute| has(minutes, *minute)).map(move |minute| hour * 60 + minute));
    let times: Vec<_> = times.collect();
    let wrapped = times.first().map(|first| first + LAST_MINUTE + 1);
    let gaps = times.iter().zip(times.iter().copied().skip(1).chain(wrapped)).map(|(one, next)| next - one);
    gaps.max().unwrap_or(u32::MAX)
}

/// All bits from this one on.
fn from(number: u32) -> u64 {
    u64::MAX << number
}

fn lowest(bits: u64) -> Option<u32> {
    (bits != 0).then(|| bits.trailing_zeros())
}

fn highest(bits: u64) -> Option<u32> {
    (bits != 0).then(|| bits.ilog2())
}

fn has(bits: u64, number: u32) -> bool {
    bits >> number & 1 == 1
}

/// Days, months and weekdays are small and never negative.
fn number(small: i8) -> u32 {
    u32::from(small.unsigned_abs())
}

fn minute_of_day(moment: DateTime) -> u32 {
    number(moment.hour()) * 60 + number(moment.minute())
}

fn at(date: Date, minute: u32) -> DateTime {
    let part = |value: u32| i8::try_from(value).expect("an hour or a minute");
    date.at(part(minute / 60), part(minute % 60), 0, 0)
}
