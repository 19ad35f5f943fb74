//! Where records are written, and whether there is room.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::PIPE_BUF;

/// A file or a pipe that takes lines.
#[derive(Debug)]
pub struct Output(File);

// === impl Output ===

impl Output {
    /// Standard output, without what the standard library puts before it: a line is one write.
    ///
    /// # Errors
    /// If it is closed, or no file descriptor is left.
    pub fn stdout() -> io::Result<Self> {
        Ok(Self::to(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }

    /// Another file, at its end.
    pub fn to(file: File) -> Self {
        Self(file)
    }

    /// Would it take so many bytes without waiting for anybody? A pipe that has any room takes a line at once, and does not tear it
    /// apart, if it is no longer than `PIPE_BUF`. (POSIX, `write`.)
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let mut asked = [PollFd::new(&self.0, PollFlags::OUT)];
        bytes <= PIPE_BUF
            && poll(&mut asked, Some(&Timespec::default())).is_ok()
            && asked[0].revents().contains(PollFlags::OUT)
    }

    /// Writes a line, which may take as long as its reader takes.
    pub(super) fn write(&self, line: &[u8]) -> io::Result<()> {
        (&self.0).write_all(line)
    }
}
