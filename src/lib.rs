//! Holdfast keeps a Kubernetes cluster equal to Git.

pub mod admin;
pub mod api;
pub mod app;
pub mod certs;
pub mod cluster;
pub mod config;
pub mod core;
pub mod evidence;
pub mod git;
pub mod reconcile;
pub mod shutdown;
pub mod telemetry;
pub mod webhook;
