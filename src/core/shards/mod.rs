//! Which replica writes what: `GitSync`s are spread over shards by their names, and shards over replicas by one Lease each.
//!
//! Which shard a `GitSync` belongs to every process of every version works out alike, from its name and the number of shards alone.
//! That number is a flag, and two replicas that are told different numbers would write one `GitSync` both. So the first Lease says
//! which number is in force ([`Spread`]); [`member`] says how it changes, [`balance`] who should hold how many.

pub mod balance;
pub mod member;

use std::fmt;

use sha2::{Digest, Sha256};

/// More shards than this are not to be had: each costs a Lease that is renewed all the time.
pub const MAX: u32 = 32;

/// How the writing is spread, as the first Lease says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Over how many shards; while that changes, over how many at most.
    pub shards: u32,
    /// Is it in force? Otherwise nobody writes but into Leases.
    pub settled: bool,
}

/// What is said of a spread that is not in force.
const CHANGING: &str = "changing";

/// The shard of a `GitSync` (`namespace/name`): the one that draws the highest number for it. With one more shard, those move for
/// which the new one draws higher, and no others.
pub fn shard_of(sync: &str, shards: u32) -> u32 {
    let drawn = |shard: &u32| <[u8; 32]>::from(Sha256::digest(format!("{shard}:{sync}")));
    if shards <= 1 { 0 } else { (0..shards).max_by_key(drawn).unwrap_or(0) }
}

// === impl Spread ===

impl Spread {
    /// In force, over so many.
    pub fn settled(shards: u32) -> Self {
        Self { shards, settled: true }
    }

    /// What an annotation says; nothing is one shard, as before there were several. What makes no sense may be anything.
    pub fn read(annotation: Option<&str>) -> Self {
        let Some(text) = annotation else { return Self::default() };
        let (number, rest) = text.split_once(", ").map_or((text, None), |(number, rest)| (number, Some(rest)));
        match number.parse() {
            Ok(shards @ 1..=MAX) if rest.is_none_or(|rest| rest == CHANGING) => {
                Self { shards, settled: rest.is_none() }
            }
            _ => Self { shards: MAX, settled: false },
        }
    }

    /// As an annotation; none, where there is one shard.
    pub fn annotation(self) -> Option<String> {
        (self != Self::default()).then(|| self.to_string())
    }
}

impl Default for Spread {
    fn default() -> Self {
        Self::settled(1)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shards, settled } = self;
        if *settled { write!(f, "{shards}") } else { write!(f, "{shards}, {CHANGING}") }
    }
}

#[cfg(test)]
mod tests;
