//! Counts connections, and turns away those that are too many.
//!
//! Turned away means closed at once: a client that had to wait in a queue would wait out its own timeout, and the API server
//! would make every edit wait with it. But nobody may keep a place by saying nothing: when all are taken, whoever has been silent
//! for longest, and for a while, makes room. To the API server a connection that was closed while idle is a new handshake; who
//! holds places only to hold them loses them one by one. (Who also talks on all of them is for `--client-ca-file` or the network to
//! keep out.)

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum_server::accept::Accept;
use futures::task::AtomicWaker;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::watched::{Watch, Watched};
use crate::evidence::Metrics;

/// Lets in as many as there are places.
#[derive(Debug, Clone)]
pub(super) struct Door {
    places: Arc<Semaphore>,
    guests: Arc<Mutex<Guests>>,
    /// Whoever was silent for so long may be asked to go.
    patience: Duration,
    start: Instant,
    metrics: Metrics,
}

/// Everybody who is in.
#[derive(Debug, Default)]
struct Guests {
    last: u64,
    by_number: HashMap<u64, Arc<Guest>>,
}

/// Somebody who is in.
#[derive(Debug)]
struct Guest {
    /// Its place; taken from it when it has to go.
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    /// When it last said something, in milliseconds from the start.
    heard: AtomicU64,
    waker: AtomicWaker,
}

/// A connection that has a place for as long as it is open.
type Admitted = BufReader<Watched<TcpStream, Place>>;

/// A place that is taken.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    guest: Arc<Guest>,
    door: Door,
}

/// What is read at once. TLS by itself asks for four kilobytes at a time, and most of what a review costs in the kernel is asking.
const READ: usize = 20 * 1024;

// === impl Door ===

impl Door {
    pub(super) fn new(places: usize, patience: Duration, metrics: Metrics) -> Self {
        let (places, guests) = (Arc::new(Semaphore::new(places)), Arc::default());
        Self { places, guests, patience, start: Instant::now(), metrics }
    }

    /// Without Nagle's algorithm: it makes small answers wait for acknowledgements, 40 ms at a time.
    fn admit(&self, stream: TcpStream) -> io::Result<Admitted> {
        let free = self.places.clone().try_acquire_owned().ok();
        let Some(permit) = free.or_else(|| self.make_room()) else {
            self.metrics.connections_refused.inc();
            return Err(io::Error::other("too many connections"));
        };
        stream.set_nodelay(true)?;
        self.metrics.connections.inc();
        Ok(BufReader::with_capacity(READ, Watched::new(stream, self.place(permit))))
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        let heard = AtomicU64::new(self.now());
        let guest = Arc::new(Guest { permit: Mutex::new(Some(permit)), heard, waker: AtomicWaker::new() });
        let mut guests = self.guests();
        guests.last += 1;
        let number = guests.last;
        guests.by_number.insert(number, guest.clone());
        Place { number, guest, door: self.clone() }
    }

    /// The place of whoever has been silent for longest, if it was for long enough.
    fn make_room(&self) -> Option<OwnedSemaphorePermit> {
        let guests = self.guests();
        let stale = self.now().checked_sub(u64::try_from(self.patience.as_millis()).ok()?)?;
        let silent = guests.by_number.values().filter(|guest| guest.has_place() && guest.heard() <= stale);
        let guest = silent.min_by_key(|guest| guest.heard())?;
        let permit = guest.place().take();
        self.metrics.connections_evicted.inc();
        guest.waker.wake();
        permit
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn guests(&self) -> std::sync::MutexGuard<'_, Guests> {
        // Each change is one insert or remove: a panic elsewhere cannot leave half of one.
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Admitted;
    type Service = S;
    type Future = Ready<io::Result<(Admitted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.admit(stream).map(|guest| (guest, service)))
    }
}

// === impl Guest ===

impl Guest {
    fn place(&self) -> std::sync::MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_place(&self) -> bool {
        self.place().is_some()
    }

    fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }
}

// === impl Place ===

impl Watch for Place {
    fn read(&mut self, cx: &mut Context<'_>, bytes: Poll<usize>) -> io::Result<()> {
        match bytes {
            Poll::Ready(_) => self.guest.heard.store(self.door.now(), Ordering::Relaxed),
            Poll::Pending => self.guest.waker.register(cx.waker()),
        }
        if self.guest.has_place() { Ok(()) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.guests().by_number.remove(&self.number);
        self.door.metrics.connections.dec();
    }
}
