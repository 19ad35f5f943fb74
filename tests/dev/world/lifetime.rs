//! The folder of a world as a whole: who may work on it, how everything in it ends, how it is emptied.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::control_plane::{API_SERVER, CONTROLLER_MANAGER, ETCD};
use super::git::GIT_SERVER;
use super::layout::Layout;
use super::process::Process;
use super::report::Steps;
use super::{HOLDFAST, REPLICAS};

/// Those started last end first: nobody should complain of the loss of a server that was meant to go.
const ENDING_ORDER: [&str; 8] =
    [HOLDFAST, REPLICAS[0], REPLICAS[1], REPLICAS[2], CONTROLLER_MANAGER, GIT_SERVER, API_SERVER, ETCD];

/// One `up` or `down` at a time in a folder. The kernel lets go of the lock with the process, however that ends.
pub fn lock(folder: &Path) -> Result<File> {
    if !folder.exists() {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    } else if !folder.join("lock").exists() && std::fs::read_dir(folder)?.next().is_some() {
        bail!("{} holds something else than a world; choose another folder", folder.display());
    }
    let lock = File::create(folder.join("lock")).context("failed to make the lock")?;
    lock.lock().context("failed to lock the world")?;
    Ok(lock)
}

/// Ends every process that a world in this folder started, whenever that was.
pub async fn end_all(folder: &Path, steps: Steps) -> Result<()> {
    let layout = Layout::create(folder)?;
    for name in ENDING_ORDER {
        let process = Process::new(&layout, name);
        if process.running().is_some() {
            steps.step(&format!("{name} ended"), process.stop()).await?;
        }
    }
    match std::fs::remove_file(layout.env()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("failed to remove env"),
        _ => Ok(()),
    }
}

/// Empties the folder, but for the lock: whoever waits for it must wait for the same file.
pub fn wipe(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != "lock" {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
