//! What there is in the cluster, and whether that is what Git says: leaf by leaf, with nothing of Holdfast's own.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::Value;

use crate::repository::{Id, Repository, id};

/// Kinds there are objects of.
const KINDS: [(&str, &str, &str); 5] = [
    ("", "v1", "ConfigMap"),
    ("", "v1", "Namespace"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
    ("faults.example.com", "v1", "Relic"),
];

/// Objects of a kind, everywhere.
pub fn api(client: &Client, (group, version, kind): (&str, &str, &str)) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)))
}

/// Everything that says Git manages it, and is not on its way out.
pub async fn managed(client: &Client) -> Result<BTreeMap<Id, Value>> {
    let mut found = BTreeMap::new();
    for of in KINDS {
        let labelled = ListParams::default().labels("holdfast.dev/managed=true");
        let listed = match api(client, of).list(&labelled).await {
            // A kind that is not served has no objects.
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            listed => listed?,
        };
        for object in listed.items {
            let mut object = serde_json::to_value(object)?;
            // Items of a list leave out what the list says for all of them.
            object["kind"] = of.2.into();
            object["apiVersion"] = if of.0.is_empty() { of.1.to_owned() } else { format!("{}/{}", of.0, of.1) }.into();
            if object["metadata"]["deletionTimestamp"].is_null() {
                found.insert(id(&object), object);
            }
        }
    }
    Ok(found)
}

/// Is this all that Git says, as it says, and nothing else? What is to stay although it left Git is still there.
pub fn equals(live: &BTreeMap<Id, Value>, git: &Repository) -> Result<()> {
    let mut wrong = Vec::new();
    for (id, wanted) in git.objects().iter().chain(&git.spared) {
        match live.get(id) {
            None => wrong.push(format!("{id} is not there")),
            Some(live) => wrong.extend(differs(wanted, live, id)),
        }
    }
    let is_known = |id: &Id| git.objects().contains_key(id) || git.spared.contains_key(id);
    wrong.extend(live.keys().filter(|id| !is_known(id)).map(|id| format!("{id} should be gone")));
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

fn differs(wanted: &Value, live: &Value, place: &str) -> Option<String> {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            // Of data and spec nothing may be left of what Git said before.
            let is_ours = place.ends_with("/data") || place.ends_with("/spec/size");
            if is_ours && wanted.len() != live.len() {
                return Some(format!("{place} is {live:?}, not {wanted:?}"));
            }
            let missing = Value::Null;
            wanted.iter().find_map(|(name, wanted)| {
                differs(wanted, live.get(name).unwrap_or(&missing), &format!("{place}/{name}"))
            })
        }
        _ if wanted == live => None,
        // What the API server fills in inside lists (of a CRD's versions) is its own business.
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            wanted.iter().zip(live).find_map(|(wanted, live)| differs(wanted, live, place))
        }
        _ => Some(format!("{place} is {live}, not {wanted}")),
    }
}

/// Who each object really is: made anew, it is another one.
pub fn uids(live: &BTreeMap<Id, Value>) -> BTreeMap<Id, Value> {
    live.iter().map(|(id, object)| (id.clone(), object["metadata"]["uid"].clone())).collect()
}
