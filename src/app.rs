//! The composition root: the only room that sees all edges.
//!
//! Not wired yet.

use crate::{config::Config, shutdown::Shutdown};

/// Why the program ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The parts are there, but nothing connects them.
    #[error("`holdfast run` is not wired up in this build")]
    NotWired,
}

/// Builds everything, starts it, and waits for the end.
#[expect(clippy::unused_async, reason = "the stub has nothing to wait for")]
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), Error> {
    drop((config, shutdown));
    Err(Error::NotWired)
}
