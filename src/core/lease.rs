//! Who leads: a pure state machine over a Lease that the API server keeps and that every replica can read.
//!
//! Two replicas never lead at once, whatever their wall clocks say. A candidate takes over only after it has seen the *same* record,
//! resource version and all, for as long as the record itself says, on its own monotonic clock; and it writes over exactly that record.
//! A leader counts from *before* it sent what last renewed the Lease, and gives up a fifth earlier: clocks may differ in speed by a
//! tenth. Times in the record are for people. An answer that was lost, came late or was a refusal never lengthens anything.
//!
//! It is our own, because it is the fence around every write ([`until`](Election::until)), and the crates at hand do not offer that:
//! they say who leads when asked, and compare the record's time with the clock of whoever reads it.
//!
//! A Lease that was deleted counts as held for as long as it would have been. Only who never saw it cannot know; and whoever writes
//! somebody else's name into a Lease by hand has two leaders for the moment until the old one hears of it.

use std::time::Duration;

use super::shards::Spread;

/// Time on a clock that only this process knows and that never goes back.
pub type Moment = Duration;

/// Who a candidate is: a name that a later process of the same place may have, and a number that none has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Only ever one process at a time has it: a Pod's, say. Whoever starts by the name of the holder is its successor.
    pub name: String,
    /// What tells this process from its predecessors.
    pub number: String,
}

/// What a Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; empty when it was released.
    pub holder: String,
    /// How long it is held without being renewed.
    pub duration: Duration,
    /// How often it changed hands.
    pub transitions: i32,
    /// How the writing is spread, as the first Lease of all says; on any other, nothing.
    pub spread: Spread,
    /// Which version this is; no two are alike.
    pub version: String,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this, unless something is heard.
    Wait(Moment),
    /// Ask for the newest record there is.
    Read,
    /// Write this.
    Write(Claim),
}

/// A record to be written: over the version that was seen, and over no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The version to write over; `None` to create what is not there.
    pub over: Option<String>,
    /// Who holds it from then on; empty to release it.
    pub holder: String,
    /// For how long.
    pub duration: Duration,
    /// How often it has changed hands then.
    pub transitions: i32,
    /// Does it change hands?
    pub is_new: bool,
    /// How the writing is spread from then on.
    pub spread: Spread,
}

/// One replica's part in the election.
#[derive(Debug)]
pub struct Election {
    me: Candidate,
    duration: Duration,
    known: Known,
    /// Somebody else was faster, or is said to be: the newest record has to be read.
    doubtful: bool,
    not_before: Moment,
    renewed: Moment,
    /// What it holds is to say something else, and at once.
    hurried: bool,
    until: Option<Moment>,
    terms: u64,
}

/// The record as it was last seen.
#[derive(Debug)]
enum Known {
    /// Nobody has looked yet.
    Nothing,
    /// There is none, and was none for so long; whoever held the one before may believe to do so until then.
    Absent(Moment),
    /// It has been this, unchanged, since then.
    Present(Record, Moment),
}

/// So many renewals are tried while a Lease lasts.
const TRIES: u32 = 5;

// === impl Candidate ===

impl Candidate {
    /// As the Lease names it.
    pub fn holder(&self) -> String {
        format!("{}_{}", self.name, self.number)
    }

    /// Is this an earlier process by the same name?
    fn succeeds(&self, holder: &str) -> bool {
        holder.rsplit_once('_').is_some_and(|(name, number)| name == self.name && number != self.number)
    }
}

// === impl Election ===

impl Election {
    /// A candidate that has seen nothing yet, and that would hold the Lease for so long.
    pub fn new(me: Candidate, duration: Duration) -> Self {
        let (known, zero) = (Known::Nothing, Duration::ZERO);
        let (doubtful, hurried) = (false, false);
        Self { me, duration, known, doubtful, not_before: zero, renewed: zero, hurried, until: None, terms: 0 }
    }

    /// Between two renewals, and before something that failed is tried again.
    pub fn pause(&self) -> Duration {
        self.duration / TRIES
    }

    /// Until when this replica leads; `None` if it does not. Nothing may be written afterwards, whatever has happened meanwhile.
    pub fn until(&self, now: Moment) -> Option<Moment> {
        self.until.filter(|until| now < *until)
    }

    /// How often it has come to lead. Between two terms somebody else may have led.
    pub fn terms(&self) -> u64 {
        self.terms
    }

    /// Who holds the Lease, as far as is known.
    pub fn holder(&self) -> Option<&str> {
        self.record().map(|record| record.holder.as_str())
    }

    /// Who holds the Lease, unless its time is over.
    pub fn alive(&self, now: Moment) -> Option<&str> {
        match &self.known {
            Known::Present(record, since) if now < *since + record.duration => Some(&record.holder),
            _ => None,
        }
    }

    /// What the Lease says, as far as is known.
    pub fn record(&self) -> Option<&Record> {
        match &self.known {
            Known::Present(record, _) => Some(record),
            Known::Nothing | Known::Absent(_) => None,
        }
    }

    /// Renews now, for the Lease to say something else.
    pub fn hurry(&mut self) {
        self.hurried = true;
    }

    /// What to do at `now`.
    pub fn step(&self, now: Moment) -> Step {
        let free = match &self.known {
            _ if self.doubtful => now,
            Known::Nothing => now,
            Known::Absent(free) => *free,
            Known::Present(record, since) => self.free(record, *since, now),
        };
        let then = free.max(self.not_before);
        if now < then {
            return Step::Wait(then);
        }
        match &self.known {
            _ if self.doubtful => Step::Read,
            Known::Nothing => Step::Read,
            Known::Absent(_) => Step::Write(self.claim(None)),
            Known::Present(record, _) => Step::Write(self.claim(Some(record))),
        }
    }

    /// What a watch shows. It may be old, so it takes nothing away from a leader: it only makes it look.
    pub fn heard(&mut self, now: Moment, record: Option<Record>) {
        if self.until(now).is_none() {
            self.note(now, record);
        } else if record.is_none_or(|record| record.holder != self.me.holder()) {
            self.doubtful = true;
        }
    }

    /// The newest record there is.
    pub fn read(&mut self, now: Moment, record: Option<Record>) {
        self.doubtful = false;
        if record.as_ref().is_none_or(|record| record.holder != self.me.holder()) {
            self.until = None;
        }
        self.note(now, record);
    }

    /// A claim that was sent at `asked` was written, and this is what there is now.
    pub fn wrote(&mut self, asked: Moment, now: Moment, record: Record) {
        self.terms += u64::from(self.until(now).is_none());
        (self.renewed, self.hurried) = (asked, false);
        self.not_before = Duration::ZERO;
        self.until = Some(asked + record.duration / TRIES * (TRIES - 1));
        self.known = Known::Present(record, now);
    }

    /// Somebody else wrote first.
    pub fn lost(&mut self) {
        self.doubtful = true;
    }

    /// There was no answer, or none that says anything: it may have been written or not.
    pub fn failed(&mut self, now: Moment) {
        self.not_before = now + self.pause() / 2;
    }

    /// Lets go, for somebody else to take over at once: what is to be written for that, if anything is.
    pub fn release(&mut self) -> Option<Claim> {
        self.until = None;
        let mine = self.record().filter(|record| record.holder == self.me.holder())?;
        Some(Claim { holder: String::new(), is_new: false, ..self.claim(Some(mine)) })
    }

    /// Lets go, for nobody but this one to take over at once.
    pub fn give(&mut self, to: &str) -> Option<Claim> {
        let claim = self.release()?;
        Some(Claim { holder: to.to_owned(), transitions: claim.transitions.saturating_add(1), is_new: true, ..claim })
    }

    /// When the record may be written over.
    fn free(&self, record: &Record, since: Moment, now: Moment) -> Moment {
        let is_mine = record.holder == self.me.holder();
        // Once this process has led, another one by its name is no predecessor, but a mistake.
        let is_heir = self.terms == 0 && self.me.succeeds(&record.holder);
        match self.until(now) {
            Some(_) if self.hurried => now,
            Some(_) => self.renewed + self.pause(),
            None if is_mine || is_heir || record.holder.is_empty() => now,
            None => since + record.duration,
        }
    }

    fn note(&mut self, now: Moment, record: Option<Record>) {
        match (record, &self.known) {
            (Some(record), Known::Present(known, _)) if record == *known => {}
            (Some(record), _) => self.known = Known::Present(record, now),
            (None, Known::Absent(_)) => {}
            (None, Known::Present(known, _)) if !known.holder.is_empty() && known.holder != self.me.holder() => {
                self.known = Known::Absent(now + known.duration);
            }
            (None, _) => self.known = Known::Absent(now),
        }
    }

    fn claim(&self, over: Option<&Record>) -> Claim {
        let holder = self.me.holder();
        let is_new = over.is_none_or(|record| record.holder != holder);
        Claim {
            over: over.map(|record| record.version.clone()),
            holder,
            duration: self.duration,
            transitions: over.map_or(0, |record| record.transitions.saturating_add(i32::from(is_new))),
            is_new,
            spread: over.map(|record| record.spread).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
