//! What admission does instead of refusing, and what becomes of fields Git says nothing about.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, SLOW, WEB};
use crate::place::Place;
use crate::stage::{test, tests};
use crate::who::Who;

const COLOUR: &str = r#"patch configmap/settings --type=merge --patch={"data":{"colour":"red"}}"#;

pub fn trials() -> Vec<Trial> {
    let rows = [("Deny", "Deny", true), ("Deny", "Warn", false), ("Deny", "Allow", false), ("Warn", "Deny", false)];
    let rows = rows.map(|(mode, undeclared, refused)| {
        let name = format!("modes::undeclared_{undeclared}_in_mode_{mode}").to_lowercase();
        test(name, move || undeclared_field(mode, undeclared, refused))
    });
    let others = tests![warn_tells_and_heals, annotate_marks, off_says_nothing, a_scale_leaves_no_mark_but_a_record];
    rows.into_iter().chain(others).collect()
}

/// A place with this mode that does not heal, so that one can look at what admission left.
async fn place(name: &str, mode: &str) -> Result<Place<'static>> {
    Place::with(name, &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |spec| {
        spec["admission"]["mode"] = json!(mode);
        spec["syncPolicy"]["automated"]["selfHeal"] = json!(false);
    })
    .await
}

async fn warn_tells_and_heals() -> Result<()> {
    let place =
        Place::with("warn", &[("settings.yaml", SETTINGS)], |spec| spec["admission"]["mode"] = json!("Warn")).await?;
    let warned = place.accepts(Who::Alice, SLOW).await?.stderr;
    for part in ["Warning:", "ConfigMap warn/settings is kept equal to Git", ".data.mode", "warn/settings.yaml:5"] {
        ensure!(warned.contains(part), "it does not say {part:?}: {warned}");
    }
    ensure!(warned.lines().all(|line| line.len() < 140), "a line is too long: {warned}");
    let record = place.record("Warned", "ConfigMap/settings").await?;
    ensure!(record["by"]["user"] == "alice", "{record}");
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await
}

async fn annotate_marks() -> Result<()> {
    let place = place("annotate", "Annotate").await?;
    place.accepts(Who::Alice, SLOW).await?;
    let mark = mark(&place.live("ConfigMap/settings").await?)?;
    ensure!(mark["user"] == "alice" && mark["fields"] == json!([".data.mode"]) && mark["at"].is_string(), "{mark}");
    place.record("Marked", "ConfigMap/settings").await?;
    place.condition("Ready", false, &["1 object"]).await?;

    // Once healing is on, the mark goes with what it spoke of.
    place.sync(|spec| spec["admission"]["mode"] = json!("Annotate")).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    place.is("ConfigMap/settings", "/metadata/annotations/holdfast.dev~1manual-edit", Value::Null).await
}

async fn off_says_nothing() -> Result<()> {
    let place = place("off", "Off").await?;
    let output = place.accepts(Who::Alice, SLOW).await?;
    ensure!(output.stderr.is_empty(), "{}", output.stderr);
    place.accepts(Who::Alice, "delete deployment/web --wait=false").await?;
    ensure!(mark(&place.live("ConfigMap/settings").await?).is_err(), "it was marked");
    for kind in ["Warned", "Marked", "Denied", "Edited"] {
        ensure!(place.records(kind, "ConfigMap/settings")?.is_empty(), "there is a record: {kind}");
    }
    Ok(())
}

/// A `Scale` has no annotations to write on.
async fn a_scale_leaves_no_mark_but_a_record() -> Result<()> {
    let place = place("scale-marked", "Annotate").await?;
    let warned = place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?.stderr;
    ensure!(warned.contains("Warning:"), "it does not tell: {warned}");
    place.is("Deployment/web", "/spec/replicas", json!(5)).await?;
    let record = place.record("Marked", "Deployment/web").await?;
    ensure!(record["fields"][0]["path"] == ".spec.replicas", "{record}");
    Ok(())
}

/// Whatever is let pass as somebody else's business is left alone afterwards; whatever is drift is taken out.
async fn undeclared_field(mode: &str, undeclared: &str, refused: bool) -> Result<()> {
    let name = format!("undeclared-{mode}-{undeclared}").to_lowercase();
    let place = Place::with(&name, &[("settings.yaml", SETTINGS)], |spec| {
        spec["admission"] = json!({"mode": mode, "undeclared": undeclared});
    })
    .await?;
    if refused {
        let message = place.refuses(Who::Alice, COLOUR).await?;
        ensure!(message.contains(".data.colour") && message.contains("Git:  nothing"), "{message}");
        return Ok(());
    }
    let output = place.accepts(Who::Alice, COLOUR).await?;
    ensure!(output.stderr.contains("Warning:") == (undeclared != "Allow"), "{}", output.stderr);
    let left = if undeclared == "Deny" { Value::Null } else { json!("red") };
    place.heals("ConfigMap/settings", "/data/colour", left).await
}

fn mark(object: &Value) -> Result<Value> {
    let mark = object["metadata"]["annotations"]["holdfast.dev/manual-edit"].as_str();
    serde_json::from_str(mark.context("there is no mark")?).context("the mark is no JSON")
}
