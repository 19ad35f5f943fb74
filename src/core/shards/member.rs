//! One replica in all elections: for each shard, whether to take it, keep it, or let it go.
//!
//! Of one shard there are never two holders: that is [`lease`](crate::core::lease)'s. What is added here is that two processes that
//! know of *different* numbers of shards never write at once, whatever their clocks say:
//!
//! - The first Lease says which number is in force. A shard is taken by whoever has read that it is theirs *after* seeing the version of
//!   the shard's Lease that is written over ([`Move::Confirm`]).
//! - Whoever takes the first Lease and goes by another number says first that the number is *changing*. Then it takes every Lease there
//!   was by the old number, as anybody would, waiting until its holder lets go or its time is up; only when it has written over each
//!   does it put its own number into force. Who read the old number before that and acts on it late writes over a version that is gone.
//!
//! Holders let go of their shards as soon as they hear of another number. With one shard there is one Lease, and nothing of this.

use std::time::Duration;

use super::Spread;
use super::balance::{gives, patience, wants};
use crate::core::lease::{Candidate, Claim, Election, Moment, Record, Step};

/// What a Lease is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Post {
    /// Writing for the `GitSync`s of this shard; the first one is also about what belongs to none.
    Shard(usize),
    /// Asking whoever holds most shards for one.
    Asking,
}

/// What to do next about one Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Nothing before this, unless something is heard, or something changes about another Lease.
    Wait(Moment),
    /// Ask for the newest record there is.
    Read,
    /// Ask for the newest record of the first Lease, for the sake of this one, which is at this version.
    Confirm(Option<String>),
    /// Write this; what is held is not held any more, if that gives it away.
    Write(Claim),
}

/// What of all Leases is news to the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    holders: Vec<Option<String>>,
    asker: Option<String>,
    spread: Option<Spread>,
    swept: bool,
}

/// One replica.
#[derive(Debug)]
pub struct Member {
    me: Candidate,
    duration: Duration,
    shards: usize,
    /// Of the shards; and, behind them, of what the old number had more.
    seats: Vec<Seat>,
    asking: Seat,
    /// What the first Lease was last seen to say.
    spread: Option<Spread>,
    /// The term in which what the old number left is taken away.
    sweeping: Option<u64>,
    /// The shard that was given away last, and the version of its Lease from then.
    given: Option<(usize, String)>,
}

/// One Lease.
#[derive(Debug)]
struct Seat {
    election: Election,
    /// For which term it was, or is to be, taken only for nobody else to have it; and for which it was.
    sweeps: Option<u64>,
    swept: Option<u64>,
    /// At which version it was confirmed that it may be taken.
    confirmed: Option<Version>,
    /// Since when anybody may take it.
    free: Option<Moment>,
}

/// A version of a Lease; none, while there is no such Lease.
#[derive(Debug, PartialEq, Eq)]
struct Version(Option<String>);

// === impl Member ===

impl Member {
    /// A replica that has seen nothing yet, and goes by so many shards.
    pub fn new(me: &Candidate, duration: Duration, shards: u32) -> Self {
        let shards = shards as usize;
        let seats = (0..shards).map(|_| Seat::new(me, duration)).collect();
        let asking = Seat::new(me, duration);
        Self { me: me.clone(), duration, shards, seats, asking, spread: None, sweeping: None, given: None }
    }

    /// Which Leases it takes part in. There may be more when the number of shards changes.
    pub fn posts(&self) -> Vec<Post> {
        let shards = (0..self.seats.len()).map(Post::Shard);
        shards.chain((self.shards > 1).then_some(Post::Asking)).collect()
    }

    /// Until when it may write for this shard; `None` if it may not. Nothing may be written afterwards, whatever has happened.
    pub fn until(&self, post: Post, now: Moment) -> Option<Moment> {
        let Post::Shard(index) = post else { return None };
        let seat = &self.seats[index];
        let is_ours = match index {
            0 => seat.election.record().is_some_and(|record| record.spread == self.ours()),
            _ => index < self.shards && seat.sweeps.is_none(),
        };
        seat.election.until(now).filter(|_| is_ours)
    }

    /// The election for this Lease, to be asked who holds it and how often this replica did.
    pub fn election(&self, post: Post) -> &Election {
        &self.seat(post).election
    }

    /// What concerns the others.
    pub fn sight(&self) -> Sight {
        let own = |holder: Option<&str>| holder.map(str::to_owned);
        Sight {
            holders: self.seats.iter().map(|seat| own(seat.election.holder())).collect(),
            asker: own(self.asking.election.holder()),
            spread: self.spread,
            swept: self.is_swept(),
        }
    }

    /// What to do about this Lease at `now`.
    pub fn step(&mut self, post: Post, now: Moment) -> Move {
        let step = self.seat(post).election.step(now);
        let is_mine = self.seat(post).election.holder() == Some(&self.me.holder());
        let is_held = self.seat(post).election.until(now).is_some();
        match step {
            Step::Read => Move::Read,
            Step::Wait(then) if !is_held => {
                self.seat_mut(post).free = None;
                Move::Wait(then)
            }
            _ if is_mine && let Some(claim) = self.let_go(post, now) => Move::Write(claim),
            Step::Wait(then) => Move::Wait(then),
            Step::Write(claim) if is_held => Move::Write(self.spread_over(post, claim, now)),
            Step::Write(claim) => self.take(post, claim, now, is_mine),
        }
    }

    /// What a watch shows.
    pub fn heard(&mut self, post: Post, now: Moment, record: Option<Record>) {
        self.seat_mut(post).election.heard(now, record);
        self.look_at_the_first();
    }

    /// The newest record there is.
    pub fn read(&mut self, post: Post, now: Moment, record: Option<Record>) {
        self.seat_mut(post).election.read(now, record);
        self.look_at_the_first();
    }

    /// The newest record there is of the first Lease, asked for when this one was at that version.
    pub fn confirmed(&mut self, post: Post, now: Moment, version: Option<String>, first: Option<Record>) {
        let in_force = first.as_ref().is_some_and(|first| first.spread == self.ours());
        self.seat_mut(post).confirmed = in_force.then_some(Version(version));
        if !in_force {
            self.failed(post, now);
        }
        self.heard(Post::Shard(0), now, first);
    }

    /// A claim that was sent at `asked` was written, and this is what there is now.
    pub fn wrote(&mut self, post: Post, asked: Moment, now: Moment, record: Record) {
        if record.holder != self.me.holder() {
            self.seat_mut(post).sweeps = None;
            if let Post::Shard(index) = post
                && !record.holder.is_empty()
            {
                self.given = Some((index, record.version.clone()));
            }
            return self.read(post, now, Some(record));
        }
        let seat = self.seat_mut(post);
        seat.election.wrote(asked, now, record);
        (seat.swept, seat.free) = (seat.sweeps, None);
        self.look_at_the_first();
        self.begin_to_sweep(now);
    }

    /// Somebody else wrote first.
    pub fn lost(&mut self, post: Post) {
        self.seat_mut(post).election.lost();
    }

    /// There was no answer, or none that says anything.
    pub fn failed(&mut self, post: Post, now: Moment) {
        self.seat_mut(post).election.failed(now);
    }

    /// Lets go for good.
    pub fn release(&mut self, post: Post) -> Option<Claim> {
        self.seat_mut(post).election.release()
    }

    /// The number of shards this replica goes by, in force.
    fn ours(&self) -> Spread {
        Spread { shards: u32::try_from(self.shards).unwrap_or(u32::MAX), settled: true }
    }

    fn is_in_force(&self) -> bool {
        self.spread == Some(self.ours())
    }

    fn look_at_the_first(&mut self) {
        let first = &self.seats[0].election;
        self.spread = first.record().map(|record| record.spread).or(self.spread);
        if first.holder() != Some(&self.me.holder()) {
            self.sweeping = None;
        }
    }

    /// What is nobody's, or was given to this replica: takes it, if it should.
    fn take(&mut self, post: Post, claim: Claim, now: Moment, is_given: bool) -> Move {
        let waits = Move::Wait(now + self.seat(post).election.pause());
        let Post::Shard(index) = post else {
            return if self.asks() { Move::Write(claim) } else { waits };
        };
        if self.is_to_sweep(index) {
            self.seats[index].sweeps = self.sweeping;
            return Move::Write(claim);
        }
        if index >= self.shards || (index > 0 && !self.is_in_force()) {
            return waits;
        }
        let later = self.seats[index].election.pause() / 2 * patience(&self.holders(), &self.me.holder());
        let then = *self.seats[index].free.get_or_insert(now) + later;
        if !is_given && now < then {
            return Move::Wait(then);
        }
        if index > 0 && self.seats[index].confirmed != Some(Version(claim.over.clone())) {
            return Move::Confirm(claim.over);
        }
        self.seats[index].sweeps = None;
        Move::Write(self.spread_over(post, claim, now))
    }

    /// Lets go of what is held, if somebody else should have it.
    fn let_go(&mut self, post: Post, now: Moment) -> Option<Claim> {
        let Post::Shard(index) = post else {
            return if self.asks() { None } else { self.asking.election.release() };
        };
        let is_left_over = index >= self.shards || self.seats[index].sweeps.is_some();
        if index > 0 && (is_left_over || !self.is_in_force()) {
            return self.seats[index].election.release();
        }
        let (gift, asker) = self.gift(now)?;
        if gift == index { self.seats[index].election.give(&asker) } else { None }
    }

    /// The shard to give, and to whom. Not before whoever got the last one has come for it, or did not in time.
    fn gift(&self, now: Moment) -> Option<(usize, String)> {
        let asker = self.asking.election.alive(now).filter(|asker| !asker.is_empty())?;
        let still = |(index, version): &(usize, String)| {
            self.seats[*index].election.record().is_some_and(|record| record.version == *version)
        };
        if !self.is_in_force() || self.given.as_ref().is_some_and(still) {
            return None;
        }
        Some((gives(&self.holders(), &self.me.holder(), asker)?, asker.to_owned()))
    }

    fn asks(&self) -> bool {
        self.is_in_force() && wants(&self.holders(), &self.me.holder())
    }

    fn holders(&self) -> Vec<Option<&str>> {
        self.seats[..self.shards].iter().map(|seat| seat.election.holder()).collect()
    }

    /// On the first Lease, the number of shards. Another one than before is put into force only when nothing of the old one is left.
    fn spread_over(&self, post: Post, claim: Claim, now: Moment) -> Claim {
        if post != Post::Shard(0) {
            return claim;
        }
        let ours = self.ours();
        let first = &self.seats[0].election;
        let is_swept = first.until(now).is_some() && self.sweeping == Some(first.terms()) && self.is_swept();
        let spread = match self.spread {
            Some(old) if old != ours && !is_swept => Spread { settled: false, ..old },
            _ => ours,
        };
        Claim { spread, ..claim }
    }

    fn begin_to_sweep(&mut self, now: Moment) {
        let Some(old) = self.spread.filter(|old| *old != self.ours()) else {
            self.sweeping = None;
            return;
        };
        let first = &self.seats[0].election;
        if first.until(now).is_none() {
            return;
        }
        self.sweeping = Some(first.terms());
        while self.seats.len() < old.shards as usize {
            self.seats.push(Seat::new(&self.me, self.duration));
        }
        if self.is_swept() {
            self.seats[0].election.hurry();
        }
    }

    fn is_to_sweep(&self, index: usize) -> bool {
        let old = self.spread.filter(|_| self.sweeping.is_some()).map_or(0, |old| old.shards as usize);
        (1..old).contains(&index) && self.seats[index].swept != self.sweeping
    }

    /// Is every Lease that the old number had taken away?
    fn is_swept(&self) -> bool {
        self.sweeping.is_some() && (1..self.seats.len()).all(|index| !self.is_to_sweep(index))
    }

    fn seat(&self, post: Post) -> &Seat {
        match post {
            Post::Shard(index) => &self.seats[index],
            Post::Asking => &self.asking,
        }
    }

    fn seat_mut(&mut self, post: Post) -> &mut Seat {
        match post {
            Post::Shard(index) => &mut self.seats[index],
            Post::Asking => &mut self.asking,
        }
    }
}

// === impl Seat ===

impl Seat {
    fn new(me: &Candidate, duration: Duration) -> Self {
        let election = Election::new(me.clone(), duration);
        Self { election, sweeps: None, swept: None, confirmed: None, free: None }
    }
}

#[cfg(test)]
mod tests;
