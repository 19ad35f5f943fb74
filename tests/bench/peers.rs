//! The other tools, in Go: built once per machine by `peers/build.sh`, run beside ours on the same objects.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow};
use serde::Deserialize;

use super::material;
use super::measure::machine;
use super::results::Figure;

/// The figures it answers with.
pub const NAMES: [&str; 2] = ["gitops_engine_diff_us", "smd_compare_us"];

/// Why there are no figures of others.
#[derive(Debug, thiserror::Error)]
pub enum Absent {
    /// There is nothing to build them with.
    #[error("{} (Go is not installed: see go.dev/dl)", NAMES.join(", "))]
    NoGo,
    /// They do not build, or do not run.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// One figure, as the Go program writes it.
#[derive(Deserialize)]
pub struct Peer {
    median: f64,
    low: f64,
    high: f64,
    runs: u32,
    conditions: String,
}

// === impl Peer ===

impl Peer {
    /// The same, as everybody writes it.
    pub fn figure(self) -> Figure {
        let Self { median, low, high, runs, conditions } = self;
        let spread = format!("CPU time of the process, median of {runs} runs, {low:.1} to {high:.1}");
        Figure::new(median, "us", format!("{conditions}; {spread}; {}", machine()))
    }
}

/// Builds the program of the diffs unless it is there, and runs it.
pub fn measure() -> Result<BTreeMap<String, Peer>, Absent> {
    if !go_is_installed() {
        return Err(Absent::NoGo);
    }
    let program = build(&[])?;
    let answer = output(Command::new(program).arg(material::folder()))?;
    Ok(serde_json::from_str(&answer).context("the program of the peers answered with something else than figures")?)
}

/// The program that answers reviews with Open Policy Agent, built unless it is there; `None` without Go.
pub fn opa() -> anyhow::Result<Option<PathBuf>> {
    go_is_installed().then(|| build(&["opa"])).transpose()
}

fn go_is_installed() -> bool {
    Command::new("go").arg("version").stdout(Stdio::null()).status().is_ok()
}

fn build(folder: &[&str]) -> anyhow::Result<PathBuf> {
    Ok(PathBuf::from(output(Command::new(sources().join("build.sh")).args(folder))?.trim()))
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/peers")
}

/// Progress goes to the terminal, by standard error.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stderr(Stdio::inherit()).output()?;
    let program = command.get_program().display();
    if output.status.success() {
        String::from_utf8(output.stdout).with_context(|| format!("{program} printed something else than text"))
    } else {
        Err(anyhow!("{program} failed ({})", output.status))
    }
}
