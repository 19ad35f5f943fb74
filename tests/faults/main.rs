//! What dies in the middle of a sync: Holdfast, the API server, etcd, a Git server's answer. And after each death: the cluster equals
//! Git, nothing was deleted that should stay, nothing was written that was written already, and every write is on record.
//!
//! One world, in which commit follows commit ([`repository`]): objects come, change and go, kinds and namespaces with them, some
//! are replaced, some commits are no good. Each is met at a random step, told by the audit log ([`trace`]), so that every step gets
//! its share however long it takes. What must hold is looked for with plain means ([`census`], [`ledger`]), not with Holdfast's own.
//!
//! `FAULTS_POINTS` says how often Holdfast is killed, `FAULTS_SEED` where. A failure names the round, and what was done in it:
//! `FAULTS_SEED=2026 FAULTS_ROUND=17 FAULTS_POINTS=1 cargo test --test faults -- holdfast` plays that round again, from the files it would have met.

#[path = "../oracle/chance.rs"]
mod chance;
#[path = "../dev/world/mod.rs"]
mod world;

mod census;
mod deaths;
mod farewells;
mod gate;
mod ledger;
mod repository;
mod round;
mod stage;
mod trace;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share a world, and take turns.
    arguments.test_threads = Some(1);
    let trials = vec![
        Trial::test("holdfast_is_killed_at_every_step", || stage::run(deaths::holdfast_is_killed_at_every_step)),
        Trial::test("holdfast_is_killed_in_the_middle_of_an_end", || {
            stage::run(farewells::holdfast_is_killed_in_the_middle_of_an_end)
        }),
        Trial::test("the_api_server_and_etcd_are_killed_at_any_step", || {
            stage::run(deaths::the_api_server_and_etcd_are_killed_at_any_step)
        }),
        Trial::test("packs_are_cut_anywhere", || stage::run(deaths::packs_are_cut_anywhere)),
        Trial::test("a_webhook_of_others_refuses_for_a_while", || {
            stage::run(deaths::a_webhook_of_others_refuses_for_a_while)
        }),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}
