//! The objects edits are made of: one file for each kind, with a manifest as people write it and a richer one of the same object.
//!
//! A file may say on its first line in which other versions the object is edited: `# also: autoscaling/v1`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use holdfast::cluster::Kinds;
use holdfast::core::manifest::Manifest;
use holdfast::git::documents;
use holdfast::git::render::{RenderOptions, render};
use serde_json::Value;

/// The sync everything here belongs to.
pub const SYNC: &str = "holdfast-system/oracle";

/// A kind of object to edit.
#[derive(Debug, Clone)]
pub struct Specimen {
    /// The file's name.
    pub name: String,
    /// What Git declares.
    pub manifest: Manifest,
    /// What others might add.
    pub richer: Value,
    /// `apiVersion`s in which it is edited, too.
    pub also: Vec<String>,
}

// === impl Specimen ===

impl Specimen {
    /// The namespace its object lives in, if its kind lives in any.
    pub fn namespace(&self) -> Option<&str> {
        self.manifest.key.namespace.as_deref()
    }

    /// The one of this name.
    pub fn read(name: &str, kinds: &Kinds) -> Result<Self> {
        Self::of(name, &text(name)?, kinds)
    }

    /// The one that this text describes.
    pub fn of(name: &str, text: &str, kinds: &Kinds) -> Result<Self> {
        let (first, second) = text.split_once("\n---\n").context("a manifest, and a richer one")?;
        let manifest = rendered(name, first, kinds)?;
        let richer = rendered(name, second, kinds)?;
        ensure!(manifest.key == richer.key, "{} and {} are two objects", manifest.key, richer.key);
        let also = text.lines().next().and_then(|line| line.strip_prefix("# also: ")).unwrap_or_default();
        let also = also.split_whitespace().map(str::to_owned).collect();
        Ok(Self { name: name.to_owned(), manifest, richer: richer.value, also })
    }
}

/// The document as the product reads it out of Git.
fn rendered(name: &str, text: &str, kinds: &Kinds) -> Result<Manifest> {
    let file: Arc<str> = format!("{name}.yaml").into();
    let (documents, problems) = documents::read(&file, text.as_bytes());
    ensure!(problems.is_empty(), "{problems:?}");
    let namespace = format!("oracle-{name}");
    let options = RenderOptions {
        default_namespace: Some(&namespace),
        sync: SYNC,
        cluster_scoped: &|group, kind| kinds.namespaced(group, kind).map(|namespaced| !namespaced),
    };
    let (mut manifests, problems) = render(documents, &options);
    ensure!(problems.is_empty(), "{problems:?}");
    ensure!(manifests.len() == 1, "one object a document");
    manifests.pop().context("there is one")
}

/// What stands in the file of this name.
pub fn text(name: &str) -> Result<String> {
    let file = folder().join(format!("{name}.yaml"));
    std::fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// The names of all specimens, in order.
pub fn names() -> Result<Vec<String>> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry?.path();
        Ok(path.file_stem().and_then(|stem| stem.to_str()).context("files have names")?.to_owned())
    };
    let mut names = std::fs::read_dir(folder())?.map(name).collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/kinds")
}
