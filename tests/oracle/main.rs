//! The comparison core against the one that knows: a real API server.
//!
//! An object of every kind is edited in ways nobody would think of, and after each edit the core's answer is held against the
//! API server's own: what would a forced dry-run apply of the manifest change? Then the edit is healed for real.
//! The laws are in [`laws`], the edits in [`edit`], what need not hold in [`exceptions`]; a file in `kinds/` is a test. In which
//! order the elements of keyed lists and sets stand is no difference: [`places`].
//!
//! `cargo test --test oracle -- deployment` runs one kind. `ORACLE_EDITS` says how many edits have to be accepted by all of them
//! together, `ORACLE_SEED` which ones.

#[path = "../dev/world/mod.rs"]
mod world;

mod chance;
#[path = "../common/mod.rs"]
mod common;
mod edit;
mod exceptions;
mod laws;
mod places;
mod plausible;
mod richer;
mod run;
mod specimen;
mod stage;
mod subject;
mod versions;

use std::process::ExitCode;

use libtest_mimic::Arguments;

/// Objects that are edited at once: the tests mostly wait for the API server.
const AT_ONCE: usize = 12;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    libtest_mimic::run(&arguments, run::trials()).exit_code()
}
