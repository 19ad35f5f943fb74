//! What the API server's audit log keeps of our verdicts: what was said of whose edit and why, and no value of a Secret.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use k8s_openapi::ByteString;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::guards::{flux, kept_at};
use crate::manifests::{BESIDE, SETTINGS, SLOW, WEB};
use crate::place::{Place, patch, words};
use crate::stage::{PATIENCE, Stage, fragile, tests};
use crate::who::Who;
use crate::world::wait_until;

/// The webhook that judges by Git.
const MANAGED: &str = "managed.holdfast.dev";

pub fn trials() -> Vec<Trial> {
    tests![
        every_verdict_is_in_the_audit_log,
        a_guards_verdict_is_in_the_audit_log,
        no_value_of_a_secret_is_in_the_audit_log
    ]
}

/// What it keeps beside the newest request of that user for this object: the annotations of this webhook, without its name.
async fn annotated(webhook: &str, stage: &Stage, (place, name): (&Place<'_>, &str), user: &str) -> Result<Value> {
    let is_it = |request: &&Value| {
        let of = &request["objectRef"];
        of["namespace"] == place.name.as_str()
            && of["name"] == name
            && request["user"]["username"] == user
            && request["verb"] != "get"
    };
    wait_until("the request is in the audit log", PATIENCE, || async {
        let log = stage.world.audit()?;
        let request = log.iter().rev().find(is_it).context("it is not")?;
        let annotations = request["annotations"].as_object().context("it has no annotations")?;
        let ours = annotations.iter().filter_map(|(key, value)| {
            let (prefix, key) = key.split_once('/')?;
            (prefix == webhook).then_some((key, value))
        });
        Ok(json!(ours.collect::<BTreeMap<_, _>>()))
    })
    .await
}

async fn every_verdict_is_in_the_audit_log() -> Result<()> {
    let stage = fragile().await?;
    for (mode, verdict) in [("Deny", "deny"), ("Warn", "warn"), ("Annotate", "mark")] {
        let name = format!("audited-{verdict}");
        let place = Place::at(&stage, &name, &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |spec| {
            spec["admission"]["mode"] = json!(mode);
        })
        .await?;
        let revision = place.git_sync().await?["status"]["syncedRevision"].take();
        let output = place.run(Who::Alice, &words(SLOW), "").await?;
        ensure!(output.status.success() == (mode != "Deny"), "{output:?}");
        let told = annotated(MANAGED, &stage, (&place, "settings"), "alice").await?;
        let wanted =
            json!({"verdict": verdict, "why": "drift", "team": "shop", "revision": revision, "fields": ".data.mode"});
        ensure!(told == wanted, "{mode}: {told}");
    }
    let place = Place::at(&stage, "audited-glass", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    place.accepts(Who::Oncall, "annotate configmap/settings holdfast.dev/break-glass=INC-1").await?;
    place.accepts(Who::Oncall, SLOW).await?;
    let told = annotated(MANAGED, &stage, (&place, "settings"), "oncall").await?;
    ensure!(
        (&told["verdict"], &told["why"], &told["fields"])
            == (&json!("note"), &json!("break-glass"), &json!(".data.mode")),
        "{told}"
    );
    ensure!(told["team"] == "shop" && told["revision"].is_string(), "{told}");
    Ok(())
}

async fn a_guards_verdict_is_in_the_audit_log() -> Result<()> {
    let stage = fragile().await?;
    let place = kept_at(&stage, &flux(), "audited-flux").await?;
    place.refuses(Who::Alice, "set image deployment/web app=registry.example/web:9").await?;
    let told = annotated("flux.guards.holdfast.dev", &stage, (&place, "web"), "alice").await?;
    let fields = ".spec.template.spec.containers[name=app].image";
    ensure!(
        told == json!({"verdict": "deny", "why": "drift", "team": "shop", "guard": "flux", "fields": fields}),
        "{told}"
    );
    Ok(())
}

async fn no_value_of_a_secret_is_in_the_audit_log() -> Result<()> {
    let (stage, value) = (fragile().await?, "alice>>so??secret~~");
    let place = Place::at(&stage, "audited-secret", &[("beside.yaml", BESIDE)], |_| {}).await?;
    let said = place.refuses(Who::Alice, &patch("secret/token", &json!({"stringData": {"password": value}}))).await?;
    let told = annotated(MANAGED, &stage, (&place, "token"), "alice").await?;
    ensure!(told["verdict"] == "deny" && told["fields"] == ".data.password", "{told}");
    let log = std::fs::read_to_string(stage.world.audit_file())?;
    for value in [value, "correct-horse"] {
        let encoded = json!(ByteString(value.as_bytes().to_vec()));
        let encoded = encoded.as_str().context("it is written in base64")?;
        ensure!(![value, encoded].iter().any(|value| log.contains(value) || said.contains(value)), "{value} is told");
    }
    Ok(())
}
