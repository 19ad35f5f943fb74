//! Somebody changes Holdfast's webhook configurations, which no webhook can refuse: each change is undone, once on record, and
//! what they guard is guarded again.

use anyhow::{Context, Result, ensure};
use holdfast::certs::rotation::{Kept, LIFE};
use jiff::Timestamp;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, WEB};
use crate::place::Place;
use crate::stage::{PATIENCE, Stage, fragile, tests};
use crate::who::Who;
use crate::world::{HOLDFAST_NAMESPACE, Person, wait_until};

/// The kind of configuration by which edits are refused.
pub const VALIDATING: &str = "validatingwebhookconfiguration";
/// The kind of configuration by which edits are marked.
pub const MUTATING: &str = "mutatingwebhookconfiguration";

/// A change, as a JSON patch that `kubectl patch` sends, and the path by which the record tells of it.
struct Change {
    what: &'static str,
    which: &'static str,
    patch: fn() -> Value,
    told: &'static str,
}

const FIRST: &str = "/webhooks/0";

fn set(field: &str, value: &Value) -> Value {
    json!([{"op": "add", "path": format!("{FIRST}/{field}"), "value": value}])
}

fn stranger() -> Value {
    let client = json!({"url": "https://127.0.0.1:1/"});
    json!([{"op": "add", "path": "/webhooks/-", "value": {
        "name": "stranger.example.com", "clientConfig": client, "admissionReviewVersions": ["v1"], "sideEffects": "None",
        "failurePolicy": "Ignore", "rules": [{"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothing"]}],
    }}])
}

#[rustfmt::skip] // one change, two lines: a table
const CHANGES: &[Change] = &[
    Change { what: "an entry is removed", which: VALIDATING, told: "[name=managed.holdfast.dev]",
        patch: || json!([{"op": "remove", "path": FIRST}]) },
    Change { what: "an entry is removed", which: MUTATING, told: "[name=managed.holdfast.dev]",
        patch: || json!([{"op": "remove", "path": FIRST}]) },
    Change { what: "rules are emptied", which: VALIDATING, told: ".rules", patch: || set("rules", &json!([])) },
    Change { what: "rules are narrowed", which: VALIDATING, told: ".rules",
        patch: || json!([{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]) },
    Change { what: "the policy is flipped", which: VALIDATING, told: ".failurePolicy", patch: || set("failurePolicy", &json!("Fail")) },
    Change { what: "namespaces are left out", which: VALIDATING, told: ".namespaceSelector",
        patch: || set("namespaceSelector", &json!({"matchLabels": {"guarded": "never"}})) },
    Change { what: "objects are left out", which: VALIDATING, told: ".objectSelector",
        patch: || set("objectSelector", &json!({"matchLabels": {"guarded": "never"}})) },
    Change { what: "a condition is added", which: VALIDATING, told: ".matchConditions",
        patch: || json!([{"op": "add", "path": "/webhooks/0/matchConditions/-", "value": {"name": "never", "expression": "false"}}]) },
    Change { what: "another authority is trusted", which: VALIDATING, told: ".clientConfig.caBundle",
        patch: || set("clientConfig/caBundle", &json!("")) },
    Change { what: "another server is asked", which: VALIDATING, told: ".clientConfig.url",
        patch: || set("clientConfig/url", &json!("https://127.0.0.1:1/validate")) },
    Change { what: "a Service is asked", which: VALIDATING, told: ".clientConfig.",
        patch: || set("clientConfig", &json!({"service": {"namespace": "default", "name": "elsewhere"}})) },
    Change { what: "it is waited for longer", which: VALIDATING, told: ".timeoutSeconds", patch: || set("timeoutSeconds", &json!(30)) },
    Change { what: "side effects are denied", which: VALIDATING, told: ".sideEffects", patch: || set("sideEffects", &json!("None")) },
    Change { what: "versions are taken literally", which: VALIDATING, told: ".matchPolicy", patch: || set("matchPolicy", &json!("Exact")) },
    Change { what: "it is asked once only", which: MUTATING, told: ".reinvocationPolicy", patch: || set("reinvocationPolicy", &json!("Never")) },
    Change { what: "a stranger's entry is added", which: VALIDATING, told: "[name=stranger.example.com]", patch: stranger },
    Change { what: "our label is taken off", which: VALIDATING, told: ".metadata.labels[app.kubernetes.io/name]",
        patch: || json!([{"op": "remove", "path": "/metadata/labels/app.kubernetes.io~1name"}]) },
    Change { what: "everything is emptied", which: VALIDATING, told: "[name=scale.holdfast.dev]",
        patch: || json!([{"op": "replace", "path": "/webhooks", "value": []}]) },
];

pub fn trials() -> Vec<Trial> {
    tests![
        every_change_is_undone_and_on_record_once,
        a_deletion_is_undone_and_on_record_once,
        what_others_add_beside_stays,
        the_certificate_survives_its_secret,
        a_certificate_past_two_thirds_has_its_successor_trusted,
        dead_replicas_leave_what_is_vital_alone,
    ]
}

async fn every_change_is_undone_and_on_record_once() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "tampering", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |_| {}).await?;
    for Change { what, which, patch, told } in CHANGES {
        let tamper = ["patch", which, "holdfast", "--type=json", &format!("--patch={}", patch())];
        undone(&stage, &place, which, &tamper, told).await.with_context(|| format!("{what} ({which})"))?;
    }
    Ok(())
}

async fn a_deletion_is_undone_and_on_record_once() -> Result<()> {
    let stage = fragile().await?;
    let place =
        Place::at(&stage, "tampering-deleted", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |_| {}).await?;
    for which in [VALIDATING, MUTATING] {
        undone(&stage, &place, which, &["delete", which, "holdfast"], "").await.context(which)?;
        let record = restored(&stage)?.pop().unwrap_or_default();
        ensure!(record["verb"] == "DELETE" && record["by"].is_null(), "{record}");
    }
    Ok(())
}

/// The configuration becomes what it was, one record says so, and edits are refused again.
async fn undone(stage: &Stage, place: &Place<'_>, which: &str, tamper: &[&str], told: &str) -> Result<()> {
    let (before, known) = (entries(stage, which).await?, restored(stage)?.len());
    stage.world.kubectl(Person::Administrator, tamper).await?.success()?;
    let record =
        wait_until("it is on record", PATIENCE, || async { restored(stage)?.get(known).cloned().context("it is not") })
            .await?;
    let paths: Vec<_> =
        record["fields"].as_array().into_iter().flatten().filter_map(|field| field["path"].as_str()).collect();
    ensure!(paths.iter().any(|path| path.contains(told)), "it tells of {paths:?}");
    ensure!(record["object"]["kind"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(which)), "{record}");
    ensure!(record["remediationMs"].as_u64().is_some_and(|took| took < 10_000), "{record}");
    ensure!(entries(stage, which).await? == before, "it is not what it was");
    wait_until("the guard is up", PATIENCE, || {
        place.refuses(Who::Alice, "scale deployment/web --replicas=9 --dry-run=server")
    })
    .await?;
    wait_until("it is guarded", PATIENCE, || place.refuses(Who::Alice, "delete configmap/settings --dry-run=server"))
        .await?;
    ensure!(restored(stage)?.len() == known + 1, "it is on record {} times", restored(stage)?.len() - known);
    ensure!(stage.metric("holdfast_webhooks_registered").await? == 2, "it does not know itself to be registered");
    Ok(())
}

async fn what_others_add_beside_stays() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "tampering-not", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |_| {}).await?;
    let known = restored(&stage)?.len();
    let label = ["label", VALIDATING, "holdfast", "team=platform"];
    stage.world.kubectl(Person::Administrator, &label).await?.success()?;
    // A change that is noticed, so that the label before it has been, too.
    let change =
        ["patch", VALIDATING, "holdfast", "--type=json", &format!("--patch={}", set("timeoutSeconds", &json!(29)))];
    undone(&stage, &place, VALIDATING, &change, ".timeoutSeconds").await?;
    ensure!(restored(&stage)?.len() == known + 1, "a label is no tampering");
    let labels = ["get", VALIDATING, "holdfast", "--output=jsonpath={.metadata.labels.team}"];
    let team = stage.world.kubectl(Person::Administrator, &labels).await?.success()?;
    ensure!(team == "platform", "the label of others is {team:?}");
    let record = restored(&stage)?.pop().unwrap_or_default();
    ensure!(record["by"]["manager"] == "kubectl-patch", "{record}");
    let off = ["label", VALIDATING, "holdfast", "team-"];
    stage.world.kubectl(Person::Administrator, &off).await?.success().map(drop)
}

pub const SECRET: [&str; 4] = ["secret", "holdfast-webhook-certificate", "--namespace", HOLDFAST_NAMESPACE];

/// Deleted or filled with nonsense, it gets back what the API server trusts; a restart serves the same again.
async fn the_certificate_survives_its_secret() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "certificate", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    let (secret, trusted) = (secret(&stage).await?, entries(&stage, VALIDATING).await?);
    ensure!(trusted[0]["clientConfig"]["caBundle"] == secret["data"]["ca.crt"], "{trusted:#}");
    let nonsense = r#"--patch={"data":{"tls.crt":"bm9uc2Vuc2U=","tls.key":null}}"#;
    for tamper in
        [&[&["delete"], &SECRET[..]].concat()[..], &[&["patch"], &SECRET[..], &["--type=merge", nonsense]].concat()]
    {
        stage.world.kubectl(Person::Administrator, tamper).await?.success()?;
        wait_until("it is written back", PATIENCE, || async {
            let found = self::secret(&stage).await?;
            ensure!(found["data"] == secret["data"], "it holds something else");
            Ok(())
        })
        .await?;
        place.refuses(Who::Alice, "delete configmap/settings --dry-run=server").await?;
    }
    let renewed = |record: &Value| record["kind"] == "CertificateRenewed";
    let records: Vec<_> = stage.world.records()?.into_iter().filter(renewed).collect();
    ensure!(records.len() >= 3 && records.iter().all(|record| !record.to_string().contains("BEGIN")), "{records:?}");
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await?;
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, "delete configmap/settings --dry-run=server"))
        .await?;
    ensure!(self::secret(&stage).await?["data"] == secret["data"], "a start made another certificate");
    ensure!(entries(&stage, VALIDATING).await? == trusted, "a start registered something else");
    Ok(())
}

/// Both authorities are registered long before the new one's certificate is served; nobody notices anything.
async fn a_certificate_past_two_thirds_has_its_successor_trusted() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "rotation", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    let old = Kept::fresh(&["127.0.0.1".to_owned()], Timestamp::now() - LIFE * 3 / 4)?;
    let patch = format!("--patch={}", json!({"data": old.data()}));
    let patch = [&["patch"], &SECRET[..], &["--type=merge", &patch]].concat();
    stage.world.kubectl(Person::Administrator, &patch).await?.success()?;
    let secret = wait_until("its successor is there", PATIENCE, || async {
        let found = secret(&stage).await?;
        ensure!(found["data"]["next.key"].is_string(), "it is not");
        Ok(found)
    })
    .await?;
    let data = serde_json::from_value(secret["data"].clone())?;
    let kept = Kept::read(&data, &["127.0.0.1".to_owned()], Timestamp::now())?;
    ensure!(kept.serving == old.serving && kept.trust.matches("BEGIN").count() == 2, "{kept:?}");
    for which in [VALIDATING, MUTATING] {
        wait_until("both are registered", PATIENCE, || async {
            let entries = entries(&stage, which).await?;
            ensure!(entries[0]["clientConfig"]["caBundle"] == secret["data"]["ca.crt"], "{entries:#}");
            Ok(())
        })
        .await?;
    }
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, "delete configmap/settings --dry-run=server"))
        .await?;
    Ok(())
}

/// All replicas dead, and every edit of what is managed refused: what the cluster and Holdfast itself need stays writable, and a
/// start is all it takes.
async fn dead_replicas_leave_what_is_vital_alone() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "dead", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |_| {}).await?;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast_with(&["--webhook-failure-policy=Fail"]).await?;
    wait_until("the policy is Fail", PATIENCE, || async {
        let entries = entries(&stage, VALIDATING).await?;
        ensure!(entries[0]["failurePolicy"] == "Fail", "{entries:#}");
        Ok(())
    })
    .await?;
    stage.world.stop_holdfast().await?;
    wait_until("what is managed is locked", PATIENCE, || async {
        for line in ["scale deployment/web --replicas=9 --dry-run=server", "delete configmap/settings --dry-run=server"]
        {
            let output = place.run(Who::Alice, &line.split_whitespace().collect::<Vec<_>>(), "").await?;
            ensure!(
                !output.status.success() && output.stderr.contains("failed calling webhook"),
                "{line}: {}",
                output.stderr
            );
        }
        Ok(())
    })
    .await?;
    vital_writes(&stage).await?;
    nobody_needs_us_to_be_rid_of_us(&stage).await?;
    stage.world.start_holdfast_with(&["--webhook-failure-policy=Fail"]).await?;
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, "delete configmap/settings --dry-run=server"))
        .await?;
    place.commits(&[("settings.yaml", &SETTINGS.replace("fast", "slow"))]).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("slow")).await?;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await
}

/// Leases, nodes, Events, kube-system, and all that upgrading Holdfast takes: none of it may wait for Holdfast.
async fn vital_writes(stage: &Stage) -> Result<()> {
    let named = |kind: &str, api: &str, namespace: &str| json!({"apiVersion": api, "kind": kind, "metadata": {"name": "vital", "namespace": namespace, "labels": {"holdfast.dev/managed": "true"}}});
    let with = |mut object: Value, fields: Value| {
        for (name, value) in fields.as_object().cloned().unwrap_or_default() {
            object[name] = value;
        }
        object
    };
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}});
    let deployment = json!({"spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let mut objects = vec![with(named("Node", "v1", ""), json!({"spec": {"unschedulable": true}}))];
    for namespace in ["kube-system", "kube-node-lease", HOLDFAST_NAMESPACE] {
        objects.extend([
            with(named("Lease", "coordination.k8s.io/v1", namespace), json!({"spec": {"holderIdentity": "somebody"}})),
            with(named("ConfigMap", "v1", namespace), json!({"data": {"mode": "any"}})),
            with(named("Secret", "v1", namespace), json!({"stringData": {"mode": "any"}})),
            with(named("Deployment", "apps/v1", namespace), deployment.clone()),
            with(named("Event", "v1", namespace), json!({"reason": "Vital", "involvedObject": {"kind": "Namespace", "name": namespace, "namespace": namespace}})),
        ]);
    }
    let kubectl = |arguments: Vec<String>| async move {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        stage.world.kubectl(Person::Administrator, &arguments).await?.success()
    };
    stage.world.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects})).await.context("while dead")?;
    for namespace in ["kube-system", HOLDFAST_NAMESPACE] {
        let scale = ["scale", "deployment/vital", "--replicas=2", "--namespace", namespace];
        kubectl(scale.map(str::to_owned).to_vec()).await.context("scaling while dead")?;
    }
    for object in &objects {
        let (kind, namespace) =
            (object["kind"].as_str().unwrap_or_default(), object["metadata"]["namespace"].as_str().unwrap_or_default());
        let mut delete = vec!["delete".to_owned(), kind.to_owned(), "vital".to_owned()];
        if !namespace.is_empty() {
            delete.push(format!("--namespace={namespace}"));
        }
        kubectl(delete).await.context("deleting while dead")?;
    }
    Ok(())
}

/// Our own namespace and the definitions of our kinds; any other takes an answer under this policy.
async fn nobody_needs_us_to_be_rid_of_us(stage: &Stage) -> Result<()> {
    let delete = async |what: [&str; 2]| {
        let line = ["delete", what[0], what[1], "--dry-run=server"];
        stage.world.kubectl(Person::Administrator, &line).await
    };
    for what in
        [["namespace", HOLDFAST_NAMESPACE], ["crd", "gitsyncs.holdfast.dev"], ["crd", "driftpolicies.holdfast.dev"]]
    {
        delete(what).await?.success().with_context(|| format!("deleting {what:?} while dead"))?;
    }
    for what in [["namespace", "dead"], ["crd", "gadgets.example.com"]] {
        let output = delete(what).await?;
        ensure!(!output.status.success() && output.stderr.contains("failed calling webhook"), "{what:?}: {output:?}");
    }
    Ok(())
}

/// The webhooks of one of the two configurations.
pub async fn entries(stage: &Stage, which: &str) -> Result<Value> {
    let get = ["get", which, "holdfast", "--output=json"];
    let found = stage.world.kubectl(Person::Administrator, &get).await?.success()?;
    Ok(serde_json::from_str::<Value>(&found)?["webhooks"].take())
}

/// The Secret with the certificate that all replicas share.
pub async fn secret(stage: &Stage) -> Result<Value> {
    let get = [&["get"], &SECRET[..], &["--output=json"]].concat();
    Ok(serde_json::from_str(&stage.world.kubectl(Person::Administrator, &get).await?.success()?)?)
}

fn restored(stage: &Stage) -> Result<Vec<Value>> {
    let mut records = stage.world.records()?;
    records.retain(|record| record["kind"] == "WebhookRestored");
    Ok(records)
}
