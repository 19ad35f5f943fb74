//! Writes to the cluster that have begun, on disk until they are on record.
//!
//! Between the API server's answer and the record of it a process may be killed, and nothing in the cluster tells a write that
//! nobody recorded from one that everybody knows of. So it is noted first, as the record it would have. What an earlier run left
//! behind is a write of which nobody knows the end; it becomes a record that says so, by the same id, so that one that was
//! recorded after all is told from a second one.
//!
//! A file for each: made, removed, nothing to compact. Half a file is a write that had not begun. Nothing is synced to the disk:
//! this is about the death of a process, not of a machine.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::record::RecordId;
use super::spill::Spill;

/// What is said of a write whose end nobody knows.
pub(super) const UNKNOWN: &str = "interrupted in the middle; whether it was done is not known";

/// A write that is about to be made. Noted until it is recorded, or given up.
#[derive(Debug)]
pub struct Intent {
    /// The id its record will have.
    pub(super) id: RecordId,
    note: Option<PathBuf>,
}

/// Where intents are noted.
#[derive(Debug)]
pub(super) struct Intents {
    folder: PathBuf,
}

// === impl Intents ===

impl Intents {
    /// Kept in `directory`, made when the first is.
    pub(super) fn in_directory(directory: &Path) -> Self {
        Self { folder: directory.join("evidence.intents") }
    }

    /// Notes `line`, which is what is told if this process does not live to tell more. A disk that is full keeps nobody from healing.
    pub(super) fn note(&self, id: RecordId, line: &[u8]) -> Intent {
        let note = self.folder.join(id.to_string());
        let noted = match fs::write(&note, line) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(&self.folder).and_then(|()| fs::write(&note, line))
            }
            noted => noted,
        };
        if let Err(error) = &noted {
            tracing::warn!(%error, "failed to note a write before it is made; killed now, it would not be on record");
        }
        Intent { id, note: noted.is_ok().then_some(note) }
    }

    /// What an earlier run left behind, in order, is kept to be told.
    pub(super) fn recover(&self, spill: &Spill) -> io::Result<()> {
        let folder = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            folder => folder?,
        };
        let mut notes = folder.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
        notes.sort();
        for note in notes {
            let line = fs::read(&note)?;
            if line.ends_with(b"\n") {
                spill.keep(&line)?;
            }
            fs::remove_file(&note)?;
        }
        Ok(())
    }
}

// === impl Intent ===

impl Drop for Intent {
    fn drop(&mut self) {
        // A note that stays is told once more, by the id that was told already.
        self.note.take().map(fs::remove_file);
    }
}
