//! Holdfast keeps a Kubernetes cluster equal to Git.

pub mod core;
pub mod git;
