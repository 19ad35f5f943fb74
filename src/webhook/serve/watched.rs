//! A connection and what is bound to it: a place that is given back when it closes, a time by which it has to begin.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that is watched for as long as it is open.
#[derive(Debug)]
pub(super) struct Watched<T, W> {
    stream: T,
    watch: W,
}

/// What goes along with a connection.
pub(super) trait Watch: Unpin {
    /// So many bytes were read, or none have come yet. An error is the end of the connection.
    fn read(&mut self, _cx: &mut Context<'_>, _bytes: Poll<usize>) -> io::Result<()> {
        Ok(())
    }
}

// === impl Watched ===

impl<T, W> Watched<T, W> {
    pub(super) fn new(stream: T, watch: W) -> Self {
        Self { stream, watch }
    }
}

impl<T: AsyncRead + Unpin, W: Watch> AsyncRead for Watched<T, W> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let bytes = read.is_ready().then(|| buffer.filled().len() - before);
        match self.watch.read(cx, bytes.map_or(Poll::Pending, Poll::Ready)) {
            Ok(()) => read,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<T: AsyncWrite + Unpin, W: Unpin> AsyncWrite for Watched<T, W> {
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
