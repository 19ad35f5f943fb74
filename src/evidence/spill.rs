//! Records that could not be written at once, kept on disk until they can be.
//!
//! Two files. [`Spill`] appends to one under a lock that is held for an append and never longer: whoever waits for it is in the
//! middle of an admission review. [`Replay`] moves that file aside and reads it at the pace of a reader that may be stuck. A
//! crash in the middle leaves the moved file for the next start, so delivery is at-least-once: a line may appear twice, with
//! the same id. A disk that is full, or a death in the middle of an append, leaves half a line: it costs that record, is told as
//! that, and does not spoil the next.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Takes lines in.
#[derive(Debug)]
pub(super) struct Spill {
    path: PathBuf,
    open: Mutex<Option<File>>,
    /// May something wait on disk? Asking the file system for every record would cost more than writing it.
    waits: AtomicBool,
}

/// Gives them out again.
#[derive(Debug)]
pub(super) struct Replay {
    path: PathBuf,
}

/// Both ends of the spill kept in `directory`, which is created when it is first needed.
pub(super) fn in_directory(directory: &Path) -> (Spill, Replay) {
    let spill = Spill {
        path: directory.join("evidence.spill.jsonl"),
        open: Mutex::default(),
        waits: AtomicBool::new(true), // an earlier run may have left something
    };
    (spill, Replay { path: directory.join("evidence.replay.jsonl") })
}

// === impl Spill ===

impl Spill {
    /// Keeps `line` (with its newline) for later.
    pub(super) fn keep(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.lock();
        let file = match &mut *open {
            Some(file) => file,
            none => none.insert(append_to(&self.path)?),
        };
        let kept = file.write_all(line);
        if kept.is_err() {
            *open = None;
        }
        self.waits.store(true, Ordering::Release);
        kept
    }

    /// Does nothing wait on disk?
    pub(super) fn is_empty(&self) -> bool {
        !self.waits.load(Ordering::Acquire)
    }

    /// Moves what waits to `target`. `false`: there was nothing.
    fn hand_over(&self, target: &Path) -> io::Result<bool> {
        let mut open = self.lock();
        *open = None;
        match fs::rename(&self.path, target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A panic while appending leaves at worst half a line; refusing all evidence from then on would be worse.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<File>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Replay ===

impl Replay {
    /// Hands every line kept in `spill` to `write`. Stops at the first that fails; the rest stays for another time.
    pub(super) fn run(&self, spill: &Spill, write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        // Forgotten before looking: what is kept from now on is seen now, or asked for again.
        if !spill.waits.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let replayed = self.replay(spill, write);
        if *replayed.as_ref().unwrap_or(&true) {
            spill.waits.store(true, Ordering::Release);
        }
        replayed.map(drop)
    }

    /// `true`: what was left of an earlier replay came first, and more may wait behind it.
    fn replay(&self, spill: &Spill, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<bool> {
        let unfinished = self.path.exists();
        if !unfinished && !spill.hand_over(&self.path)? {
            return Ok(false);
        }
        let mut lines = BufReader::new(File::open(&self.path)?);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            if is_whole(&line) {
                write(&line)?;
            } else {
                let half = String::from_utf8_lossy(&line);
                tracing::error!(%half, "half a record was kept when its process died or the disk was full");
            }
            line.clear();
        }
        fs::remove_file(&self.path)?;
        Ok(unfinished)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    if file.seek(SeekFrom::End(-1)).is_ok() {
        let mut last = [b'\n'];
        file.read_exact(&mut last)?;
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

fn is_whole(line: &[u8]) -> bool {
    line.ends_with(b"\n") && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect((spill, replay): &(Spill, Replay)) -> Vec<String> {
        let mut lines = Vec::new();
        let written = replay.run(spill, |line| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            Ok(())
        });
        written.expect("the folder is there");
        lines
    }

    #[test]
    fn lines_come_back_once_in_order() {
        let directory = tempfile::tempdir().expect("a folder");
        let ends = in_directory(&directory.path().join("made/when/needed"));
        assert!(collect(&ends).is_empty());
        ends.0.keep(b"1\n").expect("kept");
        ends.0.keep(b"2\n").expect("kept");
        assert_eq!(collect(&ends), ["1\n", "2\n"]);
        assert!(collect(&ends).is_empty());
    }

    #[test]
    fn a_replay_that_fails_is_finished_later_even_by_another_process() {
        let directory = tempfile::tempdir().expect("a folder");
        let (spill, replay) = in_directory(directory.path());
        spill.keep(b"1\n").expect("kept");
        replay.run(&spill, |_| Err(io::ErrorKind::BrokenPipe.into())).expect_err("nobody reads");
        spill.keep(b"2\n").expect("kept");
        let next = in_directory(directory.path());
        assert_eq!(collect(&next), ["1\n"]);
        assert_eq!(collect(&next), ["2\n"]);
    }

    #[test]
    fn half_a_line_costs_no_other() {
        let directory = tempfile::tempdir().expect("a folder");
        let file = directory.path().join("evidence.spill.jsonl");
        fs::write(&file, b"1\n{\"kind\":\"Den").expect("written");
        let ends = in_directory(directory.path());
        ends.0.keep(b"2\n").expect("kept");
        assert_eq!(collect(&ends), ["1\n", "2\n"]);
        fs::write(&file, b"3\n{\"kind\":").expect("written");
        assert_eq!(collect(&in_directory(directory.path())), ["3\n"], "the end of the file is no end of a line");
    }

    #[test]
    fn lines_can_be_kept_while_a_replay_is_stuck() {
        let directory = tempfile::tempdir().expect("a folder");
        let (spill, replay) = in_directory(directory.path());
        spill.keep(b"1\n").expect("kept");
        replay.run(&spill, |_| spill.keep(b"2\n")).expect("no deadlock");
        assert_eq!(collect(&(spill, replay)), ["2\n"]);
    }
}
