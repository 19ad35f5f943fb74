//! What slipped through is undone, whatever it was, and then nothing is written any more.
//!
//! The guard looks away (`mode: Off`), so that everything slips. What happens when it is really gone is in `restarts`.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, SETTINGS_WITHOUT_LEVEL, WEB, parsed};
use crate::place::Place;
use crate::rewriter;
use crate::stage::{test, tests};
use crate::who::Who;

/// One slip: a name, who, kubectl's line, and what of which object becomes again what Git says.
struct Slip {
    name: &'static str,
    who: Who,
    line: &'static str,
    object: &'static str,
    pointer: &'static str,
    git: fn() -> Value,
    /// How the record spells it.
    path: &'static str,
    why: &'static str,
}

const APP: &str = "/spec/template/spec/containers/0";

#[rustfmt::skip] // one slip, a few short lines: a table
const SLIPS: &[Slip] = &[
    Slip { name: "scaled", who: Who::Alice, line: "scale deployment/web --replicas=5",
        object: "Deployment/web", pointer: "/spec/replicas", git: || json!(3), path: ".spec.replicas", why: "changed" },
    Slip { name: "scaled_to_nothing", who: Who::Automation, line: "scale deployment/web --replicas=0",
        object: "Deployment/web", pointer: "/spec/replicas", git: || json!(3), path: ".spec.replicas", why: "changed" },
    Slip { name: "image_changed", who: Who::Alice, line: "set image deployment/web app=other:1",
        object: "Deployment/web", pointer: "/spec/template/spec/containers/0/image", git: || json!("registry.example/web:1.0"),
        path: ".spec.template.spec.containers[name=app].image", why: "changed" },
    Slip { name: "env_removed", who: Who::Alice, line: "set env deployment/web LOG_LEVEL-",
        object: "Deployment/web", pointer: "/spec/template/spec/containers/0/env", git: || json!([{"name": "LOG_LEVEL", "value": "info"}]),
        path: "LOG_LEVEL", why: "removed" },
    Slip { name: "env_added_by_a_person", who: Who::Alice, line: "set env deployment/web EXTRA=1",
        object: "Deployment/web", pointer: "/spec/template/spec/containers/0/env", git: || json!([{"name": "LOG_LEVEL", "value": "info"}]),
        path: "EXTRA", why: "added" },
    Slip { name: "a_limit_added_by_a_person", who: Who::Alice, line: "set resources deployment/web --limits=cpu=2",
        object: "Deployment/web", pointer: "/spec/template/spec/containers/0/resources/limits", git: || Value::Null, path: "limits", why: "added" },
    Slip { name: "a_container_added_by_a_person", who: Who::Alice,
        line: r#"patch deployment/web --patch={"spec":{"template":{"spec":{"containers":[{"name":"mine","image":"a:2"}]}}}}"#,
        object: "Deployment/web", pointer: "/spec/template/spec/containers/1", git: || Value::Null, path: "mine", why: "added" },
    Slip { name: "a_default_overridden_by_a_person", who: Who::Alice,
        line: r#"patch deployment/web --type=merge --patch={"spec":{"revisionHistoryLimit":1}}"#,
        object: "Deployment/web", pointer: "/spec/revisionHistoryLimit", git: || json!(10), path: ".spec.revisionHistoryLimit", why: "added" },
    Slip { name: "paused", who: Who::Alice, line: "rollout pause deployment/web",
        object: "Deployment/web", pointer: "/spec/paused", git: || Value::Null, path: ".spec.paused", why: "added" },
    Slip { name: "a_key_changed", who: Who::Alice, line: r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#,
        object: "ConfigMap/settings", pointer: "/data/mode", git: || json!("fast"), path: ".data.mode", why: "changed" },
    Slip { name: "a_key_removed", who: Who::Collector, line: r#"patch configmap/settings --type=merge --patch={"data":{"mode":null}}"#,
        object: "ConfigMap/settings", pointer: "/data/mode", git: || json!("fast"), path: ".data.mode", why: "removed" },
    Slip { name: "a_key_added_by_a_person", who: Who::Alice, line: r#"patch configmap/settings --type=merge --patch={"data":{"colour":"red"}}"#,
        object: "ConfigMap/settings", pointer: "/data/colour", git: || Value::Null, path: ".data.colour", why: "added" },
    Slip { name: "a_label_changed", who: Who::Alice, line: "label deployment/web app=other --overwrite",
        object: "Deployment/web", pointer: "/metadata/labels/app", git: || json!("web"), path: ".metadata.labels.app", why: "changed" },
    Slip { name: "our_label_taken_off", who: Who::Alice, line: "label configmap/settings holdfast.dev/managed-",
        object: "ConfigMap/settings", pointer: "/metadata/labels/holdfast.dev~1managed", git: || json!("true"), path: "holdfast.dev/managed", why: "removed" },
    Slip { name: "our_label_taken_off_with_a_change", who: Who::Alice,
        line: r#"patch configmap/settings --type=merge --patch={"metadata":{"labels":null},"data":{"mode":"slow"}}"#,
        object: "ConfigMap/settings", pointer: "/data/mode", git: || json!("fast"), path: ".data.mode", why: "changed" },
    Slip { name: "our_annotation_taken_off", who: Who::Alice, line: "annotate configmap/settings holdfast.dev/tracking-id-",
        object: "ConfigMap/settings", pointer: "/metadata/annotations/holdfast.dev~1tracking-id", git: || json!("holdfast-system/{}:/ConfigMap:{}/settings"),
        path: "holdfast.dev/tracking-id", why: "removed" },
];

pub fn trials() -> Vec<Trial> {
    let slips = SLIPS.iter().map(|slip| test(format!("heal::{}", slip.name), move || heal(slip)));
    let others = tests![
        deleted,
        deleted_leaving_its_dependents,
        leftovers_go_when_git_stops_saying_so,
        managed_fields_wiped,
        what_a_controller_adds_stays,
        several_things_at_once_are_one_heal,
        report_only_reports_and_writes_nothing,
        a_webhook_that_rewrites_our_image_is_no_drift,
        what_cannot_be_taken_away_keeps_nothing_else_from_healing,
    ];
    slips.chain(others).collect()
}

/// A place that heals and does not refuse.
async fn unguarded(name: &str, files: &[(&str, &str)]) -> Result<Place<'static>> {
    Place::with(name, files, |spec| spec["admission"]["mode"] = json!("Off")).await
}

async fn heal(slip: &Slip) -> Result<()> {
    let name = format!("heal-{}", slip.name.replace('_', "-"));
    let file = if slip.object.starts_with("Deployment") { ("web.yaml", WEB) } else { ("settings.yaml", SETTINGS) };
    let place = unguarded(&name, &[file]).await?;
    let uid = place.live(slip.object).await?["metadata"]["uid"].clone();
    place.accepts(slip.who, slip.line).await?;
    let healed = place.record("Healed", slip.object).await?;
    let told = healed["fields"].as_array().is_some_and(|fields| {
        fields.iter().any(|field| {
            field["why"] == slip.why && field["path"].as_str().is_some_and(|path| path.contains(slip.path))
        })
    });
    ensure!(told, "the record does not tell that {} was {}: {healed}", slip.path, slip.why);
    ensure!(healed["remediationMs"].as_u64().is_some_and(|taken| taken < 60_000), "{healed}");
    let git: Value = serde_json::from_str(&(slip.git)().to_string().replace("{}", &name))?;
    place.heals(slip.object, slip.pointer, git).await?;
    ensure!(place.records("Healed", slip.object)?.len() == 1, "it was healed more than once");
    ensure!(place.live(slip.object).await?["metadata"]["uid"] == uid, "it was made anew");
    Ok(())
}

async fn deleted() -> Result<()> {
    let place = unguarded("heal-deleted", &[("settings.yaml", SETTINGS)]).await?;
    place.accepts(Who::Alice, "delete configmap/settings").await?;
    let healed = place.record("Healed", "ConfigMap/settings").await?;
    ensure!(healed["fields"][0]["why"] == "missing", "{healed}");
    place.heals("ConfigMap/settings", "/data", json!({"mode": "fast", "level": "info"})).await
}

async fn deleted_leaving_its_dependents() -> Result<()> {
    let place = unguarded("heal-orphaned", &[("web.yaml", WEB)]).await?;
    place.accepts(Who::Alice, "delete deployment/web --cascade=orphan").await?;
    place.record("Healed", "Deployment/web").await?;
    place.heals("Deployment/web", "/spec/replicas", json!(3)).await
}

async fn leftovers_go_when_git_stops_saying_so() -> Result<()> {
    let place = Place::new("heal-leftover", &[("settings.yaml", SETTINGS)]).await?;
    place.commits(&[("settings.yaml", SETTINGS_WITHOUT_LEVEL)]).await?;
    place.heals("ConfigMap/settings", "/data", json!({"mode": "fast"})).await
}

/// Without an owner, a field that leaves Git would stay for ever.
async fn managed_fields_wiped() -> Result<()> {
    let place = unguarded("heal-wiped", &[("settings.yaml", SETTINGS)]).await?;
    let wipe = r#"patch configmap/settings --type=json --patch=[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]"#;
    place.accepts(Who::Alice, wipe).await?;
    crate::world::wait_until("we own it again", crate::stage::PATIENCE, || async {
        let live = place.live("ConfigMap/settings").await?;
        let owners = live["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        // Ownership comes back in two writes; the first brings an entry, the second what is in it.
        let ours = owners.iter().find(|owner| owner["manager"] == "holdfast" && owner["operation"] == "Apply");
        ensure!(ours.is_some_and(|ours| ours["fieldsV1"]["f:data"].is_object()), "{live}");
        Ok(())
    })
    .await?;
    place.rests("ConfigMap/settings").await?;
    place.commits(&[("settings.yaml", SETTINGS_WITHOUT_LEVEL)]).await?;
    place.heals("ConfigMap/settings", "/data", json!({"mode": "fast"})).await
}

/// Sidecars, defaults, addresses: controllers may add what they like.
async fn what_a_controller_adds_stays() -> Result<()> {
    let place = Place::new("heal-controllers", &[("web.yaml", WEB)]).await?;
    let mut sidecar = parsed(WEB);
    sidecar["metadata"] = json!({"name": "web", "annotations": {"mesh": "yes"}});
    sidecar["spec"] = json!({"template": {"spec": {"containers": [{"name": "mesh", "image": "mesh:1"}]}}});
    let apply = "apply --server-side --field-manager=mesh-operator --filename=-";
    place.accepts_input(Who::Automation, apply, &sidecar).await?;
    place
        .accepts(
            Who::Collector,
            r#"patch deployment/web --type=merge --patch={"spec":{"replicas":9}} --field-manager=some-controller"#,
        )
        .await?;
    place.heals("Deployment/web", "/spec/replicas", json!(3)).await?;
    let containers = place.live("Deployment/web").await?["spec"]["template"]["spec"]["containers"].clone();
    let names: Vec<_> =
        containers.as_array().into_iter().flatten().map(|container| container["name"].clone()).collect();
    ensure!(names.contains(&json!("mesh")) && names.contains(&json!("app")), "the containers are {names:?}");
    place.is("Deployment/web", "/metadata/annotations/mesh", json!("yes")).await
}

/// Nobody but the operator knows which image its sidecar had; the API server will not have it without one.
async fn what_cannot_be_taken_away_keeps_nothing_else_from_healing() -> Result<()> {
    let place = unguarded("heal-the-rest", &[("web.yaml", WEB)]).await?;
    let mesh = json!({"spec": {"template": {"spec": {"containers": [{"name": "mesh", "image": "mesh:1"}]}}}});
    place
        .accepts(Who::Automation, &format!("patch deployment/web --patch={mesh} --field-manager=mesh-operator"))
        .await?;
    let change =
        json!({"spec": {"replicas": 8, "template": {"spec": {"containers": [{"name": "mesh", "image": "mesh:2"}]}}}});
    place.accepts(Who::Alice, &format!("patch deployment/web --patch={change}")).await?;
    place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await?;
    place.record("HealFailed", "Deployment/web").await?;
    place
        .says("what is left, and what the API server says of it", async |status| {
            let drift = &status["drift"][0];
            ensure!(drift["paths"] == json!([".spec.template.spec.containers[name=mesh].image"]), "{drift}");
            ensure!(drift["why"].as_str().is_some_and(|why| why.contains("containers[1].image: Required")), "{drift}");
            Ok(())
        })
        .await?;
    let named = |container: &Value| container["name"] == "mesh" && container["image"] == "mesh:2";
    let live = place.live("Deployment/web").await?;
    let containers = live["spec"]["template"]["spec"]["containers"].as_array();
    ensure!(containers.is_some_and(|containers| containers.iter().any(named)), "{live}");
    place.write(&[("web.yaml", &WEB.replace("replicas: 3", "replicas: 4"))]).await?;
    place.becomes("Deployment/web", "/spec/replicas", &json!(4)).await
}

async fn several_things_at_once_are_one_heal() -> Result<()> {
    let place = unguarded("heal-several", &[("web.yaml", WEB)]).await?;
    let change = json!({"metadata": {"labels": {"app": "x"}}, "spec": {"replicas": 8, "paused": true, "template": {"spec": {"containers": [
        {"name": "app", "image": "a:2", "env": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "MORE", "value": "1"}]},
    ]}}}});
    place.accepts(Who::Alice, &format!("patch deployment/web --patch={change}")).await?;
    let healed = place.record("Healed", "Deployment/web").await?;
    ensure!(healed["fields"].as_array().is_some_and(|fields| fields.len() == 6), "{healed}");
    ensure!(healed["by"]["manager"] == "kubectl-patch", "{healed}");
    place.heals("Deployment/web", "/spec/replicas", json!(3)).await?;
    place.is("Deployment/web", &format!("{APP}/image"), json!("registry.example/web:1.0")).await?;
    place.is("Deployment/web", &format!("{APP}/env"), json!([{"name": "LOG_LEVEL", "value": "info"}])).await?;
    ensure!(place.records("Healed", "Deployment/web")?.len() == 1, "it took more than one heal");
    Ok(())
}

async fn report_only_reports_and_writes_nothing() -> Result<()> {
    let place = Place::with("report-only", &[("settings.yaml", SETTINGS), ("other.yaml", WEB)], |spec| {
        spec["admission"]["mode"] = json!("Off");
        spec["syncPolicy"]["automated"]["selfHeal"] = json!(false);
    })
    .await?;
    place
        .accepts(
            Who::Alice,
            r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow","level":"debug"}}"#,
        )
        .await?;
    place.accepts(Who::Alice, "delete deployment/web").await?;
    let status = place
        .says("both are reported", async |status| {
            ensure!(status["drifted"] == 2, "its status is {status}");
            Ok(())
        })
        .await?;
    let of = |kind: &str| {
        status["drift"].as_array().into_iter().flatten().find(|drift| drift["object"]["kind"] == kind).cloned()
    };
    let (settings, web) = (of("ConfigMap").unwrap_or_default(), of("Deployment").unwrap_or_default());
    ensure!(
        settings["paths"] == json!([".data.level", ".data.mode"])
            || settings["paths"] == json!([".data.mode", ".data.level"]),
        "{settings}"
    );
    ensure!(
        settings["by"] == "kubectl-patch" && settings["since"].is_string() && settings["why"] == "selfHeal is off",
        "{settings}"
    );
    ensure!(web["paths"].is_null() && web["why"] == "selfHeal is off", "{web}");
    place.record("Drifted", "ConfigMap/settings").await?;

    let before = place.live("ConfigMap/settings").await?["metadata"]["resourceVersion"].clone();
    place.looks_again().await?;
    place.is("ConfigMap/settings", "/metadata/resourceVersion", before).await?;
    ensure!(place.live("Deployment/web").await?.is_null(), "it was put back");
    ensure!(place.records("Drifted", "ConfigMap/settings")?.len() == 1, "it was reported twice");
    Ok(())
}

async fn a_webhook_that_rewrites_our_image_is_no_drift() -> Result<()> {
    let place = Place::empty(crate::stage::shared().await?, "rewritten").await?;
    let _mirror = rewriter::serve(&place, "mirror.example/", rewriter::mirror).await?;
    let commit = place.write(&[("web.yaml", WEB)]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    let mirrored = json!("mirror.example/registry.example/web:1.0");
    place.heals("Deployment/web", &format!("{APP}/image"), mirrored.clone()).await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.accepts(Who::Collector, r#"patch deployment/web --type=merge --patch={"spec":{"replicas":9}}"#).await?;
    place.heals("Deployment/web", "/spec/replicas", json!(3)).await?;
    place.is("Deployment/web", &format!("{APP}/image"), mirrored).await?;
    ensure!(place.records("HealFailed", "Deployment/web")?.is_empty(), "it was fought over");
    Ok(())
}
