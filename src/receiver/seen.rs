//! Deliveries that were taken, for a while: taking one twice is what somebody does who has overheard it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Long enough for a host's own repetitions of what failed, and more than a Git server's commit stays news.
const KEPT: Duration = Duration::from_hours(1);
/// Only what was signed gets here, so this many an hour is a lot.
const MOST: usize = 10_000;

/// Digests of deliveries, oldest first.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    known: HashSet<Digest>,
    order: VecDeque<(Instant, Digest)>,
}

type Digest = [u8; 32];

// === impl Seen ===

impl Seen {
    /// Is it the first time? It is not the next time.
    pub(super) fn is_new(&self, digest: &Digest, now: Instant) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Taken { known, order } = &mut *seen;
        while let Some((at, oldest)) = order.front().copied()
            && (order.len() >= MOST || now.duration_since(at) >= KEPT)
        {
            known.remove(&oldest);
            order.pop_front();
        }
        let new = known.insert(*digest);
        if new {
            order.push_back((now, *digest));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
        digest
    }

    #[test]
    fn what_was_taken_is_remembered_for_a_while_and_never_without_bound() {
        let (seen, start) = (Seen::default(), Instant::now());
        assert!(seen.is_new(&digest(0), start));
        assert!(!seen.is_new(&digest(0), start + KEPT / 2));
        assert!(seen.is_new(&digest(0), start + KEPT));
        for number in 1..3 * MOST {
            assert!(seen.is_new(&digest(number), start + KEPT));
        }
        assert_eq!(seen.0.lock().expect("unpoisoned").known.len(), MOST);
    }
}
