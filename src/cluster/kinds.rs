//! Which kinds the cluster serves: from `apiVersion` and `kind` to a resource path.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kube::discovery::{Discovery, Scope, verbs};
use kube::{Client, core::ApiResource};

use super::Error;
use crate::core::object::ObjectKey;

/// One served kind in one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kind {
    /// How to address it.
    pub resource: ApiResource,
    /// Do its objects live in namespaces?
    pub namespaced: bool,
}

/// Every served kind.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    served: Arc<HashMap<(String, String), Kind>>,
    /// Versions of groups of which nothing is served, because the aggregated API behind them does not say what it serves.
    silent: Arc<HashSet<String>>,
    /// Those that can be listed, each in its most stable version.
    listable: Arc<[Kind]>,
}

// === impl Kinds ===

impl Kinds {
    /// Asks the API server: two requests, whatever the number of groups. An aggregated API that is down does not hide the
    /// others.
    pub async fn discover(client: &Client) -> Result<Self, Error> {
        let discovery = Discovery::new(client.clone()).run_aggregated().await;
        let discovery = discovery.map_err(|error| Error::new("ask which kinds the cluster serves", &error))?;
        let (mut served, mut listable, mut silent) = (HashMap::new(), Vec::new(), HashSet::new());
        for group in discovery.groups() {
            let stable = group.resources_by_stability().into_iter();
            let listed = stable.filter(|(_, capabilities)| capabilities.supports_operation(verbs::LIST));
            listable.extend(listed.map(|(resource, capabilities)| {
                let namespaced = capabilities.scope == Scope::Namespaced;
                Kind { resource, namespaced }
            }));
            for version in group.versions() {
                if group.versioned_resources(version).is_empty() {
                    silent.insert(format!("{}/{version}", group.name()));
                }
                for (resource, capabilities) in group.versioned_resources(version) {
                    let namespaced = capabilities.scope == Scope::Namespaced;
                    let name = (resource.api_version.clone(), resource.kind.clone());
                    served.insert(name, Kind { resource, namespaced });
                }
            }
        }
        Ok(Self { served: Arc::new(served), silent: Arc::new(silent), listable: listable.into() })
    }

    /// Every kind that can be listed, in one version.
    pub fn listable(&self) -> &[Kind] {
        &self.listable
    }

    /// The kind of this `apiVersion` and `kind`.
    pub fn get(&self, api_version: &str, kind: &str) -> Option<Kind> {
        self.served.get(&(api_version.to_owned(), kind.to_owned())).cloned()
    }

    /// Is the version of a group there, and nothing known of it?
    pub fn is_silent(&self, api_version: &str) -> bool {
        self.silent.contains(api_version)
    }

    /// Do objects of this kind live in namespaces, in whatever version? `None` when no version is served.
    pub fn namespaced(&self, group: &str, kind: &str) -> Option<bool> {
        let mut served = self.served.values();
        served.find(|served| served.resource.group == group && served.resource.kind == kind).map(|kind| kind.namespaced)
    }
}

// === impl Kind ===

impl Kind {
    /// `apiVersion/Kind`, as statuses list it.
    pub fn name(&self) -> String {
        format!("{}/{}", self.resource.api_version, self.resource.kind)
    }

    /// The request path of the collection that holds `key`.
    pub fn path(&self, key: &ObjectKey) -> String {
        self.path_in(key.namespace.as_deref())
    }

    /// The request path of the objects of the kind in a namespace, if its objects live in any.
    pub fn path_in(&self, namespace: Option<&str>) -> String {
        let namespace = namespace.filter(|_| self.namespaced);
        <kube::core::DynamicObject as kube::Resource>::url_path(&self.resource, namespace)
    }

    /// The request path of all objects of the kind.
    pub fn path_everywhere(&self) -> String {
        <kube::core::DynamicObject as kube::Resource>::url_path(&self.resource, None)
    }
}
