//! `compare`: what it takes to find out whether an object is what Git says, beside what it takes others.

use anyhow::{Result, ensure};
use holdfast::core::compare::{Scope, compare};
use holdfast::core::drift::drift;
use holdfast::core::state::State;

use super::material::{Material, is_person};
use super::measure::{Samples, machine, per_call};
use super::peers;
use super::results::{Figure, Results};

/// Measures ours, then theirs. Allocations are counted by a program of their own, `allocations.rs`.
pub fn run(results: &mut Results) -> Result<()> {
    ours(results)?;
    theirs(results)
}

fn ours(results: &mut Results) -> Result<()> {
    let Material { managed, live, drifted } = Material::read()?;
    let (live, drifted) = (State::whole(&live), State::whole(&drifted));
    let comparing = |state| compare(&managed.declaration, state, Scope::Whole);
    let judging = |state| drift(&managed, state, &is_person);
    ensure!(judging(&live).is_empty(), "the live object is not in sync: {:?}", judging(&live));
    let (found, all) = (comparing(&drifted).len(), judging(&drifted).len());
    ensure!(found >= 3, "the edit of image, env and replicas is not seen");
    let figure = |state, what: String| {
        let (compared, judged) = (per_call(|| comparing(state)), per_call(|| judging(state)));
        let both =
            format!("core::compare, {what}; core::drift, undeclared additions included: {:.1} us", judged.median());
        self::figure(&compared, &both)
    };
    let leaves = managed.declaration.len();
    results.set("compare_in_sync_us", figure(&live, format!("{leaves} declared leaves against a parsed object")));
    results.set("compare_drifted_us", figure(&drifted, format!("{found} deviations ({all} with additions)")));
    Ok(())
}

fn figure(samples: &Samples, what: &str) -> Figure {
    Figure::new(samples.median(), "us", format!("{what}; CPU time, median of {samples}; {}", machine()))
}

/// What cannot be measured is left out, and said. Nothing is ever carried over from elsewhere.
fn theirs(results: &mut Results) -> Result<()> {
    for name in peers::NAMES {
        results.forget(name);
    }
    match peers::measure() {
        Ok(peers) => peers.into_iter().for_each(|(name, peer)| results.set(&name, peer.figure())),
        Err(peers::Absent::NoGo) => eprintln!("  left out: {}", peers::Absent::NoGo),
        Err(peers::Absent::Failed(error)) => return Err(error),
    }
    Ok(())
}
