//! Two replicas: both guard, one writes, and the other takes over when that one goes.

use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, WEB};
use crate::place::Place;
use crate::stage::{PATIENCE, tests};
use crate::troupe::{LEASE, lease, troupe};
use crate::who::Who;
use crate::world::wait_until;

const BOTH: &[(&str, &str)] = &[("settings.yaml", SETTINGS), ("web.yaml", WEB)];

pub fn trials() -> Vec<Trial> {
    tests![a_follower_guards_and_writes_nothing, whoever_leaves_hands_over_at_once, what_was_lost_in_between_is_found]
}

/// Commits, drift, prunes and refusals: all of it is the leader's, and the follower knows of all of it.
async fn a_follower_guards_and_writes_nothing() -> Result<()> {
    let troupe = troupe().await?;
    let leader = troupe.leader().await?;
    let follower = 1 - leader;
    let since = troupe.stage.world.audit()?.len();
    let said = troupe.stage.world.replica(follower).records()?.len();
    let place = Place::at(&troupe.stage, "one-writes", BOTH, |_| {}).await?;
    troupe.slips(&place, "slow").await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    let commit = place.write(&[("settings.yaml", &SETTINGS.replace("fast", "brisk"))]).await?;
    place.is_synced(&commit).await?;
    place.remove(&["web.yaml"]).await?;
    place.becomes("Deployment/web", "", &Value::Null).await?;
    ensure!(!troupe.writes(leader, since)?.is_empty(), "the leader has written nothing");
    let writes = troupe.writes(follower, since)?;
    ensure!(writes.is_empty(), "the follower wrote: {writes:#?}");
    let records = troupe.stage.world.replica(follower).records()?.split_off(said);
    let ours = ["Drifted", "Healed", "Applied", "Pruned", "SyncFailed", "WebhookRestored"];
    ensure!(records.iter().all(|record| !ours.iter().any(|kind| record["kind"] == *kind)), "{records:#?}");

    // Only the follower is left to answer, and it knows the last commit.
    troupe.signal(leader, nix::sys::signal::Signal::SIGKILL)?;
    wait_until("the follower refuses", PATIENCE, || {
        place.refuses(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"fast"}}"#)
    })
    .await?;
    Ok(())
}

async fn whoever_leaves_hands_over_at_once() -> Result<()> {
    let troupe = troupe().await?;
    let leader = troupe.leader().await?;
    let before = lease(&troupe.stage.world).await?;
    troupe.signal(leader, nix::sys::signal::Signal::SIGTERM)?;
    let took = troupe.leads(1 - leader).await?;
    ensure!(took < LEASE / 2, "it took {took:?}");
    let after = lease(&troupe.stage.world).await?;
    let holder = after["spec"]["holderIdentity"].as_str().unwrap_or_default();
    ensure!(holder.starts_with(&format!("replica-{}_", 1 - leader)), "{after:#}");
    ensure!(after["spec"]["leaseTransitions"].as_i64() > before["spec"]["leaseTransitions"].as_i64(), "{after:#}");
    // It was asked to end, and is not to be found by the next test in the middle of that.
    troupe.stage.world.replica(leader).process().stop().await
}

/// Nobody leads for a while, and nobody has seen what happened then.
async fn what_was_lost_in_between_is_found() -> Result<()> {
    let troupe = troupe().await?;
    let place = Place::at(&troupe.stage, "in-between", BOTH, |_| {}).await?;
    let leader = troupe.leader().await?;
    troupe.signal(leader, nix::sys::signal::Signal::SIGKILL)?;
    let since = troupe.stage.world.audit()?.len();
    troupe.slips(&place, "slow").await?;
    let took = troupe.leads(1 - leader).await?;
    ensure!(took > Duration::from_secs(1), "it did not wait for the Lease to run out: {took:?}");
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    let writes = troupe.writes(1 - leader, since)?;
    let of = |resource: &str| writes.iter().filter(|write| write["objectRef"]["resource"] == resource).count();
    ensure!((of("configmaps"), of("deployments")) == (1, 0), "it wrote what was in sync: {writes:#?}");
    Ok(())
}
