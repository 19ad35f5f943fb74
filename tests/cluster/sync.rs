//! The life of a `GitSync`: where it writes, what it shares with others, its pauses and its end.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, WEB, config};
use crate::place::{Place, condition};
use crate::stage::{shared, tests};
use crate::who::Who;
use crate::world::HOLDFAST_NAMESPACE;

const SLOW: &str = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#;

pub fn trials() -> Vec<Trial> {
    tests![
        the_namespace_is_made_when_asked_for,
        without_the_option_a_missing_namespace_is_said,
        a_namespace_in_git_comes_before_what_lives_in_it,
        two_syncs_do_not_fight_over_one_object,
        who_lets_go_hands_over_without_deleting,
        what_moves_to_another_sync_is_not_deleted_in_between,
        who_cannot_read_keeps_others_from_deleting_only_for_a_while,
        the_end_of_a_sync_leaves_its_objects,
        what_git_declares_and_cannot_be_made_has_not_left_git,
        a_pause_marks_and_does_not_heal,
        a_pause_of_what_git_declares_takes_no_commit_and_is_undone_by_none,
        a_path_that_is_not_there_is_said,
        a_changed_spec_is_taken_up,
    ]
}

/// A place whose `GitSync` goes to a namespace that is not there.
async fn elsewhere(name: &str, options: Value) -> Result<(Place<'static>, Place<'static>)> {
    let stage = shared().await?;
    let place = Place::empty(stage, name).await?;
    let target = Place { stage, name: format!("{name}-new") };
    place.write(&[("settings.yaml", SETTINGS)]).await?;
    place
        .sync(|spec| {
            spec["destination"]["namespace"] = json!(target.name);
            spec["syncPolicy"]["syncOptions"] = options;
        })
        .await?;
    Ok((place, target))
}

async fn the_namespace_is_made_when_asked_for() -> Result<()> {
    let (place, target) = elsewhere("made", json!(["CreateNamespace=true"])).await?;
    place.condition("Ready", true, &[]).await?;
    target.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    let made = target.record("Applied", "Namespace/made-new").await?;
    ensure!(made["sync"] == "holdfast-system/made" && made["revision"].is_string(), "{made}");
    // It holds what Git declares; Git does not declare the namespace itself.
    target.refuses(Who::Administrator, "delete namespace made-new --wait=false").await.map(drop)
}

async fn without_the_option_a_missing_namespace_is_said() -> Result<()> {
    let (place, target) = elsewhere("not-made", json!([])).await?;
    place.condition("Ready", false, &["not-made-new"]).await?;
    place.accepts(Who::Administrator, "create namespace not-made-new").await?;
    place.condition("Ready", true, &[]).await?;
    target.is("ConfigMap/settings", "/data/mode", json!("fast")).await
}

async fn a_namespace_in_git_comes_before_what_lives_in_it() -> Result<()> {
    let (place, target) = elsewhere("declared", json!([])).await?;
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: declared-new\n  labels: {team: shop}\n";
    place.commits(&[("z-namespace.yaml", namespace)]).await?;
    target.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    target.refuses(Who::Administrator, "delete namespace declared-new --wait=false").await?;
    target.refuses(Who::Administrator, "label namespace declared-new team=mine --overwrite").await.map(drop)
}

/// A second sync that declares what the first keeps, and something of its own.
async fn two_places(name: &str) -> Result<(Place<'static>, Place<'static>)> {
    let own = [("settings.yaml", SETTINGS), ("more.yaml", &config("more", "a", "b"))];
    let prune = |spec: &mut Value| spec["syncPolicy"]["automated"]["prune"] = json!(true);
    let first = Place::with(&format!("{name}-a"), &own, prune).await?;
    let second = Place::empty(shared().await?, &format!("{name}-b")).await?;
    let slow = SETTINGS.replace("fast", "slow");
    let files =
        [("mine.yaml", slow.as_str()), ("own.yaml", &config("own", "a", "b")), ("two.yaml", &config("two", "a", "b"))];
    second.write(&files).await?;
    second
        .sync(|spec| {
            spec["destination"]["namespace"] = json!(first.name);
            spec["syncPolicy"]["automated"]["prune"] = json!(true);
        })
        .await?;
    Ok((first, second))
}

/// Both say so, with both files; the first keeps it, and whatever else the second declares goes on.
async fn two_syncs_do_not_fight_over_one_object() -> Result<()> {
    let (first, second) = two_places("shared").await?;
    let words = [
        "ConfigMap shared-a/settings",
        "GitSync holdfast-system/shared-a (shared-a/settings.yaml:1), which keeps it",
        "GitSync holdfast-system/shared-b (shared-b/mine.yaml:1)",
    ];
    second.condition("Ready", false, &words).await?;
    second.condition("Conflict", true, &words).await?;
    first.condition("Conflict", true, &words).await?;
    first.condition("Ready", true, &[]).await?;
    first.becomes("ConfigMap/own", "/data/a", &json!("b")).await?;
    second.looks_again().await?;
    first.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    ensure!(first.records("Healed", "ConfigMap/settings")?.is_empty(), "they fought");
    ensure!(first.records("Applied", "ConfigMap/settings")?.len() == 1, "they fought");
    // The second lets go of what it never had: nothing is pruned.
    let commit = second.remove(&["mine.yaml"]).await?;
    second.is_synced(&commit).await?;
    first.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    first
        .says("there is no conflict any more", async |status| {
            ensure!(condition(status, "Conflict").is_none(), "{status}");
            Ok(())
        })
        .await
        .map(drop)
}

async fn who_lets_go_hands_over_without_deleting() -> Result<()> {
    let (first, second) = two_places("handed").await?;
    second.condition("Conflict", true, &["handed-a/settings.yaml:1"]).await?;
    let uid = first.live("ConfigMap/settings").await?["metadata"]["uid"].clone();
    let commit = first.remove(&["settings.yaml"]).await?;
    first.is_synced(&commit).await?;
    second.condition("Ready", true, &[]).await?;
    first.becomes("ConfigMap/settings", "/data/mode", &json!("slow")).await?;
    let id = json!("holdfast-system/handed-b:/ConfigMap:handed-a/settings");
    first.is("ConfigMap/settings", "/metadata/annotations/holdfast.dev~1tracking-id", id).await?;
    first.is("ConfigMap/settings", "/metadata/uid", uid.clone()).await?;
    ensure!(first.records("Pruned", "ConfigMap/settings")?.is_empty(), "it was pruned");

    // And when the one that keeps it ends altogether, it goes back.
    let fast = SETTINGS.replace("fast", "faster");
    first.write(&[("settings.yaml", &fast)]).await?;
    first.condition("Conflict", true, &["handed-b/mine.yaml:1), which keeps it"]).await?;
    let delete = ["delete", "gitsync", &second.name, "--namespace", HOLDFAST_NAMESPACE];
    second.run(Who::Administrator, &delete, "").await?.success()?;
    first.becomes("ConfigMap/settings", "/data/mode", &json!("faster")).await?;
    first.condition("Ready", true, &[]).await?;
    first.is("ConfigMap/settings", "/metadata/uid", uid).await
}

/// One that prunes, with something that stays and something that leaves; and one beside it that looks at Git once an hour.
async fn beside_each_other(name: &str, change: impl FnOnce(&mut Value)) -> Result<(Place<'static>, Place<'static>)> {
    let files = [("settings.yaml", SETTINGS), ("leaves.yaml", &config("leaves", "a", "b"))];
    let first = Place::with(&format!("{name}-a"), &files, |spec| {
        spec["syncPolicy"]["automated"]["prune"] = json!(true);
    })
    .await?;
    let second = Place::empty(shared().await?, &format!("{name}-b")).await?;
    second.write(&[("own.yaml", &config("own", "a", "b"))]).await?;
    second
        .sync(|spec| {
            spec["destination"]["namespace"] = json!(first.name);
            spec["source"]["interval"] = json!("1h");
            change(spec);
        })
        .await?;
    Ok((first, second))
}

async fn what_moves_to_another_sync_is_not_deleted_in_between() -> Result<()> {
    let (first, second) = beside_each_other("moved", |_| {}).await?;
    second.condition("Ready", true, &[]).await?;
    let uid = first.live("ConfigMap/leaves").await?["metadata"]["uid"].clone();
    let moves = |root: &std::path::Path| {
        let (from, to) = (root.join("moved-a/leaves.yaml"), root.join("moved-b/leaves.yaml"));
        Ok(std::fs::rename(from, to)?)
    };
    let commit = first.stage.commit("moved: to the other", moves).await?;
    first.is_synced(&commit).await?;
    first.is("ConfigMap/leaves", "/metadata/uid", uid.clone()).await?;
    second.is_synced(&commit).await?;
    first.is("ConfigMap/leaves", "/metadata/uid", uid).await?;
    let id = json!("holdfast-system/moved-b:/ConfigMap:moved-a/leaves");
    first.becomes("ConfigMap/leaves", "/metadata/annotations/holdfast.dev~1tracking-id", &id).await?;
    ensure!(first.records("Pruned", "ConfigMap/leaves")?.is_empty(), "it was pruned");
    Ok(())
}

async fn who_cannot_read_keeps_others_from_deleting_only_for_a_while() -> Result<()> {
    let (first, second) = beside_each_other("awaits", |spec| {
        spec["source"]["secretRef"] = json!({"name": "there-is-none"});
    })
    .await?;
    second.condition("Ready", false, &["there-is-none"]).await?;
    let commit = first.remove(&["leaves.yaml"]).await?;
    let words = ["left Git, and not yet gone: ConfigMap awaits-a/leaves", "GitSync holdfast-system/awaits-b cannot"];
    first.condition("Synced", false, &words).await?;
    first.is("ConfigMap/leaves", "/data/a", json!("b")).await?;
    first.is_synced(&commit).await?;
    ensure!(first.live("ConfigMap/leaves").await?.is_null(), "it is still there");
    Ok(())
}

async fn the_end_of_a_sync_leaves_its_objects() -> Result<()> {
    let place = Place::new("ended", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)]).await?;
    place.refuses(Who::Alice, SLOW).await?;
    let delete = ["delete", "gitsync", "ended", "--namespace", HOLDFAST_NAMESPACE];
    place.run(Who::Administrator, &delete, "").await?.success()?;
    crate::world::wait_until("nobody guards it", crate::stage::PATIENCE, || async {
        place.accepts(Who::Alice, SLOW).await
    })
    .await?;
    place.accepts(Who::Alice, "delete deployment/web").await?;
    place.is("ConfigMap/settings", "/data/mode", json!("slow")).await?;
    // It comes back, and Git wins again.
    place.sync(|_| {}).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await
}

/// Whoever begins anew, with objects that are there already, knows of such a one only that it is ours and what the API server says.
async fn what_git_declares_and_cannot_be_made_has_not_left_git() -> Result<()> {
    let place = Place::new("hindered", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)]).await?;
    let delete = ["delete", "gitsync", "hindered", "--namespace", HOLDFAST_NAMESPACE];
    place.run(Who::Administrator, &delete, "").await?.success()?;
    place.write(&[("web.yaml", &WEB.replace("{app: web}", "{app: other}"))]).await?;
    place.sync(|_| {}).await?;
    let told = async |status: &Value| {
        let why = status["drift"][0]["why"].as_str().with_context(|| format!("nothing is told: {status}"))?;
        ensure!(why.contains("Git declares it") && why.contains("field is immutable"), "{why}");
        ensure!(status["drifted"] == 1, "{status}");
        Ok(())
    };
    place.says("it is told as what it is", told).await?;
    // And once Git declares it no more, it is a stray like any other.
    let commit = place.remove(&["web.yaml"]).await?;
    place.is_synced(&commit).await?;
    ensure!(place.live("Deployment/web").await?.is_null(), "it is still there");
    Ok(())
}

async fn a_pause_marks_and_does_not_heal() -> Result<()> {
    let place = Place::new("paused", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)]).await?;
    let pause = |until: jiff::Timestamp| json!({"reason": "INC-4211 failover", "until": until.to_string()});
    let soon = |seconds| jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    place.sync(|spec| spec["suspend"] = pause(soon(3600))).await?;
    place.condition("Suspended", true, &["INC-4211 failover"]).await?;

    crate::world::wait_until("edits pass", crate::stage::PATIENCE, || async { place.accepts(Who::Alice, SLOW).await })
        .await?;
    let mark = place.live("ConfigMap/settings").await?["metadata"]["annotations"]["holdfast.dev/manual-edit"].clone();
    ensure!(
        mark.as_str().is_some_and(|mark| mark.contains("alice") && mark.contains(".data.mode")),
        "its mark is {mark}"
    );
    place.accepts(Who::Alice, "delete deployment/web").await?;
    let reported = async |status: &Value| {
        ensure!(status["drifted"] == 2, "its status is {status}");
        let settings =
            status["drift"].as_array().and_then(|all| all.iter().find(|one| one["object"]["kind"] == "ConfigMap"));
        ensure!(settings.context("no ConfigMap")?["why"] == "the sync is paused", "its status is {status}");
        Ok(())
    };
    place.says("both are reported", reported).await?;
    place.write(&[("more.yaml", &config("more", "a", "b"))]).await?;
    place.looks_again().await?;
    place.is("ConfigMap/settings", "/data/mode", json!("slow")).await?;
    ensure!(place.live("Deployment/web").await?.is_null(), "it was put back during the pause");
    ensure!(place.live("ConfigMap/more").await?.is_null(), "a commit was applied during the pause");

    place.sync(|spec| spec["suspend"] = pause(soon(3))).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await?;
    place.becomes("ConfigMap/more", "/data/a", &json!("b")).await?;
    place.condition("Ready", true, &[]).await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(condition(&status, "Suspended").is_none(), "{status}");
    place.is("ConfigMap/settings", "/metadata/annotations/holdfast.dev~1manual-edit", Value::Null).await?;
    place.refuses(Who::Alice, SLOW).await.map(drop)
}

/// A `GitSync` of which Git says everything but that: it is paused and resumed by hand, and keeps that through a commit.
async fn a_pause_of_what_git_declares_takes_no_commit_and_is_undone_by_none() -> Result<()> {
    let stage = shared().await?;
    let child = Place::empty(stage, "paused-child").await?;
    let commit = child.write(&[("settings.yaml", SETTINGS)]).await?;
    let mut git = stage.world.git_sync("paused-child", "paused-child", "paused-child")?;
    git["spec"]["source"]["interval"] = json!("1s");
    let parent = Place::new("paused-parent", &[("child.yaml", &git.to_string())]).await?;
    child.is_synced(&commit).await?;
    let patch = |spec: Value| {
        let change = crate::place::patch("gitsync/paused-child", &json!({"spec": spec}));
        format!("{change} --namespace={HOLDFAST_NAMESPACE}")
    };
    let paused = json!({"suspend": {"reason": "INC-4211", "until": "2099-01-01T00:00:00Z"}});
    child.accepts(Who::Administrator, &patch(paused)).await?;
    child.condition("Suspended", true, &["INC-4211"]).await?;
    // What Git does say of it stays guarded.
    child.refuses(Who::Administrator, &patch(json!({"source": {"targetRevision": "other"}}))).await?;

    git["spec"]["source"]["interval"] = json!("3s");
    parent.commits(&[("child.yaml", &git.to_string())]).await?;
    let spec = child.git_sync().await?["spec"].clone();
    ensure!(spec["source"]["interval"] == "3s" && spec["suspend"]["reason"] == "INC-4211", "it is {spec}");
    parent.condition("Ready", true, &[]).await?;
    child.accepts(Who::Administrator, &patch(json!({"suspend": null}))).await?;
    child
        .says("it goes on", async |status| {
            ensure!(condition(status, "Suspended").is_none(), "{status}");
            Ok(())
        })
        .await
        .map(drop)
}

async fn a_path_that_is_not_there_is_said() -> Result<()> {
    let place = Place::new("no-path", &[("settings.yaml", SETTINGS)]).await?;
    place.sync(|spec| spec["source"]["path"] = json!("nowhere")).await?;
    place.condition("Ready", false, &["nowhere"]).await?;
    place.refuses(Who::Alice, SLOW).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await
}

async fn a_changed_spec_is_taken_up() -> Result<()> {
    let place = Place::new("changed", &[("settings.yaml", SETTINGS)]).await?;
    place.refuses(Who::Alice, SLOW).await?;
    place.sync(|spec| spec["ignoreDifferences"] = json!([{"jsonPointers": ["/data/mode"]}])).await?;
    crate::world::wait_until("the rule holds", crate::stage::PATIENCE, || async {
        place.accepts(Who::Alice, SLOW).await
    })
    .await?;
    place.rests("ConfigMap/settings").await?;
    place.sync(|_| {}).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await
}
