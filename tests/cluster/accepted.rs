//! What passes: what is no drift, and those who are never refused.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::manifests::{AUTOSCALER, SETTINGS, WEB, parsed};
use crate::place::Place;
use crate::stage::{test, tests};
use crate::who::Who;

type Row = (&'static str, Who, &'static str);

/// Nothing of this moves a declared field for good: what would is a dry run, whose verdict is the same.
const ROWS: &[Row] = &[
    ("rollout_restart", Who::Alice, "rollout restart deployment/web"),
    ("scale_to_what_git_says", Who::Alice, "scale deployment/web --replicas=3"),
    ("a_label_of_ones_own", Who::Alice, "label deployment/web mine=yes"),
    ("an_annotation_of_ones_own", Who::Alice, "annotate deployment/web mine=yes"),
    (
        "a_patch_that_changes_nothing",
        Who::Alice,
        r#"patch configmap/settings --type=merge --patch={"data":{"mode":"fast"}}"#,
    ),
    (
        "the_status",
        Who::Alice,
        r#"patch deployment/web --subresource=status --type=merge --patch={"status":{"observedGeneration":1}}"#,
    ),
    ("what_git_does_not_have", Who::Alice, "create configmap mine --from-literal=a=b"),
    ("the_administrator_labels", Who::Administrator, "label configmap/settings theirs=yes"),
    ("ourselves_scale", Who::Ourselves, "scale deployment/web --replicas=5 --dry-run=server"),
    ("ourselves_delete", Who::Ourselves, "delete deployment/web --dry-run=server"),
    ("the_autoscaler_scales", Who::Autoscaler, "scale deployment/web --replicas=5 --dry-run=server"),
    (
        "a_controller_patches",
        Who::Collector,
        r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}} --dry-run=server"#,
    ),
    (
        "a_controller_sets_owners",
        Who::Collector,
        r#"patch configmap/settings --type=merge --patch={"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"kube-root-ca.crt","uid":"1"}]}} --dry-run=server"#,
    ),
    ("a_controller_deletes", Who::Collector, "delete deployment/web --dry-run=server"),
    ("a_listed_controller_scales", Who::Listed, "scale deployment/web --replicas=5 --dry-run=server"),
    ("a_listed_controller_deletes", Who::Listed, "delete configmap/settings --dry-run=server"),
    (
        "a_program_adds_a_container",
        Who::Automation,
        r#"patch deployment/web --patch={"spec":{"template":{"spec":{"containers":[{"name":"mesh","image":"mesh:1"}]}}}} --field-manager=mesh --dry-run=server"#,
    ),
    ("a_program_labels", Who::Automation, "label configmap/settings ci=yes"),
];

pub fn trials() -> Vec<Trial> {
    let rows = ROWS.iter().map(|(name, who, line)| {
        test(format!("accepted::{name}"), move || async move { place().await?.accepts(*who, line).await.map(drop) })
    });
    let others = tests![
        git_s_own_manifest_by_apply,
        a_restart_is_never_drift,
        unmanaged_objects_are_nobody_s_business,
        a_listed_controller_is_noted,
        towards_git_and_back_again,
        a_missing_object_may_be_made_as_git_says,
    ];
    rows.chain(others).collect()
}

async fn place() -> Result<&'static Place<'static>> {
    static PLACE: OnceCell<Place<'static>> = OnceCell::const_new();
    let files = [("web.yaml", WEB), ("settings.yaml", SETTINGS), ("hpa.yaml", AUTOSCALER)];
    // The autoscaler has no metrics here, and never scales.
    PLACE.get_or_try_init(async || Place::new("accepted", &files).await).await
}

/// Taking ownership changes nothing that Git says.
async fn git_s_own_manifest_by_apply() -> Result<()> {
    let place = Place::new("own-manifest", &[("settings.yaml", SETTINGS)]).await?;
    let apply = "apply --server-side --force-conflicts --filename=-";
    place.accepts_input(Who::Alice, apply, &parsed(SETTINGS)).await?;
    place.accepts_input(Who::Alice, "apply --filename=-", &parsed(SETTINGS)).await?;
    place.rests("ConfigMap/settings").await
}

async fn a_restart_is_never_drift() -> Result<()> {
    let place = Place::new("restart", &[("web.yaml", WEB)]).await?;
    place.accepts(Who::Alice, "rollout restart deployment/web").await?;
    let restarted = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    let at = place.live("Deployment/web").await?.pointer(restarted).cloned().unwrap_or_default();
    ensure!(at.is_string(), "it was not restarted");
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", restarted, at).await?;
    ensure!(place.records("Drifted", "Deployment/web")?.is_empty(), "it was taken for drift");
    Ok(())
}

async fn unmanaged_objects_are_nobody_s_business() -> Result<()> {
    let place = Place::new("unmanaged", &[("settings.yaml", SETTINGS)]).await?;
    place.accepts_input(Who::Alice, "create --filename=-", &parsed(WEB)).await?;
    for line in ["scale deployment/web --replicas=1", "set image deployment/web app=b:2", "delete deployment/web"] {
        place.accepts(Who::Alice, line).await?;
    }
    Ok(())
}

async fn a_listed_controller_is_noted() -> Result<()> {
    let place = Place::with("noted", &[("settings.yaml", SETTINGS)], |spec| {
        spec["syncPolicy"]["automated"]["selfHeal"] = json!(false);
    })
    .await?;
    place.accepts(Who::Listed, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#).await?;
    let edited = place.record("Edited", "ConfigMap/settings").await?;
    ensure!(edited["by"]["user"] == "system:serviceaccount:listed:operator", "{edited}");
    ensure!(edited["fields"][0]["path"] == ".data.mode", "{edited}");
    Ok(())
}

/// With something wrong already: making it right passes, making it wrong otherwise does not, and what has nothing to do with it
/// passes as well.
async fn towards_git_and_back_again() -> Result<()> {
    let place = Place::with("towards", &[("settings.yaml", SETTINGS)], |spec| {
        spec["syncPolicy"]["automated"]["selfHeal"] = json!(false);
    })
    .await?;
    let both = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow","level":"debug"}}"#;
    place.accepts(Who::Collector, both).await?;
    place.refuses(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slower"}}"#).await?;
    place.accepts(Who::Alice, "label configmap/settings mine=yes").await?;
    place.accepts(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"fast"}}"#).await?;
    place.refuses(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#).await?;
    place.is("ConfigMap/settings", "/data", json!({"mode": "fast", "level": "debug"})).await
}

async fn a_missing_object_may_be_made_as_git_says() -> Result<()> {
    let place = Place::with("missing", &[("web.yaml", WEB)], |spec| {
        spec["syncPolicy"]["automated"]["selfHeal"] = json!(false);
    })
    .await?;
    place.accepts(Who::Collector, "delete deployment/web --cascade=background").await?;
    place.condition("Ready", false, &["1 object"]).await?;
    let mut other = parsed(WEB);
    other["spec"]["replicas"] = json!(4);
    let message = place.refuses_input(Who::Alice, "create --filename=-", &other).await?;
    ensure!(message.contains(".spec.replicas") && message.contains("missing/web.yaml:8"), "{message}");
    place.accepts_input(Who::Alice, "create --filename=-", &parsed(WEB)).await?;
    place.is("Deployment/web", "/spec/replicas", json!(3)).await
}
