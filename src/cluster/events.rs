//! Kubernetes Events: what `kubectl describe` shows under an object.
//!
//! Events are a courtesy, best effort by nature (they expire after an hour); the records are the evidence. A failed Event is
//! therefore a debug line, never an error.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::fence::Fence;
use super::{Cluster, Error};
use crate::core::object::ObjectKey;

/// Publishes Events as Holdfast, for as long as this replica leads.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
    fence: Fence,
}

/// What an Event says.
#[derive(Debug, Clone)]
pub struct Note {
    /// One word in CamelCase, the same as the record's kind (`Healed`).
    pub reason: String,
    /// A sentence.
    pub text: String,
    /// Is it a warning?
    pub warning: bool,
}

// === impl Events ===

impl Events {
    /// Publishes through `cluster`.
    pub fn new(cluster: &Arc<Cluster>) -> Self {
        let recorder = Recorder::new(cluster.client().clone(), Reporter::from("holdfast"));
        Self { recorder, fence: cluster.fence().clone() }
    }

    /// Publishes in the background.
    pub fn publish(&self, about: ObjectReference, note: Note) {
        let Self { recorder, fence } = self.clone();
        let Note { reason, text, warning } = note;
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        let event = Event { type_, reason: reason.clone(), note: Some(text), action: reason, secondary: None };
        tokio::spawn(async move {
            let publish = async {
                let published = recorder.publish(&event, &about).await;
                published.map_err(|error| Error::new("publish an Event", &error))
            };
            if let Err(error) = fence.within("publish an Event", publish).await {
                tracing::debug!(%error, "an Event was not published");
            }
        });
    }
}

/// A reference to an object of this version.
pub fn reference(key: &ObjectKey, api_version: &str, uid: Option<&str>) -> ObjectReference {
    ObjectReference {
        api_version: Some(api_version.to_owned()),
        kind: Some(key.kind.clone()),
        name: Some(key.name.clone()),
        namespace: key.namespace.clone(),
        uid: uid.map(str::to_owned),
        ..ObjectReference::default()
    }
}
