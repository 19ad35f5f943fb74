//! Options of one object, of its namespace, and what is refused before anything is written.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, WEB, definition, parsed};
use crate::place::{Place, condition};
use crate::stage::{shared, tests};
use crate::who::Who;

pub fn trials() -> Vec<Trial> {
    tests![
        what_may_be_replaced_is_made_anew,
        a_commit_waits_for_the_end_of_what_it_makes_anew,
        who_yields_reports_the_conflict_and_leaves_it,
        the_namespace_gets_its_labels_and_keeps_others,
        a_misspelled_field_keeps_even_the_foundation_out,
    ]
}

fn immutable(value: &str) -> String {
    let annotations = json!({"holdfast.dev/replace": "true"});
    let metadata = json!({"name": "stone", "annotations": annotations});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": true, "data": {"a": value}})
        .to_string()
}

async fn what_may_be_replaced_is_made_anew() -> Result<()> {
    let place = Place::new("replaced", &[("stone.yaml", &immutable("b"))]).await?;
    let uid = place.live("ConfigMap/stone").await?["metadata"]["uid"].clone();
    place.commits(&[("stone.yaml", &immutable("c"))]).await?;
    place.is("ConfigMap/stone", "/data/a", json!("c")).await?;
    ensure!(place.live("ConfigMap/stone").await?["metadata"]["uid"] != uid, "it is the same object");
    let record = place.record("Replaced", "ConfigMap/stone").await?;
    ensure!(record["reason"].as_str().is_some_and(|reason| reason.contains("immutable")), "{record}");
    // What Git says no more is no addition of somebody's, who would have to be asked first.
    place.commits(&[("stone.yaml", &immutable("c").replace(r#""a":"#, r#""b":"#))]).await?;
    place.is("ConfigMap/stone", "/data", json!({"b": "c"})).await?;
    place.rests("ConfigMap/stone").await
}

/// A finalizer keeps what was deleted from going. Until it is gone and made anew, the cluster does not equal the commit.
async fn a_commit_waits_for_the_end_of_what_it_makes_anew() -> Result<()> {
    let clinging = |value: &str| {
        let mut stone = parsed(&immutable(value));
        stone["metadata"]["finalizers"] = json!(["example.com/cling"]);
        stone.to_string()
    };
    let place = Place::new("clinging", &[("stone.yaml", &clinging("b"))]).await?;
    let commit = place.write(&[("stone.yaml", &clinging("c"))]).await?;
    let anew = ["to be made anew, and not yet gone: ConfigMap clinging/stone"];
    place.condition("Synced", false, &anew).await?;
    place.condition("Ready", false, &anew).await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(place.stage.is_at(&status["syncedRevision"], &commit).await.is_err(), "it says it is synced: {status}");
    let gone = r#"patch configmap/stone --type=merge --patch={"metadata":{"finalizers":null}}"#;
    place.accepts(Who::Alice, gone).await?;
    place.is_synced(&commit).await?;
    place.is("ConfigMap/stone", "/data/a", json!("c")).await?;
    place.condition("Ready", true, &[]).await
}

async fn who_yields_reports_the_conflict_and_leaves_it() -> Result<()> {
    let mut yielding = parsed(SETTINGS);
    yielding["metadata"]["annotations"] = json!({"holdfast.dev/force-conflicts": "false"});
    let place = Place::new("yielding", &[("settings.yaml", &yielding.to_string())]).await?;
    let slow = r#"patch configmap/settings --type=merge --field-manager=robot --patch={"data":{"mode":"slow"}}"#;
    place.accepts(Who::Collector, slow).await?;
    let reported = async |status: &Value| {
        let why = status["drift"][0]["why"].as_str().context("no drift")?;
        ensure!(why.contains("robot") && why.contains(".data.mode"), "{why}");
        Ok(())
    };
    place.says("the conflict is reported", reported).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("slow")).await?;
    // What nobody has taken is still healed.
    let level = r#"patch configmap/settings --type=merge --field-manager=robot --patch={"data":{"mode":"fast"}}"#;
    place.accepts(Who::Collector, level).await?;
    place.condition("Ready", true, &[]).await
}

async fn the_namespace_gets_its_labels_and_keeps_others() -> Result<()> {
    let stage = shared().await?;
    let place = Place::empty(stage, "labelled").await?;
    let target = Place { stage, name: "labelled-new".to_owned() };
    let commit = place.write(&[("settings.yaml", SETTINGS)]).await?;
    let sync = |level: &'static str| {
        place.sync(move |spec| {
            spec["destination"]["namespace"] = json!("labelled-new");
            spec["syncPolicy"]["syncOptions"] = json!(["CreateNamespace=true"]);
            spec["syncPolicy"]["managedNamespace"] =
                json!({"labels": {"pod-security.kubernetes.io/warn": level}, "annotations": {"team": "shop"}});
        })
    };
    sync("baseline").await?;
    place.is_synced(&commit).await?;
    let label = "/metadata/labels/pod-security.kubernetes.io~1warn";
    target.is("Namespace/labelled-new", label, json!("baseline")).await?;
    target.is("Namespace/labelled-new", "/metadata/annotations/team", json!("shop")).await?;
    place.accepts(Who::Administrator, "label namespace/labelled-new mine=yes").await?;
    sync("restricted").await?;
    target.becomes("Namespace/labelled-new", label, &json!("restricted")).await?;
    target.is("Namespace/labelled-new", "/metadata/labels/mine", json!("yes")).await
}

/// The namespace and the definition are good, and still not written: what is wrong elsewhere is known before.
async fn a_misspelled_field_keeps_even_the_foundation_out() -> Result<()> {
    let place = Place::empty(shared().await?, "misspelled").await?;
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: misspelled-new}\n";
    let wrong = WEB.replace("replicas:", "replicsa:");
    let mut elsewhere = parsed(SETTINGS);
    elsewhere["metadata"]["namespace"] = json!("misspelled-new");
    elsewhere["dtaa"] = json!({});
    let elsewhere = elsewhere.to_string();
    let relic = definition("Shard", "shards").to_string();
    let files = [("ns.yaml", namespace), ("crd.yaml", &*relic), ("web.yaml", &*wrong), ("elsewhere.yaml", &*elsewhere)];
    place.write(&files).await?;
    place.sync(|_| {}).await?;
    let words =
        ["before any of it was written", "misspelled/web.yaml:1", ".spec.replicsa: field not declared in schema"];
    place.condition("Synced", false, &words).await?;
    place.condition("Synced", false, &["misspelled/elsewhere.yaml:1", ".dtaa: field not declared in schema"]).await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(condition(&status, "Synced").is_some_and(|synced| synced["reason"] == "Invalid"), "{status}");
    let other = Place { stage: place.stage, name: "misspelled-new".to_owned() };
    ensure!(other.live("Namespace/misspelled-new").await?.is_null(), "the namespace was written");
    ensure!(other.live("CustomResourceDefinition/shards.example.com").await?.is_null(), "the definition was written");
    place.remove(&["elsewhere.yaml"]).await?;
    place.commits(&[("web.yaml", WEB)]).await?;
    other.is("Namespace/misspelled-new", "/status/phase", json!("Active")).await
}
