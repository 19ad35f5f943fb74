//! What has to be there before anything else of a commit: the destination namespace, and kinds that are served.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::keeper::Keeper;
use crate::api::meaning::SyncPlan;
use crate::cluster::objects::Write;
use crate::cluster::{Error, Kind};
use crate::core::manifest::Manifest;
use crate::core::object::ObjectKey;

/// How long a new CRD may take to be served.
const CRD_PATIENCE: Duration = Duration::from_secs(30);

// === impl Keeper ===

impl Keeper {
    /// `CreateNamespace=true`: makes the destination unless it is there, or the commit itself declares it.
    pub(super) async fn make_namespace(&self, plan: &SyncPlan, manifests: &[Manifest]) -> Result<(), Error> {
        let key =
            ObjectKey { group: String::new(), kind: "Namespace".into(), namespace: None, name: plan.namespace.clone() };
        let declared = manifests.iter().any(|manifest| manifest.key == key);
        let Some(kind) = self.context.cluster.kind("v1", "Namespace").await? else { return Ok(()) };
        if !plan.options.create_namespace || declared || self.is_paused() || !self.leads() {
            return Ok(());
        }
        if self.context.cluster.get(&kind, &key).await?.is_none() {
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": key.name}});
            self.context.cluster.apply(&kind, &key, &body, Write::Real).await?;
        }
        Ok(())
    }

    /// Waits until a CRD that was just written is served, or long enough.
    pub(super) async fn wait_until_served(&self, kind: &Kind, key: &ObjectKey) -> Result<(), Error> {
        let deadline = Instant::now() + CRD_PATIENCE;
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        while Instant::now() < deadline {
            pause.tick().await;
            let crd = self.context.cluster.get(kind, key).await?;
            if crd.is_some_and(|crd| is_established(&crd)) {
                return Ok(());
            }
        }
        tracing::warn!(sync = self.name, crd = %key, "still not served; going on without it");
        Ok(())
    }
}

/// Is this CRD served?
pub(super) fn is_established(crd: &Value) -> bool {
    let conditions = crd.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").is_some_and(|kind| kind == "Established")
            && condition.get("status").is_some_and(|status| status == "True")
    })
}
