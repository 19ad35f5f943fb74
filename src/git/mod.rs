//! Git as the cluster's declaration: fetch a commit, read its manifests, and say where each of them stands.
//!
//! ```text
//! URL, revision ─► Snapshot ─► files ─► documents ─► manifests      and a Problem for everything that fell by the wayside
//!   repository        tree      yaml      render
//! ```
//! Only `repository` does IO. The steps after it are functions of the commit's bytes, so one commit always reads the same.

pub mod documents;
mod error;
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
pub use repository::{Commit, Credentials, Entry, EntryKind, RepoUrl, Repository, Snapshot};

use crate::core::manifest::Manifest;

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
    let mut documents = Vec::new();
    for file in &files {
        let (found, faults) = documents::read(&file.path, &file.bytes);
        documents.extend(found);
        problems.extend(faults);
    }
    let (manifests, faults) = render::render(documents, options);
    problems.extend(faults);
    Ok(Reading { commit, manifests, problems })
}
