//! The table.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::door::{Ask, Caller, Came};
use crate::manifests::{AUTOSCALER, BESIDE, SETTINGS, WEB};
use crate::place::Place;
use crate::stage::test;

/// The rule of the table, what is asked (name, verb, where, what), and who passes: **P**erson, **O**n call without an open
/// break-glass, **C**ontroller, **H**oldfast, somebody **I**n its guise, **A**utomation.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

/// Everybody who is looked at.
const EVERYBODY: &str = "POCHIA";
/// Those who are never refused: ourselves by rule 1, controllers by rules 3 and 4.
const NEVER_REFUSED: &str = "CHI";
/// What programs may besides.
const PROGRAMS_TOO: &str = "CHIA";

const IMAGE: &str = r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"a:2"}]}}}}"#;
const IMAGE_JSON: &str = r#"[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"a:2"}]"#;
const IMAGE_APPLIED: &str = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"app","image":"a:2"}]}}}}"#;
const SLOW: &str = r#"{"data":{"mode":"slow"}}"#;
const SLOW_APPLIED: &str =
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"mode":"slow"}}"#;
const FAST_APPLIED: &str =
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"mode":"fast"}}"#;
const RESIZED: &str = r#"{"spec":{"containers":[{"name":"app","resources":{"requests":{"cpu":"200m"}}}]}}"#;
const RED: &str = r#"{"data":{"colour":"red"}}"#;
const FIVE: &str = r#"{"spec":{"replicas":5}}"#;
const THREE: &str = r#"{"spec":{"replicas":3}}"#;
const ORPHAN: &str = r#"{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Orphan"}"#;
const FOREGROUND: &str = r#"{"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Foreground"}"#;
const AT_ONCE: &str = r#"{"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0}"#;
const RESTART: &str = r#"{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-11-21T10:00:00Z"}}}}}"#;

const DEPLOYMENT: &str = "apps/v1/deployments/web";
const SET: &str = "apps/v1/replicasets/plain";
const STATE: &str = "apps/v1/statefulsets/db";
const CONFIG: &str = "v1/configmaps/settings";
const POD: &str = "v1/pods/lone";
const WIDGET: &str = "example.com/v1/widgets/one";

/// Edits of what Git declares, in every way there is to send one.
const EDITS: &[Row] = &[
    ("4.6", "merge_patch", "merge", DEPLOYMENT, r#"{"spec":{"replicas":5}}"#, NEVER_REFUSED),
    ("4.6", "json_patch", "json", DEPLOYMENT, IMAGE_JSON, NEVER_REFUSED),
    ("4.6", "strategic_patch", "strategic", DEPLOYMENT, IMAGE, NEVER_REFUSED),
    ("4.6", "server_side_apply_by_force", "force", DEPLOYMENT, IMAGE_APPLIED, NEVER_REFUSED),
    ("4.6", "put", "put", DEPLOYMENT, r#"{"spec":{"paused":true}}"#, PROGRAMS_TOO),
    ("4.6", "put_of_a_declared_field", "put", CONFIG, SLOW, NEVER_REFUSED),
    ("4.6", "put_without_a_declared_field", "put", CONFIG, r#"{"data":{"mode":null}}"#, NEVER_REFUSED),
    ("4.6", "put_with_a_field_of_ones_own", "put", CONFIG, RED, PROGRAMS_TOO),
    ("4.6", "merge_patch_with_a_field_of_ones_own", "merge", CONFIG, RED, PROGRAMS_TOO),
    ("4.6", "merge_patch_of_data", "merge", CONFIG, SLOW, NEVER_REFUSED),
    ("4.6", "strategic_patch_of_data", "strategic", CONFIG, SLOW, NEVER_REFUSED),
    ("4.6", "server_side_apply_of_data", "force", CONFIG, SLOW_APPLIED, NEVER_REFUSED),
    ("4.6", "server_side_apply_of_what_git_says", "apply", CONFIG, FAST_APPLIED, EVERYBODY),
    ("4.6", "made_immutable", "merge", CONFIG, r#"{"immutable":true}"#, PROGRAMS_TOO),
    ("4.6", "an_empty_patch", "merge", CONFIG, "{}", EVERYBODY),
    ("4.6", "paused", "merge", DEPLOYMENT, r#"{"spec":{"paused":true}}"#, PROGRAMS_TOO),
    ("4.6", "restarted", "strategic", DEPLOYMENT, RESTART, EVERYBODY),
    ("4.6", "a_label_of_ones_own", "merge", CONFIG, r#"{"metadata":{"labels":{"mine":"yes"}}}"#, EVERYBODY),
    ("4.6", "an_annotation_of_ones_own", "merge", CONFIG, r#"{"metadata":{"annotations":{"mine":"yes"}}}"#, EVERYBODY),
    ("4.6", "a_label_of_git_s", "merge", DEPLOYMENT, r#"{"metadata":{"labels":{"app":"mine"}}}"#, NEVER_REFUSED),
    (
        "4.6",
        "a_label_of_git_s_taken_off",
        "merge",
        DEPLOYMENT,
        r#"{"metadata":{"labels":{"app":null}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.6",
        "an_annotation_of_git_s",
        "merge",
        DEPLOYMENT,
        r#"{"metadata":{"annotations":{"team":"mine"}}}"#,
        NEVER_REFUSED,
    ),
    ("4.6", "a_pod", "strategic", POD, r#"{"spec":{"containers":[{"name":"app","image":"a:2"}]}}"#, NEVER_REFUSED),
    ("4.6", "a_pod_resized", "strategic", "v1/pods/lone/resize", RESIZED, NEVER_REFUSED),
    (
        "4.6",
        "through_another_version",
        "merge",
        "autoscaling/v1/horizontalpodautoscalers/web",
        r#"{"spec":{"maxReplicas":50}}"#,
        NEVER_REFUSED,
    ),
    ("4.6", "a_custom_resource", "merge", WIDGET, r#"{"spec":{"count":5}}"#, NEVER_REFUSED),
    (
        "4.6",
        "a_custom_resource_in_another_version",
        "merge",
        "example.com/v2/widgets/one",
        r#"{"spec":{"count":5}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.6",
        "a_custom_resource_gets_a_field",
        "merge",
        "example.com/v2/widgets/one",
        r#"{"spec":{"colour":"red"}}"#,
        PROGRAMS_TOO,
    ),
];

/// Replicas, through the subresource that carries no labels and no owners.
const SCALES: &[Row] = &[
    ("4.5", "scale_a_deployment", "merge", "apps/v1/deployments/web/scale", FIVE, NEVER_REFUSED),
    ("4.5", "scale_a_deployment_by_put", "put", "apps/v1/deployments/web/scale", FIVE, NEVER_REFUSED),
    (
        "4.5",
        "scale_a_deployment_by_apply",
        "force",
        "apps/v1/deployments/web/scale",
        r#"{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web"},"spec":{"replicas":5}}"#,
        NEVER_REFUSED,
    ),
    ("4.5", "scale_to_what_git_says", "put", "apps/v1/deployments/web/scale", THREE, EVERYBODY),
    ("4.5", "scale_a_stateful_set", "merge", "apps/v1/statefulsets/db/scale", FIVE, NEVER_REFUSED),
    ("4.5", "scale_a_replica_set", "merge", "apps/v1/replicasets/plain/scale", FIVE, NEVER_REFUSED),
    ("4.5", "scale_a_custom_resource", "merge", "example.com/v1/widgets/one/scale", FIVE, NEVER_REFUSED),
    (
        "4.5",
        "scale_a_custom_resource_in_another_version",
        "put",
        "example.com/v2/widgets/one/scale",
        FIVE,
        NEVER_REFUSED,
    ),
    ("4.5", "scale_a_custom_resource_to_what_git_says", "put", "example.com/v1/widgets/one/scale", THREE, EVERYBODY),
    ("4.6", "replicas_of_a_stateful_set", "merge", STATE, FIVE, NEVER_REFUSED),
    ("4.6", "replicas_of_a_replica_set", "merge", SET, FIVE, NEVER_REFUSED),
];

/// Deletions.
const DELETIONS: &[Row] = &[
    ("4.3", "delete", "delete", CONFIG, "", NEVER_REFUSED),
    ("4.3", "delete_in_the_foreground", "delete", DEPLOYMENT, FOREGROUND, NEVER_REFUSED),
    ("4.3", "delete_and_orphan", "delete", DEPLOYMENT, ORPHAN, NEVER_REFUSED),
    ("4.3", "delete_at_once", "delete", POD, AT_ONCE, NEVER_REFUSED),
    (
        "4.3",
        "delete_the_collection",
        "delete",
        "v1/configmaps?fieldSelector=metadata.name%3Dsettings",
        "",
        NEVER_REFUSED,
    ),
    (
        "4.3",
        "delete_the_collection_by_label",
        "delete",
        "apps/v1/deployments?labelSelector=app%3Dweb",
        "",
        NEVER_REFUSED,
    ),
    ("4.3", "delete_in_another_version", "delete", "example.com/v2/widgets/one", "", NEVER_REFUSED),
    (
        "4.3",
        "delete_an_autoscaler_in_another_version",
        "delete",
        "autoscaling/v1/horizontalpodautoscalers/web",
        "",
        NEVER_REFUSED,
    ),
    ("4.3", "delete_the_namespace", "delete", "-v1/namespaces/verbs", "", NEVER_REFUSED),
    (
        "4.3",
        "evict",
        "create",
        "v1/pods/lone/eviction",
        r#"{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"lone"}}"#,
        NEVER_REFUSED,
    ),
];

/// What makes an object ours, alone and hidden behind something harmless.
const MARKS: &[Row] = &[
    (
        "4.2",
        "the_label_taken_off",
        "merge",
        CONFIG,
        r#"{"metadata":{"labels":{"holdfast.dev/managed":null}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "the_label_taken_off_beside_a_label_of_ones_own",
        "merge",
        CONFIG,
        r#"{"metadata":{"labels":{"holdfast.dev/managed":null,"mine":"yes"}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "all_labels_replaced",
        "json",
        CONFIG,
        r#"[{"op":"replace","path":"/metadata/labels","value":{"mine":"yes"}}]"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "the_label_left_out_of_a_put",
        "put",
        CONFIG,
        r#"{"metadata":{"labels":null,"annotations":null}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "the_label_changed_by_apply",
        "force",
        CONFIG,
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","labels":{"holdfast.dev/managed":"false"}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "the_tracking_id_taken_off",
        "merge",
        CONFIG,
        r#"{"metadata":{"annotations":{"holdfast.dev/tracking-id":null}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "the_tracking_id_changed_in_a_restart",
        "strategic",
        DEPLOYMENT,
        r#"{"metadata":{"annotations":{"holdfast.dev/tracking-id":"mine"}},"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"2026-11-21T10:00:00Z"}}}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "both_marks_at_once",
        "merge",
        CONFIG,
        r#"{"metadata":{"labels":{"holdfast.dev/managed":null},"annotations":{"holdfast.dev/tracking-id":null}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "owners_wiped",
        "json",
        CONFIG,
        r#"[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]"#,
        NEVER_REFUSED,
    ),
    ("4.2", "owners_wiped_by_merge", "merge", CONFIG, r#"{"metadata":{"managedFields":[{}]}}"#, NEVER_REFUSED),
    (
        "4.2",
        "owners_wiped_beside_a_label_of_ones_own",
        "merge",
        CONFIG,
        r#"{"metadata":{"managedFields":[{}],"labels":{"mine":"yes"}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "our_entry_shrunk",
        "put",
        CONFIG,
        r#"{"metadata":{"managedFields":[{"manager":"holdfast","operation":"Apply","apiVersion":"v1","time":"2026-11-21T10:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{"f:holdfast.dev/managed":{}}}}}]}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "our_entry_grown",
        "put",
        CONFIG,
        r#"{"metadata":{"managedFields":[{"manager":"holdfast","operation":"Apply","apiVersion":"v1","time":"2026-11-21T10:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{".":{},"f:mode":{},"f:level":{},"f:mine":{}},"f:metadata":{"f:labels":{"f:holdfast.dev/managed":{}},"f:annotations":{"f:holdfast.dev/tracking-id":{}}}}}]}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "an_owner",
        "merge",
        CONFIG,
        r#"{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"1"}]}}"#,
        NEVER_REFUSED,
    ),
    ("4.2", "a_finalizer", "merge", CONFIG, r#"{"metadata":{"finalizers":["example.com/mine"]}}"#, PROGRAMS_TOO),
    (
        "4.2",
        "stamps_typed",
        "merge",
        CONFIG,
        r#"{"metadata":{"annotations":{"holdfast.dev/break-glass-by":"oncall","holdfast.dev/break-glass-until":"2099-01-01T00:00:00Z"}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "a_break_glass_with_its_stamps",
        "merge",
        CONFIG,
        r#"{"metadata":{"annotations":{"holdfast.dev/break-glass":"INC-1","holdfast.dev/break-glass-by":"oncall","holdfast.dev/break-glass-until":"2099-01-01T00:00:00Z"}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "a_break_glass_through_the_status",
        "merge",
        "apps/v1/deployments/web/status",
        r#"{"metadata":{"annotations":{"holdfast.dev/break-glass":"INC-1","holdfast.dev/break-glass-by":"oncall","holdfast.dev/break-glass-until":"2099-01-01T00:00:00Z"}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "the_tracking_id_through_the_status",
        "merge",
        "apps/v1/deployments/web/status",
        r#"{"metadata":{"annotations":{"holdfast.dev/tracking-id":null}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "a_rule_for_oneself",
        "merge",
        CONFIG,
        r#"{"metadata":{"annotations":{"holdfast.dev/ignore":"/data"}}}"#,
        NEVER_REFUSED,
    ),
];

/// What is not ours, and what Git does not declare.
const ELSEWHERE: &[Row] = &[
    (
        "4.1",
        "the_status",
        "merge",
        "apps/v1/deployments/web/status",
        r#"{"status":{"observedGeneration":1}}"#,
        EVERYBODY,
    ),
    (
        "4.1",
        "the_status_of_a_custom_resource",
        "merge",
        "example.com/v1/widgets/one/status",
        r#"{"status":{"count":1}}"#,
        EVERYBODY,
    ),
    (
        "4.1",
        "a_container_for_debugging",
        "strategic",
        "v1/pods/lone/ephemeralcontainers",
        r#"{"spec":{"ephemeralContainers":[{"name":"debug","image":"busybox:1"}]}}"#,
        EVERYBODY,
    ),
    (
        "4.1",
        "a_token",
        "create",
        "v1/serviceaccounts/robot/token",
        r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}"#,
        EVERYBODY,
    ),
    (
        "4.1",
        "something_git_does_not_declare",
        "create",
        "v1/configmaps",
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"mine"}}"#,
        EVERYBODY,
    ),
    (
        "4.1",
        "a_name_to_be_generated",
        "create",
        "v1/configmaps",
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"mine-"}}"#,
        EVERYBODY,
    ),
    (
        "4.2",
        "something_that_looks_managed",
        "create",
        "v1/configmaps",
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"forged","labels":{"holdfast.dev/managed":"true"},"annotations":{"holdfast.dev/tracking-id":"holdfast-system/verbs:/ConfigMap:verbs/forged"}}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.2",
        "an_apply_that_looks_managed",
        "apply",
        "v1/configmaps/forged",
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"forged","labels":{"holdfast.dev/managed":"true"},"annotations":{"holdfast.dev/tracking-id":"holdfast-system/verbs:/ConfigMap:verbs/forged"}}}"#,
        NEVER_REFUSED,
    ),
];

/// An object that is gone, and is made by hand. Its sync does not heal.
const CREATIONS: &[Row] = &[
    (
        "4.5",
        "as_git_says",
        "create",
        "v1/configmaps",
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"mode":"fast","level":"info"}}"#,
        EVERYBODY,
    ),
    (
        "4.5",
        "as_git_says_by_apply",
        "apply",
        CONFIG,
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"mode":"fast","level":"info"}}"#,
        EVERYBODY,
    ),
    (
        "4.5",
        "with_another_value",
        "create",
        "v1/configmaps",
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"mode":"slow","level":"info"}}"#,
        NEVER_REFUSED,
    ),
    ("4.5", "with_another_value_by_apply", "force", CONFIG, SLOW_APPLIED, NEVER_REFUSED),
    (
        "4.5",
        "without_a_value",
        "create",
        "v1/configmaps",
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"mode":"fast"}}"#,
        NEVER_REFUSED,
    ),
    (
        "4.5",
        "with_a_value_of_ones_own",
        "create",
        "v1/configmaps",
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"mode":"fast","level":"info","colour":"red"}}"#,
        PROGRAMS_TOO,
    ),
];

/// A Pod, a StatefulSet, a ReplicaSet, an account and a custom resource.
const MORE: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: lone}
spec: {containers: [{name: app, image: 'registry.example/lone:1.0', resources: {requests: {cpu: 100m}}}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: 'registry.example/db:1.0'}]}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: plain}
spec:
  replicas: 3
  selector: {matchLabels: {app: plain}}
  template:
    metadata: {labels: {app: plain}}
    spec: {containers: [{name: app, image: 'registry.example/plain:1.0'}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: one}
spec: {count: 3}
";

pub fn trials() -> Vec<Trial> {
    let groups =
        [("edit", EDITS), ("scale", SCALES), ("delete", DELETIONS), ("marks", MARKS), ("elsewhere", ELSEWHERE)];
    let rows = groups.iter().flat_map(|(group, rows)| rows.iter().map(move |row| (group, row)));
    let rows = rows.map(|(group, row)| trial(group, row, async || place().await));
    let gone = CREATIONS.iter().map(|row| trial("create", row, async || gone().await));
    rows.chain(gone).collect()
}

fn trial(
    group: &str,
    row: &'static Row,
    place: impl AsyncFn() -> Result<&'static Place<'static>> + Send + 'static,
) -> Trial {
    test(format!("verbs::{group}_{}", row.1), move || async move { check(place().await?, row).await })
}

async fn place() -> Result<&'static Place<'static>> {
    static PLACE: OnceCell<Place<'static>> = OnceCell::const_new();
    let files = [
        ("web.yaml", WEB),
        ("settings.yaml", SETTINGS),
        ("hpa.yaml", AUTOSCALER),
        ("beside.yaml", BESIDE),
        ("more.yaml", MORE),
    ];
    PLACE.get_or_try_init(async || Place::new("verbs", &files).await).await
}

async fn gone() -> Result<&'static Place<'static>> {
    static PLACE: OnceCell<Place<'static>> = OnceCell::const_new();
    PLACE
        .get_or_try_init(async || {
            let place = Place::empty(crate::stage::shared().await?, "verbs-gone").await?;
            let commit = place.write(&[("settings.yaml", SETTINGS)]).await?;
            // Others commit all the time, and whatever is missing is made at the next commit.
            place
                .sync(|spec| {
                    spec["source"]["targetRevision"] = serde_json::json!(commit);
                    spec["syncPolicy"]["automated"]["selfHeal"] = serde_json::json!(false);
                })
                .await?;
            place.is_synced(&commit).await?;
            place.accepts(crate::who::Who::Collector, "delete configmap/settings").await?;
            place.condition("Ready", false, &["1 object"]).await?;
            Ok(place)
        })
        .await
}

async fn check(place: &Place<'static>, (rule, _, verb, at, body, passes): &Row) -> Result<()> {
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body)? };
    let ask = Ask { verb: (*verb).to_owned(), at: (*at).to_owned(), body, dry_run: true };
    let before = moved_by_people(&ask, place).await?;
    let mut wrong = Vec::new();
    for letter in EVERYBODY.chars() {
        let caller = Caller::by(letter);
        let dry = ask.by(place.stage, &place.name, &caller).await?;
        let passes = passes.contains(letter);
        if (dry == Came::Through) != passes {
            wrong.push(format!("{letter} as a dry run: {dry:?}"));
        }
        if !passes {
            let real = Ask { dry_run: false, ..ask.clone() }.by(place.stage, &place.name, &caller).await?;
            if real == Came::Through {
                wrong.push(format!("{letter} in earnest: it went through"));
            }
        }
    }
    ensure!(wrong.is_empty(), "by rule {rule}, {passes} pass; but {wrong:#?}");
    let after = moved_by_people(&ask, place).await?;
    ensure!(before == after, "it has moved: {before:#} became {after:#}");
    Ok(())
}

/// The object behind a request, without what its controllers report. What has no status does not move at all.
async fn moved_by_people(ask: &Ask, place: &Place<'_>) -> Result<Value> {
    let object = Ask { at: whole(&ask.at), ..ask.clone() };
    let mut object = object.look(&place.stage.client, &place.name).await?;
    let has_status = object.get("status").is_some() || object["kind"] == "ServiceAccount";
    if let (Some(metadata), true) = (object.pointer_mut("/metadata").and_then(Value::as_object_mut), has_status) {
        metadata.remove("resourceVersion");
        metadata.remove("managedFields");
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            // Of an autoscaler in its first version, all the status there is no field for.
            annotations.retain(|name, _| {
                !name.starts_with("deployment.kubernetes.io/") && !name.starts_with("autoscaling.alpha.kubernetes.io/")
            });
        }
    }
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        if fields.get("kind").is_some_and(|kind| kind.as_str().is_some_and(|kind| kind.ends_with("List"))) {
            return Ok(Value::Null);
        }
    }
    Ok(object)
}

/// The place of the object whose subresource this is.
fn whole(at: &str) -> String {
    let place = at.split('?').next().unwrap_or_default();
    let parts: Vec<_> = place.split('/').collect();
    let length = if parts[0] == "v1" || parts[0] == "-v1" { 3 } else { 4 };
    parts[..parts.len().min(length)].join("/")
}
