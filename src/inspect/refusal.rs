//! What to grant when RBAC refuses a question: the API server says what is missing, not what would be enough.

use crate::cluster::Kind;

/// `reason` with the rights that are needed to judge objects of this kind, if it is RBAC that refuses.
pub(super) fn with_remedy(reason: &str, kind: &Kind, namespace: Option<&str>) -> String {
    let refused = |verb: &str| reason.contains(&format!("cannot {verb} resource"));
    if !["get", "create", "patch"].into_iter().any(refused) {
        return reason.to_owned();
    }
    let (role, place) = match namespace.filter(|_| kind.namespaced) {
        Some(namespace) => ("role", format!(" -n {namespace}")),
        None => ("clusterrole", String::new()),
    };
    let resource = resource(kind);
    format!(
        "{reason}. What a manifest means is asked of the API server by a dry run of its apply, which writes nothing and needs \
         the rights of a write: kubectl create {role} holdfast-diff{place} --verb=get,list,create,patch --resource={resource}, \
         bound to whoever asks"
    )
}

/// As kubectl takes it: `deployments.apps`.
pub(super) fn resource(kind: &Kind) -> String {
    match kind.resource.group.as_str() {
        "" => kind.resource.plural.clone(),
        group => format!("{}.{group}", kind.resource.plural),
    }
}
