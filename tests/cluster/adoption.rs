//! Objects that were there before Git declared them, and what people do to them later.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SCALED, SETTINGS, WEB, parsed};
use crate::place::Place;
use crate::stage::{folder, shared, test, tests};
use crate::who::Who;

/// The tools objects come from: a name, and how each writes. The field managers are the tools' own.
const TOOLS: [(&str, &str); 13] = [
    ("create", "create --filename=-"),
    ("replace", "apply --field-manager=kubectl-replace --filename=-"),
    ("apply", "apply --filename=-"),
    ("apply_server_side", "apply --server-side --filename=-"),
    ("nobody_in_particular", "create --field-manager=before-first-apply --filename=-"),
    ("helm", "create --field-manager=helm --filename=-"),
    ("helm_4", "apply --server-side --field-manager=helm --filename=-"),
    ("argo_cd", "apply --field-manager=argocd-controller --filename=-"),
    ("argo_cd_server_side", "apply --server-side --field-manager=argocd-controller --filename=-"),
    ("flux", "apply --server-side --field-manager=kustomize-controller --filename=-"),
    ("flux_helm", "apply --server-side --field-manager=helm-controller --filename=-"),
    ("config_sync", "apply --server-side --field-manager=configsync.gke.io --filename=-"),
    ("fleet", "create --field-manager=fleetagent --filename=-"),
];

pub fn trials() -> Vec<Trial> {
    let tools =
        TOOLS.map(|(name, line)| test(format!("adoption::of_what_was_made_by_{name}"), move || adopts(name, line)));
    tools
        .into_iter()
        .chain(tests![
            a_deployment_is_adopted_without_a_rollout,
            a_tool_that_is_still_at_work_is_adopted_from_once,
            replicas_git_leaves_out_stay,
            what_rules_exclude_stays_with_its_tool,
            a_secret_is_adopted_and_not_told,
            rollout_undo_is_an_edit_like_any_other,
        ])
        .collect()
}

const APP: &str = "/spec/template/spec/containers/0";

/// As the tool has it: more than Git will say, of every kind of thing.
fn earlier() -> Value {
    let mut web = parsed(WEB);
    web["metadata"]["labels"]["tier"] = json!("front");
    web["metadata"]["annotations"]["meta.helm.sh/release-name"] = json!("web");
    web["metadata"]["annotations"]["objectset.rio.cattle.io/applied"] = json!("H4sI");
    web["spec"]["revisionHistoryLimit"] = json!(3);
    web["spec"]["template"]["metadata"]["annotations"] = json!({"checksum": "1"});
    let pod = &mut web["spec"]["template"]["spec"];
    pod["containers"][0]["env"] = json!([{"name": "LOG_LEVEL", "value": "debug"}, {"name": "OLD", "value": "1"}]);
    pod["containers"][0]["livenessProbe"] = json!({"tcpSocket": {"port": 8080}});
    let containers = pod["containers"].as_array_mut().expect("containers are a list");
    containers.push(json!({"name": "old", "image": "registry.example/old:1.0", "ports": [{"containerPort": 9090}]}));
    web
}

/// What the tool wrote and Git does not say goes, what Git stops saying later goes, too, and nothing is made anew for it.
async fn adopts(name: &str, line: &str) -> Result<()> {
    let place = Place::empty(shared().await?, &format!("adopt-{}", name.replace('_', "-"))).await?;
    place.accepts_input(Who::Alice, line, &earlier()).await?;
    let uid = place.live("Deployment/web").await?["metadata"]["uid"].clone();
    let beside = "\n        - {name: beside, image: 'registry.example/beside:1.0', ports: [{containerPort: 7070}]}";
    let both = WEB.replace("      containers:", &format!("      containers:{beside}"));
    let commit = place.write(&[("web.yaml", &both)]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    place.heals("Deployment/web", "/spec/revisionHistoryLimit", json!(10)).await?;
    let live = place.live("Deployment/web").await?;
    ensure!(names(&live) == ["app", "beside"], "its containers are {:?}", names(&live));
    ensure!(live["metadata"]["labels"]["tier"] == "front", "a label nobody spoke of is gone: {live}");
    let annotations = &live["metadata"]["annotations"];
    ensure!(annotations["meta.helm.sh/release-name"] == "web", "an annotation nobody spoke of is gone: {live}");
    ensure!(
        annotations["kubectl.kubernetes.io/last-applied-configuration"].is_null(),
        "its copy is still there: {live}"
    );
    ensure!(annotations["objectset.rio.cattle.io/applied"].is_null(), "its copy is still there: {live}");
    let applied = place.record("Applied", "Deployment/web").await?;
    let leftover = |field: &Value| field["why"] == "leftover" && field["path"] == ".spec.revisionHistoryLimit";
    ensure!(applied["fields"].as_array().is_some_and(|fields| fields.iter().any(leftover)), "{applied}");

    // A whole container, an environment variable and a section leave Git: none of it is held by the tool any more.
    let less = WEB
        .replace("          env:\n            - {name: LOG_LEVEL, value: info}\n", "")
        .replace("          resources:\n            requests: {cpu: 100m, memory: 64Mi}\n", "");
    place.commits(&[("web.yaml", &less)]).await?;
    place.heals("Deployment/web", &format!("{APP}/env"), Value::Null).await?;
    let live = place.live("Deployment/web").await?;
    ensure!(names(&live) == ["app"], "its containers are {:?}", names(&live));
    ensure!(live.pointer(&format!("{APP}/resources")) == Some(&json!({})), "resources are left: {live}");
    place.is("Deployment/web", &format!("{APP}/livenessProbe"), Value::Null).await?;
    place.is("Deployment/web", "/spec/template/metadata/annotations", Value::Null).await?;
    place.is("Deployment/web", "/metadata/uid", uid).await
}

fn names(deployment: &Value) -> Vec<&str> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
    let mut names: Vec<_> = containers.into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
    names.sort_unstable();
    names
}

/// Who owns a field of the object, by its place in `fieldsV1`.
async fn owners_of(place: &Place<'_>, object: &str, pointer: &str) -> Result<Vec<String>> {
    let live = place.live(object).await?;
    let entries = live["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let owning = entries.iter().filter(|entry| entry["fieldsV1"].pointer(pointer).is_some());
    let mut names: Vec<_> = owning.filter_map(|entry| entry["manager"].as_str().map(str::to_owned)).collect();
    names.sort();
    Ok(names)
}

/// It goes on applying what Git says, too. Both own it then, and neither takes it from the other.
async fn a_tool_that_is_still_at_work_is_adopted_from_once() -> Result<()> {
    let place = Place::empty(shared().await?, "adopt-active").await?;
    let argo = "apply --server-side --force-conflicts --field-manager=argocd-controller --filename=-";
    place.accepts_input(Who::Automation, argo, &parsed(SETTINGS)).await?;
    let commit = place.write(&[("settings.yaml", SETTINGS)]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    let mode = "/f:data/f:mode";
    ensure!(owners_of(&place, "ConfigMap/settings", mode).await? == ["holdfast"], "it was not adopted");
    place.accepts_input(Who::Automation, argo, &parsed(SETTINGS)).await?;
    let both = ["argocd-controller", "holdfast"];
    ensure!(owners_of(&place, "ConfigMap/settings", mode).await? == both, "both say it");
    place.rests("ConfigMap/settings").await?;
    // Not even a heal takes it from the tool again.
    let slow = r#"patch configmap/settings --type=merge --patch={"data":{"level":"debug"}}"#;
    place.accepts(Who::Collector, slow).await?;
    place.heals("ConfigMap/settings", "/data", json!({"mode": "fast", "level": "info"})).await?;
    ensure!(owners_of(&place, "ConfigMap/settings", mode).await? == both, "a heal took ownership from the other tool");
    ensure!(place.records("Healed", "ConfigMap/settings")?.len() == 1, "they fought over ownership");
    Ok(())
}

/// Taking them over and not sending them would scale the Deployment to one.
async fn replicas_git_leaves_out_stay() -> Result<()> {
    let place = Place::empty(shared().await?, "adopt-replicas").await?;
    let mut web = parsed(SCALED);
    web["spec"]["replicas"] = json!(4);
    place.accepts_input(Who::Automation, "create --field-manager=helm --filename=-", &web).await?;
    let mut other = web.clone();
    other["metadata"]["name"] = json!("scaled");
    place.accepts_input(Who::Automation, "create --field-manager=helm --filename=-", &other).await?;
    place.accepts(Who::Autoscaler, "scale deployment/scaled --replicas=6").await?;
    let scaled = SCALED.replace("name: web}\nspec", "name: scaled}\nspec");
    let commit = place.write(&[("web.yaml", SCALED), ("scaled.yaml", &scaled)]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    place.heals("Deployment/web", "/spec/replicas", json!(4)).await?;
    place.heals("Deployment/scaled", "/spec/replicas", json!(6)).await
}

async fn what_rules_exclude_stays_with_its_tool() -> Result<()> {
    let place = Place::empty(shared().await?, "adopt-excluded").await?;
    let mut before = parsed(SETTINGS);
    before["data"] = json!({"mode": "slow", "theirs": "kept", "forgotten": "yes"});
    place.accepts_input(Who::Automation, "create --field-manager=helm --filename=-", &before).await?;
    let commit = place.write(&[("settings.yaml", SETTINGS)]).await?;
    place.sync(|spec| spec["ignoreDifferences"] = json!([{"jsonPointers": ["/data/theirs", "/data/mode"]}])).await?;
    place.is_synced(&commit).await?;
    let wanted = json!({"mode": "slow", "theirs": "kept", "level": "info"});
    place.heals("ConfigMap/settings", "/data", wanted).await?;
    for name in ["mode", "theirs"] {
        let owners = owners_of(&place, "ConfigMap/settings", &format!("/f:data/f:{name}")).await?;
        ensure!(owners == ["helm"], "{name} is owned by {owners:?}");
    }
    Ok(())
}

/// A client-side apply keeps a copy of a Secret in an annotation. It goes, and nothing anybody may read repeats it.
async fn a_secret_is_adopted_and_not_told() -> Result<()> {
    let place = Place::empty(shared().await?, "adopt-secret").await?;
    let secret =
        |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "stringData": data});
    let before = secret(json!({"password": "purple-monkey", "forgotten": "dish-washer"}));
    place.accepts_input(Who::Alice, "apply --filename=-", &before).await?;
    let commit = place.write(&[("token.yaml", &secret(json!({"password": "green-giraffe"})).to_string())]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    place.heals("Secret/token", "/data", json!({"password": "Z3JlZW4tZ2lyYWZmZQ=="})).await?;
    let copy = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";
    place.is("Secret/token", copy, Value::Null).await?;
    let applied = place.record("Applied", "Secret/token").await?.to_string();
    let status = place.git_sync().await?["status"].to_string();
    let log = std::fs::read_to_string(folder("cluster").join("log/holdfast.log"))?;
    let words = [
        "purple-monkey",
        "dish-washer",
        "green-giraffe",
        "cHVycGxlLW1vbmtleQ",
        "ZGlzaC13YXNoZXI",
        "Z3JlZW4tZ2lyYWZmZQ",
    ];
    let told: Vec<_> =
        words.iter().filter(|word| [&applied, &status, &log].iter().any(|text| text.contains(**word))).collect();
    ensure!(told.is_empty(), "it tells {told:?}");
    ensure!(applied.contains(".data.forgotten") && log.contains("adopt-secret"), "nothing is told at all: {applied}");
    Ok(())
}

async fn a_deployment_is_adopted_without_a_rollout() -> Result<()> {
    let place = Place::empty(shared().await?, "adopt-deployment").await?;
    place.accepts_input(Who::Alice, "apply --filename=-", &parsed(WEB)).await?;
    let revision = "/metadata/annotations/deployment.kubernetes.io~1revision";
    place.becomes("Deployment/web", revision, &json!("1")).await?;
    let uid = place.live("Deployment/web").await?["metadata"]["uid"].clone();
    let commit = place.write(&[("web.yaml", WEB)]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    place.heals("Deployment/web", "/metadata/labels/holdfast.dev~1managed", json!("true")).await?;
    place.is("Deployment/web", "/metadata/uid", uid).await?;
    place.is("Deployment/web", revision, json!("1")).await?;
    // The tool it was made with would now be refused what it did before.
    let mut other = parsed(WEB);
    other["spec"]["replicas"] = json!(9);
    place.refuses_input(Who::Alice, "apply --filename=-", &other).await.map(drop)
}

/// Going back to what Git said before is not what Git says.
async fn rollout_undo_is_an_edit_like_any_other() -> Result<()> {
    let place = Place::new("rollout-undo", &[("web.yaml", WEB)]).await?;
    let revision = "/metadata/annotations/deployment.kubernetes.io~1revision";
    place.becomes("Deployment/web", revision, &json!("1")).await?;
    place.commits(&[("web.yaml", &WEB.replace("web:1.0", "web:2.0"))]).await?;
    place.becomes("Deployment/web", revision, &json!("2")).await?;
    let message = place.refuses(Who::Alice, "rollout undo deployment/web").await?;
    ensure!(message.contains("web:1.0") && message.contains("web:2.0"), "{message}");

    // Undoing a restart takes away what nobody declared.
    place.accepts(Who::Alice, "rollout restart deployment/web").await?;
    place.becomes("Deployment/web", revision, &json!("3")).await?;
    place.accepts(Who::Alice, "rollout undo deployment/web").await?;
    let restarted = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    place.is("Deployment/web", restarted, Value::Null).await
}
