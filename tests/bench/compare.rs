//! `compare`: what it takes to find out whether an object is what Git says, beside what it takes others.

use anyhow::{Result, ensure};
use holdfast::core::compare::{Scope, compare};
use holdfast::core::drift::drift;
use holdfast::core::state::State;

use super::growth;
use super::material::{Material, is_person};
use super::measure::{Samples, machine, per_call};
use super::peers;
use super::results::{Figure, Results};

/// Measures ours, then theirs. Allocations are counted by a program of their own, `allocations.rs`.
pub fn run(results: &mut Results) -> Result<()> {
    ours(results)?;
    growth::run(results)?;
    theirs(results)
}

/// The named figures are `compare` alone, as others are measured. What the reconciler asks on every event is `drift`, which
/// also reads ownership; that is told beside them, for the objects Holdfast really has: those with an entry of its own.
fn ours(results: &mut Results) -> Result<()> {
    let Material { managed, live, drifted, applied } = Material::read()?;
    let [live, drifted, applied] = [&live, &drifted, &applied].map(State::whole);
    let comparing = |state| compare(&managed.declaration, state, Scope::Whole);
    let judging = |state| drift(&managed, state, &is_person);
    // The live one is another tool's still, so `drift` would adopt it; its values are Git's.
    ensure!(comparing(&live).is_empty() && judging(&applied).is_empty(), "the live object is not in sync");
    let (found, all) = (comparing(&drifted).len(), judging(&drifted).len());
    ensure!(found >= 3, "the edit of image, env and replicas is not seen");
    let leaves = managed.declaration.len();
    let judged = per_call(|| judging(&applied)).median();
    let what = format!("{leaves} declared leaves against a parsed object; drift() of one we applied: {judged:.1} us");
    results.set("compare_in_sync_us", figure(&per_call(|| comparing(&live)), &what));
    let judged = per_call(|| judging(&drifted)).median();
    let what = format!("{found} deviations; drift(), which finds {all}: {judged:.1} us");
    results.set("compare_drifted_us", figure(&per_call(|| comparing(&drifted)), &what));
    Ok(())
}

fn figure(samples: &Samples, what: &str) -> Figure {
    Figure::new(samples.median(), "us", format!("compare(), {what}; CPU time, median of {samples}; {}", machine()))
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
