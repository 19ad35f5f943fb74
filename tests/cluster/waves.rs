//! Waves: what comes first, what is waited for, and what is not kept waiting by that.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, config};
use crate::place::{Place, condition};
use crate::stage::{PATIENCE, fragile, shared, tests};
use crate::who::Who;
use crate::world::wait_until;

pub fn trials() -> Vec<Trial> {
    tests![
        a_wave_waits_until_the_one_before_is_ready_and_nobody_else_does,
        what_left_git_goes_in_reverse_and_last_of_all,
        what_could_not_be_deleted_is_tried_again,
    ]
}

/// A Pod that no node will ever run: it is ready when the test says so.
pub fn pod(name: &str) -> String {
    let containers = json!([{"name": "app", "image": "registry.example/db:1.0"}]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers}})
        .to_string()
}

pub fn in_wave(name: &str, annotation: &str, wave: i32) -> Value {
    let annotations = json!({annotation: wave.to_string()});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": annotations}, "data": {"a": "b"}})
}

/// Makes it ready.
pub const READY: &str = r#"--subresource=status --type=merge --patch={"status":{"phase":"Succeeded"}}"#;

async fn is_not_there(place: &Place<'_>, object: &str) -> Result<()> {
    let live = place.live(object).await?;
    ensure!(live.is_null(), "{live}");
    Ok(())
}

async fn a_wave_waits_until_the_one_before_is_ready_and_nobody_else_does() -> Result<()> {
    let place = Place::empty(shared().await?, "waves").await?;
    let late = in_wave("late", "argocd.argoproj.io/sync-wave", 1).to_string();
    let later = in_wave("later", "holdfast.dev/wave", 2).to_string();
    let commit = place
        .write(&[("db.yaml", &pod("db")), ("settings.yaml", SETTINGS), ("a.yaml", &late), ("b.yaml", &later)])
        .await?;
    place.sync(|spec| spec["syncPolicy"]["waveTimeout"] = json!("2s")).await?;
    let waits = ["wave 1 waits for Pod waves/db of wave 0", "its phase is Pending"];
    place.condition("Synced", false, &waits).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    is_not_there(&place, "ConfigMap/late").await?;

    // A heal does not wait, and what is already declared is guarded.
    let slow = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#;
    place.accepts(Who::Collector, slow).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place.refuses(Who::Alice, slow).await?;
    let timed_out = async |status: &Value| {
        let reason = condition(status, "Ready").map(|ready| ready["reason"].clone());
        ensure!(reason == Some(json!("WaveTimeout")), "{status}");
        Ok(())
    };
    let status = place.says("the wave took too long", timed_out).await?;
    ensure!(status.to_string().contains(waits[0]), "{status}");
    is_not_there(&place, "ConfigMap/late").await?;

    place.accepts(Who::Administrator, &format!("patch pod/db {READY}")).await?;
    place.is_synced(&commit).await?;
    place.is("ConfigMap/late", "/data/a", json!("b")).await?;
    place.is("ConfigMap/later", "/data/a", json!("b")).await?;
    place.condition("Ready", true, &[]).await?;

    // What is not of this commit is not waited for, ready or not.
    place.commits(&[("more.yaml", &pod("more")), ("settings.yaml", &SETTINGS.replace("fast", "slow"))]).await?;
    place.commits(&[("b.yaml", &later.replace(r#""a":"b""#, r#""a":"c""#))]).await?;
    place.is("ConfigMap/later", "/data/a", json!("c")).await
}

async fn what_left_git_goes_in_reverse_and_last_of_all() -> Result<()> {
    let low = in_wave("low", "holdfast.dev/wave", 1).to_string();
    let mut high = in_wave("high", "holdfast.dev/wave", 2);
    high["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let stays = ["one", "two", "three"].map(|name| (format!("{name}.yaml"), config(name, "a", name)));
    let mut files: Vec<_> = stays.iter().map(|(file, text)| (&**file, &**text)).collect();
    let high = high.to_string();
    files.extend([("low.yaml", &*low), ("high.yaml", &*high)]);
    let place = Place::with("waves-back", &files, |spec| {
        spec["syncPolicy"]["automated"]["prune"] = json!(true);
        spec["syncPolicy"]["syncOptions"] = json!(["PruneLast=true"]);
    })
    .await?;
    // Whatever is still on its way keeps them.
    let edit = |root: &std::path::Path| {
        let at = |file: &str| root.join("waves-back").join(file);
        crate::stage::write(&at("db.yaml"), &pod("db"))?;
        std::fs::remove_file(at("low.yaml"))?;
        Ok(std::fs::remove_file(at("high.yaml"))?)
    };
    let commit = place.stage.commit("waves-back: replace", edit).await?;
    place.condition("Synced", false, &["what left Git waits for Pod waves-back/db"]).await?;
    place.is("ConfigMap/high", "/metadata/deletionTimestamp", Value::Null).await?;
    place.accepts(Who::Administrator, &format!("patch pod/db {READY}")).await?;
    let going = async || {
        let live = place.live("ConfigMap/high").await?;
        ensure!(live["metadata"]["deletionTimestamp"].is_string(), "{live}");
        Ok(())
    };
    wait_until("the last wave goes first", PATIENCE, going).await?;
    place.is("ConfigMap/low", "/metadata/deletionTimestamp", Value::Null).await?;
    // A commit that removes something is not synced before that is gone, all of it.
    place.condition("Synced", false, &["left Git, and not yet gone: ConfigMap waves-back/high"]).await?;
    let early = place.git_sync().await?["status"]["syncedRevision"].clone();
    ensure!(place.stage.is_at(&early, &commit).await.is_err(), "synced before it was gone");
    let release = r#"patch configmap/high --type=merge --patch={"metadata":{"finalizers":null}}"#;
    place.accepts(Who::Administrator, release).await?;
    place.is_synced(&commit).await?;
    ensure!(place.live("ConfigMap/low").await?.is_null(), "synced before it was gone");
    place.record("Pruned", "ConfigMap/low").await.map(drop)
}

/// Somebody's policy refuses for a while. Nobody commits anything, and nothing is seen.
fn refusal(namespace: &str) -> Value {
    let (api_version, name) = ("admissionregistration.k8s.io/v1", "nothing-goes");
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"], "resourceNames": ["low"]});
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": api_version, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [rule], "namespaceSelector": selector},
                "validations": [{"expression": "false", "message": "nothing goes today"}],
            },
        },
        {
            "apiVersion": api_version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]})
}

async fn what_could_not_be_deleted_is_tried_again() -> Result<()> {
    let stage = fragile().await?;
    let low = in_wave("low", "holdfast.dev/wave", 1).to_string();
    let mut high = in_wave("high", "holdfast.dev/wave", 2);
    high["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let (high, stays) = (high.to_string(), ["one", "two", "three"].map(|name| config(name, "a", name)));
    let files = [
        ("one.yaml", &*stays[0]),
        ("two.yaml", &*stays[1]),
        ("three.yaml", &*stays[2]),
        ("low.yaml", &*low),
        ("high.yaml", &*high),
    ];
    let place = Place::at(&stage, "waves-refused", &files, |spec| {
        spec["syncPolicy"]["automated"]["prune"] = json!(true);
    })
    .await?;
    stage.world.apply(&refusal("waves-refused")).await?;
    let delete = "delete configmap/low --dry-run=server";
    let refuses = async || {
        let said = place.run(Who::Collector, &delete.split(' ').collect::<Vec<_>>(), "").await?.stderr;
        ensure!(said.contains("nothing goes today"), "{said}");
        Ok(())
    };
    wait_until("the policy is in force", PATIENCE, refuses).await?;
    let commit = place.remove(&["low.yaml", "high.yaml"]).await?;
    let going = async || {
        let live = place.live("ConfigMap/high").await?;
        ensure!(live["metadata"]["deletionTimestamp"].is_string(), "{live}");
        Ok(())
    };
    wait_until("the last wave goes first", PATIENCE, going).await?;
    let release = r#"patch configmap/high --type=merge --patch={"metadata":{"finalizers":null}}"#;
    place.accepts(Who::Administrator, release).await?;
    place.condition("Ready", false, &["nothing goes today"]).await?;
    let policies = "validatingadmissionpolicy,validatingadmissionpolicybinding";
    stage.world.kubectl(Who::Administrator.person(), &["delete", policies, "nothing-goes"]).await?.success()?;
    place.becomes("ConfigMap/low", "", &Value::Null).await?;
    place.is_synced(&commit).await?;
    place.condition("Ready", true, &[]).await
}
