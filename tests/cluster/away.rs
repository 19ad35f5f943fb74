//! One kind that is away: an aggregated API whose server has no endpoints. Everything else goes on, and so does that once it is back.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, SLOW, config, definition};
use crate::place::Place;
use crate::stage::{PATIENCE, Stage, fragile, tests};
use crate::who::Who;
use crate::world::wait_until;

pub fn trials() -> Vec<Trial> {
    tests![one_kind_that_is_away_stops_nothing_else, a_start_while_a_kind_is_away_deletes_nothing_of_it]
}

const WORDS: [&str; 2] = ["Comet.sky.example.com", "served again"];
const SERVED_BY_NOBODY: &str = "apiservice/v1.sky.example.com";

fn comet(name: &str, size: u8) -> String {
    json!({"apiVersion": "sky.example.com/v1", "kind": "Comet", "metadata": {"name": name}, "spec": {"size": size}})
        .to_string()
}

async fn kubectl(stage: &Stage, line: &[&str]) -> Result<String> {
    stage.world.kubectl(Who::Administrator.person(), line).await?.success()
}

/// A kind of a group of its own.
async fn is_served(stage: &Stage) -> Result<()> {
    let mut comets = definition("Comet", "comets");
    comets["metadata"]["name"] = json!("comets.sky.example.com");
    comets["spec"]["group"] = json!("sky.example.com");
    stage.world.apply(&comets).await?;
    wait_until("comets are served", PATIENCE, || kubectl(stage, &["get", "comets", "-A"])).await.map(drop)
}

/// From now on another server is to serve the group, and there is none. The API server itself says so.
async fn goes_away(stage: &Stage) -> Result<()> {
    let patch = json!({
        "metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": null}},
        "spec": {"service": {"namespace": "default", "name": "nobody", "port": 443}, "insecureSkipTLSVerify": true},
    });
    kubectl(stage, &["patch", SERVED_BY_NOBODY, "--type=merge", "--patch", &patch.to_string()]).await?;
    wait_until("comets are away", PATIENCE, || async {
        let raw = ["get", "--raw", "/apis/sky.example.com/v1/comets"];
        let said = stage.world.kubectl(Who::Administrator.person(), &raw).await?;
        ensure!(
            !said.status.success() && said.stderr.contains("ServiceUnavailable"),
            "{} {}",
            said.stdout,
            said.stderr
        );
        Ok(())
    })
    .await
}

/// What serves CRDs serves it again.
async fn comes_back(stage: &Stage) -> Result<()> {
    kubectl(stage, &["delete", SERVED_BY_NOBODY, "--ignore-not-found", "--wait=false"]).await?;
    wait_until("comets are back", PATIENCE, || kubectl(stage, &["get", "comets", "-A"])).await.map(drop)
}

const FILES: [&str; 4] = ["settings.yaml", "gone.yaml", "halley.yaml", "encke.yaml"];

async fn sky<'s>(stage: &'s Stage, name: &str) -> Result<Place<'s>> {
    is_served(stage).await?;
    let texts = [SETTINGS.to_owned(), config("gone", "a", "b"), comet("halley", 1), comet("encke", 1)];
    let files: Vec<_> = FILES.into_iter().zip(texts.iter().map(String::as_str)).collect();
    Place::at(stage, name, &files, |spec| {
        spec["syncPolicy"]["retry"] = json!({"backoff": {"duration": "2s", "maxDuration": "4s"}});
    })
    .await
}

/// Its GitSync says, in these words, that a kind is away.
async fn is_told(place: &Place<'_>, words: &[&str]) -> Result<()> {
    place.condition("Ready", false, words).await?;
    let status = place.git_sync().await?["status"].clone();
    let ready = crate::place::condition(&status, "Ready").cloned().unwrap_or_default();
    ensure!(ready["reason"] == "KindUnavailable", "{ready}");
    Ok(())
}

async fn one_kind_that_is_away_stops_nothing_else() -> Result<()> {
    let stage = fragile().await?;
    let place = sky(&stage, "kind-away").await?;
    let uid = place.live("Comet/encke").await?["metadata"]["uid"].clone();
    let meanwhile = everything_else_goes_on(&stage, &place).await;
    comes_back(&stage).await?;
    let commit = meanwhile?;
    place.is("Comet/encke", "/metadata/uid", uid).await?;
    // Nobody commits anything now.
    place.is_synced(&commit).await?;
    place.is("Comet/halley", "/spec/size", json!(2)).await?;
    place.becomes("Comet/encke", "", &Value::Null).await?;
    place.condition("Ready", true, &[]).await
}

async fn everything_else_goes_on(stage: &Stage, place: &Place<'_>) -> Result<String> {
    goes_away(stage).await?;
    let edit = [("settings.yaml", &*SETTINGS.replace("fast", "faster")), ("halley.yaml", &*comet("halley", 2))];
    place.write(&edit).await?;
    let commit = place.remove(&["gone.yaml", "encke.yaml"]).await?;
    others_are_kept(place, &WORDS).await?;
    Ok(commit)
}

/// What is of other kinds is applied, pruned and healed; that the kind is waited for is told meanwhile, and nothing is called synced.
pub async fn others_are_kept(place: &Place<'_>, words: &[&str]) -> Result<()> {
    place.becomes("ConfigMap/settings", "/data/mode", &json!("faster")).await?;
    place.becomes("ConfigMap/gone", "", &Value::Null).await?;
    is_told(place, words).await?;
    place.accepts(Who::Collector, SLOW).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("faster")).await?;
    is_told(place, words).await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(status["syncedRevision"] != status["observedRevision"], "{status}");
    Ok(())
}

/// Then not even discovery knows the kind.
async fn a_start_while_a_kind_is_away_deletes_nothing_of_it() -> Result<()> {
    let stage = fragile().await?;
    let place = sky(&stage, "kind-away-start").await?;
    let uid = place.live("Comet/halley").await?["metadata"]["uid"].clone();
    let meanwhile = starts(&stage, &place).await;
    comes_back(&stage).await?;
    let commit = meanwhile?;
    place.is_synced(&commit).await?;
    place.is("Comet/halley", "/metadata/uid", uid).await?;
    // What left Git meanwhile was not forgotten.
    place.becomes("Comet/encke", "", &Value::Null).await
}

async fn starts(stage: &Stage, place: &Place<'_>) -> Result<String> {
    goes_away(stage).await?;
    stage.world.stop_holdfast().await?;
    place.accepts(Who::Administrator, SLOW).await?;
    let commit = place.remove(&["gone.yaml", "encke.yaml"]).await?;
    stage.world.start_holdfast().await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place.becomes("ConfigMap/gone", "", &Value::Null).await?;
    is_told(place, &WORDS).await?;
    Ok(commit)
}
