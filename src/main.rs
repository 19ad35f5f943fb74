//! The `holdfast` program: parse, run, map the error to an exit code. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use holdfast::cli::Cli;

/// A third of the time of a review went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("holdfast: {error:#}");
            ExitCode::FAILURE
        }
    }
}
