//! Going back to an older commit for a while: the cluster is made equal to it and kept so, and then Git wins again.

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::manifests::{SETTINGS, WEB, config};
use crate::place::{Place, condition};
use crate::stage::{PATIENCE, fragile, tests};
use crate::troupe::troupe;
use crate::who::Who;
use crate::windows::denied;
use crate::world::{HOLDFAST_NAMESPACE, Person, wait_until};

const SLOW: &str = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

pub fn trials() -> Vec<Trial> {
    tests![
        a_restart_holds_to_the_commit_that_is_pinned,
        what_was_synced_is_gone_back_to_without_git,
        all_replicas_judge_by_the_commit_that_is_pinned,
        an_older_commit_is_pinned_and_kept_while_newer_ones_arrive,
        the_end_brings_the_newest_commit,
        what_is_not_there_changes_nothing,
        what_nobody_reviewed_is_not_deployed,
        a_closed_window_keeps_a_rollback_out,
        a_pause_comes_before_a_rollback,
        who_rolled_back_is_stamped,
    ]
}

fn mode(mode: &str) -> String {
    SETTINGS.replace("fast", mode)
}

/// A merge patch that rolls back, or ends that.
fn to(revision: &str, lasts: SignedDuration) -> Value {
    let until = Timestamp::from_second((Timestamp::now() + lasts).as_second()).expect("a time");
    json!({"spec": {"rollback": {"revision": revision, "reason": "INC-7: it loses orders", "until": until.to_string()}}})
}

/// As the administrator, who has every right.
async fn merge(place: &Place<'_>, change: &Value) -> Result<()> {
    let change = change.to_string();
    let line = ["patch", "gitsync", &place.name, "--namespace", HOLDFAST_NAMESPACE, "--type=merge", "--patch", &change];
    place.run(Who::Administrator, &line, "").await?.success().map(drop)
}

async fn resume(place: &Place<'_>) -> Result<()> {
    merge(place, &json!({"spec": {"rollback": null}})).await
}

/// The commit the cluster equals now.
async fn synced(place: &Place<'_>) -> Result<String> {
    let sync = place.git_sync().await?;
    sync["status"]["syncedRevision"].as_str().map(str::to_owned).context("it is synced")
}

/// Waits until the commit is pinned and the cluster equals it, and the newest is known; answers with the status.
async fn is_pinned(place: &Place<'_>, pinned: &str, newest: &str) -> Result<Value> {
    place
        .says("it is rolled back", async |status| {
            ensure!(status["syncedRevision"] == pinned && status["enforcedRevision"] == pinned, "{status}");
            ensure!(status["rollback"]["revision"] == pinned, "{status}");
            place.stage.is_at(&status["observedRevision"], newest).await?;
            let why = condition(status, "Synced").context("always there")?;
            ensure!(why["reason"] == "RolledBack" && why["status"] == "False", "{status}");
            Ok(())
        })
        .await
}

async fn told(place: &Place<'_>, kind: &str) -> Result<Value> {
    let about =
        |record: &Value| record["kind"] == kind && record["sync"] == format!("{HOLDFAST_NAMESPACE}/{}", place.name);
    wait_until(&format!("a record says {kind} of {}", place.name), PATIENCE, || async {
        place.stage.world.records()?.into_iter().rfind(about).context("there is none")
    })
    .await
}

/// Git on the server, where whoever may push can do anything.
async fn git(place: &Place<'_>, arguments: &[&str]) -> Result<String> {
    let identity = ["-c", "user.name=Mallory", "-c", "user.email=mallory@example.com"];
    let mut command = Command::new("git");
    command.arg("-C").arg(place.stage.world.git_root().join("infra-manifests.git")).args(identity).args(arguments);
    let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").output().await?;
    ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

async fn an_older_commit_is_pinned_and_kept_while_newer_ones_arrive() -> Result<()> {
    let place = Place::new("rolled-back", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)]).await?;
    let old = synced(&place).await?;
    place.commits(&[("settings.yaml", &mode("faster")), ("more.yaml", &config("more", "a", "b"))]).await?;
    let from = synced(&place).await?;
    merge(&place, &to(&old[..12], HOUR)).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place.becomes("ConfigMap/more", "", &Value::Null).await?;
    let status = is_pinned(&place, &old, &from).await?;
    ensure!(status["rollback"]["requested"] == old[..12], "{status}");
    ensure!(status["history"][0]["outcome"] == "RolledBack" && status["history"][0]["revision"] == *old, "{status}");
    let until = place.git_sync().await?["spec"]["rollback"]["until"].as_str().context("an end")?.to_owned();
    place.condition("RolledBack", true, &["INC-7: it loses orders", &until, "by administrator", &old]).await?;
    let record = told(&place, "RolledBack").await?;
    ensure!(record["by"]["user"] == "administrator" && record["revision"] == *old, "{record}");
    ensure!(record["reason"].as_str().is_some_and(|reason| reason.contains("INC-7")), "{record}");

    // Newer commits are seen, and nothing else.
    let newest = place.write(&[("settings.yaml", &mode("fastest"))]).await?;
    is_pinned(&place, &old, &newest).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    // The guard judges by the commit that is pinned, and says why a commit is of no use.
    let said = place.refuses(Who::Alice, &SLOW.replace("slow", "fastest")).await?;
    ensure!(said.contains("rolled back to") && said.contains(&old[..7]) && said.contains("INC-7"), "{said}");
    ensure!(said.contains("administrator"), "{said}");
    // It is no pause of healing.
    place.accepts(Who::Collector, SLOW).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    place.accepts(Who::Collector, "delete deployment/web").await?;
    place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await?;

    resume(&place).await?;
    place.is_synced(&newest).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fastest")).await?;
    place.becomes("ConfigMap/more", "/data/a", &json!("b")).await?;
    told(&place, "RollbackEnded").await?;
    let sync = place.git_sync().await?;
    ensure!(condition(&sync["status"], "RolledBack").is_none() && sync["status"]["rollback"].is_null(), "{sync}");
    ensure!(sync["metadata"]["annotations"]["holdfast.dev/rolled-back-by"].is_null(), "{sync}");
    place.condition("Ready", true, &[]).await
}

async fn the_end_brings_the_newest_commit() -> Result<()> {
    let place = Place::new("rolled-on", &[("settings.yaml", SETTINGS)]).await?;
    let old = synced(&place).await?;
    git(&place, &["tag", "rolled-on-1", &old]).await?;
    place.commits(&[("settings.yaml", &mode("faster"))]).await?;
    let from = synced(&place).await?;
    merge(&place, &to("rolled-on-1", HOUR)).await?;
    is_pinned(&place, &old, &from).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    // A tag that is moved moves nothing.
    git(&place, &["tag", "--force", "rolled-on-1", &from]).await?;
    place.looks_again().await?;
    is_pinned(&place, &old, &from).await?;
    // Five minutes before the end people are reminded.
    merge(&place, &to("rolled-on-1", SignedDuration::from_secs(5 * 60 + 3))).await?;
    let reminder = told(&place, "RollbackEnding").await?;
    ensure!(
        reminder["reason"].as_str().is_some_and(|text| text.contains("the newest commit is rolled out")),
        "{reminder}"
    );
    // It may end sooner; after that nothing is done but wait.
    merge(&place, &to("rolled-on-1", SignedDuration::from_secs(3))).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("faster")).await?;
    place.condition("Ready", true, &[]).await?;
    told(&place, "RollbackEnded").await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(condition(&status, "RolledBack").is_none() && status["rollback"].is_null(), "{status}");
    ensure!(status["history"][0]["outcome"] == "Synced", "{status}");
    // What is left of it in the spec has no effect, and is in nobody's way.
    place.refuses(Who::Alice, SLOW).await?;
    place.commits(&[("settings.yaml", &mode("fastest"))]).await?;
    merge(&place, &json!({"metadata": {"labels": {"mine": "yes"}}})).await
}

async fn what_is_not_there_changes_nothing() -> Result<()> {
    let place = Place::new("rolled-nowhere", &[("settings.yaml", SETTINGS)]).await?;
    let before = git(&place, &["rev-list", "--max-parents=0", "main"]).await?;
    for (revision, words) in [
        ("0123456", &["0123456", "no branch, tag or commit"][..]),
        ("no-such-tag", &["no-such-tag", "no branch, tag or commit"]),
        (&before, &["rolled-nowhere", &before]),
    ] {
        merge(&place, &to(revision, HOUR)).await?;
        place.condition("Ready", false, words).await?;
        let status = place.git_sync().await?["status"].clone();
        ensure!(condition(&status, "Ready").is_some_and(|ready| ready["reason"] == "RollbackFailed"), "{status}");
        place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
        place.refuses(Who::Alice, SLOW).await?;
        place.accepts(Who::Collector, SLOW).await?;
        place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    }
    // Somebody has said that the newest does harm: it waits all the same.
    let newest = place.write(&[("settings.yaml", &mode("faster"))]).await?;
    place
        .says("the newest is seen", async |status| place.stage.is_at(&status["observedRevision"], &newest).await)
        .await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    resume(&place).await?;
    place.is_synced(&newest).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await?;
    place.condition("Ready", true, &[]).await
}

/// Hosts keep the commits of requests in the repository they are for, and hand them out by their ids.
async fn what_nobody_reviewed_is_not_deployed() -> Result<()> {
    let place = Place::new("rolled-aside", &[("settings.yaml", SETTINGS)]).await?;
    let base = synced(&place).await?;
    let evil = git(&place, &["commit-tree", &format!("{base}^{{tree}}"), "-p", &base, "-m", "not reviewed"]).await?;
    git(&place, &["update-ref", "refs/pull/1/head", &evil]).await?;
    merge(&place, &to(&evil, HOUR)).await?;
    place.condition("Ready", false, &["failed to roll back", &evil]).await?;
    // Nor from a branch of the repository itself.
    git(&place, &["update-ref", "refs/heads/aside", &evil]).await?;
    place.write(&[("settings.yaml", &mode("faster"))]).await?;
    place.condition("Ready", false, &[&evil, "not in the history of main"]).await?;
    git(&place, &["update-ref", "-d", "refs/heads/aside"]).await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(status["rollback"].is_null() && status["enforcedRevision"] != *evil, "{status}");
    resume(&place).await?;
    place.condition("Ready", true, &[]).await
}

async fn a_closed_window_keeps_a_rollback_out() -> Result<()> {
    let place = Place::new("rolled-window", &[("settings.yaml", SETTINGS)]).await?;
    let old = synced(&place).await?;
    place.commits(&[("settings.yaml", &mode("faster"))]).await?;
    let from = synced(&place).await?;
    let mut window = denied(HOUR, &json!(["sync"]));
    window["manualSync"] = json!(true);
    merge(&place, &json!({"spec": {"syncWindows": [window]}})).await?;
    place.condition("WindowClosed", true, &[]).await?;
    merge(&place, &to(&old, HOUR)).await?;
    place.condition("WindowClosed", true, &["waiting: commit", &old[..7]]).await?;
    place.condition("RolledBack", true, &[&old]).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(status["enforcedRevision"] != *old, "{status}");
    // In a hurry it is asked for by hand, like any commit.
    merge(&place, &json!({"metadata": {"annotations": {"holdfast.dev/sync-now": old}}})).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    is_pinned(&place, &old, &from).await?;
    merge(&place, &json!({"spec": {"syncWindows": null, "rollback": null}})).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("faster")).await
}

async fn a_pause_comes_before_a_rollback() -> Result<()> {
    let place = Place::new("rolled-paused", &[("settings.yaml", SETTINGS)]).await?;
    let old = synced(&place).await?;
    place.commits(&[("settings.yaml", &mode("faster"))]).await?;
    let pause = json!({"spec": {"suspend": {"reason": "INC-8", "until": "2099-01-01T00:00:00Z"}}});
    merge(&place, &pause).await?;
    place.condition("Suspended", true, &["INC-8"]).await?;
    merge(&place, &to(&old, HOUR)).await?;
    place.condition("RolledBack", true, &[&old]).await?;
    place.looks_again().await?;
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await?;
    merge(&place, &json!({"spec": {"suspend": null}})).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    is_pinned(&place, &old, &old).await.map(drop)
}

async fn who_rolled_back_is_stamped() -> Result<()> {
    let place = Place::new("rolled-by", &[("settings.yaml", SETTINGS)]).await?;
    let old = synced(&place).await?;
    let forged = json!({"metadata": {"annotations": {"holdfast.dev/rolled-back-by": "alice"}}});
    ensure!(merge(&place, &forged).await.is_err(), "a stamp was typed");
    let mut both = to(&old, HOUR);
    both["metadata"] = forged["metadata"].clone();
    ensure!(merge(&place, &both).await.is_err(), "a stamp was typed with a rollback");
    let past = merge(&place, &to(&old, -HOUR)).await.err().context("it is over already")?;
    ensure!(
        format!("{past:#}").contains("spec.rollback.until") && format!("{past:#}").contains("over already"),
        "{past:#}"
    );
    merge(&place, &to(&old, HOUR)).await?;
    let by = |sync: &Value| sync["metadata"]["annotations"]["holdfast.dev/rolled-back-by"].clone();
    ensure!(by(&place.git_sync().await?) == "administrator", "{}", place.git_sync().await?["metadata"]);
    // What is at the newest commit already is held there.
    place.condition("RolledBack", true, &["by administrator", &old]).await?;
    let listed = ["get", "gitsync", &place.name, "--namespace", HOLDFAST_NAMESPACE, "--output=wide"];
    let listed = place.run(Who::Administrator, &listed, "").await?.success()?;
    ensure!(listed.contains("ROLLED BACK BY") && listed.contains("ROLLED BACK UNTIL"), "{listed}");
    resume(&place).await?;
    ensure!(by(&place.git_sync().await?).is_null(), "{}", place.git_sync().await?["metadata"]);
    Ok(())
}

async fn a_restart_holds_to_the_commit_that_is_pinned() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "rolled-restart", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |_| {}).await?;
    let old = synced(&place).await?;
    place.commits(&[("settings.yaml", &mode("faster")), ("more.yaml", &config("more", "a", "b"))]).await?;
    let from = synced(&place).await?;
    merge(&place, &to(&old, HOUR)).await?;
    is_pinned(&place, &old, &from).await?;
    place.becomes("ConfigMap/more", "", &Value::Null).await?;
    stage.world.stop_holdfast().await?;
    let newest = place.write(&[("settings.yaml", &mode("fastest"))]).await?;
    let asked = stage.world.audit()?.len();
    stage.world.start_holdfast().await?;
    is_pinned(&place, &old, &newest).await?;
    let dry = format!("{SLOW} --dry-run=server");
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, &dry)).await?;
    let reads = ["get", "list", "watch"];
    let ours = |request: &Value| {
        request["objectRef"]["namespace"] == "rolled-restart"
            && !reads.iter().any(|verb| request["verb"] == *verb)
            && request["user"]["username"] == Person::Holdfast.name()
    };
    let wrote: Vec<_> = stage.world.audit()?.into_iter().skip(asked).filter(ours).collect();
    ensure!(wrote.is_empty(), "it wrote, or asked as a dry run: {wrote:#?}");
    let said = place.refuses(Who::Alice, &SLOW.replace("slow", "fastest")).await?;
    ensure!(said.contains("rolled back to"), "{said}");
    place.accepts(Who::Collector, SLOW).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    let count = |kind: &str| -> Result<usize> {
        let about = |record: &&Value| record["kind"] == kind && record["sync"] == "holdfast-system/rolled-restart";
        Ok(stage.world.records()?.iter().filter(about).count())
    };
    ensure!(count("RolledBack")? == 1, "it was told {} times", count("RolledBack")?);
    resume(&place).await?;
    place.is_synced(&newest).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fastest")).await
}

async fn all_replicas_judge_by_the_commit_that_is_pinned() -> Result<()> {
    let troupe = troupe().await?;
    let leader = troupe.leader().await?;
    let place = Place::at(&troupe.stage, "rolled-both", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    let old = synced(&place).await?;
    place.commits(&[("settings.yaml", &mode("faster"))]).await?;
    let from = synced(&place).await?;
    merge(&place, &to(&old, HOUR)).await?;
    is_pinned(&place, &old, &from).await?;
    // Only the follower is left to answer, and then to lead.
    troupe.signal(leader, nix::sys::signal::Signal::SIGKILL)?;
    wait_until("the follower judges by the commit that is pinned", PATIENCE, || async {
        let said = place.refuses(Who::Alice, &format!("{} --dry-run=server", SLOW.replace("slow", "faster"))).await?;
        ensure!(said.contains("rolled back to"), "{said}");
        Ok(())
    })
    .await?;
    troupe.leads(1 - leader).await?;
    let newest = place.write(&[("settings.yaml", &mode("fastest"))]).await?;
    is_pinned(&place, &old, &newest).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    resume(&place).await?;
    place.is_synced(&newest).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fastest")).await
}

/// An emergency does not wait for the Git server, and neither does a restart in it.
async fn what_was_synced_is_gone_back_to_without_git() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "rolled-alone", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    let old = synced(&place).await?;
    place.commits(&[("settings.yaml", &mode("faster"))]).await?;
    stage.world.stop_git().await?;
    merge(&place, &to(&old[..10], HOUR)).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place.condition("RolledBack", true, &[&old, "INC-7"]).await?;
    place.condition("Ready", false, &["failed to reach"]).await?;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await?;
    let dry = format!("{} --dry-run=server", SLOW.replace("slow", "faster"));
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, &dry)).await?;
    place.accepts(Who::Collector, SLOW).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    stage.world.start_git().await?;
    let newest = place.write(&[("settings.yaml", &mode("fastest"))]).await?;
    is_pinned(&place, &old, &newest).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    resume(&place).await?;
    place.is_synced(&newest).await
}
