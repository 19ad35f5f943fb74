//! `spec.syncPolicy.managedNamespace`: what the destination namespace is to carry.
//!
//! Our own names are refused: on a namespace they would say that Git declares it.

use std::collections::BTreeMap;

use super::Faults;
use crate::api::ManagedNamespace;
use crate::core::names::PREFIX;

/// Labels and annotations of the destination namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespacePlan {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

// === readers ===

pub(super) fn read(typed: Option<&ManagedNamespace>, faults: &mut Faults) -> NamespacePlan {
    let ManagedNamespace { labels, annotations } = typed.cloned().unwrap_or_default();
    for (field, names) in [("labels", labels.keys()), ("annotations", annotations.keys())] {
        for name in names.filter(|name| name.starts_with(PREFIX)) {
            let field = format!("spec.syncPolicy.managedNamespace.{field}");
            faults.add(&field, format!("{name} is written by Holdfast only"), "remove it");
        }
    }
    NamespacePlan { labels, annotations }
}
