//! `make bench [ONLY=compare|review|rules|heal|scale]`: what Holdfast costs, and what the same costs others.
//!
//! Figures are medians with their spread and conditions, and everything they are compared with is measured in the same run.
//! They are kept in `target/bench/results.json`; what could not be measured is missing there, never made up.

mod compare;
mod goals;
mod growth;
mod heal;
#[allow(dead_code)] // shared with `allocations.rs`, which uses the rest; so is `results`
mod material;
mod measure;
mod patch;
mod peers;
#[allow(dead_code)]
mod results;
mod review;
mod rules;
mod scale;
#[allow(unused_imports)] // those of its tests: cargo sets cfg(test) here, and there is no harness to use them
#[path = "../dev/world/mod.rs"]
mod world;

use std::process::ExitCode;

use anyhow::{Result, bail};
use results::Results;

/// What Holdfast itself runs with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PARTS: [&str; 5] = ["compare", "review", "rules", "heal", "scale"];

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    if let [serve, which] = arguments
        && serve == review::server::SERVE
    {
        return review::server::main(which);
    }
    let chosen: Vec<_> = arguments.iter().map(String::as_str).collect();
    match chosen.iter().find(|part| !PARTS.contains(part)) {
        Some(other) => bail!("there is no part `{other}`; there are {}", PARTS.join(", ")),
        None if chosen.is_empty() => measure(&PARTS),
        None => measure(&chosen),
    }
}

fn measure(parts: &[&str]) -> Result<()> {
    for part in parts {
        println!("measuring {part} ({})", measure::machine());
        let mut results = Results::load()?;
        match *part {
            "compare" => compare::run(&mut results)?,
            "review" => {
                review::run(&mut results)?;
                patch::run(&mut results)?;
            }
            "rules" => rules::run(&mut results)?,
            "heal" => heal::run(&mut results)?,
            _ => scale::run(&mut results)?,
        }
        results.save()?;
    }
    print!("{}", goals::table(&Results::load()?, parts));
    Ok(())
}
