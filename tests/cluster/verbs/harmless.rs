//! What passes in earnest and is no drift stays as it is: nothing of it is healed.

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

pub fn trials() -> Vec<Trial> {
    tests![what_is_no_drift_is_left_alone, owners_wiped_through_the_status_are_still_there]
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
        let output = place.accepts(Who::Alice, &line).await?;
        ensure!(output.stdout.contains("no change"), "{}", output.stdout);
        place.rests(object).await?;
    }
    Ok(())
}
