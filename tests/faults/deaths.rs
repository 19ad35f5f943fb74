//! Who dies, and how often.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::chance::Chance;
use crate::round::{pass_over, play};
use crate::stage::{PATIENCE, Stage, from_env};
use crate::trace::{Trace, step};
use crate::world::wait_until;

/// How often Holdfast is killed.
const POINTS: usize = 200;
/// So many deaths meet every step there is.
const ENOUGH: usize = 100;

fn seed() -> usize {
    from_env("FAULTS_SEED", 2026)
}

/// Holdfast, and nobody else.
pub async fn holdfast_is_killed_at_every_step(stage: &mut Stage) -> Result<()> {
    let (points, seed, begun) = (from_env("FAULTS_POINTS", POINTS), seed(), Instant::now());
    let mut ends = BTreeMap::<String, usize>::new();
    let mut round = from_env("FAULTS_ROUND", 0);
    (0..round).for_each(|round| pass_over(seed, round, &mut stage.git));
    // What was never written is not there to stay.
    stage.git.spared.clear();
    stage.commits(|_| ()).await?;
    stage.is_synced().await?;
    stage.begin().await?;
    while ends.values().sum::<usize>() < points {
        let mut said = Vec::new();
        let played = play(stage, seed, round, &mut said).await;
        let played = played.with_context(|| {
            let all = said.join("\n  ");
            format!("FAULTS_SEED={seed} FAULTS_ROUND={round} FAULTS_POINTS=1\n  {all}\n")
        })?;
        played.into_iter().for_each(|end| *ends.entry(end).or_default() += 1);
        round += 1;
    }
    println!("seed {seed}: {} deaths in {round} rounds, {:?}", ends.values().sum::<usize>(), begun.elapsed());
    ends.iter().for_each(|(end, times)| println!("  {times:>3} {end}"));
    let steps = ["Read", "DryRun", "Write", "Delete", "Status", "before its first step", "at the end"];
    let is_met = |step: &str| ends.keys().any(|end| end.contains(step));
    ensure!(points < ENOUGH || steps.iter().all(|step| is_met(step)), "not every step was met");
    Ok(())
}

/// The API server and etcd, by turns.
pub async fn the_api_server_and_etcd_are_killed_at_any_step(stage: &mut Stage) -> Result<()> {
    for round in 0..from_env("FAULTS_SERVERS", 10) {
        let mut chance = Chance::new(seed() as u64, &format!("servers {round}"));
        let mut trace = Trace::from_now(stage.world.audit_file())?;
        let shape = stage.commits(|git| git.change(&mut chance)).await?;
        let (after, mut steps) = (chance.below(20), 0);
        wait_until("it is time, or too late", std::time::Duration::from_secs(3), || {
            steps += trace.more().map_or(0, |more| more.iter().filter_map(step).count());
            let is_time = steps >= after;
            async move {
                ensure!(is_time, "not yet");
                Ok(())
            }
        })
        .await
        .ok();
        if round % 2 == 0 {
            stage.world.kill_api_server().await?;
            stage.world.start_api_server().await?;
        } else {
            stage.world.restart_etcd().await?;
        }
        if stage.git.clone().mend() {
            stage.commits(crate::repository::Repository::mend).await?;
        }
        let held = stage.holds(true, false).await;
        held.with_context(|| format!("seed {}, round {round}: {shape:?}, after {after} steps", seed()))?;
        stage.begin().await?;
    }
    Ok(())
}

/// The answers of a Git server. Nothing changes, the status says why, and when they are whole again it goes on.
pub async fn packs_are_cut_anywhere(stage: &mut Stage) -> Result<()> {
    let mut chance = Chance::new(seed() as u64, "packs");
    for round in 0..8 {
        let before = stage.git.clone();
        let part = if round == 0 { 0 } else { chance.below(1000) };
        stage.gate.lets_through(Some(part));
        let cut = stage.gate.cut();
        stage.commits(|git| git.change(&mut chance)).await?;
        wait_until("it is told", PATIENCE, || async {
            let status = stage.status().await?;
            let synced = status["conditions"].as_array().into_iter().flatten().find(|said| said["type"] == "Synced");
            let is_told = synced.is_some_and(|synced| synced["reason"].as_str().unwrap_or_default().starts_with("Git"));
            ensure!(is_told && stage.gate.cut() > cut + 1, "{synced:?}");
            Ok(())
        })
        .await?;
        let after = std::mem::replace(&mut stage.git, before);
        stage.equals_git().await.with_context(|| format!("{part} thousandths of a pack changed something"))?;
        stage.git = after;
        stage.gate.lets_through(None);
        if stage.git.clone().mend() {
            stage.commits(crate::repository::Repository::mend).await?;
        }
        stage.holds(false, true).await.with_context(|| format!("after {part} thousandths of a pack"))?;
        stage.begin().await?;
    }
    Ok(())
}

/// A webhook of somebody else that cannot be reached, and so refuses everything, and then is no more: it goes on without a commit.
pub async fn a_webhook_of_others_refuses_for_a_while(stage: &mut Stage) -> Result<()> {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE", "DELETE"], "resources": ["configmaps"]});
    let webhook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "others.example.com"},
        "webhooks": [{
            "name": "others.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
            "timeoutSeconds": 1, "clientConfig": {"url": "https://127.0.0.1:1/refuse"}, "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": crate::repository::NAMESPACE}},
        }],
    });
    let delete = ["delete", "validatingwebhookconfiguration", "others.example.com"];
    for round in 0..4 {
        let mut chance = Chance::new(seed() as u64, &format!("consent {round}"));
        stage.world.apply(&webhook).await?;
        stage.commits(|git| git.change(&mut chance)).await?;
        if stage.git.clone().mend() {
            stage.commits(crate::repository::Repository::mend).await?;
        }
        if round % 2 == 1 {
            stage.world.kill_holdfast().await?;
            stage.world.start_holdfast().await?;
        }
        wait_until("the commit is read", PATIENCE, || async {
            let status = stage.status().await?;
            ensure!(status["observedRevision"] == *stage.head, "{status}");
            Ok(())
        })
        .await?;
        stage.world.kubectl(crate::world::Person::Administrator, &delete).await?.success()?;
        stage.holds(true, true).await.with_context(|| format!("round {round}"))?;
        stage.begin().await?;
    }
    Ok(())
}
