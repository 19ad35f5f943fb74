//! What a window closes waits, and happens the moment it opens: once, without anybody doing anything.

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, WEB, config, parsed};
use crate::place::{Place, condition};
use crate::stage::{PATIENCE, fragile, shared, tests};
use crate::who::Who;
use crate::world::{HOLDFAST_NAMESPACE, wait_until};

const SLOW: &str = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#;

pub fn trials() -> Vec<Trial> {
    tests![
        a_restart_in_a_closed_window_holds_to_the_commit_before,
        a_commit_that_waits_after_a_start_keeps_what_was_made_of_it,
        what_a_window_closes_happens_when_it_ends,
        a_new_sync_waits_for_its_first_opening,
        by_hand_where_the_window_permits_it,
        a_window_of_the_policy_closes_whom_it_selects,
        what_never_opens_is_refused,
    ]
}

/// A window that denies all of this, and has begun this minute.
pub fn denied(ends_in: SignedDuration, applies: &Value) -> Value {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let schedule = format!("{} {} * * *", now.minute(), now.hour());
    let seconds = ends_in.as_secs() + i64::from(now.second());
    json!({"kind": "deny", "schedule": schedule, "duration": format!("{seconds}s"), "applies": applies})
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn faster() -> String {
    SETTINGS.replace("fast", "faster")
}

/// Waits until a commit is known and waits.
async fn is_held(place: &Place<'_>, commit: &str) -> Result<Value> {
    place
        .says("the commit waits", async |status| {
            place.stage.is_at(&status["observedRevision"], commit).await?;
            let synced = condition(status, "Synced").context("always there")?;
            ensure!(synced["reason"] == "WindowClosed", "{status}");
            ensure!(status["syncedRevision"] != status["observedRevision"], "{status}");
            Ok(())
        })
        .await
}

async fn what_a_window_closes_happens_when_it_ends() -> Result<()> {
    let files = [("settings.yaml", SETTINGS), ("web.yaml", WEB), ("gone.yaml", &config("gone", "a", "b"))];
    let place = Place::with("window-ends", &files, |spec| {
        spec["admission"]["mode"] = json!("Off");
        spec["syncPolicy"]["automated"]["prune"] = json!(true);
    })
    .await?;
    let prunes = |spec: &mut Value| {
        spec["admission"]["mode"] = json!("Off");
        spec["syncPolicy"]["automated"]["prune"] = json!(true);
    };
    let window = denied(SignedDuration::from_secs(25), &json!(["sync", "heal", "prune"]));
    place
        .sync(|spec| {
            prunes(spec);
            spec["syncWindows"] = json!([window]);
        })
        .await?;
    place.condition("WindowClosed", true, &["sync: window", "heal: window", "nothing waits"]).await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.write(&[("settings.yaml", &faster())]).await?;
    let commit = place.remove(&["gone.yaml"]).await?;
    is_held(&place, &commit).await?;
    place.condition("WindowClosed", true, &["waiting: commit", "1 object(s) that differ"]).await?;
    let status = place.git_sync().await?["status"].clone();
    let why = status["drift"][0]["why"].as_str().unwrap_or_default().to_owned();
    ensure!(why.contains("spec.syncWindows[0] (deny") && why.contains("closed until 20"), "{status}");
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    place.is("Deployment/web", "/spec/replicas", json!(5)).await?;
    place.is("ConfigMap/gone", "/data/a", json!("b")).await?;
    ensure!(place.stage.metric("holdfast_windows_waited_for").await? > 0, "nobody is said to wait");
    // Nothing is done now but wait.
    place.is_synced(&commit).await?;
    place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await?;
    place.becomes("ConfigMap/gone", "", &Value::Null).await?;
    place.rests("ConfigMap/settings").await?;
    ensure!(place.records("Applied", "ConfigMap/settings")?.len() == 2, "it was not applied once");
    ensure!(place.records("Healed", "Deployment/web")?.len() == 1, "it was not healed once");
    let status = place.git_sync().await?["status"].clone();
    ensure!(condition(&status, "WindowClosed").is_none(), "{status}");
    Ok(())
}

async fn a_restart_in_a_closed_window_holds_to_the_commit_before() -> Result<()> {
    let stage = fragile().await?;
    let files = [("settings.yaml", SETTINGS), ("web.yaml", WEB)];
    let place = Place::at(&stage, "window-restart", &files, |spec| {
        spec["admission"]["mode"] = json!("Deny");
    })
    .await?;
    place.sync(|spec| spec["syncWindows"] = json!([denied(HOUR, &json!(["sync"]))])).await?;
    place.condition("WindowClosed", true, &[]).await?;
    let commit = place.write(&[("settings.yaml", &faster())]).await?;
    is_held(&place, &commit).await?;
    stage.world.stop_holdfast().await?;
    let asked = stage.world.audit()?.len();
    stage.world.start_holdfast().await?;
    is_held(&place, &commit).await?;
    // The guard and the healer hold to what is synced, not to what waits.
    let dry = format!("{SLOW} --dry-run=server");
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, &dry)).await?;
    let said = place.refuses(Who::Alice, &SLOW.replace("slow", "faster")).await?;
    ensure!(said.contains("fast"), "{said}");
    let ours = |request: &Value| {
        request["objectRef"]["namespace"] == "window-restart"
            && ["patch", "update", "create", "delete"].iter().any(|verb| request["verb"] == *verb)
            && request["user"]["username"] == crate::world::Person::Holdfast.name()
            && !request["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun"))
    };
    let wrote: Vec<_> = stage.world.audit()?.into_iter().skip(asked).filter(ours).collect();
    ensure!(wrote.is_empty(), "it wrote: {wrote:#?}");
    place.accepts(Who::Collector, SLOW).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    place.sync(|spec| spec["syncWindows"] = json!([])).await?;
    place.is_synced(&commit).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await
}

/// Killed in the middle of a commit, Holdfast starts again in a closed window, where the commit before is in force.
async fn a_commit_that_waits_after_a_start_keeps_what_was_made_of_it() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "window-half", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |_| {}).await?;
    place.sync(|spec| spec["syncWindows"] = json!([denied(HOUR, &json!(["sync"]))])).await?;
    place.condition("WindowClosed", true, &[]).await?;
    stage.world.stop_holdfast().await?;
    let mut half = parsed(&config("half", "a", "b"));
    half["metadata"]["labels"] = json!({"holdfast.dev/managed": "true"});
    half["metadata"]["annotations"] =
        json!({"holdfast.dev/tracking-id": "holdfast-system/window-half:/ConfigMap:window-half/half"});
    place.run(Who::Administrator, &["apply", "--server-side", "-f", "-"], &half.to_string()).await?.success()?;
    let uid = place.live("ConfigMap/half").await?["metadata"]["uid"].clone();
    let commit = place.write(&[("half.yaml", &config("half", "a", "b"))]).await?;
    stage.world.start_holdfast().await?;
    is_held(&place, &commit).await?;
    place.looks_again().await?;
    // The commit before is in force: what it says is healed. A sight of the other one deletes it neither.
    place.accepts(Who::Collector, SLOW).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    place.accepts(Who::Administrator, "label configmap/half touched=yes").await?;
    place.looks_again().await?;
    place.is("ConfigMap/half", "/metadata/uid", uid.clone()).await?;
    place.sync(|spec| spec["syncWindows"] = json!([])).await?;
    place.is_synced(&commit).await?;
    place.is("ConfigMap/half", "/metadata/uid", uid).await?;
    // And what leaves Git by a commit that need not wait still goes.
    place.remove(&["half.yaml"]).await?;
    place.becomes("ConfigMap/half", "", &Value::Null).await
}

async fn a_new_sync_waits_for_its_first_opening() -> Result<()> {
    let place = Place::empty(shared().await?, "window-first").await?;
    let commit = place.write(&[("settings.yaml", SETTINGS)]).await?;
    let window = denied(SignedDuration::from_secs(20), &json!(["sync"]));
    place.sync(|spec| spec["syncWindows"] = json!([window])).await?;
    is_held(&place, &commit).await?;
    place.is("ConfigMap/settings", "/data/mode", Value::Null).await?;
    place.is_synced(&commit).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await
}

async fn by_hand_where_the_window_permits_it() -> Result<()> {
    let place = Place::new("window-hand", &[("settings.yaml", SETTINGS)]).await?;
    let mut window = denied(HOUR, &json!(["sync"]));
    place.sync(|spec| spec["syncWindows"] = json!([window])).await?;
    place.condition("WindowClosed", true, &[]).await?;
    let commit = place.write(&[("settings.yaml", &faster())]).await?;
    is_held(&place, &commit).await?;
    let newest = place.git_sync().await?["status"]["observedRevision"].as_str().context("a SHA")?[..10].to_owned();
    let asked = format!("holdfast.dev/sync-now={newest}");
    let ask = ["annotate", "gitsync", &place.name, "--namespace", HOLDFAST_NAMESPACE, "--overwrite", &asked];
    place.run(Who::Administrator, &ask, "").await?.success()?;
    is_held(&place, &commit).await?;
    // What else the spec says holds at once, for the commit that is in force.
    place
        .sync(|spec| {
            spec["syncWindows"] = json!([window]);
            spec["admission"]["mode"] = json!("Warn");
        })
        .await?;
    wait_until("the mode is another", PATIENCE, || place.accepts(Who::Alice, SLOW)).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    window["manualSync"] = json!(true);
    place.sync(|spec| spec["syncWindows"] = json!([window])).await?;
    // Others commit, too: by the time it is asked for, the newest may be another.
    wait_until("it is synced by hand", PATIENCE, || async {
        let status = place.git_sync().await?["status"].clone();
        let newest = status["observedRevision"].as_str().context("a SHA")?.to_owned();
        let asked = format!("holdfast.dev/sync-now={newest}");
        let ask = ["annotate", "gitsync", &place.name, "--namespace", HOLDFAST_NAMESPACE, "--overwrite", &asked];
        place.run(Who::Administrator, &ask, "").await?.success()?;
        place.stage.is_at(&place.git_sync().await?["status"]["syncedRevision"], &commit).await
    })
    .await?;
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await?;
    let told = |record: &Value| {
        record["sync"] == "holdfast-system/window-hand"
            && record["kind"] == "WindowOpened"
            && record["reason"].as_str().is_some_and(|reason| reason.contains("by hand"))
    };
    ensure!(place.stage.world.records()?.iter().any(told), "no record says that it was by hand");
    let later = place.write(&[("settings.yaml", SETTINGS)]).await?;
    is_held(&place, &later).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await
}

async fn a_window_of_the_policy_closes_whom_it_selects() -> Result<()> {
    let stage = fragile().await?;
    let off = |spec: &mut Value| spec["admission"]["mode"] = json!("Off");
    let place = Place::at(&stage, "policy-window", &[("settings.yaml", SETTINGS)], off).await?;
    let other = Place::at(&stage, "other-window", &[("settings.yaml", SETTINGS)], off).await?;
    let mut window = denied(HOUR, &json!(["heal"]));
    window["names"] = json!(["policy-*"]);
    let patch = async |windows: Value| {
        let patch = json!({"spec": {"syncWindows": windows}}).to_string();
        let line = ["patch", "driftpolicy/default", "--type=merge", "--patch", &patch];
        stage.world.kubectl(Who::Administrator.person(), &line).await?.success().map(drop)
    };
    patch(json!([window])).await?;
    let closed = async {
        place.condition("WindowClosed", true, &["heal: window spec.syncWindows[0] of DriftPolicy default"]).await?;
        place.accepts(Who::Alice, SLOW).await?;
        other.accepts(Who::Alice, SLOW).await?;
        other.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
        // Commits are not held by a window for heals.
        place.commits(&[("more.yaml", &config("more", "a", "b"))]).await?;
        place.condition("WindowClosed", true, &["1 object(s) that differ"]).await?;
        place.is("ConfigMap/settings", "/data/mode", json!("slow")).await
    };
    let closed = closed.await;
    patch(json!([])).await?;
    closed?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await
}

async fn what_never_opens_is_refused() -> Result<()> {
    let place = Place::new("window-never", &[("settings.yaml", SETTINGS)]).await?;
    let window = json!({"kind": "deny", "schedule": "0 0 * * *", "duration": "24h", "applies": ["heal"]});
    let patch = json!({"spec": {"syncWindows": [window]}}).to_string();
    let line = ["patch", "gitsync", &place.name, "--namespace", HOLDFAST_NAMESPACE, "--type=merge", "--patch", &patch];
    let said = place.run(Who::Administrator, &line, "").await?.stderr;
    ensure!(said.contains("never lets it heal"), "{said}");
    Ok(())
}
