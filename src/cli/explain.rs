//! `holdfast explain`: why an object is, or is not, what Git says.

use clap::Args;

use super::access::{Access, block_on, progress};
use crate::inspect::{Explaining, Explanation, table};

const NOTES: &str = "\
Shows every place of the object that Git declares: Git's value with file and line, the
cluster's, who owns it, the rule that excludes it, and the verdict; and what others wrote
besides. The kind goes by any name kubectl knows. Nothing is written, and Holdfast need
not be running. Values of Secrets are never shown.

Examples:
  Why is this Deployment drifted, or not?
    holdfast explain deploy/api -n shop

  By kind and group:
    holdfast explain Ingress.networking.k8s.io/front -n shop
    holdfast explain clusterrole/reader

  For programs:
    holdfast explain deploy/api -n shop -o json | jq '.fields[] | select(.verdict == \"drift\")'";

/// What to explain.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The object, as KIND/NAME, KIND.GROUP/NAME, or with a plural or short name of the kind
    #[arg(value_name = "KIND/NAME")]
    object: String,
    /// Namespace of the object [default: that of the kubeconfig's context]
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    #[command(flatten)]
    access: Access,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let (explanation, notes) = block_on(self.explain())?;
        let text = match self.access.output {
            Some(format) => format.write(&explanation)?,
            None => table(&explanation),
        };
        self.access.print(&text)?;
        self.access.notes(&notes);
        Ok(())
    }

    async fn explain(&self) -> anyhow::Result<(Explanation, Vec<String>)> {
        let (cluster, usual) = self.access.cluster().await?;
        let explaining = Explaining {
            cluster: &cluster,
            object: self.object.clone(),
            namespace: self.namespace.clone().unwrap_or(usual),
            cache: self.access.cache(),
            progress: &progress,
        };
        Ok(explaining.explain().await?)
    }
}
