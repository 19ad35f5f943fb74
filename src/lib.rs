//! Holdfast keeps a Kubernetes cluster equal to Git.

pub mod api;
pub mod core;
pub mod evidence;
pub mod git;
