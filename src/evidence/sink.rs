//! Where records go: a handle that never waits, and a thread that writes.
//!
//! The queue is bounded, because an unbounded one turns a stuck log collector into an out-of-memory kill of the webhook. What
//! does not fit, and what cannot be written, goes to the spill file; the thread brings it back when it has caught up. A thread
//! and not a task: writing to a pipe blocks, and a blocked worker of the runtime would be a blocked webhook.
//!
//! A record becomes its line where it is made: what is handed over is one piece of memory, not thirty. To wake a thread costs more than to
//! write a line. So when it has caught up it rests a moment before it waits to be woken: one record is written at once, and of many that
//! come together only the first wakes anybody.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::{
    editors::Editors,
    intent::{Intent, Intents, UNKNOWN},
    metrics::{Fate, Metrics},
    record::{Record, RecordId},
    spill::{self, Replay, Spill},
};
use crate::core::object::ObjectKey;

/// Records that may wait in memory: a few megabytes at worst, minutes of denials at any rate seen in practice.
const QUEUE: usize = 4096;

/// Most lines are shorter.
const LINE: usize = 1024;

/// How long the thread rests. A record that comes meanwhile waits for so long in memory, which a kill of the process would take along.
const REST: Duration = Duration::from_millis(10);

/// Takes records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Evidence {
    queue: mpsc::Sender<Message>,
    fallback: Arc<Fallback>,
    editors: Arc<Editors>,
    intents: Arc<Intents>,
}

/// A record with its name, as it is written.
#[derive(Debug, Serialize)]
struct Entry {
    id: RecordId,
    #[serde(flatten)]
    record: Record,
}

#[derive(Debug)]
enum Message {
    /// A line to write, and what ends when it is written, or kept for later.
    Line(Vec<u8>, Option<Intent>),
    Close(oneshot::Sender<()>),
}

/// What to do with a record that cannot be written now.
#[derive(Debug)]
struct Fallback {
    spill: Spill,
    metrics: Metrics,
}

/// The writing side; lives in its own thread.
struct Writer<W> {
    out: W,
    queue: mpsc::Receiver<Message>,
    replay: Replay,
    fallback: Arc<Fallback>,
}

// === impl Evidence ===

impl Evidence {
    /// Starts the thread that writes to `out`. Spilled records are kept in `directory`; those of an earlier run come first.
    pub fn start(out: impl Write + Send + 'static, directory: &Path, metrics: Metrics) -> io::Result<Self> {
        Self::with_queue(QUEUE, out, directory, metrics)
    }

    fn with_queue(
        size: usize,
        out: impl Write + Send + 'static,
        directory: &Path,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let (sender, queue) = mpsc::channel(size);
        let (spill, replay) = spill::in_directory(directory);
        let intents = Arc::new(Intents::in_directory(directory));
        intents.recover(&spill)?;
        let fallback = Arc::new(Fallback { spill, metrics });
        let writer = Writer { out, queue, replay, fallback: fallback.clone() };
        thread::Builder::new().name("evidence".to_owned()).spawn(|| writer.run())?;
        Ok(Self { queue: sender, fallback, editors: Arc::default(), intents })
    }

    /// Records an event; never waits for whoever reads it.
    pub fn record(&self, record: Record) -> RecordId {
        self.send(Entry { id: RecordId::next(record.time), record }, None)
    }

    /// Notes a write to the cluster that is about to be made, as the record it would have. If this process is killed before it is
    /// recorded, the next one in this place does that, and says that nobody knows how it ended.
    pub fn intend(&self, record: Record) -> Intent {
        let (id, record) = (RecordId::next(record.time), record.interrupted());
        self.intents.note(id, &Entry { id, record }.line())
    }

    /// Records a write that was noted, by the id it was noted with.
    pub fn record_end(&self, intent: Intent, record: Record) -> RecordId {
        self.send(Entry { id: intent.id, record }, Some(intent))
    }

    /// Records a write that was noted and of which this process, too, does not know how it ended.
    pub fn record_interrupted(&self, intent: Intent, record: Record) -> RecordId {
        self.record_end(intent, record.interrupted())
    }

    fn send(&self, entry: Entry, intent: Option<Intent>) -> RecordId {
        let id = entry.id;
        self.editors.note(&entry.record);
        let message = Message::Line(entry.line(), intent);
        if let Err(refused) = self.queue.try_send(message)
            && let Message::Line(line, _intent) = refused.into_inner()
        {
            self.fallback.keep(&line);
        }
        id
    }

    /// The user whose edit of this object admission saw pass last, if it saw one after `since`.
    pub fn last_editor(&self, key: &ObjectKey, since: Timestamp) -> Option<String> {
        self.editors.last(key, since)
    }

    /// Writes out what is queued, then stops the thread. Records made afterwards by other clones are spilled.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            // An error means that the thread ended before us, which is what was asked for.
            closed.await.ok();
        }
    }
}

// === impl Record ===

impl Record {
    fn interrupted(self) -> Self {
        let said: Vec<_> = self.reason.iter().map(String::as_str).chain([UNKNOWN]).collect();
        Self { reason: Some(said.join("; ")), ..self }
    }
}

// === impl Entry ===

impl Entry {
    fn line(self) -> Vec<u8> {
        let mut line = Vec::with_capacity(LINE);
        serde_json::to_writer(&mut line, &self).expect("a record is strings, numbers and JSON values");
        line.push(b'\n');
        line
    }
}

// === impl Writer ===

impl<W: Write> Writer<W> {
    fn run(mut self) {
        self.replay();
        while let Some(message) = self.queue.blocking_recv() {
            match message {
                Message::Line(line, _intent) => self.write(&line),
                Message::Close(done) => return self.close(done),
            }
            if self.queue.is_empty() {
                self.replay();
                thread::sleep(REST);
            }
        }
    }

    fn write(&mut self, line: &[u8]) {
        match self.out.write_all(line).and_then(|()| self.out.flush()) {
            Ok(()) => self.fallback.metrics.recorded(Fate::Written),
            Err(_) => self.fallback.keep(line),
        }
    }

    fn replay(&mut self) {
        let Self { out, fallback, replay, .. } = self;
        let replayed = replay.run(&fallback.spill, |line| {
            out.write_all(line)?;
            fallback.metrics.recorded(Fate::Written);
            Ok(())
        });
        // Whatever was wrong, the lines are still on disk and the next quiet moment tries again.
        if let Err(error) = replayed.and_then(|()| self.out.flush()) {
            tracing::warn!(%error, "failed to replay spilled evidence; it is kept");
        }
    }

    fn close(mut self, done: oneshot::Sender<()>) {
        self.queue.close();
        while let Ok(Message::Line(line, _intent)) = self.queue.try_recv() {
            self.write(&line);
        }
        self.replay();
        // Nobody waits any more if this fails.
        done.send(()).ok();
    }
}

// === impl Fallback ===

impl Fallback {
    fn keep(&self, line: &[u8]) {
        let kept = self.spill.keep(line);
        self.metrics.recorded(if kept.is_ok() { Fate::Spilled } else { Fate::Lost });
        if let Err(error) = kept {
            tracing::error!(%error, record = %String::from_utf8_lossy(line), "failed to keep evidence; this is its last copy");
        }
    }
}

#[cfg(test)]
mod tests;
