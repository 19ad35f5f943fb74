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
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Length of HTTP/2's preface. No request of HTTP/1.1 to a webhook is shorter.
const PREFACE: usize = 24;

/// Accepts as another does, and gives each client so long to begin.
#[derive(Debug, Clone)]
pub(super) struct Prompt<A> {
    accept: A,
    patience: Duration,
}

/// A connection that has yet to begin, or has.
#[derive(Debug)]
pub(super) struct Begun<T> {
    stream: T,
    beginning: Option<Beginning>,
}

#[derive(Debug)]
struct Beginning {
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
    type Stream = Begun<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let (accepted, patience) = (self.accept.accept(stream, service), self.patience);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            let beginning = Beginning { missing: PREFACE, end: Box::pin(sleep(patience)) };
            Ok((Begun { stream, beginning: Some(beginning) }, service))
        })
    }
}

// === impl Begun ===

impl<T: AsyncRead + Unpin> AsyncRead for Begun<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(beginning) = &mut self.beginning else { return read };
        beginning.missing = beginning.missing.saturating_sub(buffer.filled().len() - before);
        if beginning.missing == 0 {
            self.beginning = None;
        } else if read.is_pending() && beginning.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Begun<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
