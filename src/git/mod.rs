//! Git as the cluster's declaration: fetch a commit, read its manifests, and say where each of them stands.
//!
//! ```text
//! URL, revision ─► Snapshot ─► files ─► documents ─► manifests      and a Problem for everything that fell by the wayside
//!   repository        tree      yaml      render
//! ```
//! Only `repository` does IO, and `folder`, which stands in for it where nothing is committed yet. The steps after it are functions of the commit's bytes, so one commit always reads the same.

pub mod documents;
mod error;
mod folder;
mod problem;
pub mod render;
mod repository;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod tree;
mod yaml;

pub use error::{Cause, Error};
pub use problem::Problem;
pub use render::RenderOptions;
pub use repository::{
    Access, Commit, Entry, EntryKind, Keys, Lineage, RepoUrl, Repository, Snapshot, Unusable, WEBHOOK_SECRET, place_of,
};

use std::path::Path;

use crate::core::manifest::Manifest;
use tree::SourceFile;

/// Everything one commit declares below one path.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The commit that was read.
    pub commit: Commit,
    /// What it declares, in the order of files and documents.
    pub manifests: Vec<Manifest>,
    /// What could not be read. While there are any, it is not known what else the commit declares, so nothing may be pruned.
    pub problems: Vec<Problem>,
}

/// Fetches what `target` is now and reads the manifests at or below `path`. Blocks.
pub fn read(repository: &Repository, target: &str, path: &str, options: &RenderOptions<'_>) -> Result<Reading, Error> {
    let (commit, files, mut problems) = repository.at(target, |snapshot| {
        let (files, problems) = tree::files(snapshot, path)?;
        Ok((snapshot.commit().clone(), files, problems))
    })?;
    let manifests = manifests(&files, &mut problems, options);
    Ok(Reading { commit, manifests, problems })
}

/// Reads the manifests at or below a folder of this machine, as if it were the path of a commit. Blocks.
pub fn read_folder(folder: &Path, options: &RenderOptions<'_>) -> Result<(Vec<Manifest>, Vec<Problem>), Error> {
    let (files, mut problems) = folder::files(folder)?;
    let manifests = manifests(&files, &mut problems, options);
    Ok((manifests, problems))
}

fn manifests(files: &[SourceFile], problems: &mut Vec<Problem>, options: &RenderOptions<'_>) -> Vec<Manifest> {
    let mut documents = Vec::new();
    for file in files {
        let (found, faults) = documents::read(&file.path, &file.bytes);
        documents.extend(found);
        problems.extend(faults);
    }
    let (manifests, faults) = render::render(documents, options);
    problems.extend(faults);
    manifests
}
