//! What passes, or does not, only in a certain state: what is no drift stays as it is, and what is going may go.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, WEB};
use crate::place::Place;
use crate::stage::tests;
use crate::who::Who;

const WIDGET: &str = "\
apiVersion: example.com/v1
kind: Widget
metadata: {name: one}
spec: {count: 3}
";

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: lone}
spec: {containers: [{name: app, image: 'registry.example/lone:1.0'}]}
";

pub fn trials() -> Vec<Trial> {
    tests![
        what_is_no_drift_is_left_alone,
        what_is_going_may_go,
        an_older_rollout_is_not_brought_back,
        it_covers_replicas_wherever_they_are,
        it_covers_evictions,
        owners_wiped_through_the_status_are_still_there
    ]
}

async fn what_is_no_drift_is_left_alone() -> Result<()> {
    let place = Place::new("harmless", &[("web.yaml", WEB), ("settings.yaml", SETTINGS)]).await?;
    for (who, line) in [
        (Who::Alice, "label configmap/settings mine=yes"),
        (Who::Alice, "annotate configmap/settings mine=yes"),
        (
            Who::Automation,
            r#"patch configmap/settings --type=merge --patch={"data":{"theirs":"kept"}} --field-manager=ci"#,
        ),
        (Who::Alice, "rollout restart deployment/web"),
        (Who::Alice, "label deployment/web mine=yes"),
        (Who::Alice, "scale deployment/web --replicas=3"),
    ] {
        place.accepts(who, line).await?;
    }
    for object in ["ConfigMap/settings", "Deployment/web"] {
        place.rests(object).await?;
        ensure!(place.records("Healed", object)?.is_empty(), "{object} was healed");
        place.is(object, "/metadata/labels/mine", json!("yes")).await?;
    }
    place.is("ConfigMap/settings", "/data/theirs", json!("kept")).await?;
    let restarted = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    ensure!(place.live("Deployment/web").await?.pointer(restarted).is_some_and(Value::is_string), "it was taken back");
    Ok(())
}

/// The API server keeps the owners there were; so this passes, and does nothing.
async fn owners_wiped_through_the_status_are_still_there() -> Result<()> {
    let place = Place::new("status-wiped", &[("web.yaml", WEB), ("widget.yaml", WIDGET)]).await?;
    for (object, line) in [("Deployment/web", "deployment/web"), ("Widget/one", "widget/one")] {
        let line = format!(
            r#"patch {line} --subresource=status --type=merge --patch={{"metadata":{{"managedFields":[{{}}]}}}}"#
        );
        // A controller may write to it at the same moment, and kubectl takes that for hers.
        crate::world::wait_until("it changes nothing", crate::stage::PATIENCE, || async {
            let output = place.accepts(Who::Alice, &line).await?;
            ensure!(output.stdout.contains("no change"), "{}", output.stdout);
            Ok(())
        })
        .await?;
        place.rests(object).await?;
    }
    Ok(())
}

/// With a finalizer of a program's on it an object takes its time to go. Deleting it again changes nothing, and taking the
/// finalizer off is how people help it; while it lived, they could not.
async fn what_is_going_may_go() -> Result<()> {
    let place = Place::new("going", &[("settings.yaml", SETTINGS)]).await?;
    let uid = place.live("ConfigMap/settings").await?["metadata"]["uid"].clone();
    let finalizer = r#"patch configmap/settings --type=merge --patch={"metadata":{"finalizers":["example.com/wait"]}}"#;
    let none = r#"patch configmap/settings --type=merge --patch={"metadata":{"finalizers":null}}"#;
    place.refuses(Who::Alice, finalizer).await?;
    place.accepts(Who::Automation, finalizer).await?;
    place.rests("ConfigMap/settings").await?;
    place.refuses(Who::Alice, none).await?;
    place.refuses(Who::Alice, "delete configmap/settings --wait=false").await?;
    place.accepts(Who::Collector, "delete configmap/settings --wait=false").await?;
    place.accepts(Who::Alice, "delete configmap/settings --wait=false").await?;
    place.refuses(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#).await?;
    place.accepts(Who::Alice, none).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    ensure!(place.live("ConfigMap/settings").await?["metadata"]["uid"] != uid, "it never went");
    Ok(())
}

async fn an_older_rollout_is_not_brought_back() -> Result<()> {
    let place = Place::new("undone", &[("web.yaml", WEB)]).await?;
    let revision = "/metadata/annotations/deployment.kubernetes.io~1revision";
    place.becomes("Deployment/web", revision, &json!("1")).await?;
    place.commits(&[("web.yaml", &WEB.replace("web:1.0", "web:2.0"))]).await?;
    place.becomes("Deployment/web", revision, &json!("2")).await?;
    let message = place.refuses(Who::Alice, "rollout undo deployment/web").await?;
    ensure!(message.contains(".image") && message.contains("web:2.0"), "{message}");
    place.refuses(Who::Automation, "rollout undo deployment/web").await.map(drop)
}

/// A `Scale` does not say that its `spec.replicas` is the `spec.count` of a widget.
async fn it_covers_replicas_wherever_they_are() -> Result<()> {
    let place = Place::new("glass-widget", &[("widget.yaml", WIDGET)]).await?;
    let message = place.refuses(Who::Oncall, "scale widget/one --replicas=5").await?;
    ensure!(message.contains(".spec.count") && message.contains("widget.yaml:4"), "{message}");
    place.accepts(Who::Oncall, "annotate widget/one holdfast.dev/break-glass=INC-4211").await?;
    place.refuses(Who::Alice, "scale widget/one --replicas=5").await?;
    place.accepts(Who::Oncall, "scale widget/one --replicas=5").await?;
    place.rests("Widget/one").await?;
    place.is("Widget/one", "/spec/count", json!(5)).await?;
    place.accepts(Who::Oncall, "annotate widget/one holdfast.dev/break-glass-").await?;
    place.heals("Widget/one", "/spec/count", json!(3)).await
}

async fn it_covers_evictions() -> Result<()> {
    let place = Place::new("glass-evicted", &[("pod.yaml", POD)]).await?;
    let uid = place.live("Pod/lone").await?["metadata"]["uid"].clone();
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "lone"}});
    let evict = "create --raw /api/v1/namespaces/glass-evicted/pods/lone/eviction --filename=-";
    let message = place.refuses_input(Who::Oncall, evict, &eviction).await?;
    ensure!(message.contains("cannot be deleted by hand"), "{message}");
    place.accepts(Who::Oncall, "annotate pod/lone holdfast.dev/break-glass=INC-4211").await?;
    place.refuses_input(Who::Alice, evict, &eviction).await?;
    place.accepts_input(Who::Oncall, evict, &eviction).await?;
    let edited = place.record("Edited", "Pod/lone").await?;
    ensure!(edited["verb"] == "DELETE" && edited["by"]["user"] == "oncall", "{edited}");
    place.becomes("Pod/lone", "/spec/containers/0/name", &json!("app")).await?;
    ensure!(place.live("Pod/lone").await?["metadata"]["uid"] != uid, "it was never evicted");
    Ok(())
}
