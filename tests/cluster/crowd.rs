//! An API server that has no room for what Holdfast asks, by its own means: a priority level without seats, where one request may
//! wait. Others it then turns away.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::stage::{PATIENCE, Stage};
use crate::world::{HOLDFAST_NAMESPACE, Person, wait_until};

/// From now on there is none for this verb on this resource of `example.com`. Priority level and flow schema have this name.
pub async fn no_room(stage: &Stage, name: &str, verb: &str, resource: &str) -> Result<()> {
    let holdfast =
        json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": HOLDFAST_NAMESPACE, "name": "holdfast"}});
    let requests = json!({
        "verbs": [verb], "apiGroups": ["example.com"], "resources": [resource], "namespaces": ["*"], "clusterScope": true,
    });
    let configuration = json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration", "metadata": {"name": name},
            "spec": {"type": "Limited", "limited": {
                "nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
                "limitResponse": {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 1}},
            }},
        },
        {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": {"name": name},
            "spec": {
                "priorityLevelConfiguration": {"name": name}, "matchingPrecedence": 2,
                "rules": [{"subjects": [holdfast], "resourceRules": [requests]}],
            },
        },
    ]});
    stage.world.apply(&configuration).await?;
    says(stage, &format!("apiserver_flowcontrol_nominal_limit_seats{{priority_level=\"{name}\"}} 0")).await
}

/// There is room again.
pub async fn room(stage: &Stage, name: &str) -> Result<()> {
    for kind in ["flowschema", "prioritylevelconfiguration"] {
        stage.world.kubectl(Person::Administrator, &["delete", kind, name]).await?.success()?;
    }
    Ok(())
}

/// Waits until the API server has this line among its metrics.
pub async fn says(stage: &Stage, wanted: &str) -> Result<()> {
    wait_until(wanted, PATIENCE, || async {
        let metrics = stage.world.kubectl(Person::Administrator, &["get", "--raw", "/metrics"]).await?.success()?;
        ensure!(metrics.lines().any(|line| line == wanted), "it does not say so");
        Ok(())
    })
    .await
}
