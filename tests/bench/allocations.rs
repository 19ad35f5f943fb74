//! How many allocations a comparison makes, and how much memory a declaration keeps. Apart from the timing in `program.rs`, because counting them takes an allocator
//! of its own, and its counting would be in every time measured.

// Shared with the timing, which uses the rest.
#[allow(dead_code)]
mod material;
#[allow(dead_code)]
mod results;

use std::hint::black_box;
use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use anyhow::{Result, ensure};
use holdfast::core::compare::{Scope, compare};
use holdfast::core::declaration::Declaration;
use holdfast::core::drift::drift;
use holdfast::core::exclude::{Exclusions, Surroundings};
use holdfast::core::snapshot::Managed;
use holdfast::core::state::State;

use material::{Material, is_person};
use results::{Figure, Results};

fn main() -> Result<()> {
    let parts: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if parts.is_empty() || parts.iter().any(|part| part == "compare") { count() } else { Ok(()) }
}

fn count() -> Result<()> {
    let material = Material::read()?;
    let [live, drifted, applied] = [&material.live, &material.drifted, &material.applied].map(State::whole);
    let comparing = |state| counted(|| compare(&material.managed.declaration, state, Scope::Whole).len());
    let judging = |state| counted(|| drift(&material.managed, state, &is_person).len());
    ensure!(comparing(&live).1 == 0, "the live object is not in sync");
    let (in_sync, other) = (comparing(&live).0, comparing(&drifted).0);
    let conditions = format!(
        "compare() in sync; drifted {}; drift(), which also reads ownership: {} on an object we applied, {} drifted",
        other.count_total,
        judging(&applied).0.count_total,
        judging(&drifted).0.count_total,
    );
    let mut results = Results::load()?;
    results.set("declaration_kb", declaration(&material)?);
    results.set("managed_kb", managed(&material)?);
    results.set("compare_in_sync_allocs", Figure::count(in_sync.count_total, conditions));
    results.save()
}

/// What a replica keeps of an object besides its manifest.
fn declaration(material: &Material) -> Result<Figure> {
    let mut read = None;
    let manifest = material.managed.manifest.unpacked();
    let info = measure(|| read = Some(Declaration::read(&manifest, &material.applied)));
    let leaves = read.expect("it was just read")?.len();
    let conditions =
        format!("bytes a declaration of {leaves} leaves keeps allocated, made by {} allocations", info.count_total);
    Ok(Figure::new(kilobytes(&info), "KB", conditions))
}

/// All a replica keeps of an object: manifest, declaration, exclusions.
fn managed(material: &Material) -> Result<Figure> {
    let manifest = material.managed.manifest.unpacked();
    let keep = || -> Result<Managed> {
        let manifest = manifest.clone();
        let declaration = Declaration::read(&manifest, &material.applied)?;
        let exclusions = Exclusions::resolve([].into(), &manifest, &declaration, &Surroundings::default());
        Ok(Managed { manifest: Arc::new(manifest.into()), declaration, exclusions, ..(*material.managed).clone() })
    };
    drop(keep()?); // the names of fields are kept once, and counted for the first object
    let mut kept = None;
    let info = measure(|| kept = Some(keep().map(Arc::new)));
    let text = kept.expect("it was just made")?.manifest.text().len();
    let conditions = format!("bytes kept allocated of a Deployment whose manifest has {text} bytes as JSON");
    Ok(Figure::new(kilobytes(&info), "KB", conditions))
}

#[allow(clippy::cast_precision_loss)] // far from 2^52
fn kilobytes(info: &AllocationInfo) -> f64 {
    info.bytes_current as f64 / 1024.0
}

fn counted(ask: impl Fn() -> usize) -> (AllocationInfo, usize) {
    let mut answer = 0;
    let info = measure(|| answer = black_box(ask()));
    (info, answer)
}
