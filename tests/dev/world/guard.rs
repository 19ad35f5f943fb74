//! A world that ends with its tests, however they end.
//!
//! Rust drops no statics, and nothing is dropped after a SIGKILL. So a guard is posted: a process that reads from a pipe
//! whose other end only the tests hold. When they are gone, by whatever way, the kernel closes it, and the guard ends the
//! world; unless the folder has a new owner by then, whose world it is not its business to end.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::layout::{Layout, write_atomically};
use super::lifetime::end_all;
use super::report::Steps;

/// Whose world it is.
const OWNER: &str = "owner";

/// Holds the pipe: the world ends when this is dropped.
#[derive(Debug)]
pub struct Guard {
    _pipe: ChildStdin,
}

impl Guard {
    /// Posts a guard for the world in this layout.
    pub fn post(layout: &Layout, dev: &Path) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        let owner = format!("{}-{}", std::process::id(), now.as_nanos());
        write_atomically(&owner_file(layout), &owner)?;
        let mut guard = Command::new(dev);
        guard.args(["guard", "--owner", &owner, "--dir"]).arg(layout.root()).process_group(0);
        let mut guard = guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { _pipe: guard.stdin.take().context("standard input was asked to be a pipe")? })
    }

    /// Makes the world nobody's: it stays until it is told to end, and guards posted before leave it alone.
    pub fn dismiss(layout: &Layout) -> Result<()> {
        write_atomically(&owner_file(layout), "")
    }
}

/// Ends the world in `folder` if it is still `owner`'s. Nothing is made here: a folder that was thrown away stays away.
pub async fn end_if_owner(folder: &Path, owner: &str) -> Result<()> {
    let Ok(lock) = File::open(folder.join("lock")) else { return Ok(()) };
    lock.lock().context("failed to lock the world")?;
    if std::fs::read_to_string(folder.join("run").join(OWNER)).is_ok_and(|current| current == owner) {
        end_all(folder, Steps { quiet: true }).await?;
    }
    Ok(())
}

fn owner_file(layout: &Layout) -> PathBuf {
    layout.run().join(OWNER)
}
