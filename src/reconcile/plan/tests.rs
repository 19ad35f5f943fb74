//! Every decision of the reconciler, with values: nothing runs, nothing waits.

use serde_json::json;

use super::*;
use crate::core::compare::Kind;
use crate::core::path::Path;

const NOON: &str = "2026-11-21T12:00:00Z";

fn now() -> Timestamp {
    NOON.parse().expect("a time")
}

fn policy() -> Policy {
    Policy { self_heal: true, suspended: false, held: false, now: now() }
}

fn drift() -> Vec<Deviation> {
    let path = Path::of_fields(&["spec", "replicas"]);
    vec![Deviation { path, kind: Kind::Changed, git: Some(json!(3)), live: Some(json!(5)), line: Some(9) }]
}

/// A live Deployment that our field manager has applied, with these annotations.
fn live(annotations: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "api", "namespace": "shop", "annotations": annotations,
            "managedFields": [{"manager": "holdfast", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}],
        },
    })
}

fn glass(until: &str) -> Value {
    json!({
        "holdfast.dev/break-glass": "INC-1", "holdfast.dev/break-glass-by": "oncall",
        "holdfast.dev/break-glass-until": until,
    })
}

fn key(group: &str, kind: &str, name: &str) -> ObjectKey {
    ObjectKey { group: group.into(), kind: kind.into(), namespace: None, name: name.into() }
}

#[test]
fn what_others_need_is_written_first() {
    let order = [
        key("apps", "Deployment", "api"),
        key("rbac.authorization.k8s.io", "Role", "r"),
        key("", "ServiceAccount", "sa"),
        key("apiextensions.k8s.io", "CustomResourceDefinition", "c"),
        key("", "Namespace", "n"),
    ];
    let stages = order.map(|key| stage(&key));
    assert_eq!(stages, [Stage::Rest, Stage::Access, Stage::Access, Stage::Foundation, Stage::Foundation]);
    assert!(Stage::Foundation < Stage::Access && Stage::Access < Stage::Rest);
}

#[test]
fn no_drift_means_no_write() {
    let object = live(&json!({}));
    assert_eq!(respond(&State::whole(&object), &[], policy()), Response::InSync);
}

#[test]
fn drift_is_healed_unless_the_sync_only_reports_or_is_paused() {
    let object = live(&json!({}));
    let answer = |policy| respond(&State::whole(&object), &drift(), policy);
    assert_eq!(answer(policy()), Response::Heal);
    assert_eq!(answer(Policy { self_heal: false, ..policy() }), Response::Report);
    assert_eq!(answer(Policy { suspended: true, ..policy() }), Response::Report);
    assert_eq!(answer(Policy { held: true, ..policy() }), Response::Report);
}

#[test]
fn a_wiped_ownership_is_taken_back_although_no_value_differs() {
    let mut object = live(&json!({}));
    object["metadata"]["managedFields"] = json!([]);
    assert_eq!(respond(&State::whole(&object), &[], policy()), Response::Heal);
    let reporting = Policy { self_heal: false, ..policy() };
    assert_eq!(respond(&State::whole(&object), &[], reporting), Response::InSync);
}

#[test]
fn an_open_break_glass_holds_to_the_second() {
    let object = live(&glass("2026-11-21T12:00:01Z"));
    let open = respond(&State::whole(&object), &drift(), policy());
    assert!(matches!(open, Response::Open(glass) if glass.by == "oncall"));
    let object = live(&glass(NOON));
    assert_eq!(respond(&State::whole(&object), &drift(), policy()), Response::Heal);
    assert_eq!(respond(&State::whole(&object), &[], policy()), Response::Heal, "expired stamps are cleared away");
}

#[test]
fn a_break_glass_nobody_stamped_opens_nothing() {
    let object = live(&json!({"holdfast.dev/break-glass": "trust me"}));
    assert_eq!(respond(&State::whole(&object), &drift(), policy()), Response::Heal);
}

#[test]
fn what_is_on_its_way_out_is_left_alone() {
    let mut object = live(&json!({}));
    object["metadata"]["deletionTimestamp"] = json!(NOON);
    assert_eq!(respond(&State::whole(&object), &drift(), policy()), Response::Terminating);
}

#[test]
fn a_confirmation_is_of_one_commit() {
    let revision = "0123456789abcdef0123456789abcdef01234567";
    assert!(confirms("0123456", revision) && confirms(revision, revision) && confirms(" 01234567\n", revision));
    for other in ["", "012345", "1123456", "0123456789abcdef0123456789abcdef012345678"] {
        assert!(!confirms(other, revision), "{other}");
    }
}

#[test]
fn a_copy_is_not_tracked() {
    let id = json!({"holdfast.dev/tracking-id": "team/shop:apps/Deployment:shop/api"});
    let original = ObjectKey::of(&live(&id)).expect("a key");
    let copy = ObjectKey { name: "api-copy".into(), ..original.clone() };
    assert!(is_tracked_by("team/shop", &original, &live(&id)));
    assert!(!is_tracked_by("team/shop", &copy, &live(&id)));
    assert!(!is_tracked_by("team/other", &original, &live(&id)));
}

#[test]
fn what_may_not_be_pruned_is_kept() {
    let plain = key("apps", "Deployment", "api");
    assert_eq!(may_prune(&plain, &live(&json!({}))), Ok(()));
    assert_eq!(may_prune(&plain, &live(&json!({"holdfast.dev/prune": "disabled"}))), Err(Kept::OptedOut));
    let mut owned = live(&json!({}));
    owned["metadata"]["ownerReferences"] = json!([{"kind": "App", "name": "x"}]);
    assert_eq!(may_prune(&plain, &owned), Err(Kept::Owned));
    assert_eq!(may_prune(&key("", "Namespace", "kube-system"), &live(&json!({}))), Err(Kept::Special));
}

#[test]
fn one_commit_deletes_at_most_half_and_never_everything() {
    for (unwanted, declared, within) in
        [(0, 0, true), (1, 9, true), (5, 5, true), (6, 5, false), (1, 0, false), (2, 1, false)]
    {
        assert_eq!(is_within_limit(unwanted, declared), within, "{unwanted} of {}", unwanted + declared);
    }
}
