//! Where records go: written by whoever makes them, before anything else is said.
//!
//! What a person was told is then on record, whatever kills this process next. But a pipe may be full for as long as nobody reads it, and
//! whoever makes a record is in the middle of an admission review. So a record is only written if there is room for it; what there is none
//! for, and what cannot be written, goes to the spill file, and so does all that comes behind it: records are in order. A thread, which
//! may wait, brings that back, and then records are written directly again. A thread and not a task: a blocked worker of the runtime
//! would be a blocked webhook.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::{self, Thread},
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::oneshot;

use super::{
    editors::Editors,
    intent::{Intent, Intents, UNKNOWN},
    metrics::{Fate, Metrics},
    output::Output,
    record::{Record, RecordId},
    spill::{self, Replay, Spill},
};
use crate::core::object::ObjectKey;

/// Most lines are shorter.
const LINE: usize = 1024;

/// Takes records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Evidence {
    desk: Arc<Desk>,
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

/// Where lines are written, or kept for later.
#[derive(Debug)]
struct Desk {
    out: Output,
    spill: Spill,
    metrics: Metrics,
    /// Held for as long as a write takes that waits for nobody.
    way: Mutex<Way>,
    clerk: OnceLock<Thread>,
}

/// Which way lines go.
#[derive(Debug)]
enum Way {
    /// Out.
    Out,
    /// To the spill file, because some that came before are there.
    Spill,
    /// Likewise, because this ends: what is there by now is still brought back, and somebody waits for that.
    End(Option<oneshot::Sender<()>>),
}

/// Who brings back what was spilled; lives in a thread of its own.
struct Clerk {
    replay: Replay,
    desk: Arc<Desk>,
}

// === impl Evidence ===

impl Evidence {
    /// Writes to `out`. Spilled records are kept in `directory`; those of an earlier run come first.
    ///
    /// # Errors
    /// If `directory` cannot be read, or no thread can be had.
    pub fn start(out: Output, directory: &Path, metrics: Metrics) -> io::Result<Self> {
        let (spill, replay) = spill::in_directory(directory);
        let intents = Arc::new(Intents::in_directory(directory));
        intents.recover(&spill)?;
        let desk = Arc::new(Desk { out, spill, metrics, way: Mutex::new(Way::Spill), clerk: OnceLock::new() });
        let clerk = Clerk { replay, desk: desk.clone() };
        let clerk = thread::Builder::new().name("evidence".to_owned()).spawn(|| clerk.run())?;
        desk.clerk.get_or_init(|| clerk.thread().clone());
        Ok(Self { desk, editors: Arc::default(), intents })
    }

    /// Records an event: when this returns it is written, or kept on disk. Never waits for whoever reads it.
    pub fn record(&self, record: Record) -> RecordId {
        self.tell(&Entry { id: RecordId::next(record.time), record })
    }

    /// Notes a write to the cluster that is about to be made, as the record it would have. If this process is killed before it is
    /// recorded, the next one in this place does that, and says that nobody knows how it ended.
    pub fn intend(&self, record: Record) -> Intent {
        let (id, record) = (RecordId::next(record.time), record.interrupted());
        self.intents.note(id, &Entry { id, record }.line())
    }

    /// Records a write that was noted, by the id it was noted with.
    pub fn record_end(&self, intent: Intent, record: Record) -> RecordId {
        let told = self.tell(&Entry { id: intent.id, record });
        drop(intent); // and no earlier
        told
    }

    /// Records a write that was noted and of which this process, too, does not know how it ended.
    pub fn record_interrupted(&self, intent: Intent, record: Record) -> RecordId {
        self.record_end(intent, record.interrupted())
    }

    fn tell(&self, entry: &Entry) -> RecordId {
        self.editors.note(&entry.record);
        self.desk.take(&entry.line());
        entry.id
    }

    /// The user whose edit of this object admission saw pass last, if it saw one after `since`.
    pub fn last_editor(&self, key: &ObjectKey, since: Timestamp) -> Option<String> {
        self.editors.last(key, since)
    }

    /// Writes out what is spilled, then stops the thread. Records made afterwards by other clones are spilled for the next run.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        *self.desk.way() = Way::End(Some(done));
        self.desk.wake();
        // An error means that the thread ended before us, which is what was asked for.
        closed.await.ok();
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
    fn line(&self) -> Vec<u8> {
        let mut line = Vec::with_capacity(LINE);
        serde_json::to_writer(&mut line, self).expect("a record is strings, numbers and JSON values");
        line.push(b'\n');
        line
    }
}

// === impl Desk ===

impl Desk {
    fn take(&self, line: &[u8]) {
        let fate = self.put(line).unwrap_or_else(|error| {
            tracing::error!(%error, record = %String::from_utf8_lossy(line), "failed to keep evidence; this is its last copy");
            Fate::Lost
        });
        self.metrics.recorded(fate);
        if fate != Fate::Written {
            self.wake();
        }
    }

    /// Writes a line, or keeps it.
    fn put(&self, line: &[u8]) -> io::Result<Fate> {
        let mut way = self.way();
        if let Way::Out = *way {
            if self.out.has_room(line.len()) && self.out.write(line).is_ok() {
                return Ok(Fate::Written);
            }
            *way = Way::Spill;
        }
        self.spill.keep(line).map(|()| Fate::Spilled)
    }

    fn wake(&self) {
        self.clerk.get().into_iter().for_each(Thread::unpark);
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        // A panic elsewhere leaves a way behind.
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Clerk ===

impl Clerk {
    /// What is kept while it looks wakes it again.
    fn run(self) {
        loop {
            let is_all = self.replay();
            let mut way = self.desk.way();
            match &mut *way {
                Way::End(done) => {
                    let done = done.take();
                    drop(way);
                    self.replay();
                    // Nobody waits any more if this fails.
                    return done.into_iter().for_each(|done| _ = done.send(()));
                }
                Way::Spill if is_all && self.desk.spill.is_empty() => *way = Way::Out,
                Way::Spill | Way::Out => {}
            }
            drop(way);
            thread::park();
        }
    }

    /// Is everything written that was kept?
    fn replay(&self) -> bool {
        let Self { desk, replay } = self;
        let replayed = replay.run(&desk.spill, |line| {
            desk.out.write(line)?;
            desk.metrics.recorded(Fate::Written);
            Ok(())
        });
        // Whatever was wrong, the lines are still on disk and the next record has it tried again.
        if let Err(error) = &replayed {
            tracing::warn!(%error, "failed to replay spilled evidence; it is kept");
        }
        replayed.is_ok()
    }
}

#[cfg(test)]
mod tests;
