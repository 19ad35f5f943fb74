//! Where a world keeps its things. Everything lies in one folder, so that worlds live side by side and a world is
//! thrown away by deleting its folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder of one world, and the names in it.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the folder and what must exist in it. The path becomes absolute: it is written into kubeconfigs and `env`.
    pub fn create(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root).with_context(|| format!("failed to create {}", root.display()))?;
        let layout = Self { root: root.canonicalize().context("failed to resolve the world's folder")? };
        for folder in [layout.logs(), layout.secrets(), layout.run()] {
            std::fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
        }
        Ok(layout)
    }

    /// The world's folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Logs of every process, and Holdfast's records.
    pub fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Keys, certificates, tokens.
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// Which process is which, and on what port.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// etcd's data.
    pub fn etcd(&self) -> PathBuf {
        self.root.join("etcd")
    }

    /// The folder the Git server serves; the bare repository is in it.
    pub fn git_root(&self) -> PathBuf {
        self.root.join("git")
    }

    /// The working clone.
    pub fn worktree(&self) -> PathBuf {
        self.root.join("worktree")
    }

    /// The cache of this Holdfast.
    pub fn cache_of(&self, name: &str) -> PathBuf {
        self.root.join(if name == super::HOLDFAST { "cache".to_owned() } else { format!("cache-{name}") })
    }

    /// Evidence of this Holdfast, one JSON document a line.
    pub fn records_of(&self, name: &str) -> PathBuf {
        self.logs().join(if name == super::HOLDFAST { "records.jsonl".to_owned() } else { format!("{name}.jsonl") })
    }

    /// The audit log, if one was asked for.
    pub fn audit(&self) -> PathBuf {
        self.logs().join("audit.jsonl")
    }

    /// What a shell sources.
    pub fn env(&self) -> PathBuf {
        self.root.join("env")
    }
}

/// Writes a file by rename: whoever reads it, even after a crash, sees all of it or nothing.
pub fn write_atomically(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let unfinished = path.with_extension("new");
    std::fs::write(&unfinished, content)
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("failed to write {}", path.display()))
}
