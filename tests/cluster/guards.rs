//! What other tools keep: each applies as the tool itself does, and then people come. The guards are those of the README.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::breakglass::open_glasses;
use crate::place::Place;
use crate::stage::{self, PATIENCE, Stage, tests};
use crate::who::Who;
use crate::world::{Person, wait_until};

const WEB: &str = "Deployment/web";
const IMAGE: &str = "/spec/template/spec/containers/0/image";
const FLUX_APPLY: &str = "apply --server-side --force-conflicts --filename=- --field-manager=kustomize-controller";
const ARGO_APPLY: &str = "apply --filename=- --field-manager=argocd-controller";

pub fn trials() -> Vec<Trial> {
    tests![
        flux_keeps_what_it_applies,
        argo_cd_keeps_what_it_applies_as_a_client,
        argo_cd_keeps_what_it_applies_on_the_server,
        helm_keeps_what_it_installs,
        what_was_taken_from_argo_cd_is_known_from_its_copy,
        an_autoscaler_leaves_people_its_range,
        what_carries_no_mark_is_nobodys,
        what_is_vital_is_no_guards_business,
        what_git_declares_is_judged_by_git,
        an_eviction_deletes_what_flux_keeps,
        a_namespace_with_what_flux_keeps_stays,
        edits_through_another_version_are_judged,
        replicas_in_another_version_are_judged,
        what_is_open_on_guarded_objects_is_listed,
        people_are_reminded_once_of_what_is_guarded_and_told_its_end,
        what_a_tool_takes_off_is_told,
    ]
}

/// The guards the README tells people to paste.
pub fn pasted() -> Result<Value> {
    let readme = include_str!("../../README.md");
    let block = readme.split("```").find(|block| block.starts_with("yaml") && block.contains("  guards:\n"));
    let policy: Value =
        serde_saphyr::from_str(block.context("the README has such a block")?.trim_start_matches("yaml"))?;
    Ok(policy["spec"]["guards"].clone())
}

/// One that delivers.
pub struct Tool {
    who: Who,
    /// How it applies, but for what.
    apply: &'static str,
    again: &'static str,
    /// What it puts on the object.
    marks: Value,
    /// How kubectl takes the mark off by which the guard selects.
    escape: &'static str,
    guard: &'static str,
    /// What people know it as.
    called: &'static str,
}

/// Flux.
pub fn flux() -> Tool {
    Tool {
        who: Who::Flux,
        apply: FLUX_APPLY,
        again: FLUX_APPLY,
        marks: json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}}),
        escape: "label deployment/web kustomize.toolkit.fluxcd.io/name-",
        guard: "flux",
        called: "Flux Kustomization flux-system/shop (kustomize-controller)",
    }
}

fn argo() -> Tool {
    Tool {
        who: Who::Argo,
        apply: ARGO_APPLY,
        again: ARGO_APPLY,
        marks: json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop-prod:apps/Deployment:shop/web"}}),
        escape: "annotate deployment/web argocd.argoproj.io/tracking-id-",
        guard: "argo-cd",
        called: "Argo CD Application shop-prod (argocd-controller)",
    }
}

fn helm() -> Tool {
    let release = json!({"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "shop"});
    Tool {
        who: Who::Automation,
        apply: "create --filename=- --field-manager=helm",
        again: "replace --filename=- --field-manager=helm",
        marks: json!({"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": release}),
        escape: "label deployment/web app.kubernetes.io/managed-by-",
        guard: "helm",
        called: "Helm release shop/web (helm)",
    }
}

/// A Deployment as this tool applies it.
fn web(tool: &Tool, image: &str) -> Value {
    let mut web = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                {"name": "app", "image": image, "env": [{"name": "LOG_LEVEL", "value": "info"}]},
            ]}},
        },
    });
    json_patch::merge(&mut web["metadata"], &tool.marks);
    web
}

/// A namespace in which the tool has applied it, and the guard is up.
async fn kept_by(tool: &Tool, name: &str) -> Result<Place<'static>> {
    kept_at(stage::shared().await?, tool, name).await
}

/// Likewise, in this world.
pub async fn kept_at<'s>(stage: &'s Stage, tool: &Tool, name: &str) -> Result<Place<'s>> {
    let place = Place::empty(stage, name).await?;
    place.accepts_input(tool.who, tool.apply, &web(tool, "registry.example/web:1.0")).await?;
    let dry = "set image deployment/web app=registry.example/web:9 --dry-run=server";
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, dry)).await?;
    Ok(place)
}

async fn flux_keeps_what_it_applies() -> Result<()> {
    keeps("guarded-flux", &flux()).await
}

async fn argo_cd_keeps_what_it_applies_as_a_client() -> Result<()> {
    keeps("guarded-argo", &argo()).await
}

async fn argo_cd_keeps_what_it_applies_on_the_server() -> Result<()> {
    let apply = "apply --server-side --force-conflicts --filename=- --field-manager=argocd-controller";
    keeps("guarded-argo-server", &Tool { apply, again: apply, ..argo() }).await
}

async fn helm_keeps_what_it_installs() -> Result<()> {
    keeps("guarded-helm", &helm()).await
}

async fn keeps(name: &str, tool: &Tool) -> Result<()> {
    let place = kept_by(tool, name).await?;
    refused(&place, tool).await?;
    passes(&place).await?;
    emergency(&place).await?;
    // The tool itself is never in its own way, and has the last word.
    place.accepts_input(tool.who, tool.again, &web(tool, "registry.example/web:2.0")).await?;
    place.is(WEB, IMAGE, json!("registry.example/web:2.0")).await?;
    place.is(WEB, "/spec/replicas", json!(3)).await?;
    place.accepts(tool.who, "delete deployment/web --wait=false").await.map(drop)
}

/// What people do to objects, and what they read.
async fn refused(place: &Place<'_>, tool: &Tool) -> Result<()> {
    let collection = format!("delete --raw /apis/apps/v1/namespaces/{}/deployments", place.name);
    let lines = [
        "scale deployment/web --replicas=5",
        "set image deployment/web app=registry.example/web:9",
        "set env deployment/web LOG_LEVEL=debug",
        r#"patch deployment/web --type=merge --patch={"spec":{"replicas":5}}"#,
        r#"patch deployment/web --type=json --patch=[{"op":"remove","path":"/spec/template/spec/containers/0/env"}]"#,
        "label deployment/web app=mine --overwrite",
        tool.escape,
        "delete deployment/web",
        &collection,
    ];
    for line in lines {
        for who in [Who::Alice, Who::Administrator] {
            let message = place.refuses(who, line).await?;
            let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
            ensure!(message.contains(tool.called), "{line} does not name {}: {message}", tool.called);
        }
    }
    let edit = place.run(Who::Alice, &["edit", "deployment/web"], "s/replicas: 3/replicas: 7/").await?;
    ensure!(edit.refusal()?.contains("kept: 3"), "kubectl edit is told nothing");
    let wiped = r#"patch deployment/web --type=merge --patch={"metadata":{"managedFields":[{}]}}"#;
    ensure!(place.refuses(Who::Alice, wiped).await?.contains("metadata.managedFields"), "ownership is not spoken of");
    let record = place.record("Denied", WEB).await?;
    ensure!(record["guard"] == tool.guard && record["sync"].is_null(), "{record}");
    ensure!(record["fields"].is_array() || record["reason"].is_string(), "{record}");
    Ok(())
}

/// What is nobody's business.
async fn passes(place: &Place<'_>) -> Result<()> {
    place.accepts(Who::Alice, "annotate deployment/web note=mine").await?;
    place.accepts(Who::Alice, "rollout restart deployment/web").await?;
    place.accepts(Who::Alice, "label deployment/web mine=yes").await?;
    let listed = r#"patch deployment/web --type=merge --patch={"spec":{"paused":true}}"#;
    place.accepts(Who::Listed, listed).await?;
    place.accepts(Who::Autoscaler, "scale deployment/web --replicas=4 --dry-run=server").await.map(drop)
}

async fn emergency(place: &Place<'_>) -> Result<()> {
    let open = "annotate deployment/web holdfast.dev/break-glass=INC-1 --overwrite";
    let message = place.refuses(Who::Alice, open).await?;
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(message.contains(r#""break-glass" on driftpolicies.holdfast.dev "default""#), "{message}");
    place.accepts(Who::Oncall, open).await?;
    place.is(WEB, "/metadata/annotations/holdfast.dev~1break-glass-by", json!("oncall")).await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.accepts(Who::Oncall, "scale deployment/web --replicas=5").await?;
    place.accepts(Who::Oncall, "set image deployment/web app=registry.example/web:9").await?;
    let record = place.record("BreakGlassOpened", WEB).await?;
    ensure!(record["guard"].is_string() && record["reason"] == "INC-1", "{record}");
    place.accepts(Who::Oncall, "annotate deployment/web holdfast.dev/break-glass-").await?;
    place.is(WEB, "/metadata/annotations/holdfast.dev~1break-glass-until", Value::Null).await
}

/// A controller may write, and takes what it writes from the tool. Argo CD's copy says what was right; Flux has none.
async fn what_was_taken_from_argo_cd_is_known_from_its_copy() -> Result<()> {
    let taken = r#"patch deployment/web --type=merge --patch={"spec":{"replicas":5}}"#;
    let argo = kept_by(&argo(), "guarded-taken-argo").await?;
    argo.accepts(Who::Listed, taken).await?;
    let message = argo.refuses(Who::Alice, "scale deployment/web --replicas=9").await?;
    ensure!(message.contains("kept: 3") && message.contains("this: 9"), "{message}");
    argo.accepts(Who::Alice, "annotate deployment/web note=mine").await?;
    argo.accepts(Who::Alice, "scale deployment/web --replicas=3").await?;
    argo.refuses(Who::Alice, "scale deployment/web --replicas=9").await?;
    let flux = kept_by(&flux(), "guarded-taken-flux").await?;
    flux.accepts(Who::Listed, taken).await?;
    flux.accepts(Who::Alice, "scale deployment/web --replicas=9").await?;
    flux.accepts_input(Who::Flux, self::flux().again, &web(&self::flux(), "registry.example/web:1.0")).await?;
    flux.refuses(Who::Alice, "scale deployment/web --replicas=9").await.map(drop)
}

async fn an_autoscaler_leaves_people_its_range() -> Result<()> {
    let place = kept_by(&flux(), "guarded-scaled").await?;
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 6},
    });
    place.accepts_input(Who::Alice, "create --filename=-", &scaler).await?;
    let within = "scale deployment/web --replicas=4 --dry-run=server";
    wait_until("the autoscaler is seen", PATIENCE, || place.accepts(Who::Alice, within)).await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=9").await.map(drop)
}

async fn what_carries_no_mark_is_nobodys() -> Result<()> {
    let place = kept_by(&flux(), "guarded-beside").await?;
    let settings = |labels: &Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "labels": labels}, "data": {"a": "b"}});
    // Applied by the tool, and not marked as its own; then marked, and not applied by it.
    place.accepts_input(Who::Flux, FLUX_APPLY, &settings(&json!({}))).await?;
    let edit = r#"patch configmap/settings --type=merge --patch={"data":{"a":"c"}}"#;
    place.accepts(Who::Alice, edit).await?;
    place.accepts(Who::Alice, "delete configmap/settings").await?;
    place.accepts_input(Who::Alice, "create --filename=-", &settings(&flux().marks["labels"])).await?;
    place.accepts(Who::Alice, edit).await?;
    place.accepts(Who::Alice, "delete configmap/settings").await.map(drop)
}

/// The guard of Flux selects every kind there is.
async fn what_is_vital_is_no_guards_business() -> Result<()> {
    let place = kept_by(&flux(), "guarded-vital").await?;
    let marked = |mut object: Value| {
        object["metadata"]["labels"] = flux().marks["labels"].clone();
        object
    };
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}});
    let involved = json!({"kind": "Pod", "name": "web", "namespace": place.name});
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "said"}, "involvedObject": involved, "message": "a"});
    for object in [lease, event] {
        place.accepts_input(Who::Flux, FLUX_APPLY, &marked(object)).await?;
    }
    place.accepts(Who::Alice, r#"patch lease/leader --type=merge --patch={"spec":{"holderIdentity":"b"}}"#).await?;
    place.accepts(Who::Alice, r#"patch event/said --type=merge --patch={"message":"b"}"#).await?;
    let map =
        marked(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "guarded"}, "data": {"a": "b"}}));
    place.accepts_input(Who::Flux, FLUX_APPLY, &map).await?;
    place.refuses(Who::Administrator, "delete configmap/guarded").await?;
    // The same in kube-system, whose repair depends on nobody.
    let world = &place.stage.world;
    let mut elsewhere = map;
    elsewhere["metadata"]["namespace"] = json!("kube-system");
    elsewhere["metadata"]["name"] = json!("guarded-vital");
    let file = stage::folder("guarded-vital.json");
    stage::write(&file, &elsewhere.to_string())?;
    let file = file.to_string_lossy();
    let apply = ["apply", "--server-side", "--field-manager=kustomize-controller", "-f", &file];
    world.kubectl(Person::Administrator, &apply).await?.success()?;
    world.kubectl(Person::Administrator, &["delete", "-f", &file]).await?.success().map(drop)
}

/// An object that a GitSync declares and Flux applies, too: one judge is enough.
async fn what_git_declares_is_judged_by_git() -> Result<()> {
    let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n";
    let place = Place::new("guarded-ours", &[("settings.yaml", settings)]).await?;
    let marks = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "labels": flux().marks["labels"]}});
    place.accepts_input(Who::Flux, FLUX_APPLY, &marks).await?;
    let message =
        place.refuses(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"a":"c"}}"#).await?;
    ensure!(message.contains("kept equal to Git"), "{message}");
    let record = place.record("Denied", "ConfigMap/settings").await?;
    ensure!(record["sync"] == "holdfast-system/guarded-ours" && record["guard"].is_null(), "{record}");
    ensure!(place.records("Denied", "ConfigMap/settings")?.len() == 1, "it is on record twice");
    Ok(())
}

fn marked(mut object: Value) -> Value {
    object["metadata"]["labels"] = flux().marks["labels"].clone();
    object
}

/// A Pod of its own is Flux's; those of its Deployments are the Deployment's, and drains must move them.
async fn an_eviction_deletes_what_flux_keeps() -> Result<()> {
    let place = kept_by(&flux(), "guarded-evicted").await?;
    let containers = json!([{"name": "app", "image": "registry.example/lone:1.0"}]);
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lone"}, "spec": {"containers": containers}});
    place.accepts_input(Who::Flux, FLUX_APPLY, &marked(pod)).await?;
    let mut beside =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "beside"}, "spec": {"containers": containers}});
    beside = marked(beside);
    place.accepts_input(Who::Alice, "create --filename=-", &beside).await?;
    let evict =
        |name: &str| format!("create --raw /api/v1/namespaces/guarded-evicted/pods/{name}/eviction --filename=-");
    let eviction = |name: &str| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    for who in [Who::Alice, Who::Administrator, Who::Oncall] {
        let message = place.refuses_input(who, &evict("lone"), &eviction("lone")).await?;
        ensure!(message.contains("cannot be deleted by hand"), "{message}");
    }
    let record = place.record("Denied", "Pod/lone").await?;
    ensure!(record["guard"] == "flux" && record["verb"] == "DELETE", "{record}");
    place.accepts_input(Who::Alice, &evict("beside"), &eviction("beside")).await?;
    place.accepts(Who::Oncall, "annotate pod/lone holdfast.dev/break-glass=INC-1").await?;
    place.refuses_input(Who::Alice, &evict("lone"), &eviction("lone")).await?;
    place.accepts_input(Who::Oncall, &evict("lone"), &eviction("lone")).await.map(drop)
}

async fn a_namespace_with_what_flux_keeps_stays() -> Result<()> {
    let place = kept_by(&flux(), "guarded-held").await?;
    let delete = "delete namespace/guarded-held --wait=false";
    let dry = format!("{delete} --dry-run=server");
    for who in [Who::Alice, Who::Administrator, Who::Automation] {
        // On a busy machine the API server may not wait for what takes more than one question.
        let message = wait_until("it is refused", PATIENCE, || place.refuses(who, &dry)).await?;
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(message.contains("holds ") && message.contains("which is kept by Flux"), "{message}");
    }
    place.accepts(Who::Flux, &dry).await?;
    // What it did not write holds nobody up: here the Deployment's own ReplicaSets, and what people made.
    place.accepts(Who::Flux, "delete deployment/web --cascade=orphan").await?;
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}});
    place.accepts_input(Who::Alice, "create --filename=-", &marked(settings)).await?;
    place.accepts(Who::Alice, delete).await.map(drop)
}

async fn edits_through_another_version_are_judged() -> Result<()> {
    let place = kept_by(&flux(), "guarded-versions").await?;
    let target = json!({"type": "Utilization", "averageUtilization": 80});
    let scaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 6,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    });
    place.accepts_input(Who::Flux, FLUX_APPLY, &marked(scaler)).await?;
    let patch =
        |patch: &Value| format!("patch horizontalpodautoscalers.v1.autoscaling/web --type=merge --patch={patch}");
    for (edit, path) in [
        (json!({"spec": {"targetCPUUtilizationPercentage": 20}}), ".spec.metrics"),
        (json!({"spec": {"maxReplicas": 60}}), ".spec.maxReplicas"),
        (json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": null}}}), ".metadata.labels"),
    ] {
        let message = place.refuses(Who::Alice, &patch(&edit)).await?;
        ensure!(message.contains(path) && message.contains("is kept by Flux"), "{message}");
    }
    place.refuses(Who::Alice, "delete horizontalpodautoscalers.v1.autoscaling/web").await?;
    place.accepts(Who::Alice, &patch(&json!({"metadata": {"labels": {"mine": "yes"}}}))).await?;
    let cpu = patch(&json!({"spec": {"targetCPUUtilizationPercentage": 20}}));
    place.accepts(Who::Oncall, "annotate horizontalpodautoscaler/web holdfast.dev/break-glass=INC-1").await?;
    place.accepts(Who::Oncall, &cpu).await?;
    let edited = place.record("Edited", "HorizontalPodAutoscaler/web").await?;
    ensure!(edited["fields"][0]["path"] == ".spec.metrics" && edited["by"]["user"] == "oncall", "{edited}");
    Ok(())
}

/// A `Scale` is of one version, and the tool's entry of another.
async fn replicas_in_another_version_are_judged() -> Result<()> {
    let place = kept_by(&flux(), "guarded-widget").await?;
    let widget =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"count": 3}});
    place.accepts_input(Who::Flux, FLUX_APPLY, &marked(widget)).await?;
    for version in ["v1", "v2"] {
        let scale = |replicas: u32| format!("scale widgets.{version}.example.com/one --replicas={replicas}");
        let message = place.refuses(Who::Alice, &scale(5)).await?;
        ensure!(message.contains(".spec.count") && message.contains("kept: 3"), "{message}");
        place.accepts(Who::Alice, &scale(3)).await?;
        let patch = format!(r#"patch widgets.{version}.example.com/one --type=merge --patch={{"spec":{{"count":5}}}}"#);
        ensure!(place.refuses(Who::Alice, &patch).await?.contains(".spec.count"), "it does not say where");
    }
    Ok(())
}

async fn what_is_open_on_guarded_objects_is_listed() -> Result<()> {
    let place = kept_by(&flux(), "guarded-listed").await?;
    let none = open_glasses(&place, &[]).await?;
    ensure!(none.status.code() == Some(0) && none.stdout.is_empty(), "{none:?}");
    place.accepts(Who::Oncall, "annotate deployment/web holdfast.dev/break-glass=INC-7").await?;
    let some = open_glasses(&place, &["--output=json"]).await?;
    ensure!(some.status.code() == Some(1), "{some:?}");
    let open: Value = serde_json::from_slice(&some.stdout)?;
    ensure!(open[0]["object"]["name"] == "web" && open[0]["guard"] == "flux" && open[0]["sync"].is_null(), "{open}");
    ensure!(open[0]["by"] == "oncall" && open[0]["reason"] == "INC-7" && open[1].is_null(), "{open}");
    let wide = String::from_utf8(open_glasses(&place, &["--output=wide"]).await?.stdout)?;
    ensure!(wide.contains("guard flux"), "{wide}");
    Ok(())
}

/// What the `DriftPolicy` remembers of this place.
pub async fn noted(place: &Place<'_>) -> Result<Vec<Value>> {
    let policy = ["get", "driftpolicy", "default", "--output=jsonpath={.status.breakGlasses}"];
    let text = place.stage.world.kubectl(Person::Administrator, &policy).await?.success()?;
    let notes: Value = if text.trim().is_empty() { Value::Null } else { serde_json::from_str(&text)? };
    let of_place = |note: &&Value| note["object"]["namespace"] == *place.name;
    Ok(notes.as_object().into_iter().flat_map(|notes| notes.values()).filter(of_place).cloned().collect())
}

/// Five minutes before the end; so of this one after four seconds.
async fn people_are_reminded_once_of_what_is_guarded_and_told_its_end() -> Result<()> {
    let place = kept_by(&flux(), "guarded-ends").await?;
    let open = "annotate deployment/web holdfast.dev/break-glass=INC-4211 --overwrite";
    place.accepts(Who::Oncall, &format!("{open} holdfast.dev/break-glass-for=5m4s")).await?;
    let ending = place.record("BreakGlassEnding", WEB).await?;
    let reason = ending["reason"].as_str().unwrap_or_default();
    ensure!(ending["by"]["user"] == "oncall" && reason.contains("INC-4211"), "{ending}");
    ensure!(ending["guard"] == "flux" && ending["sync"].is_null(), "{ending}");
    let event = ["get", "events", "--field-selector=reason=BreakGlassEnding", "--output=jsonpath={.items[*].message}"];
    wait_until("there is an Event", PATIENCE, || async {
        let told = place.run(Who::Administrator, &event, "").await?.success()?;
        ensure!(told.contains("INC-4211") && told.contains("guarded again"), "{told}");
        Ok(())
    })
    .await?;

    // Shorter than five minutes there is nothing to remind of, and the end comes by itself.
    place.accepts(Who::Oncall, &format!("{open} holdfast.dev/break-glass-for=4s")).await?;
    let closed = place.record("BreakGlassClosed", WEB).await?;
    ensure!(closed["guard"] == "flux", "{closed}");
    let reason = closed["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("it expired") && reason.contains("INC-4211"), "{closed}");
    place.refuses(Who::Oncall, "scale deployment/web --replicas=5").await?;
    wait_until("nothing of it is remembered", PATIENCE, || async {
        let noted = noted(&place).await?;
        ensure!(noted.is_empty(), "{noted:?}");
        Ok(())
    })
    .await?;
    for kind in ["BreakGlassEnding", "BreakGlassClosed"] {
        ensure!(place.records(kind, WEB)?.len() == 1, "{kind} was said twice");
    }
    // Whoever closes one is on record already, and it has no other end. The API server asks again when somebody else wrote
    // meanwhile, here the Deployment's controller: so nobody counts how often it was said.
    place.accepts(Who::Oncall, &format!("{open} holdfast.dev/break-glass-for=10m")).await?;
    place.accepts(Who::Oncall, "annotate deployment/web holdfast.dev/break-glass-").await?;
    wait_until("nothing of it is remembered", PATIENCE, || async {
        ensure!(place.records("BreakGlassOpened", WEB)?.len() >= 3 && noted(&place).await?.is_empty(), "it is");
        Ok(())
    })
    .await?;
    let closed = place.records("BreakGlassClosed", WEB)?;
    let by_oncall = closed.iter().skip(1).filter(|closed| closed["by"]["user"] == "oncall").count();
    ensure!(by_oncall >= 1 && by_oncall + 1 == closed.len(), "{closed:?}");
    Ok(())
}

/// Whoever keeps an object is not asked about; what it takes along with the rest is found when the reminder is due.
async fn what_a_tool_takes_off_is_told() -> Result<()> {
    let place = kept_by(&flux(), "guarded-taken-off").await?;
    let open = "annotate deployment/web holdfast.dev/break-glass=INC-9 holdfast.dev/break-glass-for=5m6s";
    place.accepts(Who::Oncall, open).await?;
    wait_until("it is remembered", PATIENCE, || async {
        let noted = noted(&place).await?;
        ensure!(noted.len() == 1 && noted[0]["by"] == "oncall" && noted[0]["reminded"] == false, "{noted:?}");
        Ok(())
    })
    .await?;
    place.accepts(Who::Flux, "annotate deployment/web holdfast.dev/break-glass-").await?;
    let closed = place.record("BreakGlassClosed", WEB).await?;
    let reason = closed["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("taken off") && reason.contains("INC-9"), "{closed}");
    ensure!(place.records("BreakGlassEnding", WEB)?.is_empty(), "people were reminded of what is over");
    Ok(())
}
