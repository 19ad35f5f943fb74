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
mod yaml;

pub use error::{Cause, Error};
pub use problem::Problem;
pub use render::RenderOptions;
pub use repository::{Commit, Credentials, Entry, EntryKind, RepoUrl, Repository, Snapshot};
