//! How long and how large an answer may be.
//!
//! A server that keeps silent is noticed at every step; one that keeps dripping bytes, or never stops sending, is noticed here.

use std::io::{self, BufRead, Read};
use std::time::{Duration, Instant};

/// What one exchange with a server may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) time: Duration,
    pub(super) bytes: u64,
}

impl Limits {
    /// A list of names.
    pub(super) const LISTING: Self = Self { time: Duration::from_mins(2), bytes: 256 << 20 };
    /// A commit, or a repository with all its history.
    pub(super) const TRANSFER: Self = Self { time: Duration::from_mins(15), bytes: 2 << 30 };
}

/// An answer that ends with an error once it is too long.
pub(super) struct Bounded<R> {
    inner: R,
    until: Instant,
    left: u64,
    limits: Limits,
}

// === impl Bounded ===

impl<R> Bounded<R> {
    pub(super) fn new(inner: R, limits: Limits) -> Self {
        Self { inner, until: Instant::now() + limits.time, left: limits.bytes, limits }
    }

    fn check(&self) -> io::Result<()> {
        let Limits { time, bytes } = self.limits;
        if self.left == 0 {
            return Err(io::Error::other(format!("the server sent more than {} MiB", bytes >> 20)));
        }
        if Instant::now() >= self.until {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the server took more than {} s", time.as_secs()),
            ));
        }
        Ok(())
    }

    fn took(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes as u64);
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let read = self.inner.read(buffer)?;
        self.took(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.check()?;
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.took(bytes);
        self.inner.consume(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_or_too_slow_ends_with_an_error() {
        let read = |limits| {
            let mut read = Vec::new();
            Bounded::new(io::repeat(7).take(100_000), limits).read_to_end(&mut read).map(|_| read.len())
        };
        let enough = Limits { time: Duration::from_mins(1), bytes: 200_000 };
        assert_eq!(read(enough).expect("within both limits"), 100_000);
        let error = read(Limits { bytes: 50_000, ..enough }).expect_err("too long");
        assert!(error.to_string().contains("more than 0 MiB"), "{error}");
        let error = read(Limits { time: Duration::ZERO, ..enough }).expect_err("too slow");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
