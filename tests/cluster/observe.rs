//! The first week: nobody is refused, nothing is undone, and it is known who would have been. The switch is the whole cluster's, so
//! this takes its turn in the world of those who break things.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::guards;
use crate::manifests::{SETTINGS, WEB, config};
use crate::place::Place;
use crate::stage::{PATIENCE, Stage, fragile, tests};
use crate::who::Who;
use crate::world::wait_until;

const SCALE: &str = "scale deployment/web --replicas=5";
const FORGED: &str = "annotate deployment/web holdfast.dev/break-glass=INC-1 holdfast.dev/break-glass-by=oncall \
                      holdfast.dev/break-glass-until=2099-01-01T00:00:00Z";

pub fn trials() -> Vec<Trial> {
    tests![who_only_observes_stops_nobody_and_undoes_nothing, guards_only_observe_likewise]
}

async fn who_only_observes_stops_nobody_and_undoes_nothing() -> Result<()> {
    let stage = fragile().await?;
    let files = [("settings.yaml", SETTINGS), ("two.yaml", &config("two", "a", "b")), ("web.yaml", WEB)];
    let place = Place::at(&stage, "observed", &files, |_| {}).await?;
    place.refuses(Who::Alice, SCALE).await?;
    observe_only(&stage, true).await?;
    let observed = observed(&stage, &place).await;
    observe_only(&stage, false).await?;
    observed?;
    // What was left is undone now, without a restart: also what is gone, and what is no longer watched.
    place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await?;
    let healed = place.record("Healed", "Deployment/web").await?;
    ensure!(healed["team"] == "shop", "{healed}");
    place.becomes("ConfigMap/two", "/data/a", &json!("b")).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("faster")).await?;
    place.is("ConfigMap/settings", "/metadata/labels/holdfast.dev~1managed", json!("true")).await?;
    place.refuses(Who::Alice, SCALE).await.map(drop)
}

async fn observed(stage: &Stage, place: &Place<'_>) -> Result<()> {
    let dry = format!("{SCALE} --dry-run=server");
    wait_until("the policy is seen", PATIENCE, || place.accepts(Who::Alice, &dry)).await?;
    let counted = r#"holdfast_would_deny_total{gitsync="holdfast-system/observed",team="shop"}"#;
    ensure!(!stage.metrics().await?.contains(counted), "dry runs are counted");
    let lines = [
        SCALE,
        "delete configmap/two",
        "label configmap/settings holdfast.dev/managed-",
        r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#,
    ];
    for line in lines {
        let said = place.accepts(Who::Alice, line).await?.stderr;
        ensure!(!said.contains("Warning"), "it warns: {said}");
    }
    for (object, path) in
        [("Deployment/web", ".spec.replicas"), ("ConfigMap/two", ""), ("ConfigMap/settings", ".metadata.labels")]
    {
        let record = place.record("WouldDeny", object).await?;
        ensure!(
            record["by"]["user"] == "alice"
                && record["by"]["team"] == "shop"
                && record["sync"] == "holdfast-system/observed",
            "{record}"
        );
        ensure!(record["fields"][0]["path"].as_str().is_some_and(|said| said.starts_with(path)), "{record}");
    }
    // The last edit was of an object without our label: the webhook was not asked about it.
    ensure!(stage.metric(counted).await? == 3, "it counts {}", stage.metric(counted).await?);
    place.refuses(Who::Alice, FORGED).await?;
    let all_left = async |status: &Value| {
        let drift = status["drift"].as_array().map_or(&[][..], Vec::as_slice);
        let left = |drifted: &&Value| drifted["why"] == "the DriftPolicy only observes";
        ensure!(drift.iter().filter(left).count() == 3, "its status is {status}");
        Ok(())
    };
    place.says("what differs is told and left", all_left).await?;
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", "/spec/replicas", json!(5)).await?;
    place.is("ConfigMap/two", "/kind", Value::Null).await?;
    ensure!(place.records("Healed", "Deployment/web")?.is_empty(), "it was undone");
    // Commits are applied, and take nothing along that they do not touch.
    place.commits(&[("settings.yaml", &SETTINGS.replace("fast", "faster"))]).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await?;
    place.is("Deployment/web", "/spec/replicas", json!(5)).await?;
    Ok(())
}

/// What another tool keeps is not healed by us in any case; who would have been refused is known.
async fn guards_only_observe_likewise() -> Result<()> {
    let stage = fragile().await?;
    let place = guards::kept_at(&stage, &guards::flux(), "observed-guard").await?;
    observe_only(&stage, true).await?;
    let dry = "set image deployment/web app=registry.example/web:9 --dry-run=server";
    let passes = wait_until("the policy is seen", PATIENCE, || place.accepts(Who::Alice, dry)).await;
    let scaled = place.accepts(Who::Alice, SCALE).await;
    observe_only(&stage, false).await?;
    passes.and(scaled)?;
    let record = place.record("WouldDeny", "Deployment/web").await?;
    ensure!(record["guard"] == "flux" && record["fields"][0]["path"] == ".spec.replicas", "{record}");
    wait_until("the guard holds again", PATIENCE, || place.refuses(Who::Alice, dry)).await.map(drop)
}

async fn observe_only(stage: &Stage, only: bool) -> Result<()> {
    let patch = json!({"spec": {"observeOnly": only}}).to_string();
    let line = ["patch", "driftpolicy/default", "--type=merge", "--patch", &patch];
    stage.world.kubectl(Who::Administrator.person(), &line).await?.success().map(drop)
}
