//! Holdfast keeps a Kubernetes cluster equal to Git.

pub mod admin;
pub mod api;
pub mod app;
pub mod certs;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod core;
pub mod deploy;
pub mod evidence;
pub mod git;
pub mod inspect;
pub mod reconcile;
pub mod shutdown;
pub mod telemetry;
pub mod webhook;
