//! A body that has to come in time. How long it says it is stays known: by that a review gets its place.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// A body, if all of it comes before its time is over.
pub(super) struct Hurried {
    body: Body,
    deadline: Instant,
    /// Set when something is waited for: mostly the whole body is there already.
    alarm: Option<Pin<Box<Sleep>>>,
}

// === impl Hurried ===

impl Hurried {
    /// Time runs from now.
    pub(super) fn new(body: Body, time: Duration) -> Self {
        Self { body, deadline: Instant::now() + time, alarm: None }
    }
}

impl HttpBody for Hurried {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let deadline = self.deadline;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        alarm.as_mut().poll(context).map(|()| Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
