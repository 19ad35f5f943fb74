//! Why objects are not managed.

use serde_json::json;

use super::*;

fn key() -> ObjectKey {
    ObjectKey { group: "apps".into(), kind: "Deployment".into(), namespace: Some("shop".into()), name: "api".into() }
}

fn said(metadata: &Value) -> String {
    let revisions = [("holdfast-system/shop".to_owned(), "0123456789".to_owned())];
    let known = Known { revisions: &revisions, exists: &|name| name == "holdfast-system/shop", prune: &|_| true };
    why(&key(), &json!({ "metadata": metadata }), &known)
}

fn tracked(id: &str) -> Value {
    json!({"annotations": {TRACKING_ID: id}})
}

#[test]
fn every_reason_is_given_in_words() {
    let mut kept = tracked("holdfast-system/shop:apps/Deployment:shop/api");
    kept["annotations"]["holdfast.dev/prune"] = json!("disabled");
    let cases = [
        json!({}),
        json!({"ownerReferences": [{"kind": "Rollout", "name": "api"}]}),
        json!({"labels": {MANAGED_LABEL: "true"}}),
        tracked("holdfast-system/shop:apps/Deployment:shop/web"),
        tracked("holdfast-system/shop:rbac.authorization.k8s.io/ClusterRole:/a:b"),
        tracked("holdfast-system/shop:apps/Deployment:shop/api"),
        tracked("holdfast-system/gone:apps/Deployment:shop/api"),
        kept,
    ];
    let said: Vec<_> = cases.iter().map(|metadata| format!("{metadata}\n  {}", said(metadata))).collect();
    insta::assert_snapshot!(said.join("\n"));
}
