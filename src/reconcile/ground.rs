//! What has to be there before anything else of a commit: the destination namespace, and kinds that are served.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::keeper::Keeper;
use crate::api::meaning::{NamespacePlan, SyncPlan};
use crate::cluster::objects::Write;
use crate::cluster::{Cluster, Error, Kind};
use crate::core::manifest::Manifest;
use crate::core::names::MANAGED_LABEL;
use crate::core::object::ObjectKey;
use crate::core::state::State;
use crate::evidence::{Kind as What, Record};

/// What is recorded of a destination namespace that Git does not declare.
const MADE: &str = "CreateNamespace=true: it was not there";
const MARKED: &str = "CreateNamespace=true: it lacked labels or annotations of managedNamespace";

/// How long a new CRD may take to be served.
const CRD_PATIENCE: Duration = Duration::from_secs(30);

// === impl Keeper ===

impl Keeper {
    /// `CreateNamespace=true`: makes the destination unless it is there, or the commit itself declares it.
    pub(super) async fn make_namespace(
        &self,
        plan: &SyncPlan,
        revision: &str,
        manifests: &[Manifest],
    ) -> Result<(), Error> {
        let key =
            ObjectKey { group: String::new(), kind: "Namespace".into(), namespace: None, name: plan.namespace.clone() };
        let declared = manifests.iter().any(|manifest| manifest.key == key);
        let Some(kind) = self.cluster.kind("v1", "Namespace").await? else { return Ok(()) };
        if !plan.options.create_namespace || declared || self.is_paused() || !self.leads() {
            return Ok(());
        }
        let NamespacePlan { labels, annotations } = &plan.made_with;
        let record = |what: &str| {
            let record = self.context.undeclared(What::Applied, &self.name, revision, &key);
            Record { reason: Some(what.to_owned()), ..record }
        };
        // In our own name: a tenant need not be allowed to look at namespaces to have its own.
        match self.context.cluster.get(&kind, &key).await? {
            None => {
                let metadata = json!({"name": key.name, "labels": labels, "annotations": annotations});
                let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
                let apply = self.cluster.apply(&kind, &key, &body, Write::Real);
                self.context.on_record(record(MADE), apply).await?;
            }
            Some(live) => {
                if let Some(patch) = marks_missing(&live, &plan.made_with) {
                    self.context.on_record(record(MARKED), self.cluster.patch(&kind, &key, patch)).await?;
                }
            }
        }
        Ok(())
    }
}

/// Waits until a CRD that was just written is served, or long enough.
pub(super) async fn wait_until_served(cluster: &Cluster, kind: &Kind, key: &ObjectKey) -> Result<(), Error> {
    let deadline = Instant::now() + CRD_PATIENCE;
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    while Instant::now() < deadline {
        pause.tick().await;
        let crd = cluster.get(kind, key).await?;
        if crd.is_some_and(|crd| is_established(&crd)) {
            return Ok(());
        }
    }
    tracing::warn!(crd = %key, "still not served; going on without it");
    Ok(())
}

/// The patch that gives a namespace the labels and annotations it is to have; `None` if it has them, or if some manifest declares
/// it. A patch, not an apply: an apply would take away what another `GitSync` wants there.
fn marks_missing(live: &Value, wanted: &NamespacePlan) -> Option<json_patch::Patch> {
    let NamespacePlan { labels, annotations } = wanted;
    if State::whole(live).label(MANAGED_LABEL).is_some() {
        return None;
    }
    let mut operations = Vec::new();
    for (field, wanted) in [("labels", labels), ("annotations", annotations)] {
        let there = live.pointer(&format!("/metadata/{field}"));
        let lacks = |(name, value): &(&String, &String)| there.and_then(|there| there.get(name)) != Some(&json!(value));
        let missing: Vec<_> = wanted.iter().filter(lacks).collect();
        if there.is_none() && !missing.is_empty() {
            operations.push(json!({"op": "add", "path": format!("/metadata/{field}"), "value": {}}));
        }
        operations.extend(missing.into_iter().map(|(name, value)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            json!({"op": "add", "path": format!("/metadata/{field}/{name}"), "value": value})
        }));
    }
    (!operations.is_empty()).then(|| serde_json::from_value(Value::Array(operations)).expect("these are operations"))
}

/// Is this CRD served?
pub(super) fn is_established(crd: &Value) -> bool {
    let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").is_some_and(|kind| kind == "Established")
            && condition.get("status").is_some_and(|status| status == "True")
    })
}
