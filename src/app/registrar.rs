//! Keeps the webhook configurations in the cluster equal to what this process serves and Git declares.
//!
//! They are written when the first snapshot is there, not before: a webhook that answers "not ready" only slows people down. They
//! are written again when Git declares a kind it did not declare before.

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::objects::Write;
use crate::cluster::{Cluster, Error};
use crate::core::object::ObjectKey;
use crate::reconcile::Desired;
use crate::shutdown::Shutdown;
use crate::webhook::register::{Registration, configurations};

/// Between two attempts while the API server refuses.
const AGAIN: Duration = Duration::from_secs(2);

/// Registers, and registers anew when what is declared changes, until `shutdown`.
pub(super) async fn keep_registered(
    cluster: Arc<Cluster>,
    mut registration: Registration,
    mut desired: Desired,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let mut registered = false;
    loop {
        let declared = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            snapshot = desired.wait_for(Option::is_some) => match snapshot {
                Ok(snapshot) => snapshot.as_ref().map(|snapshot| snapshot.resources()).unwrap_or_default(),
                Err(_) => return Ok(()),
            },
        };
        if !registered || declared != registration.declared {
            registration.declared = declared;
            registered = match register(&cluster, &registration).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(%error, "failed to register the webhook; trying again");
                    false
                }
            };
        }
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            () = tokio::time::sleep(AGAIN), if !registered => {}
            changed = desired.changed(), if registered => if changed.is_err() { return Ok(()) },
        }
    }
}

async fn register(cluster: &Cluster, registration: &Registration) -> Result<(), Error> {
    let (validating, mutating) = configurations(registration);
    let documents = [serde_json::to_value(validating), serde_json::to_value(mutating)];
    for document in documents {
        let document = document.expect("a typed object is plain data");
        let key = ObjectKey::of(&document).expect("configurations have a name");
        let kind = cluster.kind("admissionregistration.k8s.io/v1", &key.kind).await?;
        let kind = kind.expect("every API server serves admissionregistration.k8s.io/v1");
        cluster.apply(&kind, &key, &document, Write::Real).await?;
    }
    tracing::info!(kinds = registration.declared.len(), "registered the webhook");
    Ok(())
}
