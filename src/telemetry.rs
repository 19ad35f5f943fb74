//! Logs: what the program does, for whoever runs it. What happened to the cluster is evidence, and goes elsewhere.
//!
//! They go to standard error, because standard output carries the evidence.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError, fmt, util::TryInitError};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For collectors.
    Json,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something else in this process has set up logging already.
    #[error("failed to set up logging")]
    Init(#[from] TryInitError),
}

/// Reads a filter such as `info` or `holdfast=debug,kube=warn`.
pub fn filter(directives: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(directives)
}

/// Starts logging for the whole process.
pub fn start(format: Format, filter: EnvFilter) -> Result<(), Error> {
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(io::stderr);
    match format {
        Format::Text => registry.with(lines.with_ansi(io::stderr().is_terminal())).try_init()?,
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}
