//! Writes to the cluster that have begun, on disk until they are on record.
//!
//! Between the API server's answer and the record of it a process may be killed, and nothing in the cluster tells a write that
//! nobody recorded from one that everybody knows of. So it is noted first, as the record it would have. What an earlier run left
//! behind is a write of which nobody knows the end; it becomes a record that says so, by the same id, so that one that was
//! recorded after all is told from a second one.
//!
//! A file for each: nothing to compact. Half a line is a write that had not begun, and nothing is a write that ended: the file is
//! used again for the next, since making and removing one for each is slow where there are many. (ext4 then looks past all inodes that
//! were freed in the last few seconds: of ten thousand writes in half a minute each cost 0.6 ms.) Nothing is synced to the disk:
//! this is about the death of a process, not of a machine.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::record::RecordId;
use super::spill::Spill;

/// What is said of a write whose end nobody knows.
pub(super) const UNKNOWN: &str = "interrupted in the middle; whether it was done is not known";

/// As many empty files are kept for the next writes.
const KEPT: usize = 64;

/// A write that is about to be made. Noted until it is recorded, or given up.
#[derive(Debug)]
pub struct Intent {
    /// The id its record will have.
    pub(super) id: RecordId,
    note: Option<Note>,
    empty: Arc<Empty>,
}

/// Where intents are noted.
#[derive(Debug)]
pub(super) struct Intents {
    folder: PathBuf,
    empty: Arc<Empty>,
}

/// Files that note nothing now.
#[derive(Debug, Default)]
struct Empty(Mutex<Vec<Note>>);

/// A file for one write at a time.
#[derive(Debug)]
struct Note {
    file: File,
    path: PathBuf,
}

// === impl Intents ===

impl Intents {
    /// Kept in `directory`, made when the first is.
    pub(super) fn in_directory(directory: &Path) -> Self {
        Self { folder: directory.join("evidence.intents"), empty: Arc::default() }
    }

    /// Notes `line`, which is what is told if this process does not live to tell more. A disk that is full keeps nobody from healing.
    pub(super) fn note(&self, id: RecordId, line: &[u8]) -> Intent {
        let noted = self.empty.take().map_or_else(|| self.begin(id), Ok).and_then(|note| note.of(line));
        if let Err(error) = &noted {
            tracing::warn!(%error, "failed to note a write before it is made; killed now, it would not be on record");
        }
        Intent { id, note: noted.ok(), empty: self.empty.clone() }
    }

    /// One more file.
    fn begin(&self, id: RecordId) -> io::Result<Note> {
        let path = self.folder.join(id.to_string());
        let file = match File::create_new(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.folder).and_then(|()| File::create_new(&path))
            }
            file => file,
        };
        Ok(Note { file: file?, path })
    }

    /// What an earlier run left behind, in order, is kept to be told.
    pub(super) fn recover(&self, spill: &Spill) -> io::Result<()> {
        let folder = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            folder => folder?,
        };
        let notes = folder.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
        let mut lines = notes.iter().map(fs::read).collect::<io::Result<Vec<_>>>()?;
        lines.retain(|line| line.ends_with(b"\n"));
        // Each begins with its id, which begins with the time.
        lines.sort();
        lines.iter().try_for_each(|line| spill.keep(line))?;
        notes.iter().try_for_each(fs::remove_file)
    }
}

// === impl Empty ===

impl Empty {
    /// One that is still there: somebody may have emptied the folder.
    fn take(&self) -> Option<Note> {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| notes.pop()).find(|note| note.path.exists())
    }

    /// What this notes is over.
    fn put(&self, note: Note) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < KEPT && note.file.set_len(0).is_ok() {
            notes.push(note);
            return;
        }
        // A note that stays is told once more, by the id that was told already.
        fs::remove_file(note.path).ok();
    }
}

// === impl Note ===

impl Note {
    fn of(self, line: &[u8]) -> io::Result<Self> {
        let noted = self.file.write_all_at(line, 0);
        if noted.is_err() {
            fs::remove_file(&self.path).ok();
        }
        noted.map(|()| self)
    }
}

// === impl Intent ===

impl Drop for Intent {
    fn drop(&mut self) {
        self.note.take().into_iter().for_each(|note| self.empty.put(note));
    }
}
