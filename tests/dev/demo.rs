//! `make demo`: the story of Holdfast in a world of its own, told with real commands and what they really print.
//!
//! Every scene checks what it says against the API server and the records, so the demo is also the roughest of the tests: a
//! sentence that has stopped being true makes it fail. The world lies in a temporary folder and ends with the demo, however
//! that ends.

mod play;
mod scenes;
mod stage;
mod table;
mod watch;

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::world::{Options, World};
use play::Play;
use stage::Stage;

const INTRODUCTION: &str = "Git says what production should be. Holdfast keeps the cluster so: manual edits are refused \
    when they are made, and undone if they slip past. All of this happens now, on a real API server on this machine; \
    alice$ is a shell with alice's kubeconfig.";

/// Tells the story; an error if any of it did not happen.
pub async fn run() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("holdfast-demo-").tempdir().context("failed to make a folder")?;
    let begun = Instant::now();
    let told = tokio::select! {
        told = tell(folder.path()) => told.inspect_err(|_| show_log(folder.path())),
        interrupted = interrupted() => interrupted,
    };
    World::throw_away(folder.path()).await.and(told)?;
    let seconds = begun.elapsed().as_secs();
    Stage::new().says(&format!(
        "That took {seconds} s, and nothing of it runs any more. `make up` starts such a world for you to play in; README.md \
         tells the rest."
    ))
}

async fn tell(folder: &Path) -> Result<()> {
    let stage = Stage::new();
    stage.says(INTRODUCTION)?;
    stage.waits("Starting a Kubernetes control plane, a Git server and Holdfast")?;
    let world = World::start(folder, options()).await?;
    let play = Play::new(world, stage);
    scenes::all(&play).await
}

/// A reader's machine may be busy with other things: the webhook gets more time than the second it has by default, after
/// which the API server would let an edit pass.
fn options() -> Options {
    let patient = vec!["--webhook-timeout=10s".to_owned()];
    let own = Options { sample: true, fresh: true, ephemeral: true, quiet: true, ..Options::default() };
    Options { holdfast_arguments: patient, ..own }
}

async fn interrupted() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => bail!("interrupted; everything that was started is ended again"),
        _ = terminate.recv() => bail!("told to end; everything that was started is ended again"),
    }
}

/// The folder goes, and with it what would explain a failure: so its end is shown.
fn show_log(folder: &Path) {
    let log = std::fs::read_to_string(folder.join("log/holdfast.log")).unwrap_or_default();
    let unusual: Vec<&str> = log.lines().filter(|line| !line.contains(" INFO ")).collect();
    for line in &unusual[unusual.len().saturating_sub(10)..] {
        // Whoever closed standard error has seen enough; the world must still be ended.
        let _ = writeln!(std::io::stderr(), "holdfast: {line}");
    }
}
