//! Where cargo put the programs a world runs. A test, an example and a benchmark lie at different depths of the same
//! target folder, so one looks upwards.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// The program `dev`, which serves Git and guards worlds.
pub fn dev() -> Result<PathBuf> {
    above_this_one("examples/dev").context("the program `dev` is not built: run `cargo build --example dev`")
}

/// Holdfast.
pub fn holdfast() -> Result<PathBuf> {
    above_this_one("holdfast").context("Holdfast is not built: run `cargo build --bin holdfast`")
}

fn above_this_one(name: &str) -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    this.ancestors().skip(1).map(|folder| folder.join(name)).find(|program| program.is_file())
}
