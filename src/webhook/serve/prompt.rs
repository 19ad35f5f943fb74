//! Cuts clients that finish their handshake and then say nothing.
//!
//! To tell HTTP/2 from HTTP/1.1, the server reads as much as HTTP/2's preface before any of its other timers runs, and would
//! wait for that for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use futures::future::BoxFuture;
use tokio::time::{Sleep, sleep};

use super::watched::{Watch, Watched};

/// Length of HTTP/2's preface. No request of HTTP/1.1 to a webhook is shorter.
const PREFACE: usize = 24;

/// Accepts as another does, and gives each client so long to begin.
#[derive(Debug, Clone)]
pub(super) struct Prompt<A> {
    accept: A,
    patience: Duration,
}

/// How much of its beginning a client has yet to send, and by when.
#[derive(Debug)]
pub(super) struct Beginning {
    missing: usize,
    end: Pin<Box<Sleep>>,
}

// === impl Prompt ===

impl<A> Prompt<A> {
    pub(super) fn new(accept: A, patience: Duration) -> Self {
        Self { accept, patience }
    }
}

impl<A, I, S> Accept<I, S> for Prompt<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
{
    type Stream = Watched<A::Stream, Beginning>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let (accepted, patience) = (self.accept.accept(stream, service), self.patience);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            let beginning = Beginning { missing: PREFACE, end: Box::pin(sleep(patience)) };
            Ok((Watched::new(stream, beginning), service))
        })
    }
}

// === impl Beginning ===

impl Watch for Beginning {
    fn read(&mut self, cx: &mut Context<'_>, bytes: Poll<usize>) -> io::Result<()> {
        match bytes {
            Poll::Ready(bytes) => self.missing = self.missing.saturating_sub(bytes),
            Poll::Pending if self.missing > 0 && self.end.as_mut().poll(cx).is_ready() => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Poll::Pending => {}
        }
        Ok(())
    }
}
