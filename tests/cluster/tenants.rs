//! A `GitSync` with an account of its own: it can do what the account may, and what it does is still recognised as ours.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, parsed};
use crate::place::{Place, condition};
use crate::stage::{shared, tests};
use crate::who::Who;
use crate::world::HOLDFAST_NAMESPACE;

pub fn trials() -> Vec<Trial> {
    tests![a_tenant_can_do_what_its_account_may_and_nothing_else]
}

const ACCOUNT: &str = "system:serviceaccount:holdfast-system:tenant";

/// The account may edit a `ConfigMap` of the namespace.
fn rights(namespace: &str) -> Value {
    let rules =
        json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "delete"]}]);
    let subjects = json!([{"kind": "ServiceAccount", "name": "tenant", "namespace": HOLDFAST_NAMESPACE}]);
    let role_ref = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tenant"});
    let metadata = json!({"name": "tenant", "namespace": namespace});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata, "roleRef": role_ref, "subjects": subjects},
    ]})
}

async fn a_tenant_can_do_what_its_account_may_and_nothing_else() -> Result<()> {
    let place = Place::empty(shared().await?, "tenant").await?;
    place.write(&[("settings.yaml", SETTINGS)]).await?;
    place.sync(|spec| spec["serviceAccountName"] = json!("tenant")).await?;
    let lacks = [ACCOUNT, "cannot", r#"resource "configmaps""#, r#"namespace "tenant""#];
    place.condition("Ready", false, &lacks).await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(condition(&status, "Ready").is_some_and(|ready| ready["reason"] == "Forbidden"), "{status}");
    ensure!(place.live("ConfigMap/settings").await?.is_null(), "it was written without the right to");

    // With the right it goes on by itself.
    place.stage.world.apply(&rights("tenant")).await?;
    place.condition("Ready", true, &[]).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    let slow = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#;
    place.accepts(Who::Collector, slow).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    for kind in ["Denied", "Edited"] {
        let records = place.records(kind, "ConfigMap/settings")?;
        let ours = records.iter().filter(|record| record["by"]["user"] == ACCOUNT).count();
        ensure!(ours == 0, "our own writes were taken for the tenant's: {records:?}");
    }
    // What the account does by itself is an edit like any other, whatever it calls itself.
    for manager in ["mine", "holdfast"] {
        place.refuses(Who::Administrator, &format!("{slow} --as={ACCOUNT} --field-manager={manager}")).await?;
    }

    let mut elsewhere = parsed(SETTINGS);
    elsewhere["metadata"] = json!({"name": "elsewhere", "namespace": "default"});
    place.write(&[("elsewhere.yaml", &elsewhere.to_string())]).await?;
    place.condition("Ready", false, &[ACCOUNT, r#"namespace "default""#, "tenant/elsewhere.yaml:1"]).await?;
    place.accepts(Who::Collector, slow).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await
}
