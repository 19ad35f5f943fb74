//! The product, on a real API server: kubectl on one side, Git on the other, the real `holdfast` between them.
//!
//! A test takes a [`Place`](place::Place): a namespace, a folder in Git and a `GitSync` of its own, in a world it shares with
//! all the others; so they run side by side. What a test then says is one of three verbs:
//!
//! ```ignore
//! place.accepts(Who::Alice, "rollout restart deploy/web").await?;
//! place.refuses(Who::Alice, "scale deploy/web --replicas=5").await?;     // answers with what she reads
//! place.heals("Deployment/web", "/spec/replicas", json!(3)).await?;      // … and then comes to rest
//! ```
//! What breaks something everybody needs (Holdfast, Git, the API server) takes its turn in a second world, [`stage::fragile`].
//! Several replicas play in a third, [`troupe`].
//! `cargo test --test cluster -- heal` runs a part; `--list` shows what there is.

#[path = "../common/mod.rs"]
mod common;
#[path = "../drift/runner/mod.rs"]
mod runner;
#[path = "../dev/world/mod.rs"]
mod world;

mod accepted;
mod adoption;
mod answers;
mod audited;
mod away;
mod balancer;
mod breakglass;
mod brought;
mod cases;
mod chaos;
mod clocks;
mod commits;
mod converted;
mod crowd;
mod exclusions;
mod fights;
mod guards;
mod heal;
mod manifests;
mod marks;
mod modes;
mod observe;
mod options;
mod own;
mod owned;
mod place;
mod presets;
mod pruning;
mod refused;
mod replicas;
mod repositories;
mod restarts;
mod rewriter;
mod rollback;
mod rules;
mod secrets;
mod shards;
mod signed;
mod stage;
mod starts;
mod sync;
mod tampering;
mod tenants;
mod timeouts;
mod traces;
mod troupe;
mod verbs;
mod waves;
mod who;
mod windows;

use std::process::ExitCode;

use libtest_mimic::Arguments;

/// Tests mostly wait for the cluster: several share a core.
const AT_ONCE: usize = 12;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    // The fragile world's tests wait for each other, so they come first.
    let trials = [
        restarts::trials(),
        starts::trials(),
        answers::trials(),
        replicas::trials(),
        rollback::trials(),
        chaos::trials(),
        clocks::trials(),
        shards::trials(),
        tampering::trials(),
        timeouts::trials(),
        audited::trials(),
        brought::trials(),
        traces::trials(),
        observe::trials(),
        presets::trials(),
        windows::trials(),
        away::trials(),
        converted::trials(),
        fights::trials(),
        repositories::trials(),
        signed::trials(),
        heal::trials(),
        commits::trials(),
        waves::trials(),
        options::trials(),
        tenants::trials(),
        pruning::trials(),
        sync::trials(),
        breakglass::trials(),
        modes::trials(),
        exclusions::trials(),
        guards::trials(),
        rules::trials(),
        secrets::trials(),
        adoption::trials(),
        owned::trials(),
        marks::trials(),
        refused::trials(),
        accepted::trials(),
        own::trials(),
        verbs::trials(),
        cases::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
