//! Which GitSync a command is about, and writing to it as whoever calls: admission asks for their right and records it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::access::Access;
use crate::api::GitSync;
use crate::cluster::Cluster;
use crate::core::names::GROUP;
use crate::core::object::ObjectKey;
use crate::inspect::Wanted;

/// One GitSync, in one cluster.
#[derive(Debug, Clone, Args)]
pub(super) struct Target {
    /// GitSync, as NAME or NAMESPACE/NAME
    #[arg(value_name = "GITSYNC")]
    pub(super) sync: String,
    /// Namespace of the GitSync [default: all of them]
    #[arg(long, short, value_name = "NAMESPACE")]
    pub(super) namespace: Option<String>,
    /// Kubeconfig to use [default: as kubectl: KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    kubeconfig: Option<PathBuf>,
    /// Context in it
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    context: Option<String>,
}

/// The GitSync that was named.
pub(super) struct Found {
    pub(super) cluster: Cluster,
    pub(super) sync: GitSync,
    /// `namespace/name`.
    pub(super) name: String,
}

// === impl Target ===

impl Target {
    pub(super) fn access(&self) -> Access {
        Access::to(self.kubeconfig.clone(), self.context.clone())
    }

    /// Connects and finds it.
    pub(super) async fn find(&self) -> anyhow::Result<Found> {
        let (cluster, _) = self.access().cluster().await?;
        let sync = Wanted::typed(Some(&self.sync), self.namespace.as_deref()).one(&cluster).await?;
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        let name = format!("{}/{}", part(&sync.metadata.namespace), part(&sync.metadata.name));
        Ok(Found { cluster, sync, name })
    }
}

// === impl Found ===

impl Found {
    pub(super) async fn merge(&self, patch: &Value) -> anyhow::Result<()> {
        merge(&self.cluster, &self.name, patch).await
    }
}

/// Writes a merge patch to the GitSync `namespace/name`.
pub(super) async fn merge(cluster: &Cluster, name: &str, patch: &Value) -> anyhow::Result<()> {
    let (namespace, name) = name.split_once('/').context("a GitSync has a namespace")?;
    let key = ObjectKey {
        group: GROUP.to_owned(),
        kind: "GitSync".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    };
    let kind = cluster.kind("holdfast.dev/v1alpha1", "GitSync").await?.context("Holdfast is not installed here")?;
    Ok(cluster.merge(&kind, &key, patch).await.map(drop)?)
}
