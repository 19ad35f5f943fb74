//! Logs and traces: what the program does, for whoever runs it. What happened to the cluster is evidence, and goes elsewhere.
//!
//! Logs go to standard error, because standard output carries the evidence.

pub mod traces;

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, Layer, filter::ParseError, fmt, util::TryInitError};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

pub use traces::Traces;

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

/// Starts logging for the whole process, and exporting spans if somebody collects them. The filter is that of the log alone:
/// whoever wants a quiet log still wants traces.
pub fn start(format: Format, filter: EnvFilter, traces: Option<&Traces>) -> Result<(), Error> {
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format {
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    let registry = tracing_subscriber::registry();
    match traces {
        None => registry.with(lines.with_filter(filter)).try_init()?,
        Some(traces) => registry.with(lines.with_filter(filter)).with(traces.layer()).try_init()?,
    }
    Ok(())
}
