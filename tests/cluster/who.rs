//! Who acts: people by their own credentials, programs by impersonation.

use crate::world::Person;

/// The namespace of service accounts that are nobody in particular.
pub const AUTOMATION: &str = "ci";
/// The namespace of service accounts the policy lists as controllers.
pub const LISTED: &str = "listed";
/// The namespaces of other tools that deliver.
pub const FLUX: &str = "flux-system";
/// Likewise.
pub const ARGO: &str = "argocd";

/// Somebody, or something, that edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A developer.
    Alice,
    /// A developer who may break glass.
    Oncall,
    /// A cluster administrator: a person like any other.
    Administrator,
    /// Holdfast's own service account.
    Ourselves,
    /// A controller of kube-system that may change and delete everything.
    Collector,
    /// The controller behind every HPA, which may scale.
    Autoscaler,
    /// A service account the policy lists as a controller.
    Listed,
    /// Flux, as it applies Kustomizations.
    Flux,
    /// Argo CD.
    Argo,
    /// Any other service account: CI, an operator, a mesh.
    Automation,
}

// === impl Who ===

impl Who {
    /// Whose kubeconfig to use.
    pub fn person(self) -> Person {
        match self {
            Self::Alice => Person::Alice,
            Self::Oncall => Person::Oncall,
            Self::Ourselves => Person::Holdfast,
            _ => Person::Administrator,
        }
    }

    /// Whom to impersonate with it.
    pub fn flags(self) -> Vec<String> {
        let (namespace, name) = match self {
            Self::Alice | Self::Oncall | Self::Administrator | Self::Ourselves => return Vec::new(),
            Self::Collector => ("kube-system", "generic-garbage-collector"),
            Self::Autoscaler => ("kube-system", "horizontal-pod-autoscaler"),
            Self::Listed => (LISTED, "operator"),
            Self::Automation => (AUTOMATION, "deployer"),
            Self::Flux => (FLUX, "kustomize-controller"),
            Self::Argo => (ARGO, "argocd-application-controller"),
        };
        let groups = ["system:authenticated", "system:serviceaccounts", &format!("system:serviceaccounts:{namespace}")]
            .map(|group| format!("--as-group={group}"));
        std::iter::once(format!("--as=system:serviceaccount:{namespace}:{name}")).chain(groups).collect()
    }
}
