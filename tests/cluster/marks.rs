//! What makes an object ours cannot be taken off, put on elsewhere, or borrowed.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::manifests::{SETTINGS, parsed};
use crate::place::Place;
use crate::stage::{test, tests};
use crate::who::Who;

type Row = (&'static str, Who, &'static str);

const ROWS: &[Row] = &[
    ("the_label_taken_off", Who::Alice, "label configmap/settings holdfast.dev/managed-"),
    ("the_label_changed", Who::Alice, "label configmap/settings holdfast.dev/managed=false --overwrite"),
    ("the_label_taken_off_by_a_program", Who::Automation, "label configmap/settings holdfast.dev/managed-"),
    ("the_tracking_id_taken_off", Who::Alice, "annotate configmap/settings holdfast.dev/tracking-id-"),
    ("the_tracking_id_changed", Who::Alice, "annotate configmap/settings holdfast.dev/tracking-id=mine --overwrite"),
    (
        "all_annotations_taken_off",
        Who::Alice,
        r#"patch configmap/settings --type=json --patch=[{"op":"remove","path":"/metadata/annotations"}]"#,
    ),
    (
        "managed_fields_wiped",
        Who::Alice,
        r#"patch configmap/settings --type=json --patch=[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]"#,
    ),
    (
        "managed_fields_wiped_by_the_administrator",
        Who::Administrator,
        r#"patch configmap/settings --type=json --patch=[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]"#,
    ),
    (
        "managed_fields_wiped_by_a_program",
        Who::Automation,
        r#"patch configmap/settings --type=merge --patch={"metadata":{"managedFields":[{}]}}"#,
    ),
    ("our_name_borrowed", Who::Alice, "label configmap/settings mine=yes --field-manager=holdfast"),
    (
        "an_owner_set",
        Who::Alice,
        r#"patch configmap/settings --type=merge --patch={"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"kube-root-ca.crt","uid":"1"}]}}"#,
    ),
    (
        "an_owner_set_by_a_program",
        Who::Automation,
        r#"patch configmap/settings --type=merge --patch={"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"kube-root-ca.crt","uid":"1"}]}}"#,
    ),
    ("a_manual_edit_mark_typed", Who::Alice, r#"annotate configmap/settings holdfast.dev/manual-edit={"user":"bob"}"#),
    (
        "stamps_typed",
        Who::Alice,
        "annotate configmap/settings holdfast.dev/break-glass-by=alice holdfast.dev/break-glass-until=2099-01-01T00:00:00Z",
    ),
];

pub fn trials() -> Vec<Trial> {
    let rows = ROWS.iter().map(|(name, who, line)| {
        test(
            format!("marks::{name}_is_refused"),
            move || async move { place().await?.refuses(*who, line).await.map(drop) },
        )
    });
    rows.chain(tests![a_forged_object_is_refused, an_object_cannot_become_ours_in_two_steps, a_copy_is_harmless])
        .collect()
}

async fn place() -> Result<&'static Place<'static>> {
    static PLACE: OnceCell<Place<'static>> = OnceCell::const_new();
    PLACE.get_or_try_init(async || Place::new("marks", &[("settings.yaml", SETTINGS)]).await).await
}

/// An object Git does not declare, with the marks of one that it does.
fn forged(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "forged",
            "labels": {"holdfast.dev/managed": "true"},
            "annotations": {"holdfast.dev/tracking-id": format!("holdfast-system/{namespace}:/ConfigMap:{namespace}/forged")},
        },
    })
}

async fn a_forged_object_is_refused() -> Result<()> {
    let place = place().await?;
    place.refuses_input(Who::Alice, "create --filename=-", &forged("marks")).await?;
    place.refuses_input(Who::Automation, "apply --server-side --filename=-", &forged("marks")).await.map(drop)
}

/// Without the label nobody is asked about an edit; so the step that puts it on is the one to refuse.
async fn an_object_cannot_become_ours_in_two_steps() -> Result<()> {
    let place = place().await?;
    let id = "holdfast.dev/tracking-id=holdfast-system/marks:/ConfigMap:marks/theirs";
    place.accepts(Who::Alice, "create configmap theirs").await?;
    place.accepts(Who::Alice, &format!("annotate configmap/theirs {id}")).await?;
    place.refuses(Who::Alice, "label configmap/theirs holdfast.dev/managed=true").await.map(drop)
}

/// A copy carries the marks of its original, and names the original in them.
async fn a_copy_is_harmless() -> Result<()> {
    let place = Place::new("copies", &[("settings.yaml", SETTINGS)]).await?;
    let original = place.live("ConfigMap/settings").await?;
    let mut copy = parsed(SETTINGS);
    copy["metadata"] = json!({
        "name": "copy",
        "labels": original["metadata"]["labels"],
        "annotations": original["metadata"]["annotations"],
    });
    copy["data"]["mode"] = json!("mine");
    place.accepts_input(Who::Alice, "create --filename=-", &copy).await?;
    place.accepts(Who::Alice, r#"patch configmap/copy --type=merge --patch={"data":{"mode":"still-mine"}}"#).await?;
    place.rests("ConfigMap/settings").await?;
    ensure!(!place.live("ConfigMap/copy").await?.is_null(), "the copy was pruned");
    ensure!(place.records("Pruned", "ConfigMap/copy")?.is_empty(), "the copy was pruned");
    Ok(())
}
