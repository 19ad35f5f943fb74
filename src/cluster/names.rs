//! Which kind a person means: `deploy`, `Deployment`, `deployments.apps`, as kubectl takes it.

use std::fmt;

use kube::core::discovery::v2::{APIGroupDiscovery, APIResourceDiscovery};
use kube::core::{ApiResource, GroupVersionKind};

use super::{Cluster, Error, Kind};

/// A kind as typed, in any of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedKind {
    name: String,
    /// After the first dot, if there is one.
    group: Option<String>,
}

// === impl TypedKind ===

impl TypedKind {
    /// Takes `deployments.apps` apart.
    pub fn new(typed: &str) -> Self {
        match typed.split_once('.') {
            Some((name, group)) => Self { name: name.to_lowercase(), group: Some(group.to_lowercase()) },
            None => Self { name: typed.to_lowercase(), group: None },
        }
    }

    /// The kinds that go by this name, in the order the cluster prefers: its own kinds come before added ones. Of each group
    /// the preferred version.
    pub fn find(&self, groups: &[APIGroupDiscovery]) -> Vec<Kind> {
        let named = |group: &APIGroupDiscovery| group.metadata.as_ref().and_then(|metadata| metadata.name.clone());
        let found = groups.iter().filter_map(|group| {
            let name = named(group).unwrap_or_default();
            let wanted = self.group.as_ref().is_none_or(|wanted| *wanted == name);
            let mut versions = group.versions.iter().filter(|_| wanted);
            versions.find_map(|version| {
                let resource = version.resources.iter().find(|resource| self.is_name_of(resource))?;
                kind(&name, version.version.as_deref()?, resource)
            })
        });
        found.collect()
    }

    fn is_name_of(&self, resource: &APIResourceDiscovery) -> bool {
        let APIResourceDiscovery { resource: plural, response_kind, singular_resource, short_names, .. } = resource;
        let kind = response_kind.as_ref().and_then(|kind| kind.kind.as_ref());
        let names = [plural.as_ref(), singular_resource.as_ref(), kind].into_iter().flatten().chain(short_names);
        names.into_iter().any(|name| name.to_lowercase() == self.name)
    }
}

impl fmt::Display for TypedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, group } = self;
        match group {
            Some(group) => write!(f, "{name}.{group}"),
            None => write!(f, "{name}"),
        }
    }
}

// === impl Cluster ===

impl Cluster {
    /// The kinds a person may mean, the likeliest first; none, when the cluster serves none by that name.
    pub async fn kinds_named(&self, typed: &TypedKind) -> Result<Vec<Kind>, Error> {
        let failed = |error| Error::new("ask which kinds the cluster serves", &error);
        let (core, others) =
            tokio::try_join!(self.client.list_core_api_versions_aggregated(), self.client.list_api_groups_aggregated())
                .map_err(failed)?;
        let groups: Vec<_> = core.items.into_iter().chain(others.items).collect();
        Ok(typed.find(&groups))
    }
}

fn kind(group: &str, version: &str, resource: &APIResourceDiscovery) -> Option<Kind> {
    let name = resource.response_kind.as_ref()?.kind.as_deref()?;
    let kind = GroupVersionKind::gvk(group, version, name);
    Some(Kind {
        resource: ApiResource::from_gvk_with_plural(&kind, resource.resource.as_deref()?),
        namespaced: resource.scope.as_deref() == Some("Namespaced"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn group(name: &str, resource: &serde_json::Value) -> APIGroupDiscovery {
        let group = json!({"metadata": {"name": name}, "versions": [{"version": "v1", "resources": [resource]}]});
        serde_json::from_value(group).expect("a group")
    }

    fn resource(plural: &str, singular: &str, kind: &str, short: &[&str]) -> serde_json::Value {
        json!({"resource": plural, "singularResource": singular, "scope": "Namespaced", "shortNames": short,
               "responseKind": {"group": "", "version": "", "kind": kind}})
    }

    #[test]
    fn a_kind_goes_by_many_names() {
        let groups = [
            group("", &resource("services", "service", "Service", &["svc"])),
            group("apps", &resource("deployments", "deployment", "Deployment", &["deploy"])),
            group("serving.knative.dev", &resource("services", "service", "Service", &["kservice"])),
        ];
        let found = |typed| TypedKind::new(typed).find(&groups).first().map(Kind::name);
        for typed in ["deploy", "deployment", "Deployments", "deployments.apps", "Deployment.apps"] {
            assert_eq!(found(typed).as_deref(), Some("apps/v1/Deployment"), "{typed}");
        }
        assert_eq!(found("service").as_deref(), Some("v1/Service"), "the cluster's own kinds come first");
        assert_eq!(found("service.serving.knative.dev").as_deref(), Some("serving.knative.dev/v1/Service"));
        assert_eq!(found("deployment.extensions"), None);
        assert_eq!(TypedKind::new("services").find(&groups).len(), 2, "who asks may mean the other one");
    }
}
