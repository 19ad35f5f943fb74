//! What production does to Holdfast: it is stopped, its webhook is switched off, Git is down, the API server restarts. One after the other,
//! in a world of their own, where every request the API server gets is written down.

use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::guards;
use crate::manifests::{SETTINGS, WEB, config, parsed};
use crate::place::Place;
use crate::stage::{PATIENCE, Stage, fragile, tests};
use crate::troupe::troupe;
use crate::waves::{READY, in_wave, pod};
use crate::who::Who;
use crate::world::{HOLDFAST_NAMESPACE, Person, wait_until};

const SLOW: &str = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#;
const BOTH: &[(&str, &str)] = &[("settings.yaml", SETTINGS), ("web.yaml", WEB)];

pub fn trials() -> Vec<Trial> {
    tests![
        what_drifts_while_it_is_down_is_healed_afterwards,
        what_left_git_while_it_was_down_is_pruned_afterwards,
        what_is_withheld_from_pruning_is_guarded_and_healed_after_a_start,
        what_a_broken_file_declared_is_guarded_after_a_start,
        a_kind_and_the_commit_are_known_before_the_first_write,
        a_commit_that_was_begun_goes_on_though_the_next_is_refused,
        the_first_commit_that_was_begun_goes_on_though_the_next_is_refused,
        a_restart_without_drift_writes_nothing_and_asks_nothing,
        without_its_webhooks_everything_slips_and_is_healed,
        git_unreachable_changes_nothing_but_the_status,
        a_start_without_git_guards_what_was_known,
        a_start_without_git_deletes_nothing,
        the_api_server_restarts,
        where_no_lists_are_streamed_they_are_paged,
        a_quiet_cluster_is_asked_nothing,
        an_emergency_on_what_flux_keeps_outlives_a_restart,
        an_end_after_a_restart_leaves_what_others_declare,
    ]
}

async fn what_drifts_while_it_is_down_is_healed_afterwards() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "down", BOTH, |_| {}).await?;
    stage.world.stop_holdfast().await?;
    // Its webhooks are still there, and nobody answers them.
    place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.accepts(Who::Alice, "label configmap/settings holdfast.dev/managed-").await?;
    place.accepts(Who::Alice, SLOW).await?;
    stage.world.start_holdfast().await?;
    place.heals("Deployment/web", "/spec/replicas", json!(3)).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    place.is("ConfigMap/settings", "/metadata/labels/holdfast.dev~1managed", json!("true")).await?;
    let healed = place.record("Healed", "Deployment/web").await?;
    ensure!(healed["by"]["manager"] == "kubectl", "{healed}");
    place.refuses(Who::Alice, SLOW).await.map(drop)
}

async fn what_left_git_while_it_was_down_is_pruned_afterwards() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(
        &stage,
        "down-pruned",
        &[("settings.yaml", SETTINGS), ("two.yaml", &config("two", "a", "b")), ("web.yaml", WEB)],
        |_| {},
    )
    .await?;
    stage.world.stop_holdfast().await?;
    // With the last Deployment goes the last mention of its kind.
    let commit = place.remove(&["web.yaml"]).await?;
    stage.world.start_holdfast().await?;
    place.becomes("Deployment/web", "", &Value::Null).await?;
    place.is_synced(&commit).await?;
    place.is("ConfigMap/two", "/data/a", json!("b")).await
}

const GONE: &str = r#"patch configmap/gone --type=merge --patch={"data":{"a":"c"}}"#;

/// What leaves Git all at once stays as it was declared until somebody confirms that it may go.
async fn what_is_withheld_from_pruning_is_guarded_and_healed_after_a_start() -> Result<()> {
    let stage = fragile().await?;
    let gone = config("gone", "a", "b");
    let files = [("settings.yaml", SETTINGS), ("gone.yaml", &*gone), ("web.yaml", WEB)];
    let place = Place::at(&stage, "withheld", &files, |_| {}).await?;
    let commit = place.remove(&["gone.yaml", "web.yaml"]).await?;
    let withheld = ["2 of 3 objects", "holdfast.dev/confirm-prune="];
    place.condition("Ready", false, &withheld).await?;
    place.refuses(Who::Alice, GONE).await?;
    stage.world.stop_holdfast().await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?;
    stage.world.start_holdfast().await?;
    place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await?;
    place.condition("Ready", false, &withheld).await?;
    let said = place.refuses(Who::Alice, GONE).await?;
    ensure!(said.contains("withheld/gone.yaml"), "{said}");
    place.accepts(Who::Collector, GONE).await?;
    place.becomes("ConfigMap/gone", "/data/a", &json!("b")).await?;

    let confirmation = format!("holdfast.dev/confirm-prune={}", &commit[..12]);
    let line = ["annotate", "gitsync", "withheld", "--namespace", HOLDFAST_NAMESPACE, &confirmation];
    place.run(Who::Administrator, &line, "").await?.success()?;
    place.is_synced(&commit).await?;
    ensure!(place.live("Deployment/web").await?.is_null(), "it is still there");
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await
}

async fn what_a_broken_file_declared_is_guarded_after_a_start() -> Result<()> {
    let stage = fragile().await?;
    let gone = config("gone", "a", "b");
    let place = Place::at(&stage, "broken-start", &[("settings.yaml", SETTINGS), ("gone.yaml", &gone)], |_| {}).await?;
    place.write(&[("gone.yaml", "{ this is no YAML")]).await?;
    place.condition("Ready", false, &["broken-start/gone.yaml"]).await?;
    place.refuses(Who::Alice, GONE).await?;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await?;
    place.condition("Ready", false, &["broken-start/gone.yaml"]).await?;
    let dry = format!("{GONE} --dry-run=server");
    wait_until("it is guarded again", PATIENCE, || place.refuses(Who::Alice, &dry)).await?;
    place.accepts(Who::Collector, GONE).await?;
    place.becomes("ConfigMap/gone", "/data/a", &json!("b")).await
}

/// Killed in between, it would never look for one that leaves Git before the next start, nor know what it was about to do.
async fn a_kind_and_the_commit_are_known_before_the_first_write() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "kinds", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    for commit in [("web.yaml", WEB), ("settings.yaml", &SETTINGS.replace("fast", "slow"))] {
        let asked = stage.world.audit()?.len();
        place.commits(&[commit]).await?;
        let writes = writes(&stage, asked)?;
        let first = |is: &dyn Fn(&Value) -> bool| writes.iter().position(is);
        let known = first(&|request| {
            request["objectRef"]["name"] == "kinds" && request["objectRef"]["subresource"] == "status"
        });
        let is_real = |request: &Value| !request["requestURI"].to_string().contains("dryRun=All");
        let written = first(&|request| request["objectRef"]["namespace"] == "kinds" && is_real(request));
        ensure!(known.is_some() && written.is_some() && known < written, "{known:?}, {written:?}: {writes:#?}");
    }
    Ok(())
}

async fn a_commit_that_was_begun_goes_on_though_the_next_is_refused() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "begun", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    goes_on_though_the_next_is_refused(&place).await
}

/// There is no commit the cluster was ever equal to.
async fn the_first_commit_that_was_begun_goes_on_though_the_next_is_refused() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::empty(&stage, "begun-first").await?;
    place.write(&[("settings.yaml", SETTINGS)]).await?;
    goes_on_though_the_next_is_refused(&place).await
}

/// It waits for a Pod when Holdfast ends, and before the next start somebody pushes what is no good.
async fn goes_on_though_the_next_is_refused(place: &Place<'_>) -> Result<()> {
    let stage = place.stage;
    let (slow, late) = (SETTINGS.replace("fast", "slow"), in_wave("late", "holdfast.dev/wave", 1).to_string());
    let commit = place.write(&[("settings.yaml", &slow), ("db.yaml", &pod("db")), ("late.yaml", &late)]).await?;
    place.sync(|_| {}).await?;
    place.condition("Synced", false, &["waits for Pod"]).await?;
    stage.world.kill_holdfast().await?;
    place.write(&[("wrong.yaml", &config("wrong", "a", "b").replace(r#""data""#, r#""dataa""#))]).await?;
    stage.world.start_holdfast().await?;
    place.condition("Ready", false, &["was refused", "dataa"]).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("slow")).await?;
    place.rests("ConfigMap/settings").await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(status["enforcedRevision"] == *commit, "{status}");
    place.refuses(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"fast"}}"#).await?;
    place.accepts(Who::Administrator, &format!("patch pod/db {READY}")).await?;
    place.becomes("ConfigMap/late", "/data/a", &json!("b")).await?;
    place.condition("Ready", false, &["was refused"]).await
}

async fn a_restart_without_drift_writes_nothing_and_asks_nothing() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "undrifted", BOTH, |_| {}).await?;
    let beside = crate::manifests::BESIDE;
    place.commits(&[("beside.yaml", beside), ("hpa.yaml", crate::manifests::AUTOSCALER)]).await?;
    stage.world.stop_holdfast().await?;
    let asked = stage.world.audit()?.len();
    stage.world.start_holdfast().await?;
    place.looks_again().await?;
    let ours: Vec<_> =
        writes(&stage, asked)?.into_iter().filter(|request| request["objectRef"]["namespace"] == "undrifted").collect();
    ensure!(ours.is_empty(), "it wrote, or asked as a dry run: {ours:#?}");
    let dry_runs = stage.metric(r#"holdfast_api_calls_total{verb="dry-run"}"#).await?;
    ensure!(dry_runs == 0, "it asked {dry_runs} times what something means");
    Ok(())
}

async fn without_its_webhooks_everything_slips_and_is_healed() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "away", BOTH, |_| {}).await?;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast_with(&["--webhook=off"]).await?;
    let left = ["get", "validatingwebhookconfigurations,mutatingwebhookconfigurations", "--output=name"];
    let left = stage.world.kubectl(Person::Administrator, &left).await?.success()?;
    ensure!(!left.contains("/holdfast"), "configurations that nobody answers for: {left}");
    wait_until("edits slip", PATIENCE, || place.accepts(Who::Alice, "scale deployment/web --replicas=5")).await?;
    place.record("Healed", "Deployment/web").await?;
    place.heals("Deployment/web", "/spec/replicas", json!(3)).await?;
    place.accepts(Who::Alice, "delete configmap/settings").await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    place.accepts(Who::Alice, "label configmap/settings holdfast.dev/managed-").await?;
    place.heals("ConfigMap/settings", "/metadata/labels/holdfast.dev~1managed", json!("true")).await?;
    guarded_after_restart(&stage, &place).await
}

/// This API server streams none, and says so to whoever asks; everything works all the same. Others stream.
async fn where_no_lists_are_streamed_they_are_paged() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "paged", BOTH, |_| {}).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    let refused = streamed(&stage)?;
    ensure!(!refused.is_empty() && refused.iter().all(|code| *code == 422), "answered with {refused:?}");
    let streaming = streamed(&troupe().await?.stage)?;
    ensure!(!streaming.is_empty() && streaming.iter().all(|code| *code == 200), "answered with {streaming:?}");
    Ok(())
}

/// What the API server answered to Holdfast's questions for streamed lists of what is managed.
fn streamed(stage: &Stage) -> Result<Vec<u64>> {
    let asks = |request: &Value| {
        let uri = request["requestURI"].as_str().unwrap_or_default();
        uri.starts_with("/api/v1/configmaps?") && uri.contains("sendInitialEvents=true") && uri.contains("holdfast.dev")
    };
    let asked = stage.world.audit()?.into_iter().filter(asks);
    Ok(asked.filter_map(|request| request["responseStatus"]["code"].as_u64()).collect())
}

async fn git_unreachable_changes_nothing_but_the_status() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "no-git", BOTH, |_| {}).await?;
    stage.world.stop_git().await?;
    place.condition("Ready", false, &[]).await?;
    place.refuses(Who::Alice, SLOW).await?;
    place.accepts(Who::Collector, SLOW).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place
        .says("it says why", async |status| {
            let synced = crate::place::condition(status, "Synced").cloned().unwrap_or_default();
            ensure!(synced["reason"] == "GitUnreachable", "its status is {status}");
            Ok(())
        })
        .await?;
    stage.world.start_git().await?;
    place.condition("Ready", true, &[]).await?;
    place.commits(&[("settings.yaml", &SETTINGS.replace("fast", "slow"))]).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("slow")).await
}

/// The last commit it had is better than none.
async fn a_start_without_git_guards_what_was_known() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "start-without-git", BOTH, |_| {}).await?;
    stage.world.stop_holdfast().await?;
    stage.world.stop_git().await?;
    place.accepts(Who::Collector, "scale deployment/web --replicas=5").await?;
    stage.world.start_holdfast().await?;
    place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await?;
    place.condition("Ready", false, &[]).await?;
    place.refuses(Who::Alice, SLOW).await?;
    stage.world.start_git().await?;
    place.condition("Ready", true, &[]).await
}

/// Killed in the middle of a commit of which its status says nothing yet: what was made of that carries our marks, and the last
/// commit known does not declare it. Only Git knows that the newest one does.
async fn a_start_without_git_deletes_nothing() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "start-half", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |spec| {
        spec["syncPolicy"]["automated"]["prune"] = json!(true);
    })
    .await?;
    // Nothing is pruned before the last of all syncs was read: let this be the last.
    stage.forget_all_but("start-half").await?;
    stage.world.stop_holdfast().await?;
    let made = async |name: &str| {
        let mut half = parsed(&config(name, "a", "b"));
        half["metadata"]["labels"] = json!({"holdfast.dev/managed": "true"});
        let id = format!("holdfast-system/start-half:/ConfigMap:start-half/{name}");
        half["metadata"]["annotations"] = json!({"holdfast.dev/tracking-id": id});
        place.run(Who::Administrator, &["apply", "--server-side", "-f", "-"], &half.to_string()).await?.success()?;
        place.live(&format!("ConfigMap/{name}")).await.map(|live| live["metadata"]["uid"].clone())
    };
    let (half, stray) = (made("half").await?, made("stray").await?);
    let commit = place.write(&[("half.yaml", &config("half", "a", "b"))]).await?;
    stage.world.stop_git().await?;
    let started = stage.world.start_holdfast().await;
    let without = async {
        started?;
        place.accepts(Who::Collector, "scale deployment/web --replicas=5").await?;
        place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await?;
        place.condition("Ready", false, &["failed to reach"]).await?;
        place.is("ConfigMap/half", "/metadata/uid", half.clone()).await?;
        place.is("ConfigMap/stray", "/metadata/uid", stray).await
    };
    let without = without.await;
    stage.world.start_git().await?;
    without?;
    place.is_synced(&commit).await?;
    place.becomes("ConfigMap/stray", "", &Value::Null).await?;
    place.is("ConfigMap/half", "/metadata/uid", half).await?;
    stage.declare_every_kind().await
}

async fn the_api_server_restarts() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "api-server", BOTH, |_| {}).await?;
    stage.world.restart_api_server().await?;
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, "delete configmap/settings --dry-run=server"))
        .await?;
    place.accepts(Who::Collector, SLOW).await?;
    place.accepts(Who::Collector, "delete deployment/web").await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await?;
    place.commits(&[("settings.yaml", &SETTINGS.replace("fast", "slow"))]).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("slow")).await
}

/// Only Git is asked while nothing happens. Watches are opened anew every five minutes, which is more than this looks at.
async fn a_quiet_cluster_is_asked_nothing() -> Result<()> {
    let stage = fragile().await?;
    // A Secret that is named costs nothing either, once it was read.
    let metadata = json!({"name": "quiet-repo", "namespace": HOLDFAST_NAMESPACE});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": "t0ken"}});
    stage.world.apply(&secret).await?;
    let with_secret = |spec: &mut Value| spec["source"]["secretRef"] = json!({"name": "quiet-repo"});
    let place = Place::at(&stage, "quiet", BOTH, with_secret).await?;
    place.rests("Deployment/web").await?;
    let fetched = || stage.metric(r#"holdfast_git_fetches_total{outcome="success"}"#);
    let syncs = stage.metric(r#"holdfast_syncs{ready="true"}"#).await?;
    settled(&stage, &fetched, syncs).await?;
    let (before, start) = (stage.api_calls().await?, fetched().await?);
    after_fetches(&fetched, start + 2 * syncs).await?;
    let after = stage.api_calls().await?;
    ensure!(before == after, "it asked: {before:#?} became {after:#?}");
    Ok(())
}

/// Pods of new Deployments and statuses of the last commit come to rest within a look or two at Git.
async fn settled<F: Future<Output = Result<u64>>>(stage: &Stage, fetched: &impl Fn() -> F, syncs: u64) -> Result<()> {
    wait_until("it comes to rest", PATIENCE, || async {
        let (before, start) = (stage.api_calls().await?, fetched().await?);
        after_fetches(fetched, start + syncs).await?;
        ensure!(before == stage.api_calls().await?, "it is busy");
        Ok(())
    })
    .await
}

/// Git is asked in a rhythm: a clock that needs no sleeping.
async fn after_fetches<F: Future<Output = Result<u64>>>(fetched: &impl Fn() -> F, count: u64) -> Result<()> {
    wait_until("Git was looked at again", Duration::from_secs(30), || async {
        let now = fetched().await?;
        ensure!(now >= count, "{now} times, not {count}");
        Ok(())
    })
    .await
}

/// The webhook was switched off for one start only.
async fn guarded_after_restart(stage: &Stage, place: &Place<'_>) -> Result<()> {
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await?;
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, "delete deployment/web --dry-run=server"))
        .await
        .map(drop)
}

/// What Holdfast wrote, or asked as a dry run, since the audit log had `since` entries. Its own status is no object of Git's.
fn writes(stage: &Stage, since: usize) -> Result<Vec<Value>> {
    let reads = ["get", "list", "watch"];
    let is_write = |request: &Value| {
        request["user"]["username"] == Person::Holdfast.name() && !reads.iter().any(|verb| request["verb"] == *verb)
    };
    Ok(stage.world.audit()?.into_iter().skip(since).filter(is_write).collect())
}

/// Nothing but a note tells whoever starts that it is there.
async fn an_emergency_on_what_flux_keeps_outlives_a_restart() -> Result<()> {
    let stage = fragile().await?;
    let place = guards::kept_at(&stage, &guards::flux(), "guarded-down").await?;
    let open = "annotate deployment/web holdfast.dev/break-glass=INC-4211 holdfast.dev/break-glass-for=5m15s";
    place.accepts(Who::Oncall, open).await?;
    wait_until("it is remembered", PATIENCE, || async {
        ensure!(guards::noted(&place).await?.len() == 1, "it is not");
        Ok(())
    })
    .await?;
    stage.world.stop_holdfast().await?;
    ensure!(place.records("BreakGlassEnding", "Deployment/web")?.is_empty(), "people were reminded too early");
    stage.world.start_holdfast().await?;
    let ending = place.record("BreakGlassEnding", "Deployment/web").await?;
    ensure!(ending["guard"] == "flux" && ending["by"]["user"] == "oncall", "{ending}");
    Ok(())
}

/// Whoever starts does not know yet what the others declare, and one that ends has nothing to read.
async fn an_end_after_a_restart_leaves_what_others_declare() -> Result<()> {
    let stage = fragile().await?;
    let leaving =
        Place::at(&stage, "leaving", &[("settings.yaml", SETTINGS), ("own.yaml", &config("own", "a", "b"))], |spec| {
            spec["deletionPolicy"] = json!("Delete");
        })
        .await?;
    let staying = Place::empty(&stage, "staying").await?;
    staying.write(&[("settings.yaml", SETTINGS)]).await?;
    staying.sync(|spec| spec["destination"]["namespace"] = json!("leaving")).await?;
    staying.condition("Conflict", true, &["leaving/settings.yaml:1"]).await?;
    let uid = leaving.live("ConfigMap/settings").await?["metadata"]["uid"].clone();
    stage.world.stop_holdfast().await?;
    let delete = ["delete", "gitsync", "leaving", "--namespace", HOLDFAST_NAMESPACE, "--wait=false"];
    stage.world.kubectl(Person::Administrator, &delete).await?.success()?;
    stage.world.start_holdfast().await?;
    leaving.becomes("ConfigMap/own", "", &Value::Null).await?;
    staying.condition("Ready", true, &[]).await?;
    leaving.is("ConfigMap/settings", "/metadata/uid", uid).await?;
    let id = json!("holdfast-system/staying:/ConfigMap:leaving/settings");
    leaving.becomes("ConfigMap/settings", "/metadata/annotations/holdfast.dev~1tracking-id", &id).await
}
