//! What a commit brings along for its own objects.
//!
//! A custom resource whose definition is in the same commit, or an object whose namespace is, cannot even be asked about before
//! the commit is applied. That is no mistake: it is just not there yet.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::meaning::SyncPlan;
use crate::core::manifest::Manifest;
use crate::core::object::ObjectKey;

/// Namespaces and kinds a commit brings along.
pub(super) struct Coming {
    namespaces: BTreeSet<String>,
    kinds: BTreeSet<(String, String)>,
}

// === impl Coming ===

impl Coming {
    /// What these manifests, and the options of their sync, bring along.
    pub fn of(plan: &SyncPlan, manifests: &[Manifest]) -> Self {
        let of_kind = |kind: &'static str| manifests.iter().filter(move |manifest| manifest.key.kind == kind);
        let text = |manifest: &Manifest, pointer| {
            manifest.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let named = of_kind("Namespace").map(|manifest| manifest.key.name.clone());
        let defined = of_kind("CustomResourceDefinition")
            .map(|manifest| (text(manifest, "/spec/group"), text(manifest, "/spec/names/kind")));
        let made = plan.options.create_namespace.then(|| plan.namespace.clone());
        Self { namespaces: named.chain(made).collect(), kinds: defined.collect() }
    }

    /// Is this object one that has to wait for something of its own commit?
    pub fn brings(&self, manifest: &Manifest) -> bool {
        let ObjectKey { group, kind, namespace, .. } = &manifest.key;
        self.kinds.contains(&(group.clone(), kind.clone()))
            || namespace.as_ref().is_some_and(|namespace| self.namespaces.contains(namespace))
    }
}
