//! What is somebody else's business stays theirs: at admission, and when something beside it is healed.

use anyhow::Result;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SCALED, SETTINGS, WEB};
use crate::place::Place;
use crate::stage::tests;
use crate::who::Who;

const REPLICAS: &str = "/spec/replicas";
const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// Something Git does say, changed by somebody who is never refused.
const ANOTHER_FIELD: &str =
    r#"patch deployment/web --type=merge --patch={"metadata":{"annotations":{"team":"theirs"}}}"#;
const TEAM: &str = "/metadata/annotations/team";

pub fn trials() -> Vec<Trial> {
    tests![
        pointers_hold_at_admission,
        pointers_hold_when_healing,
        a_whole_object_may_be_left_alone,
        ignored_replicas_with_another_owner_stay,
        ignored_replicas_we_alone_own_stay,
        ignored_replicas_stay_when_a_commit_changes_something_else,
        replicas_that_git_stops_declaring_stay,
        replicas_that_git_never_declared_are_free,
    ]
}

async fn ignoring(name: &str, files: &[(&str, &str)], pointers: &[&str]) -> Result<Place<'static>> {
    Place::with(name, files, |spec| {
        spec["ignoreDifferences"] = json!([{"group": "apps", "kind": "Deploy*", "jsonPointers": pointers}]);
    })
    .await
}

async fn pointers_hold_at_admission() -> Result<()> {
    let pointers = [REPLICAS, IMAGE, "/spec/template/spec/containers/*/resources"];
    let place = ignoring("ignored", &[("web.yaml", WEB)], &pointers).await?;
    for line in [
        "scale deployment/web --replicas=5 --dry-run=server",
        "set image deployment/web app=registry.example/web:2.0 --dry-run=server",
        "set resources deployment/web --requests=cpu=2 --limits=cpu=4 --dry-run=server",
    ] {
        place.accepts(Who::Alice, line).await?;
    }
    for line in [
        "set env deployment/web LOG_LEVEL=debug",
        "label deployment/web app=other --overwrite",
        "delete deployment/web",
    ] {
        place.refuses(Who::Alice, line).await?;
    }
    Ok(())
}

async fn pointers_hold_when_healing() -> Result<()> {
    let place =
        ignoring("ignored-healing", &[("web.yaml", WEB)], &[IMAGE, "/spec/template/spec/containers/*/resources"])
            .await?;
    place.accepts(Who::Alice, "set image deployment/web app=registry.example/web:2.0").await?;
    place.accepts(Who::Alice, "set resources deployment/web --requests=cpu=2").await?;
    place.accepts(Who::Collector, ANOTHER_FIELD).await?;
    place.heals("Deployment/web", TEAM, json!("shop")).await?;
    place.is("Deployment/web", IMAGE, json!("registry.example/web:2.0")).await?;
    place.is("Deployment/web", "/spec/template/spec/containers/0/resources/requests/cpu", json!("2")).await
}

async fn a_whole_object_may_be_left_alone() -> Result<()> {
    let place = Place::with("ignored-whole", &[("settings.yaml", SETTINGS)], |spec| {
        spec["ignoreDifferences"] = json!([{"kind": "ConfigMap", "name": "sett*"}]);
    })
    .await?;
    place.accepts(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("slow")).await
}

/// Whoever scales owns the field: it is left out of what we send.
async fn ignored_replicas_with_another_owner_stay() -> Result<()> {
    let place = ignoring("stripped", &[("web.yaml", WEB)], &[REPLICAS]).await?;
    place.accepts(Who::Autoscaler, "scale deployment/web --replicas=7").await?;
    place.accepts(Who::Collector, ANOTHER_FIELD).await?;
    place.heals("Deployment/web", TEAM, json!("shop")).await?;
    place.is("Deployment/web", REPLICAS, json!(7)).await
}

/// Nobody else owns the field (whoever scaled borrowed our name): left out it would fall to 1, so it is sent as it is.
async fn ignored_replicas_we_alone_own_stay() -> Result<()> {
    let place = ignoring("adopted", &[("web.yaml", WEB)], &[REPLICAS]).await?;
    let mut mine = place.live("Deployment/web").await?;
    let ours = mine["metadata"]["managedFields"]
        .as_array_mut()
        .and_then(|all| all.iter_mut().find(|one| one["manager"] == "holdfast"));
    let ours = ours.map(|entry| entry.clone()).unwrap_or_default();
    // Value and ownership in one patch: as if our entry had never lost it.
    let change = json!([
        {"op": "replace", "path": REPLICAS, "value": 7},
        {"op": "replace", "path": "/metadata/managedFields", "value": [ours]},
    ]);
    place
        .accepts(Who::Collector, &format!("patch deployment/web --type=json --patch={change} --field-manager=holdfast"))
        .await?;
    place.accepts(Who::Collector, ANOTHER_FIELD).await?;
    place.heals("Deployment/web", TEAM, json!("shop")).await?;
    place.is("Deployment/web", REPLICAS, json!(7)).await
}

async fn ignored_replicas_stay_when_a_commit_changes_something_else() -> Result<()> {
    let place = ignoring("ignored-commit", &[("web.yaml", WEB)], &[REPLICAS]).await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=7").await?;
    place.commits(&[("web.yaml", &WEB.replace("web:1.0", "web:2.0"))]).await?;
    place.is("Deployment/web", IMAGE, json!("registry.example/web:2.0")).await?;
    place.is("Deployment/web", REPLICAS, json!(7)).await
}

async fn replicas_that_git_stops_declaring_stay() -> Result<()> {
    let place = Place::new("undeclared-replicas", &[("web.yaml", &WEB.replace("replicas: 3", "replicas: 4"))]).await?;
    let without = WEB.replace(
        "  replicas: 3
",
        "",
    );
    place.commits(&[("web.yaml", &without)]).await?;
    place.is("Deployment/web", REPLICAS, json!(4)).await?;
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", REPLICAS, json!(4)).await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=6").await?;
    place.accepts(Who::Collector, ANOTHER_FIELD).await?;
    place.heals("Deployment/web", TEAM, json!("shop")).await?;
    place.is("Deployment/web", REPLICAS, json!(6)).await
}

async fn replicas_that_git_never_declared_are_free() -> Result<()> {
    let place = Place::new("free-replicas", &[("web.yaml", SCALED)]).await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await?;
    place.is("Deployment/web", "/metadata/annotations/holdfast.dev~1break-glass", Value::Null).await
}
