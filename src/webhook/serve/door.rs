//! Counts connections, and turns away those that are too many.
//!
//! Turned away means closed at once: a client that had to wait in a queue would wait out its own timeout, and the API server
//! would make every edit wait with it.

use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;

use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::watched::{Watch, Watched};
use crate::evidence::Metrics;

/// Lets in as many as there are places.
#[derive(Debug, Clone)]
pub(super) struct Door {
    places: Arc<Semaphore>,
    metrics: Metrics,
}

/// A connection that has a place for as long as it is open.
type Guest = Watched<TcpStream, Place>;

/// A place that is taken.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    metrics: Metrics,
}

// === impl Door ===

impl Door {
    pub(super) fn new(places: usize, metrics: Metrics) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), metrics }
    }

    /// Without Nagle's algorithm: it makes small answers wait for acknowledgements, 40 ms at a time.
    fn admit(&self, stream: TcpStream) -> io::Result<Guest> {
        let Ok(permit) = self.places.clone().try_acquire_owned() else {
            self.metrics.connections_refused.inc();
            return Err(io::Error::other("too many connections"));
        };
        stream.set_nodelay(true)?;
        self.metrics.connections.inc();
        Ok(Watched::new(stream, Place { _permit: permit, metrics: self.metrics.clone() }))
    }
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Guest;
    type Service = S;
    type Future = Ready<io::Result<(Guest, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.admit(stream).map(|guest| (guest, service)))
    }
}

// === impl Place ===

impl Watch for Place {}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}
