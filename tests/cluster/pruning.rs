//! Deleting more than usual, and the end of a `GitSync` that says what is to become of its objects.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast::cluster::objects::PropagationPolicy;
use holdfast::cluster::{Cluster, Error};
use holdfast::core::object::ObjectKey;
use holdfast::evidence::Metrics;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::crowd::{no_room, room};
use crate::manifests::{SETTINGS, config, definition};
use crate::place::{Place, condition};
use crate::stage::{PATIENCE, shared, tests};
use crate::who::Who;
use crate::world::{HOLDFAST_NAMESPACE, wait_until};

pub fn trials() -> Vec<Trial> {
    tests![
        who_confirms_a_commit_lets_it_delete,
        what_was_written_since_it_was_judged_is_not_deleted,
        what_goes_is_missed_though_no_watch_tells,
        an_end_that_deletes,
        an_end_that_only_lets_go,
    ]
}

/// Between the look at a stray and its deletion somebody takes it over.
async fn what_was_written_since_it_was_judged_is_not_deleted() -> Result<()> {
    let place = Place::empty(shared().await?, "judged-anew").await?;
    place.run(Who::Administrator, &["create", "configmap", "moved", "--from-literal=a=b"], "").await?.success()?;
    let cluster = Cluster::connect(place.stage.client.clone(), Metrics::new().0).await?;
    let kind = cluster.kind("v1", "ConfigMap").await?.context("it is always served")?;
    let judged = place.live("ConfigMap/moved").await?;
    let key = ObjectKey::of(&judged).context("it has a name")?;
    place.accepts(Who::Administrator, "annotate configmap/moved holdfast.dev/prune=disabled").await?;
    let policy = PropagationPolicy::Background;
    let refused = cluster.delete_as_judged(&kind, &key, &judged, policy.clone()).await;
    ensure!(refused.as_ref().is_err_and(Error::is_conflict), "{refused:?}");
    place.is("ConfigMap/moved", "/data/a", json!("b")).await?;
    let anew = place.live("ConfigMap/moved").await?;
    cluster.delete_as_judged(&kind, &key, &anew, policy).await?;
    place.becomes("ConfigMap/moved", "", &Value::Null).await
}

/// A watch that begins only after the kind is served no more never tells that an object of it is gone. Here it never begins.
async fn what_goes_is_missed_though_no_watch_tells() -> Result<()> {
    const SOON: Duration = Duration::from_secs(30);
    let stage = shared().await?;
    no_room(stage, "unwatched", "watch", "cameos").await?;
    let definition = definition("Cameo", "cameos").to_string();
    let cameo = "apiVersion: example.com/v1\nkind: Cameo\nmetadata: {name: cameo}\nspec: {size: 1}\n";
    let stays = ["one", "two", "three"].map(|name| (format!("{name}.yaml"), config(name, "a", name)));
    let stays = stays.iter().map(|(file, text)| (&**file, &**text));
    let files: Vec<_> = stays.chain([("definition.yaml", &*definition), ("cameo.yaml", cameo)]).collect();
    let place = Place::with("unwatched", &files, |spec| spec["syncPolicy"]["automated"]["prune"] = json!(true)).await?;
    let commit = place.remove(&["definition.yaml", "cameo.yaml"]).await?;
    timeout(SOON, place.is_synced(&commit)).await.context("nobody noticed")??;
    room(stage, "unwatched").await
}

async fn who_confirms_a_commit_lets_it_delete() -> Result<()> {
    let files = ["one", "two", "three"].map(|name| (format!("{name}.yaml"), config(name, "a", name)));
    let files: Vec<_> = files.iter().map(|(file, text)| (&**file, &**text)).collect();
    let place = Place::with("confirmed", &files, |spec| spec["syncPolicy"]["automated"]["prune"] = json!(true)).await?;
    let annotate = async |value: &str| {
        let confirmation = format!("holdfast.dev/confirm-prune={value}");
        let line =
            ["annotate", "gitsync", "confirmed", "--namespace", HOLDFAST_NAMESPACE, "--overwrite", &confirmation];
        place.run(Who::Administrator, &line, "").await?.success().map(drop)
    };
    place.remove(&["one.yaml", "two.yaml"]).await?;
    place.condition("Ready", false, &["2 of 3 objects", "holdfast.dev/confirm-prune="]).await?;
    annotate("0123456789ab").await?;
    place.looks_again().await?;
    place.is("ConfigMap/one", "/data/a", json!("one")).await?;

    let status = place.git_sync().await?["status"].clone();
    let message = condition(&status, "Synced").and_then(|synced| synced["message"].as_str()).context("no message")?;
    let (_, revision) = message.rsplit_once('=').context("it says how to confirm")?;
    annotate(revision).await?;
    place.condition("Ready", true, &[]).await?;
    let record = loosened(&place, revision)?;
    ensure!(record["by"]["user"].is_string(), "{record}");
    for name in ["ConfigMap/one", "ConfigMap/two"] {
        place.becomes(name, "", &Value::Null).await?;
    }
    place.is("ConfigMap/three", "/data/a", json!("three")).await
}

/// Who confirmed it is on record.
fn loosened(place: &Place<'_>, revision: &str) -> Result<Value> {
    let records = place.stage.world.records()?.into_iter();
    let mut records = records.filter(|record| record["kind"] == "Loosened" && record["object"]["name"] == "confirmed");
    records
        .find(|record| record["reason"].as_str().is_some_and(|reason| reason.contains(revision)))
        .context("no record")
}

async fn ends(name: &str, policy: &str) -> Result<Place<'static>> {
    let precious = config("precious", "a", "b")
        .replace(r#""name":"precious""#, r#""name":"precious","annotations":{"holdfast.dev/prune":"disabled"}"#);
    let place = Place::with(name, &[("settings.yaml", SETTINGS), ("precious.yaml", &precious)], |spec| {
        spec["deletionPolicy"] = json!(policy);
    })
    .await?;
    let delete = ["delete", "gitsync", name, "--namespace", HOLDFAST_NAMESPACE, "--wait=false"];
    place.run(Who::Administrator, &delete, "").await?.success()?;
    wait_until("the GitSync is gone", PATIENCE, async || {
        ensure!(place.git_sync().await.is_err(), "it is still there");
        Ok(())
    })
    .await?;
    Ok(place)
}

async fn is_let_go(place: &Place<'_>, object: &str) -> Result<()> {
    place.is(object, "/metadata/labels/holdfast.dev~1managed", Value::Null).await?;
    place.is(object, "/metadata/annotations/holdfast.dev~1tracking-id", Value::Null).await
}

async fn an_end_that_deletes() -> Result<()> {
    let place = ends("end-delete", "Delete").await?;
    place.becomes("ConfigMap/settings", "", &Value::Null).await?;
    place.record("Pruned", "ConfigMap/settings").await?;
    is_let_go(&place, "ConfigMap/precious").await?;
    place.is("ConfigMap/precious", "/data/a", json!("b")).await
}

async fn an_end_that_only_lets_go() -> Result<()> {
    let place = ends("end-orphan", "Orphan").await?;
    is_let_go(&place, "ConfigMap/settings").await?;
    is_let_go(&place, "ConfigMap/precious").await?;
    place.accepts(Who::Alice, "delete configmap/settings").await.map(drop)
}
