//! Holdfast keeps a Kubernetes cluster equal to Git.

pub mod api;
pub mod certs;
pub mod cluster;
pub mod core;
pub mod evidence;
pub mod git;
pub mod reconcile;
pub mod webhook;
