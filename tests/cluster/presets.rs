//! Every preset with its switch on and off, and sidecars that inject themselves, on a real API server.
//!
//! A row is an edit that a preset is there to let pass. With the switch on it passes, stays, and survives the healing of
//! something beside it; with the switch off the same value is drift, is undone, and is refused when it is tried again.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::ByteString;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, WEB};
use crate::place::Place;
use crate::rewriter::{Rewrite, serve};
use crate::stage::{PATIENCE, Stage, fragile, tests};
use crate::who::Who;
use crate::world::wait_until;

/// An edit that a preset lets pass.
struct Row {
    /// The preset, and the name of the place.
    switch: &'static str,
    /// What Git says; every object has an annotation `team: shop`.
    git: String,
    /// The object that is edited.
    object: &'static str,
    /// A kubectl line.
    edit: String,
    /// Where it edits.
    at: &'static str,
    /// What stands there with the switch on, and with it off.
    on: Value,
    off: Off,
}

/// What becomes of the value with the switch off.
enum Off {
    /// It is healed to this.
    Healed(Value),
    /// It is healed, and put back by whoever wrote it.
    Fought,
}

pub fn trials() -> Vec<Trial> {
    tests![
        each_with_its_switch_on_and_off,
        what_injectors_add_is_nobodys_and_what_people_add_is_theirs,
        a_policy_that_could_never_be_read_holds_healing,
    ]
}

async fn each_with_its_switch_on_and_off() -> Result<()> {
    let stage = fragile().await?;
    stage.world.apply(&vertical_autoscalers()).await?;
    let rows = rows()?;
    let places = try_join_all(rows.iter().map(|row| set(&stage, row))).await?;
    let _injector = inject(&places, &rows).await?;
    stage.world.apply(&vertical_autoscaler("preset-vpa")).await?;
    try_join_all(rows.iter().zip(&places).map(|(row, place)| row.holds(place))).await?;
    switch(&stage, &rows, false).await?;
    let off = try_join_all(rows.iter().zip(&places).map(|(row, place)| row.is_off(place))).await;
    switch(&stage, &rows, true).await?;
    off.map(drop)
}

async fn set<'s>(stage: &'s Stage, row: &Row) -> Result<Place<'s>> {
    Place::at(stage, &row.place(), &[("all.yaml", row.git.as_str())], |_| {}).await
}

/// It is stored while nobody guards it, and Holdfast starts with it. A start with a good one, and one gone bad since, is
/// another matter: the good one holds.
async fn a_policy_that_could_never_be_read_holds_healing() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "unreadable", &[("web.yaml", WEB)], |_| {}).await?;
    let rules = |rules: Value| json!({"spec": {"ignoreDifferences": rules}}).to_string();
    let line = |patch: &str| ["patch", "driftpolicy/default", "--type=merge", "--patch", patch].map(str::to_owned);
    let write = async |rules: &str| {
        let line = line(rules);
        let line: Vec<_> = line.iter().map(String::as_str).collect();
        stage.world.kubectl(Who::Administrator.person(), &line).await?.success().map(drop)
    };
    stage.world.stop_holdfast().await?;
    write(&rules(json!([{"jqPathExpressions": [".spec | nonsense"]}, {"jsonPointers": ["/spec/replicas"]}]))).await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?;
    let started = stage.world.start_holdfast().await;
    let held = async {
        started?;
        place.condition("RuleError", true, &["the DriftPolicy", "ignoreDifferences[0].jqPathExpressions[0]"]).await?;
        ensure!(stage.metric("holdfast_policy_readable").await? == 0, "it says the policy can be read");
        let said = place.refuses(Who::Alice, "set image deployment/web app=mine:1").await?;
        ensure!(said.contains("without it"), "{said}");
        place.rests("Deployment/web").await?;
        place.is("Deployment/web", "/spec/replicas", json!(5)).await?;
        // There may be a freeze among what cannot be read.
        place.write(&[("settings.yaml", SETTINGS)]).await?;
        place.condition("WindowClosed", true, &["the DriftPolicy, which cannot be read"]).await?;
        ensure!(place.live("ConfigMap/settings").await?.is_null(), "a commit was made real");
        Ok(())
    };
    let held = held.await;
    write(&rules(Value::Null)).await?;
    held?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place.heals("Deployment/web", "/spec/replicas", json!(3)).await?;
    ensure!(stage.metric("holdfast_policy_readable").await? == 1, "it says the policy cannot be read");
    Ok(())
}

/// A preset's switch is the whole cluster's: this test takes its turn in the world of those who break things.
async fn switch(stage: &Stage, rows: &[Row], on: bool) -> Result<()> {
    let presets: Value = rows.iter().map(|row| (row.switch.to_owned(), Value::Bool(on))).collect();
    let patch = json!({"spec": {"presets": presets}}).to_string();
    let line = ["patch", "driftpolicy/default", "--type=merge", "--patch", &patch];
    stage.world.kubectl(Who::Administrator.person(), &line).await?.success().map(drop)
}

// === impl Row ===

impl Row {
    fn place(&self) -> String {
        format!("preset-{}", self.switch.to_lowercase())
    }

    /// It passes and stays.
    async fn holds(&self, place: &Place<'_>) -> Result<()> {
        let Self { object, at, on, .. } = self;
        wait_until("what the preset hangs on is seen", PATIENCE, || place.accepts(Who::Administrator, &self.edit))
            .await?;
        place.becomes(object, at, on).await?;
        let theirs = crate::place::patch(object, &json!({"metadata": {"annotations": {"team": "theirs"}}}));
        // Aggregated ClusterRoles take a cluster administrator's rights.
        place.accepts(Who::Collector, &format!("{theirs} --as-group=system:masters")).await?;
        place.heals(object, "/metadata/annotations/team", json!("shop")).await?;
        place.is(object, at, on.clone()).await
    }

    /// The same value is drift, and the same edit is refused.
    async fn is_off(&self, place: &Place<'_>) -> Result<()> {
        match &self.off {
            Off::Healed(git) => {
                place.becomes(self.object, self.at, git).await?;
                place.refuses(Who::Administrator, &self.edit).await?;
                place.heals(self.object, self.at, git.clone()).await
            }
            Off::Fought => {
                wait_until("it is drift", PATIENCE, || async {
                    let said = ["Drifted", "Healed", "HealFailed"];
                    let found = said.iter().map(|kind| place.records(kind, self.object)).collect::<Result<Vec<_>>>()?;
                    let about_it = found.concat().iter().any(|record| record.to_string().contains(field(self.at)));
                    ensure!(about_it, "nothing is said of {}", self.at);
                    Ok(())
                })
                .await
            }
        }
    }
}

/// The last name in a pointer.
fn field(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or_default()
}

fn rows() -> Result<Vec<Row>> {
    Ok(workloads_and_services().into_iter().chain(others(&certificate()?, &certificate()?)).collect())
}

fn workloads_and_services() -> Vec<Row> {
    vec![
        Row {
            switch: "services",
            git: "{apiVersion: v1, kind: Service, metadata: {name: web, annotations: {team: shop}}, spec: {ports: [{port: 80}]}}\n"
                .into(),
            object: "Service/web",
            edit: crate::place::patch("service/web", &json!({"spec": {"loadBalancerIP": "192.0.2.7"}})),
            at: "/spec/loadBalancerIP",
            on: json!("192.0.2.7"),
            off: Off::Healed(Value::Null),
        },
        Row {
            switch: "hpa",
            git: format!("{WEB}---\n{}", scaler()),
            object: "Deployment/web",
            edit: "scale deployment/web --replicas=5".into(),
            at: "/spec/replicas",
            on: json!(5),
            off: Off::Healed(json!(3)),
        },
        Row {
            switch: "vpa",
            git: WEB.into(),
            object: "Deployment/web",
            edit: "set resources deployment/web --requests=cpu=2".into(),
            at: "/spec/template/spec/containers/0/resources/requests/cpu",
            on: json!("2"),
            off: Off::Healed(json!("100m")),
        },
        Row {
            switch: "restarts",
            git: WEB.into(),
            object: "Deployment/web",
            edit: crate::place::patch("deployment/web", &restarted()),
            at: "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt",
            on: json!("2026-02-03T04:05:06Z"),
            off: Off::Healed(Value::Null),
        },
        Row {
            switch: "injection",
            git: probed(r#"labels: {app: web, sidecar.istio.io/inject: "true"}"#, ""),
            object: "Deployment/web",
            edit: "annotate deployment/web note=1 --overwrite".into(),
            at: "/spec/template/spec/containers/0/livenessProbe/httpGet/path",
            on: json!("/app-health/app/livez"),
            off: Off::Fought,
        },
    ]
}

fn others(ours: &str, theirs: &str) -> Vec<Row> {
    let merge = |object: &str, patch: Value| crate::place::patch(object, &patch);
    vec![
        Row {
            switch: "caBundle",
            git: converted(ours),
            object: "CustomResourceDefinition/baubles.example.com",
            edit: merge(
                "crd/baubles.example.com",
                json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": theirs}}}}}),
            ),
            at: "/spec/conversion/webhook/clientConfig/caBundle",
            on: json!(theirs),
            off: Off::Healed(json!(ours)),
        },
        Row {
            switch: "aggregatedClusterRoles",
            git: AGGREGATED.into(),
            object: "ClusterRole/preset-aggregate",
            edit: "annotate clusterrole/preset-aggregate note=1 --overwrite".into(),
            at: "/rules",
            on: json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]),
            off: Off::Fought,
        },
        Row {
            switch: "serviceAccounts",
            git: "{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, annotations: {team: shop}}}\n".into(),
            object: "ServiceAccount/robot",
            edit: merge("serviceaccount/robot", json!({"secrets": [{"name": "robot-token"}]})),
            at: "/secrets",
            on: json!([{"name": "robot-token"}]),
            off: Off::Healed(Value::Null),
        },
        Row {
            switch: "volumes",
            git: VOLUME.into(),
            object: "PersistentVolume/preset-volume",
            edit: merge("pv/preset-volume", json!({"spec": {"claimRef": {"namespace": "nowhere", "name": "some"}}})),
            at: "/spec/claimRef/name",
            on: json!("some"),
            off: Off::Healed(Value::Null),
        },
        Row {
            switch: "externalSecrets",
            git: SECRET.into(),
            object: "Secret/tls",
            edit: merge("secret/tls", json!({"data": {"key": "dGhlaXJz"}})),
            at: "/data/key",
            on: json!("dGhlaXJz"),
            off: Off::Healed(json!("Z2l0")),
        },
    ]
}

fn restarted() -> Value {
    json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-02-03T04:05:06Z"}}}}})
}

fn scaler() -> &'static str {
    "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n  \
     scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  minReplicas: 2\n  maxReplicas: 6\n  \
     metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]\n"
}

/// The rules Git writes here are what aggregation overwrites.
const AGGREGATED: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: preset-aggregate, annotations: {team: shop}}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {example.com/preset-part: 'true'}}]}
rules: [{apiGroups: [''], resources: [secrets], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: preset-part, labels: {example.com/preset-part: 'true'}}
rules: [{apiGroups: [''], resources: [configmaps], verbs: [get]}]
";

const VOLUME: &str = "\
apiVersion: v1
kind: PersistentVolume
metadata: {name: preset-volume, annotations: {team: shop}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: /nowhere}
";

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: tls, annotations: {team: shop, cert-manager.io/certificate-name: tls}}
data: {key: Z2l0}
";

fn certificate() -> Result<String> {
    let made = rcgen::generate_simple_self_signed(["example.com".to_owned()])?;
    let text = serde_json::to_value(ByteString(made.cert.pem().into_bytes()))?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

/// A CRD with a conversion webhook, whose certificate cert-manager injects.
fn converted(bundle: &str) -> String {
    let mut crd = crate::manifests::definition("Bauble", "baubles");
    crd["metadata"]["annotations"] = json!({"team": "shop", "cert-manager.io/inject-ca-from": "a/b"});
    crd["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/", "caBundle": bundle},
    }});
    crd.to_string()
}

/// The real ones have a long schema and a controller with three parts; what counts here is the object.
fn vertical_autoscalers() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "verticalpodautoscalers.autoscaling.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes/kubernetes/pull/63797"},
        },
        "spec": {
            "group": "autoscaling.k8s.io", "scope": "Namespaced",
            "names": {"kind": "VerticalPodAutoscaler", "plural": "verticalpodautoscalers"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}],
        },
    })
}

fn vertical_autoscaler(namespace: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "updatePolicy": {"updateMode": "Recreate"}},
    })
}

// --- injectors ---

async fn inject(places: &[Place<'_>], rows: &[Row]) -> Result<Vec<crate::rewriter::Rewriter>> {
    let injected = rows.iter().zip(places).filter(|(row, _)| row.switch == "injection");
    try_join_all(injected.map(|(_, place)| serve(place, "istio-proxy", istio))).await
}

/// `WEB` with a probe, and this in the metadata of its pods.
fn probed(pod_metadata: &str, more: &str) -> String {
    let web = WEB.replace("labels: {app: web}\n    spec", &format!("{pod_metadata}\n    spec"));
    web.replace(
        "          ports:",
        &format!("{more}          livenessProbe: {{httpGet: {{path: /healthz, port: 8080}}}}\n          ports:"),
    )
}

fn add(deployment: &Value, list: &str, element: &Value) -> Option<Value> {
    let path = format!("/spec/template/spec/{list}");
    match deployment.pointer(&path).and_then(Value::as_array) {
        Some(there) if there.iter().any(|it| it["name"] == element["name"]) => None,
        Some(_) => Some(json!({"op": "add", "path": format!("{path}/-"), "value": element})),
        None => Some(json!({"op": "add", "path": path, "value": [element]})),
    }
}

fn annotate(deployment: &Value, name: &str, value: &str) -> Value {
    let path = "/spec/template/metadata/annotations";
    if deployment.pointer(path).is_none() {
        return json!({"op": "add", "path": path, "value": {name: value}});
    }
    json!({"op": "add", "path": format!("{path}/{}", name.replace('/', "~1")), "value": value})
}

fn sidecar(name: &str) -> Value {
    json!({"name": name, "image": format!("registry.example/{name}:1"), "env": [{"name": "WHO", "value": name}]})
}

fn istio(deployment: &Value) -> Vec<Value> {
    let probe = "/spec/template/spec/containers/0/livenessProbe/httpGet";
    let led = json!({"path": "/app-health/app/livez", "port": 15020, "scheme": "HTTP"});
    let rewritten = deployment
        .pointer(probe)
        .filter(|probe| **probe != led)
        .map(|_| json!({"op": "replace", "path": probe, "value": led}));
    let parts = [
        add(deployment, "containers", &sidecar("istio-proxy")),
        add(deployment, "initContainers", &sidecar("istio-init")),
        add(deployment, "volumes", &json!({"name": "istio-data", "emptyDir": {}})),
        Some(annotate(deployment, "sidecar.istio.io/status", "injected")),
        rewritten,
    ];
    parts.into_iter().flatten().collect()
}

fn linkerd(deployment: &Value) -> Vec<Value> {
    let parts = [
        add(deployment, "containers", &sidecar("linkerd-proxy")),
        add(deployment, "initContainers", &sidecar("linkerd-init")),
        Some(annotate(deployment, "linkerd.io/proxy-version", "stable")),
    ];
    parts.into_iter().flatten().collect()
}

fn vault(deployment: &Value) -> Vec<Value> {
    let mounts = "/spec/template/spec/containers/0/volumeMounts";
    let mount = json!({"name": "vault-secrets", "mountPath": "/vault/secrets"});
    let mounted = deployment.pointer(mounts).is_none().then(|| json!({"op": "add", "path": mounts, "value": [mount]}));
    let parts = [
        add(deployment, "containers", &sidecar("vault-agent")),
        add(deployment, "initContainers", &sidecar("vault-agent-init")),
        add(deployment, "volumes", &json!({"name": "vault-secrets", "emptyDir": {"medium": "Memory"}})),
        Some(annotate(deployment, "vault.hashicorp.com/agent-inject-status", "injected")),
        mounted,
    ];
    parts.into_iter().flatten().collect()
}

async fn what_injectors_add_is_nobodys_and_what_people_add_is_theirs() -> Result<()> {
    let injectors: [(&str, &str, &str, Rewrite); 3] = [
        ("istio", "istio-proxy", r#"labels: {app: web, sidecar.istio.io/inject: "true"}"#, istio),
        ("linkerd", "linkerd-proxy", "labels: {app: web}\n      annotations: {linkerd.io/inject: enabled}", linkerd),
        (
            "vault",
            "vault-agent",
            "labels: {app: web}\n      annotations: {vault.hashicorp.com/agent-inject: 'true'}",
            vault,
        ),
    ];
    try_join_all(injectors.map(|(name, container, asking, rewrite)| injected(name, container, asking, rewrite)))
        .await?;
    Ok(())
}

async fn injected(name: &str, container: &str, asking: &str, rewrite: Rewrite) -> Result<()> {
    let place = Place::new(&format!("injected-{name}"), &[("web.yaml", &probed(asking, ""))]).await?;
    let by_hand = json!([{"op": "add", "path": "/spec/template/spec/containers/1", "value": sidecar(container)}]);
    let by_hand = format!("patch deployment/web --type=json --patch={by_hand}");
    place.refuses(Who::Alice, &by_hand).await?;
    // Slipped past, it is removed like any other.
    place.accepts(Who::Collector, &format!("{by_hand} --field-manager=kubectl-edit")).await?;
    place.heals("Deployment/web", "/spec/template/spec/containers/1", Value::Null).await?;

    let _injector = serve(&place, container, rewrite).await?;
    place.accepts(Who::Alice, "annotate deployment/web note=1").await?;
    place.is("Deployment/web", "/spec/template/spec/containers/1/name", json!(container)).await?;
    place.rests("Deployment/web").await?;
    place.refuses(Who::Alice, &format!("set image deployment/web {container}=mine:1")).await?;
    place.refuses(Who::Alice, "set image deployment/web app=mine:1").await?;
    place.accepts(Who::Collector, "set image deployment/web app=slipped:1").await?;
    place.heals("Deployment/web", "/spec/template/spec/containers/0/image", json!("registry.example/web:1.0")).await?;
    place.is("Deployment/web", "/spec/template/spec/containers/1/name", json!(container)).await?;
    place.commits(&[("web.yaml", &probed(asking, "").replace("web:1.0", "web:2.0"))]).await?;
    place.is("Deployment/web", "/spec/template/spec/containers/0/image", json!("registry.example/web:2.0")).await?;
    place.is("Deployment/web", "/spec/template/spec/containers/1/name", json!(container)).await
}
