//! Which break-glasses are open, across namespaces: `holdfast break-glass list`.
//!
//! Read off the objects themselves, of the kinds the GitSyncs say they have, and of those the guards of the `DriftPolicy` select:
//! Holdfast need not be running. Guards may select every kind, and few people may look at all of them; what could not be looked at is
//! said, since something may be open just there.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, Unit};
use serde::Serialize;
use serde_json::Value;

use super::columns::columns;
use super::error::Error;
use super::syncs::{Wanted, policy};
use crate::cluster::{Cluster, Kind};
use crate::core::breakglass::{Glass, open};
use crate::core::names::TRACKING_ID;
use crate::core::object::ObjectKey;
use crate::core::state::State;

/// A break-glass that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenGlass {
    /// On which object.
    pub object: ObjectKey,
    /// The GitSync that keeps it otherwise, as `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// In its place, the guard that protects it for another tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// Who opened it, or prolonged it last.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: Timestamp,
    /// How long that is from now.
    pub remaining_seconds: i64,
}

/// Those that are open now, the one that ends first first; in one namespace, or everywhere. And, in sentences, where nobody could look.
pub async fn open_glasses(
    cluster: &Cluster,
    namespace: Option<&str>,
    now: Timestamp,
) -> Result<(Vec<OpenGlass>, Vec<String>), Error> {
    let mut found = of_syncs(cluster, namespace, now).await?;
    let (guarded, unseen) = of_guards(cluster, namespace, now).await?;
    let is_known = |glass: &OpenGlass| found.iter().any(|known: &OpenGlass| known.object == glass.object);
    let guarded: Vec<_> = guarded.into_iter().filter(|glass| !is_known(glass)).collect();
    found.extend(guarded);
    found.sort_by_cached_key(|glass| (glass.until, glass.object.to_string()));
    // A kind that is declared in two versions is listed twice, and two guards may select one object.
    found.dedup_by(|one, other| one.object == other.object && one.until == other.until);
    Ok((found, unseen))
}

async fn of_guards(
    cluster: &Cluster,
    namespace: Option<&str>,
    now: Timestamp,
) -> Result<(Vec<OpenGlass>, Vec<String>), Error> {
    let (policy, why) = policy(cluster).await?;
    let mut unseen: Vec<_> =
        why.map(|why| format!("{why}; what is open on guarded objects is not known")).into_iter().collect();
    let mut found = Vec::new();
    let kinds = cluster.kinds().await;
    for guard in policy.guards.iter() {
        let open = |kind: &Kind, object: Value| {
            let glass = OpenGlass::read(&object, now)?;
            let is_about =
                guard.is_about(&kind.resource.group, &kind.resource.plural, glass.object.namespace.as_deref());
            (is_about && guard.keeps(&object)).then(|| OpenGlass {
                sync: None,
                guard: Some(guard.name.to_string()),
                ..glass
            })
        };
        let looked = cluster.look_for(kinds.listable(), guard, namespace, usize::MAX, &open).await;
        found.extend(looked.found);
        unseen.extend(looked.unseen.iter().map(|error| format!("{error}; what is open there is not known")));
    }
    Ok((found, unseen))
}

async fn of_syncs(cluster: &Cluster, namespace: Option<&str>, now: Timestamp) -> Result<Vec<OpenGlass>, Error> {
    let syncs = Wanted::default().choose(cluster).await?;
    let kinds: BTreeSet<_> = syncs.iter().flat_map(|sync| sync.kinds.iter()).collect();
    let mut found = Vec::new();
    for (api_version, kind) in kinds.into_iter().filter_map(|name| name.rsplit_once('/')) {
        let Some(kind) = cluster.kind(api_version, kind).await.map_err(Error::Cluster)? else { continue };
        let objects = match namespace {
            Some(_) if !kind.namespaced => continue,
            Some(namespace) => cluster.list_managed_in(&kind, namespace).await,
            None => cluster.list_managed(&kind).await,
        };
        let objects = objects.map_err(Error::Cluster)?;
        found.extend(objects.iter().filter_map(|object| OpenGlass::read(object, now)));
    }
    Ok(found)
}

/// As kubectl prints lists; `wide` also says when exactly, and which GitSync.
pub fn glasses_table(glasses: &[OpenGlass], wide: bool) -> String {
    let titles = ["OBJECT", "BY", "REMAINING", "UNTIL", "GITSYNC", "REASON"].map(str::to_owned);
    let rows = std::iter::once(titles).chain(glasses.iter().map(OpenGlass::row));
    let shown = |(column, _): &(usize, String)| wide || !(3..=4).contains(column);
    let rows = rows.map(|row| row.into_iter().enumerate().filter(shown).map(|(_, cell)| cell).collect());
    columns(&rows.collect::<Vec<_>>())
}

// === impl OpenGlass ===

impl OpenGlass {
    fn read(object: &Value, now: Timestamp) -> Option<Self> {
        let state = State::whole(object);
        let Glass { reason, by, until } = open(&state, now)?;
        let sync = state.annotation(TRACKING_ID).and_then(|id| id.split_once(':')).map(|(sync, _)| sync.to_owned());
        let remaining_seconds = until.duration_since(now).as_secs();
        Some(Self { object: ObjectKey::of(object)?, sync, guard: None, by, reason, until, remaining_seconds })
    }

    fn row(&self) -> [String; 6] {
        let Self { object, sync, guard, by, reason, until, remaining_seconds } = self;
        let remaining = SignedDuration::from_secs(*remaining_seconds).round(Unit::Second).unwrap_or_default();
        let guard = || guard.as_ref().map(|guard| format!("guard {guard}"));
        let sync = sync.clone().or_else(guard).unwrap_or_default();
        [object.to_string(), by.clone(), format!("{remaining:#}"), until.to_string(), sync, reason.clone()]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, until: &str) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "shop", "annotations": {
            "holdfast.dev/tracking-id": format!("holdfast-system/shop:apps/Deployment:shop/{name}"),
            "holdfast.dev/break-glass": "INC-4211: failover", "holdfast.dev/break-glass-by": "oncall",
            "holdfast.dev/break-glass-until": until,
        }}})
    }

    #[test]
    fn what_is_open_is_listed_and_what_has_expired_is_not() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().expect("a time");
        let read = |until: &str| OpenGlass::read(&object("api", until), now);
        assert_eq!(read("2026-11-21T10:00:00Z"), None, "the end is not part of it");
        let glasses: Vec<_> = ["2026-11-21T10:00:01Z", "2026-11-21T11:30:00Z"].into_iter().filter_map(read).collect();
        insta::assert_snapshot!(glasses_table(&glasses, false), @r"
        OBJECT                     BY       REMAINING   REASON
        Deployment.apps shop/api   oncall   1s          INC-4211: failover
        Deployment.apps shop/api   oncall   1h 30m      INC-4211: failover
        ");
        insta::assert_snapshot!(glasses_table(&glasses[1..], true), @r"
        OBJECT                     BY       REMAINING   UNTIL                  GITSYNC                REASON
        Deployment.apps shop/api   oncall   1h 30m      2026-11-21T11:30:00Z   holdfast-system/shop   INC-4211: failover
        ");
    }
}
