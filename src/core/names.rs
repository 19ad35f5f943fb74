//! The names Holdfast writes on objects and is known by.
//!
//! Nothing that changes per commit is among them: an annotation with a revision would make every commit an edit of every
//! object, and every edit a rollout of whatever hashes its annotations.

use super::object::ObjectKey;

/// API group of our own kinds.
pub const GROUP: &str = "holdfast.dev";
/// The name under which a `DriftPolicy` has effect.
pub const POLICY_NAME: &str = "default";
/// Field manager of every write we make; its `Apply` entry in `managedFields` is what we own.
pub const FIELD_MANAGER: &str = "holdfast";
/// Label on every object Git manages. Admission and watches select by it. Its value is `"true"`.
pub const MANAGED_LABEL: &str = "holdfast.dev/managed";
/// Annotation that names the sync and the object itself, so that a copy of the object is recognised as a copy.
pub const TRACKING_ID: &str = "holdfast.dev/tracking-id";
/// Annotation a person sets to edit an object in an emergency; its value is the reason.
pub const BREAK_GLASS: &str = "holdfast.dev/break-glass";
/// How long the emergency lasts (`30m`, `2h`), written by the person; the policy's default when absent.
pub const BREAK_GLASS_FOR: &str = "holdfast.dev/break-glass-for";
/// Stamp: who opened it. Written by `/mutate` only.
pub const BREAK_GLASS_BY: &str = "holdfast.dev/break-glass-by";
/// Stamp: RFC 3339 time at which it closes. Written by `/mutate` only.
pub const BREAK_GLASS_UNTIL: &str = "holdfast.dev/break-glass-until";
/// Stamp on a `GitSync`: who paused it. Written by `/mutate/own` only.
pub const SUSPENDED_BY: &str = "holdfast.dev/suspended-by";
/// Stamp on a `GitSync`: who rolled it back. Written by `/mutate/own` only.
pub const ROLLED_BACK_BY: &str = "holdfast.dev/rolled-back-by";
/// On a `GitSync`: the commit (seven characters at least) a person wants synced now, although a window is closed that permits it.
pub const SYNC_NOW: &str = "holdfast.dev/sync-now";
/// On a `GitSync`: when a person asked for a look at Git, any text that is another than before. Answered in `status.handledRequest`.
pub const SYNC_REQUESTED: &str = "holdfast.dev/sync-requested";
/// Mark `/mutate` leaves on manually edited objects in `Annotate` mode (JSON: user, at, fields).
pub const MANUAL_EDIT: &str = "holdfast.dev/manual-edit";
/// Git only: the wave (an integer) in which an object is applied.
pub const WAVE: &str = "holdfast.dev/wave";
/// Git only: an exclusion rule for this one object.
pub const IGNORE: &str = "holdfast.dev/ignore";
/// Git only: `disabled` keeps an object in the cluster when it leaves Git.
pub const PRUNE: &str = "holdfast.dev/prune";

/// Git only: `"true"` deletes an object and makes it anew when it cannot become what Git says.
pub const REPLACE: &str = "holdfast.dev/replace";
/// Git only: `"false"` leaves fields alone that another field manager has taken, and reports them.
pub const FORCE_CONFLICTS: &str = "holdfast.dev/force-conflicts";

/// On a `GitSync`: the commit, or its first 7 digits and more, at which more may be deleted than usually.
pub const CONFIRM_PRUNE: &str = "holdfast.dev/confirm-prune";
/// Finalizer of a `GitSync` that says what is to become of its objects.
pub const FINALIZER: &str = "holdfast.dev/farewell";
/// Extra of the user in requests made as a GitSync's own service account: which GitSync. No label and no annotation.
pub const SYNC_EXTRA: &str = "holdfast.dev/sync";

/// Not ours: the wave of people who come from Argo CD; it counts where there is none of ours.
pub const ARGO_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// Not ours: the annotation in which a client-side `kubectl apply` keeps a copy of the object.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Every label and annotation name of ours starts with this.
pub const PREFIX: &str = "holdfast.dev/";
/// The four annotations of an open break-glass: what was typed and what was stamped.
pub const BREAK_GLASS_ALL: [&str; 4] = [BREAK_GLASS, BREAK_GLASS_FOR, BREAK_GLASS_BY, BREAK_GLASS_UNTIL];

/// The tracking-id of `object` as managed by `sync` (`namespace/name` of the GitSync):
/// `<sync>:<group>/<kind>:<namespace>/<name>`, with an empty namespace for cluster-scoped objects.
pub fn tracking_id(sync: &str, object: &ObjectKey) -> String {
    let ObjectKey { group, kind, namespace, name } = object;
    format!("{sync}:{group}/{kind}:{}/{name}", namespace.as_deref().unwrap_or_default())
}

/// The sync a tracking-id names, if the id describes `object` itself; `None` on a copy or on anything unreadable.
pub fn tracked_by<'a>(tracking_id: &'a str, object: &ObjectKey) -> Option<&'a str> {
    let (sync, _) = tracking_id.split_once(':')?;
    (crate::core::names::tracking_id(sync, object) == tracking_id).then_some(sync)
}
