//! An ssh channel as the two ends of a pipe: what `gix` reads and writes. Every wait is bounded.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use russh::client::{Handle, Msg};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::Host;

/// What the server writes on its standard error beyond this is nobody's reading.
const COMPLAINT: usize = 400;
/// How long a server may take to close what it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// More than the smallest window of a server worth the name.
const CHUNK: usize = 32 << 10;

/// What the server wrote on its standard error: why there is no such repository.
#[derive(Clone, Default)]
pub(in super::super) struct Said(Arc<Mutex<Vec<u8>>>);

/// The connection, and the thread's own runtime that drives it while something is read or written.
pub(super) struct Line {
    pub(super) _handle: Handle<Host>,
    pub(super) runtime: Runtime,
    pub(super) stall: Duration,
}

/// What the server sends.
pub(in super::super) struct Reader {
    line: Arc<Line>,
    half: ChannelReadHalf,
    pending: Bytes,
    said: Said,
    /// Nothing more comes but perhaps a word about why.
    ended: bool,
}

/// What is sent to the server.
pub(in super::super) struct Writer {
    pub(super) line: Arc<Line>,
    pub(super) half: ChannelWriteHalf<Msg>,
}

// === impl Said ===

impl Said {
    /// On one line, and short: it goes into a condition.
    pub(in super::super) fn text(&self) -> Option<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes).replace(|c: char| c.is_control(), " ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        (!text.is_empty()).then_some(text)
    }

    fn add(&self, bytes: &[u8]) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = COMPLAINT.saturating_sub(said.len());
        said.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

// === impl Reader ===

impl Reader {
    pub(super) fn new(line: Arc<Line>, half: ChannelReadHalf, said: Said) -> Self {
        Self { line, half, pending: Bytes::new(), said, ended: false }
    }

    /// Waits for data; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Line { runtime, stall, .. } = &*self.line;
        loop {
            let patience = if self.ended { LAST_WORDS.min(*stall) } else { *stall };
            match runtime.block_on(async { timeout(patience, self.half.wait()).await }) {
                Ok(Some(ChannelMsg::Data { data })) if !data.is_empty() => return Ok(Some(data)),
                Ok(Some(ChannelMsg::ExtendedData { data, .. })) => self.said.add(&data),
                Ok(Some(ChannelMsg::Eof)) => self.ended = true,
                Ok(Some(ChannelMsg::Close) | None) => return Ok(None),
                Ok(Some(_)) => {}
                Err(_) if self.ended => return Ok(None),
                Err(_) => return Err(silent(*stall)),
            }
        }
    }
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pending.is_empty() {
            match self.next()? {
                Some(data) => self.pending = data,
                None => return Ok(0),
            }
        }
        let length = self.pending.len().min(buffer.len());
        self.pending.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

// === impl Writer ===

impl io::Write for Writer {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let Line { runtime, stall, .. } = &*self.line;
        let chunk = Bytes::copy_from_slice(&buffer[..buffer.len().min(CHUNK)]);
        let length = chunk.len();
        let sent = runtime.block_on(async { timeout(*stall, self.half.data_bytes(chunk)).await });
        sent.map_err(|_| silent(*stall))?.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn silent(stall: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("the ssh server kept silent for {stall:?}"))
}
