//! Every way kubectl knows of moving an object away from Git, and who may not take it.
//!
//! Nothing refused changes anything, so one place serves all rows. Each is asked twice, once as a dry run: the verdict must not
//! depend on that.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::manifests::{AUTOSCALER, BESIDE, SETTINGS, WEB, parsed};
use crate::place::{Place, patch};
use crate::stage::{test, tests};
use crate::who::Who;

/// A name, who, and the line after `kubectl`. For `edit`, what follows the `|` is what the editor does.
type Row = (&'static str, Who, &'static str);

const ROWS: &[Row] = &[
    ("scale", Who::Alice, "scale deployment/web --replicas=5"),
    ("scale_down", Who::Alice, "scale deployment/web --replicas=0"),
    ("set_image", Who::Alice, "set image deployment/web app=registry.example/web:2.0"),
    ("set_env", Who::Alice, "set env deployment/web LOG_LEVEL=debug"),
    ("set_env_that_git_does_not_have", Who::Alice, "set env deployment/web EXTRA=1"),
    ("set_env_removes", Who::Alice, "set env deployment/web LOG_LEVEL-"),
    ("set_resources", Who::Alice, "set resources deployment/web --requests=cpu=2"),
    ("set_limits_that_git_does_not_have", Who::Alice, "set resources deployment/web --limits=cpu=2"),
    ("set_selector", Who::Alice, "set selector service/web app=other"),
    ("set_service_account", Who::Alice, "set serviceaccount deployment/web robot"),
    (
        "patch_strategic",
        Who::Alice,
        r#"patch deployment/web --patch={"spec":{"template":{"spec":{"containers":[{"name":"app","image":"a:2"}]}}}}"#,
    ),
    (
        "patch_adds_a_container",
        Who::Alice,
        r#"patch deployment/web --patch={"spec":{"template":{"spec":{"containers":[{"name":"mine","image":"a:2"}]}}}}"#,
    ),
    ("patch_merge", Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#),
    ("patch_merge_removes", Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"mode":null}}"#),
    ("patch_merge_adds", Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"colour":"red"}}"#),
    (
        "patch_json",
        Who::Alice,
        r#"patch configmap/settings --type=json --patch=[{"op":"replace","path":"/data/mode","value":"slow"}]"#,
    ),
    (
        "patch_json_removes_all",
        Who::Alice,
        r#"patch configmap/settings --type=json --patch=[{"op":"remove","path":"/data"}]"#,
    ),
    (
        "patch_the_scale",
        Who::Alice,
        r#"patch deployment/web --subresource=scale --type=merge --patch={"spec":{"replicas":7}}"#,
    ),
    ("patch_a_secret", Who::Alice, r#"patch secret/token --type=merge --patch={"stringData":{"password":"mine"}}"#),
    (
        "patch_a_role",
        Who::Alice,
        r#"patch role/reader --type=json --patch=[{"op":"add","path":"/rules/0/verbs/-","value":"list"}]"#,
    ),
    (
        "patch_through_an_older_version",
        Who::Alice,
        r#"patch horizontalpodautoscalers.v1.autoscaling/web --type=merge --patch={"spec":{"maxReplicas":50}}"#,
    ),
    ("label_that_git_has", Who::Alice, "label deployment/web app=other --overwrite"),
    ("label_that_git_has_taken_off", Who::Alice, "label deployment/web app-"),
    ("annotate_what_git_has", Who::Alice, "annotate deployment/web team=mine --overwrite"),
    ("rollout_pause", Who::Alice, "rollout pause deployment/web"),
    ("delete", Who::Alice, "delete configmap/settings --wait=false"),
    ("delete_orphaning", Who::Alice, "delete deployment/web --cascade=orphan --wait=false"),
    ("delete_by_force", Who::Alice, "delete deployment/web --grace-period=0 --force --wait=false"),
    ("delete_by_label", Who::Alice, "delete deployment --selector=app=web --wait=false"),
    ("delete_all", Who::Alice, "delete services --all --wait=false"),
    ("delete_the_namespace", Who::Alice, "delete namespace refused --wait=false"),
    ("delete_the_namespace_as_administrator", Who::Administrator, "delete namespace refused --wait=false"),
    (
        "delete_the_definition_of_what_git_declares",
        Who::Administrator,
        "delete customresourcedefinition/gadgets.example.com --wait=false",
    ),
    ("scale_by_oncall_without_a_break_glass", Who::Oncall, "scale deployment/web --replicas=5"),
    ("delete_by_oncall_without_a_break_glass", Who::Oncall, "delete configmap/settings --wait=false"),
    ("scale_by_the_administrator", Who::Administrator, "scale deployment/web --replicas=5"),
    ("delete_by_the_administrator", Who::Administrator, "delete deployment/web --wait=false"),
    ("scale_by_a_program", Who::Automation, "scale deployment/web --replicas=5"),
    ("set_image_by_a_program", Who::Automation, "set image deployment/web app=registry.example/web:2.0"),
    ("delete_by_a_program", Who::Automation, "delete configmap/settings --wait=false"),
];

pub fn trials() -> Vec<Trial> {
    let rows = ROWS.iter().map(|(name, who, line)| test(format!("refused::{name}"), move || both_times(*who, line)));
    let others = tests![
        edit,
        apply_client_side,
        apply_server_side_by_force,
        replace,
        replace_by_force,
        delete_a_collection,
        the_message_says_what_to_do,
        a_secret_is_not_told,
        a_dry_run_leaves_no_record,
    ];
    rows.chain(others).collect()
}

/// The place all rows share.
async fn place() -> Result<&'static Place<'static>> {
    static PLACE: OnceCell<Place<'static>> = OnceCell::const_new();
    let files = [("web.yaml", WEB), ("settings.yaml", SETTINGS), ("hpa.yaml", AUTOSCALER), ("beside.yaml", BESIDE)];
    PLACE.get_or_try_init(async || Place::new("refused", &files).await).await
}

async fn both_times(who: Who, line: &str) -> Result<()> {
    let place = place().await?;
    let real = place.refuses(who, line).await?;
    if line == "rollout pause deployment/web" {
        return Ok(()); // kubectl offers no dry run of it
    }
    let dry = place.refuses(who, &format!("{line} --dry-run=server")).await?;
    let first = |text: &str| text.lines().find(|line| line.contains("denied")).map(str::to_owned);
    ensure!(first(&dry) == first(&real), "the dry run said {dry}, but then it said {real}");
    Ok(())
}

async fn both_times_with(line: &str, input: &Value) -> Result<()> {
    let place = place().await?;
    place.refuses_input(Who::Alice, &format!("{line} --dry-run=server"), input).await?;
    place.refuses_input(Who::Alice, line, input).await.map(drop)
}

/// What Git says, with one thing changed.
fn slow() -> Value {
    let mut settings = parsed(SETTINGS);
    settings["data"]["mode"] = json!("slow");
    settings
}

async fn edit() -> Result<()> {
    let place = place().await?;
    let output = place.run(Who::Alice, &["edit", "configmap/settings"], "s/mode: fast/mode: slow/").await?;
    let refusal = output.refusal()?;
    ensure!(refusal.contains("denied the request") && refusal.contains("settings.yaml:5"), "{refusal}");
    Ok(())
}

async fn apply_client_side() -> Result<()> {
    both_times_with("apply --filename=-", &slow()).await
}

async fn apply_server_side_by_force() -> Result<()> {
    both_times_with("apply --server-side --force-conflicts --filename=-", &slow()).await
}

async fn replace() -> Result<()> {
    let mut live = place().await?.live("ConfigMap/settings").await?;
    live["data"]["mode"] = json!("slow");
    if let Some(metadata) = live["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    both_times_with("replace --filename=-", &live).await
}

/// It deletes and creates; the first is refused already.
async fn replace_by_force() -> Result<()> {
    place().await?.refuses_input(Who::Alice, "replace --force --wait=false --filename=-", &slow()).await.map(drop)
}

/// `deletecollection` names no object in its reviews. kubectl never asks for one: its `--all` is many deletions.
async fn delete_a_collection() -> Result<()> {
    let place = place().await?;
    place.refuses(Who::Alice, "delete --raw /api/v1/namespaces/refused/secrets").await?;
    place.is("Secret/token", "/kind", json!("Secret")).await
}

async fn the_message_says_what_to_do() -> Result<()> {
    let place = place().await?;
    let revision = async || {
        anyhow::Ok(place.git_sync().await?["status"]["observedRevision"].as_str().unwrap_or_default()[..7].to_owned())
    };
    let before = revision().await?;
    let message = place.refuses(Who::Alice, "scale deployment/web --replicas=5").await?;
    let after = revision().await?;
    let repository = place.stage.world.git_url()?;
    let wanted = [
        "Deployment.apps refused/web is kept equal to Git",
        ".spec.replicas",
        "Git:  3   (refused/web.yaml:8)",
        "this: 5",
        &repository,
        "refused/web.yaml:8 in ",
        "commit to main (GitSync holdfast-system/refused applies it)",
        "kubectl annotate -n refused deployment.apps/web --overwrite holdfast.dev/break-glass=",
    ];
    for part in wanted {
        ensure!(message.contains(part), "it does not say {part:?}: {message}");
    }
    // Others commit all the time, and a commit that changes nothing here is a newer place to read the same.
    ensure!(message.contains(&before) || message.contains(&after), "it names neither {before} nor {after}: {message}");
    Ok(())
}

async fn a_secret_is_not_told() -> Result<()> {
    let change = patch("secret/token", &json!({"stringData": {"password": "battery-staple"}}));
    let message = place().await?.refuses(Who::Alice, &change).await?;
    let told = ["correct-horse", "battery-staple", "Y29ycmVjdC1ob3JzZQ", "YmF0dGVyeS1zdGFwbGU"];
    ensure!(!told.iter().any(|secret| message.contains(secret)), "it tells: {message}");
    ensure!(message.contains("password"), "it does not say which: {message}");
    Ok(())
}

async fn a_dry_run_leaves_no_record() -> Result<()> {
    let place = Place::new("dry-run", &[("settings.yaml", SETTINGS)]).await?;
    let change = patch("configmap/settings", &json!({"data": {"mode": "dry"}}));
    place.refuses(Who::Alice, &format!("{change} --dry-run=server")).await?;
    let change = patch("configmap/settings", &json!({"data": {"mode": "wet"}}));
    place.refuses(Who::Alice, &change).await?;
    let denied = place.record("Denied", "ConfigMap/settings").await?;
    ensure!(
        denied["fields"] == json!([{"path": ".data.mode", "git": "fast", "live": "wet", "why": "changed"}]),
        "{denied}"
    );
    ensure!(denied["by"]["user"] == "alice" && denied["verb"] == "UPDATE" && denied["line"] == 5, "{denied}");
    ensure!(place.records("Denied", "ConfigMap/settings")?.len() == 1, "the dry run was recorded as well");
    Ok(())
}
