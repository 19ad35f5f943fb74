//! Objects that were there before Git declared them, and what people do to them later.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, SETTINGS_WITHOUT_LEVEL, WEB, parsed};
use crate::place::Place;
use crate::stage::{shared, test, tests};
use crate::who::Who;

pub fn trials() -> Vec<Trial> {
    let ways = [
        ("create", "create --filename=-"),
        ("apply", "apply --filename=-"),
        ("apply_server_side", "apply --server-side --filename=-"),
    ];
    let ways =
        ways.map(|(name, line)| test(format!("adoption::of_what_was_made_by_{name}"), move || adopts(name, line)));
    ways.into_iter()
        .chain(tests![a_deployment_is_adopted_without_a_rollout, rollout_undo_is_an_edit_like_any_other])
        .collect()
}

/// A later commit drops what the earlier tool wrote and Git no longer says, and an object is never made anew for it.
async fn adopts(name: &str, line: &str) -> Result<()> {
    let place = Place::empty(shared().await?, &format!("adopt-{}", name.replace('_', "-"))).await?;
    let mut before = parsed(SETTINGS);
    before["data"]["mode"] = json!("slow");
    before["data"]["forgotten"] = json!("yes");
    place.accepts_input(Who::Alice, line, &before).await?;
    let uid = place.live("ConfigMap/settings").await?["metadata"]["uid"].clone();
    let commit = place.write(&[("settings.yaml", SETTINGS)]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    place.heals("ConfigMap/settings", "/data", json!({"mode": "fast", "level": "info"})).await?;
    place.commits(&[("settings.yaml", SETTINGS_WITHOUT_LEVEL)]).await?;
    place.heals("ConfigMap/settings", "/data", json!({"mode": "fast"})).await?;
    place.is("ConfigMap/settings", "/metadata/uid", uid).await
}

async fn a_deployment_is_adopted_without_a_rollout() -> Result<()> {
    let place = Place::empty(shared().await?, "adopt-deployment").await?;
    place.accepts_input(Who::Alice, "apply --filename=-", &parsed(WEB)).await?;
    let revision = "/metadata/annotations/deployment.kubernetes.io~1revision";
    place.becomes("Deployment/web", revision, &json!("1")).await?;
    let uid = place.live("Deployment/web").await?["metadata"]["uid"].clone();
    let commit = place.write(&[("web.yaml", WEB)]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    place.heals("Deployment/web", "/metadata/labels/holdfast.dev~1managed", json!("true")).await?;
    place.is("Deployment/web", "/metadata/uid", uid).await?;
    place.is("Deployment/web", revision, json!("1")).await?;
    // The tool it was made with would now be refused what it did before.
    let mut other = parsed(WEB);
    other["spec"]["replicas"] = json!(9);
    place.refuses_input(Who::Alice, "apply --filename=-", &other).await.map(drop)
}

/// Going back to what Git said before is not what Git says.
async fn rollout_undo_is_an_edit_like_any_other() -> Result<()> {
    let place = Place::new("rollout-undo", &[("web.yaml", WEB)]).await?;
    let revision = "/metadata/annotations/deployment.kubernetes.io~1revision";
    place.becomes("Deployment/web", revision, &json!("1")).await?;
    place.commits(&[("web.yaml", &WEB.replace("web:1.0", "web:2.0"))]).await?;
    place.becomes("Deployment/web", revision, &json!("2")).await?;
    let message = place.refuses(Who::Alice, "rollout undo deployment/web").await?;
    ensure!(message.contains("web:1.0") && message.contains("web:2.0"), "{message}");

    // Undoing a restart takes away what nobody declared.
    place.accepts(Who::Alice, "rollout restart deployment/web").await?;
    place.becomes("Deployment/web", revision, &json!("3")).await?;
    place.accepts(Who::Alice, "rollout undo deployment/web").await?;
    let restarted = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    place.is("Deployment/web", restarted, Value::Null).await
}
