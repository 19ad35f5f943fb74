//! `target/bench/results.json`: one flat object, name → value, unit, conditions. A part replaces its own figures and keeps
//! everybody else's, so that parts can be run one at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    /// How much.
    pub value: f64,
    /// Of what: `us`, `ms`, `s`, `KB`, `MB`, `count`, `ratio`.
    pub unit: String,
    /// What it was measured on, and how.
    pub conditions: String,
}

/// Every figure so far.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Results(BTreeMap<String, Figure>);

// === impl Figure ===

impl Figure {
    /// A figure with a unit, rounded to what can be told apart from noise.
    pub fn new(value: f64, unit: &str, conditions: impl Into<String>) -> Self {
        let scale = if value.abs() < 100.0 { 100.0 } else { 10.0 };
        Self { value: (value * scale).round() / scale, unit: unit.to_owned(), conditions: conditions.into() }
    }

    /// A number of things.
    pub fn count(value: u64, conditions: impl Into<String>) -> Self {
        #[allow(clippy::cast_precision_loss)] // JSON has no other numbers, and these are far from 2^52
        Self::new(value as f64, "count", conditions)
    }
}

// === impl Results ===

impl Results {
    /// What earlier runs left.
    pub fn load() -> Result<Self> {
        match std::fs::read(path()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            text => serde_json::from_slice(&text.context("failed to read the results")?)
                .with_context(|| format!("{} is not of this program; remove it", path().display())),
        }
    }

    /// Writes them by rename: a run that is interrupted leaves the results of the one before.
    pub fn save(&self) -> Result<()> {
        let (path, unfinished) = (path(), path().with_extension("new"));
        std::fs::create_dir_all(folder()).context("failed to make the folder of the results")?;
        let text = serde_json::to_string_pretty(self).context("figures can be written as JSON")? + "\n";
        std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(&unfinished, &path))?;
        Ok(())
    }

    /// Replaces a figure.
    pub fn set(&mut self, name: &str, figure: Figure) {
        self.0.insert(name.to_owned(), figure);
    }

    /// Forgets a figure that can no longer be measured: an old one would pass for a new one.
    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// A figure, if it was ever measured.
    pub fn get(&self, name: &str) -> Option<&Figure> {
        self.0.get(name)
    }
}

/// Where everything a benchmark leaves behind goes.
pub fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("bench")
}

fn path() -> PathBuf {
    folder().join("results.json")
}
