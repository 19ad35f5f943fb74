//! From a commit to the cluster: what is applied, what is pruned, and what is not because the commit is not good.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, WEB, config, definition};
use crate::place::Place;
use crate::stage::{shared, tests};
use crate::who::Who;

/// Line 3 is not YAML.
const BROKEN: &str = "kind: ConfigMap\nmetadata: {name: broken}\ndata: {a: b\nmore: [\n";

pub fn trials() -> Vec<Trial> {
    tests![
        a_commit_is_applied_and_a_removed_file_is_pruned,
        without_prune_what_left_git_is_reported,
        what_opted_out_of_pruning_stays,
        most_of_everything_is_never_pruned_at_once,
        a_broken_file_is_named_and_the_rest_goes_on,
        an_invalid_manifest_keeps_the_whole_commit_out,
        without_validate_the_rest_of_an_invalid_commit_is_applied,
        a_duplicate_key_is_named,
        a_definition_and_a_resource_of_it_come_in_one_commit,
        a_network_policy_is_closed_by_a_commit,
        lines_follow_the_file,
    ]
}

fn four() -> Vec<(String, String)> {
    ["one", "two", "three", "four"].map(|name| (format!("{name}.yaml"), config(name, "a", name))).into()
}

async fn place_with_four(name: &str, prune: bool) -> Result<Place<'static>> {
    let files = four();
    let files: Vec<_> = files.iter().map(|(file, text)| (&**file, &**text)).collect();
    Place::with(name, &files, |spec| spec["syncPolicy"]["automated"]["prune"] = json!(prune)).await
}

async fn a_commit_is_applied_and_a_removed_file_is_pruned() -> Result<()> {
    let place = place_with_four("commits", true).await?;
    place.commits(&[("one.yaml", &config("one", "a", "changed")), ("five.yaml", &config("five", "a", "new"))]).await?;
    place.is("ConfigMap/one", "/data/a", json!("changed")).await?;
    place.is("ConfigMap/five", "/data/a", json!("new")).await?;
    place.record("Applied", "ConfigMap/five").await?;
    let commit = place.remove(&["two.yaml"]).await?;
    place.is_synced(&commit).await?;
    place.becomes("ConfigMap/two", "", &Value::Null).await?;
    place.record("Pruned", "ConfigMap/two").await?;
    let status = place
        .says("four are left", async |status| {
            ensure!(status["objects"] == 4, "{status}");
            Ok(())
        })
        .await?;
    ensure!(status["drifted"] == 0, "{status}");
    Ok(())
}

async fn without_prune_what_left_git_is_reported() -> Result<()> {
    let place = place_with_four("prune-off", false).await?;
    let commit = place.remove(&["two.yaml"]).await?;
    place.is_synced(&commit).await?;
    let left = async |status: &Value| {
        ensure!(status["drift"][0]["object"]["name"] == "two" && status["drifted"] == 1, "{status}");
        Ok(())
    };
    place.says("what is left is reported", left).await?;
    place.is("ConfigMap/two", "/data/a", json!("two")).await?;
    // What Git does not say any more, nobody guards.
    place.accepts(Who::Alice, r#"patch configmap/two --type=merge --patch={"data":{"a":"mine"}}"#).await?;
    place.accepts(Who::Alice, "delete configmap/two").await?;
    place.condition("Ready", true, &[]).await
}

async fn what_opted_out_of_pruning_stays() -> Result<()> {
    let place = place_with_four("prune-opted-out", true).await?;
    let precious =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: precious\n  annotations: {holdfast.dev/prune: disabled}\n";
    place.commits(&[("precious.yaml", precious)]).await?;
    let commit = place.remove(&["precious.yaml"]).await?;
    place.is_synced(&commit).await?;
    let withheld = place.record("PruneWithheld", "ConfigMap/precious").await?;
    ensure!(withheld["reason"].as_str().is_some_and(|reason| reason.contains("holdfast.dev/prune")), "{withheld}");
    place.is("ConfigMap/precious", "/kind", json!("ConfigMap")).await
}

async fn most_of_everything_is_never_pruned_at_once() -> Result<()> {
    let place = place_with_four("prune-limit", true).await?;
    place.remove(&["one.yaml", "two.yaml", "three.yaml"]).await?;
    place.condition("Synced", false, &["3 of 4 objects", "nothing was deleted"]).await?;
    for name in ["ConfigMap/one", "ConfigMap/two", "ConfigMap/three", "ConfigMap/four"] {
        place.is(name, "/kind", json!("ConfigMap")).await?;
    }
    // Put back, it was an accident.
    let files = four();
    let files: Vec<_> = files.iter().map(|(file, text)| (&**file, &**text)).collect();
    place.commits(&files).await?;
    place.condition("Ready", true, &[]).await
}

async fn a_broken_file_is_named_and_the_rest_goes_on() -> Result<()> {
    let place = place_with_four("broken", true).await?;
    let commit = place
        .stage
        .commit("broken: break, change and remove", |root| {
            let at = |file: &str| root.join("broken").join(file);
            crate::stage::write(&at("one.yaml"), BROKEN)?;
            crate::stage::write(&at("two.yaml"), &config("two", "a", "changed"))?;
            Ok(std::fs::remove_file(at("three.yaml"))?)
        })
        .await?;
    place.condition("Ready", false, &["broken/one.yaml:"]).await?;
    place.becomes("ConfigMap/two", "/data/a", &json!("changed")).await?;
    place
        .says("the commit was read", async |status| place.stage.is_at(&status["observedRevision"], &commit).await)
        .await?;
    // Nobody knows what the broken file was to declare, so nothing left Git, and what was declared is guarded still.
    place.looks_again().await?;
    place.is("ConfigMap/three", "/kind", json!("ConfigMap")).await?;
    place.is("ConfigMap/one", "/data/a", json!("one")).await?;
    for name in ["one", "two", "three"] {
        place.refuses(Who::Alice, &format!("delete configmap/{name}")).await?;
    }
    place.commits(&[("one.yaml", &config("one", "a", "mended"))]).await?;
    place.becomes("ConfigMap/three", "", &Value::Null).await?;
    place.is("ConfigMap/one", "/data/a", json!("mended")).await
}

async fn an_invalid_manifest_keeps_the_whole_commit_out() -> Result<()> {
    let place = Place::new("invalid", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)]).await?;
    let invalid = WEB.replace("replicas: 3", "replicas: -3");
    let refused = place.write(&[("web.yaml", &invalid), ("settings.yaml", &SETTINGS.replace("fast", "slow"))]).await?;
    place
        .condition("Synced", false, &["refused before any of it was written", "invalid/web.yaml:1", "replicas"])
        .await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    // What the cluster equals is the commit before: a restart must know where to go back to.
    let status = place.git_sync().await?["status"].clone();
    ensure!(place.stage.is_at(&status["syncedRevision"], &refused).await.is_err(), "{status}");
    // What was good before still holds.
    place.refuses(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#).await?;
    place
        .accepts(Who::Collector, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slower"}}"#)
        .await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place.commits(&[("web.yaml", WEB)]).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("slow")).await
}

async fn without_validate_the_rest_of_an_invalid_commit_is_applied() -> Result<()> {
    let place = Place::with("unvalidated", &[("settings.yaml", SETTINGS)], |spec| {
        spec["syncPolicy"]["syncOptions"] = json!(["Validate=false"]);
    })
    .await?;
    let invalid = WEB.replace("replicas: 3", "replicas: -3");
    place.write(&[("web.yaml", &invalid), ("settings.yaml", &SETTINGS.replace("fast", "slow"))]).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("slow")).await?;
    place.condition("Synced", false, &["unvalidated/web.yaml:1", "replicas"]).await
}

/// The API server answers this with a 500; it is a mistake in Git all the same.
async fn a_duplicate_key_is_named() -> Result<()> {
    let place = Place::new("duplicate", &[("web.yaml", WEB)]).await?;
    let twice = WEB.replace(
        "- {name: LOG_LEVEL, value: info}",
        "- {name: LOG_LEVEL, value: info}\n            - {name: LOG_LEVEL, value: debug}",
    );
    place.write(&[("web.yaml", &twice)]).await?;
    place.condition("Synced", false, &["duplicate/web.yaml:1", "duplicate entries for key", "LOG_LEVEL"]).await
}

async fn a_definition_and_a_resource_of_it_come_in_one_commit() -> Result<()> {
    let place = Place::empty(shared().await?, "definition").await?;
    let gizmo =
        json!({"apiVersion": "example.com/v1", "kind": "Gizmo", "metadata": {"name": "first"}, "spec": {"size": 3}});
    let commit = place
        .write(&[("a-resource.yaml", &gizmo.to_string()), ("crd.yaml", &definition("Gizmo", "gizmos").to_string())])
        .await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    place.is("Gizmo/first", "/spec", json!({"size": 3, "colour": "grey"})).await?;
    // A new kind makes Holdfast register anew; from then on it is guarded like any other.
    crate::world::wait_until("the new kind is guarded", crate::stage::PATIENCE, || async {
        place
            .refuses(Who::Alice, r#"patch gizmo/first --type=merge --patch={"spec":{"size":4}} --dry-run=server"#)
            .await
    })
    .await?;
    place.accepts(Who::Collector, r#"patch gizmo/first --type=merge --patch={"spec":{"size":5}}"#).await?;
    place.heals("Gizmo/first", "/spec/size", json!(3)).await
}

/// What is live is still ours, and an empty list of Git's that is filled could be one that others may fill.
async fn a_network_policy_is_closed_by_a_commit() -> Result<()> {
    let policy = |ingress: Value| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "door"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": ingress},
        })
        .to_string()
    };
    let place = Place::new("door", &[("door.yaml", &policy(json!([{}])))]).await?;
    place.is("NetworkPolicy/door", "/spec/ingress", json!([{}])).await?;
    place.commits(&[("door.yaml", &policy(json!([])))]).await?;
    place.heals("NetworkPolicy/door", "/spec/ingress", Value::Null).await
}

async fn lines_follow_the_file() -> Result<()> {
    let place = Place::new("lines", &[("settings.yaml", SETTINGS)]).await?;
    let slow = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#;
    ensure!(place.refuses(Who::Alice, slow).await?.contains("lines/settings.yaml:5"), "it is in line 5");
    place.commits(&[("settings.yaml", &format!("# One.\n# Two.\n---\n{SETTINGS}"))]).await?;
    let message = place.refuses(Who::Alice, slow).await?;
    ensure!(message.contains("lines/settings.yaml:8"), "{message}");
    Ok(())
}
