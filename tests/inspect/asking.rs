//! `holdfast pause`, `rollback`, `resume`, `history` and `sync`: commands that write what people ask for, and read what became of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::world::{HOLDFAST_NAMESPACE, wait_until};
use super::{APP, commit, kubeconfig, kubectl, run, run_with, synced, world};

const PATIENCE: Duration = Duration::from_mins(1);

async fn git_sync(namespace: &str, name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&kubectl(&["-n", namespace, "get", "gitsync", name, "-o", "json"]).await?)?)
}

#[tokio::test]
async fn a_pause_begins_with_a_reason_and_ends_by_hand() -> Result<()> {
    synced("paused", &[("app.yaml", APP)], |_| ()).await?;
    let said = run(&["pause", "paused", "--reason", "INC-1: failover", "--for", "2h"]).await?.ends(0)?;
    said.shows(&["holdfast-system/paused is paused until 2", "INC-1", "holdfast resume holdfast-system/paused"])?;
    let sync = git_sync(HOLDFAST_NAMESPACE, "paused").await?;
    ensure!(sync["spec"]["suspend"]["reason"] == "INC-1: failover", "{sync}");
    ensure!(sync["metadata"]["annotations"]["holdfast.dev/suspended-by"] == "administrator", "{sync}");
    run(&["sync", "paused"]).await?.ends(1)?.shows(&["not synced: it is paused: INC-1: failover"])?;

    run(&["resume", "holdfast-system/paused"]).await?.ends(0)?.shows(&["holdfast-system/paused goes on", "INC-1"])?;
    let sync = git_sync(HOLDFAST_NAMESPACE, "paused").await?;
    ensure!(sync["spec"]["suspend"].is_null(), "{sync}");
    run(&["resume", "paused"]).await?.ends(0)?.shows(&["holdfast-system/paused is neither paused nor rolled back"])?;
    run(&["sync", "paused"]).await?.ends(0)?.shows(&["the cluster was made equal to"])
}

#[tokio::test]
async fn a_pause_that_makes_no_sense_is_not_written() -> Result<()> {
    synced("unpaused", &[("app.yaml", APP)], |_| ()).await?;
    let pause = ["pause", "unpaused", "--reason", "INC-1"];
    let ended = [&pause[..], &["--until", "2020-01-01T00:00:00Z"]].concat();
    run(&ended).await?.ends(2)?.shows(&["2020-01-01T00:00:00Z is over already"])?;
    run(&pause).await?.ends(2)?.shows(&["--for <DURATION>"])?;
    let nowhere = ["nowhere", "--reason", "INC-1", "--for", "2h"];
    let said = run(&[&["pause"][..], &nowhere].concat()).await?.ends(2)?;
    said.shows(&["there is no GitSync nowhere; there are: ", "holdfast-system/unpaused"])?;
    run(&["resume", "nowhere"]).await?.ends(2)?.shows(&["there is no GitSync nowhere"])?;
    let sync = git_sync(HOLDFAST_NAMESPACE, "unpaused").await?;
    ensure!(sync["spec"]["suspend"].is_null(), "{sync}");
    Ok(())
}

#[tokio::test]
async fn a_rollback_is_shown_by_every_command() -> Result<()> {
    synced("rolled", &[("app.yaml", APP)], |_| ()).await?;
    let old = git_sync(HOLDFAST_NAMESPACE, "rolled").await?["status"]["syncedRevision"].clone();
    let old = old.as_str().context("it is synced")?;
    commit("rolled", &[("app.yaml", &APP.replace("level: info", "level: debug"))]).await?;
    run(&["sync", "rolled"]).await?.ends(0)?;
    let level = ["-n", "rolled", "get", "configmap", "settings", "-o", "jsonpath={.data.level}"];
    ensure!(kubectl(&level).await? == "debug", "it was not synced");

    let back = ["rollback", "rolled", &old[..12], "--reason", "INC-1: it loses orders"];
    let said = run(&[&back[..], &["--for", "2h"]].concat()).await?.ends(0)?;
    said.shows(&[
        "holdfast-system/rolled is rolled back to",
        old,
        "until 2",
        "INC-1",
        "holdfast resume holdfast-system/rolled",
    ])?;
    let sync = git_sync(HOLDFAST_NAMESPACE, "rolled").await?;
    ensure!(sync["spec"]["rollback"]["revision"] == old, "what history lists is written as a whole: {sync}");
    ensure!(sync["metadata"]["annotations"]["holdfast.dev/rolled-back-by"] == "administrator", "{sync}");
    let said = run(&["sync", "rolled"]).await?.ends(1)?;
    said.shows(&["not synced: RolledBack: rolled back to", "INC-1: it loses orders", "by administrator", "waits"])?;
    ensure!(kubectl(&level).await? == "info", "it was not rolled back");
    run(&["diff", "rolled"]).await?.ends(0)?.shows(&["no difference"])?;
    run(&["diff", "rolled", "--revision", "main"]).await?.ends(1)?.shows(&["-level: debug", "+level: info"])?;
    let said = run(&["history", "rolled"]).await?.ends(0)?;
    said.shows(&["RolledBack", "INC-1: it loses orders"])?;

    run(&["resume", "rolled"]).await?.ends(0)?.shows(&["holdfast-system/rolled goes on", "to be rolled back until"])?;
    run(&["sync", "rolled"]).await?.ends(0)?;
    ensure!(kubectl(&level).await? == "debug", "the newest commit does not count again");
    run(&["resume", "rolled"]).await?.ends(0)?.shows(&["neither paused nor rolled back"])
}

#[tokio::test]
async fn a_rollback_that_makes_no_sense_is_not_written() -> Result<()> {
    synced("unrolled", &[("app.yaml", APP)], |_| ()).await?;
    let back = ["rollback", "unrolled", "0123456", "--reason", "INC-1"];
    run(&back).await?.ends(2)?.shows(&["--for <DURATION>"])?;
    run(&["rollback", "unrolled", "0123456", "--for", "2h"]).await?.ends(2)?.shows(&["--reason <TEXT>"])?;
    let ended = [&back[..], &["--until", "2020-01-01T00:00:00Z"]].concat();
    run(&ended).await?.ends(2)?.shows(&["2020-01-01T00:00:00Z is over already"])?;
    let short = ["rollback", "unrolled", "01234", "--reason", "INC-1", "--for", "2h"];
    run(&short).await?.ends(2)?.shows(&["spec.rollback.revision", "too short for a commit id"])?;
    let branch = ["rollback", "unrolled", "refs/heads/main", "--reason", "INC-1", "--for", "2h"];
    run(&branch).await?.ends(2)?.shows(&["spec.rollback.revision", "neither a commit id nor a tag"])?;
    let sync = git_sync(HOLDFAST_NAMESPACE, "unrolled").await?;
    ensure!(sync["spec"]["rollback"].is_null(), "{sync}");
    Ok(())
}

/// Alice may edit everything in her namespace, so also the GitSync there. That is not enough.
#[tokio::test]
async fn who_lacks_the_verb_is_told_so() -> Result<()> {
    let world = world().await;
    world.namespace("hers").await?;
    commit("hers", &[("app.yaml", APP)]).await?;
    let mut sync = world.git_sync("hers", "hers", "hers")?;
    sync["metadata"]["namespace"] = json!("hers");
    world.apply(&sync).await?;
    let alice = kubeconfig(world, "ALICE_KUBECONFIG")?;
    let pause = ["pause", "hers/hers", "--reason", "because", "--for", "1h"];
    let said = run_with(&alice, &pause).await?.ends(2)?;
    said.shows(&["alice", "lacks the verb \"suspend\"", "spec.suspend: nothing → because until 2"])?;
    let sync = git_sync("hers", "hers").await?;
    ensure!(sync["spec"]["suspend"].is_null(), "{sync}");
    Ok(())
}

#[tokio::test]
async fn a_sync_is_asked_for_and_followed() -> Result<()> {
    let first = synced("asked", &[("app.yaml", APP)], |_| ()).await?;
    let slow = json!({"spec": {"source": {"interval": "6h"}}}).to_string();
    kubectl(&["-n", HOLDFAST_NAMESPACE, "patch", "gitsync", "asked", "--type=merge", "-p", &slow]).await?;
    // The look the new spec brings is over.
    run(&["sync", "asked"]).await?.ends(0)?;
    let newest = commit("asked", &[("app.yaml", &APP.replace("level: info", "level: debug"))]).await?;
    let level = ["-n", "asked", "get", "configmap", "settings", "-o", "jsonpath={.data.level}"];
    run(&["sync", "asked", "--dry-run"]).await?.ends(1)?.shows(&["-level: debug", "+level: info"])?;
    run(&["sync", "asked", "--timeout", "1ms"]).await?.ends(2)?.shows(&["no Holdfast answered within 1ms"])?;
    let said = run(&["sync", "asked"]).await?.ends(0)?;
    said.shows(&["asked for a sync of holdfast-system/asked", "the cluster was made equal to"])?;
    ensure!(kubectl(&level).await? == "debug", "it was not synced");
    // Others commit meanwhile, so the newest may be one of theirs; but not the first.
    let said = run(&["sync", "asked", "--revision", &first]).await?.ends(1)?;
    said.shows(&["not synced: the newest commit is", &first])?;
    let sync = git_sync(HOLDFAST_NAMESPACE, "asked").await?;
    ensure!(sync["metadata"]["annotations"]["holdfast.dev/sync-now"] == first, "{sync}");
    let (asked, handled) =
        (&sync["metadata"]["annotations"]["holdfast.dev/sync-requested"], &sync["status"]["handledRequest"]);
    ensure!(asked.is_string() && asked == handled, "{sync}");
    ensure!(newest != first, "there was one commit");
    run(&["sync", "nowhere"]).await?.ends(2)?.shows(&["there is no GitSync nowhere"])?;
    run(&["sync", "asked", "--revision", "main"]).await?.ends(2)?.shows(&["7 digits"])
}

#[tokio::test]
async fn what_became_of_commits_is_listed() -> Result<()> {
    synced("told", &[("app.yaml", APP)], |_| ()).await?;
    let bad = APP.replace("replicas: 2", "replicas: two");
    commit("told", &[("app.yaml", &bad)]).await?;
    run(&["sync", "told"]).await?.ends(1)?.shows(&["not synced: Invalid", "was refused"])?;
    let entries = run(&["history", "told", "-o", "json"]).await?.ends(0)?.json()?;
    let newest = &entries[0];
    ensure!(newest["outcome"] == "Refused" && newest["author"] == "Dana Developer", "{entries}");
    ensure!(newest["message"].as_str().is_some_and(|message| message.contains("was refused")), "{entries}");
    commit("told", &[("app.yaml", APP)]).await?;
    wait_until("the repair is on the list", PATIENCE, async || {
        let entries = run(&["history", "told", "-o", "json"]).await?.ends(0)?.json()?;
        ensure!(entries[0]["outcome"] == "Synced", "{entries}");
        Ok(())
    })
    .await?;
    let said = run(&["history", "told"]).await?.ends(0)?;
    said.shows(&["REVISION", "OUTCOME", "AUTHOR", "Synced", "Refused", "Dana Developer"])?;
    ensure!(said.out.lines().count() <= 11, "{}", said.out);
    run(&["history", "nowhere"]).await?.ends(2)?.shows(&["there is no GitSync nowhere"])
}
