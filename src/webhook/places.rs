//! How many reviews are in work at once, by how long they are.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Largest body that is read. A review holds an object twice. What etcd stores is at most 1.5 MiB, and JSON, as the API server
/// writes it, spells one byte with six at most (`<` is `\u003c`): 9 MiB each, and the rest (user, groups, options) is well below
/// two more. The API server takes requests of 3 MiB, but what is larger than this could not be stored, whoever decides.
pub(super) const LARGEST: usize = 20 * 1024 * 1024;

/// Reviews in work at once. More wait their turn before their body is read: a burst costs them microseconds, while a refusal
/// would hand each of them to `failurePolicy`.
const AT_ONCE: usize = 512;

/// So much of a body goes with one place, which makes 128 MiB for all of them.
const PLACE: usize = 256 * 1024;

/// Places for larger bodies, which take several each: 64 MiB. Theirs are others, so that the usual review never waits for them.
const WIDE: usize = 256;

/// Whoever has not got its turn by then is sent away: a queue that long is not a burst, and by default the API server has given
/// up after 1 s.
const TURN: Duration = Duration::from_secs(3);

/// Places for reviews in work.
pub(super) struct Places {
    usual: Semaphore,
    wide: Semaphore,
}

/// Is a review of this length like nearly all of them?
pub(super) fn is_usual(length: usize) -> bool {
    length < PLACE
}

// === impl Places ===

impl Places {
    /// All of them free.
    pub(super) fn new() -> Self {
        Self { usual: Semaphore::new(AT_ONCE), wide: Semaphore::new(WIDE) }
    }

    /// A place for a review of this length, after a while if need be; `None` if none gets free.
    /// A body that does not say how long it is counts as the largest; the API server's always do.
    pub(super) async fn take(&self, length: Option<u64>) -> Option<SemaphorePermit<'_>> {
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(LARGEST);
        let places = u32::try_from(length.min(LARGEST) / PLACE + 1).unwrap_or(u32::MAX);
        let room = if places == 1 { &self.usual } else { &self.wide };
        match room.try_acquire_many(places) {
            Ok(place) => Some(place),
            Err(_) => timeout(TURN, room.acquire_many(places)).await.ok()?.ok(),
        }
    }
}
