//! Whose a field is, and which object it is: what leaves Git and goes, what stays because somebody else owns it too, what cannot be
//! changed, what is described twice, and what only looks like ours.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, SETTINGS_WITHOUT_LEVEL, WEB, config, definition, parsed};
use crate::place::{Place, condition, patch};
use crate::stage::{PATIENCE, fragile, shared, test, tests};
use crate::who::Who;
use crate::world::wait_until;

/// What leaves Git: a name, how the Deployment was before, whether somebody else says it too, a place, and what is there then.
struct Gone {
    name: &'static str,
    before: fn(&mut Value),
    co_owned: bool,
    pointer: &'static str,
    then: fn() -> Value,
}

const APP: &str = "/spec/template/spec/containers/0";

#[rustfmt::skip] // one row, a few short lines: a table
const GONE: &[Gone] = &[
    Gone { name: "a_scalar", before: |web| web["spec"]["minReadySeconds"] = json!(7), co_owned: false,
        pointer: "/spec/minReadySeconds", then: || Value::Null },
    Gone { name: "a_scalar_with_a_default", before: |web| web["spec"]["revisionHistoryLimit"] = json!(3), co_owned: false,
        pointer: "/spec/revisionHistoryLimit", then: || json!(10) },
    Gone { name: "a_label", before: |web| web["metadata"]["labels"]["tier"] = json!("front"), co_owned: false,
        pointer: "/metadata/labels/tier", then: || Value::Null },
    Gone { name: "a_list_element", before: |web| app(web)["env"].as_array_mut().expect("a list").push(json!({"name": "OLD", "value": "1"})), co_owned: false,
        pointer: "/spec/template/spec/containers/0/env", then: || json!([{"name": "LOG_LEVEL", "value": "info"}]) },
    Gone { name: "a_container", before: |web| containers(web).push(json!({"name": "old", "image": "old:1", "ports": [{"containerPort": 1}]})), co_owned: false,
        pointer: "/spec/template/spec/containers/1", then: || Value::Null },
    Gone { name: "a_set_member", before: |web| web["metadata"]["finalizers"] = json!(["example.com/kept"]), co_owned: false,
        pointer: "/metadata/finalizers", then: || Value::Null },
    Gone { name: "a_section", before: |web| app(web)["securityContext"] = json!({"runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}}), co_owned: false,
        pointer: "/spec/template/spec/containers/0/securityContext", then: || Value::Null },
    Gone { name: "a_map_key", before: |web| web["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "ssd"}), co_owned: false,
        pointer: "/spec/template/spec/nodeSelector", then: || Value::Null },
    Gone { name: "a_scalar_a_controller_says_too", before: |web| web["spec"]["minReadySeconds"] = json!(7), co_owned: true,
        pointer: "/spec/minReadySeconds", then: || json!(7) },
    Gone { name: "a_label_a_controller_says_too", before: |web| web["metadata"]["labels"]["tier"] = json!("front"), co_owned: true,
        pointer: "/metadata/labels/tier", then: || json!("front") },
    Gone { name: "a_list_element_a_controller_says_too", before: |web| app(web)["env"].as_array_mut().expect("a list").push(json!({"name": "OLD", "value": "1"})), co_owned: true,
        pointer: "/spec/template/spec/containers/0/env/1", then: || json!({"name": "OLD", "value": "1"}) },
    Gone { name: "a_container_a_controller_says_too", before: |web| containers(web).push(json!({"name": "old", "image": "old:1"})), co_owned: true,
        pointer: "/spec/template/spec/containers/1/image", then: || json!("old:1") },
];

pub fn trials() -> Vec<Trial> {
    let gone = GONE.iter().map(|row| test(format!("owned::gone_from_git::{}", row.name), move || leaves(row)));
    let stuck = STUCK.iter().map(|row| test(format!("owned::stuck::{}", row.name), move || is_stuck(row)));
    let others = tests![
        a_container_goes_with_what_a_controller_changed_in_it,
        what_left_git_while_it_was_down_and_what_a_person_added_goes,
        a_commit_refused_after_a_start_leaves_the_one_before_in_force,
        a_commit_refused_after_a_start_deletes_nothing_of_the_one_that_was_half_real,
        who_keeps_a_shared_object_is_the_same_after_a_start,
        copies_are_nobodys,
        one_object_in_two_files_is_an_error_that_names_both,
        an_unknown_kind_does_not_hold_up_the_others,
        an_entry_in_another_version_is_no_obstacle,
        a_version_that_is_no_longer_served_is_no_obstacle,
        a_new_version_in_git_takes_our_entry_along,
        a_kind_in_two_versions_is_judged_in_each,
        a_break_glass_that_keeps_a_commit_out_is_told,
    ];
    gone.chain(stuck).chain(others).collect()
}

fn containers(web: &mut Value) -> &mut Vec<Value> {
    web["spec"]["template"]["spec"]["containers"].as_array_mut().expect("containers are a list")
}

fn app(web: &mut Value) -> &mut Value {
    &mut containers(web)[0]
}

/// What Git stops saying goes, unless a controller says it as well.
async fn leaves(row: &Gone) -> Result<()> {
    let name = format!("gone-{}", row.name.replace('_', "-"));
    let mut before = parsed(WEB);
    (row.before)(&mut before);
    let place = Place::new(&name, &[("web.yaml", &before.to_string())]).await?;
    if row.co_owned {
        let apply = "apply --server-side --field-manager=some-operator --filename=-";
        place.accepts_input(Who::Automation, apply, &before).await?;
    }
    let uid = place.live("Deployment/web").await?["metadata"]["uid"].clone();
    place.commits(&[("web.yaml", WEB)]).await?;
    place.heals("Deployment/web", row.pointer, (row.then)()).await?;
    place.is("Deployment/web", "/metadata/uid", uid).await
}

/// Who changed a part of it does not keep the rest: a container of only its resources is none.
async fn a_container_goes_with_what_a_controller_changed_in_it() -> Result<()> {
    let mut before = parsed(WEB);
    containers(&mut before).push(json!({"name": "old", "image": "old:1"}));
    let place = Place::new("gone-torso", &[("web.yaml", &before.to_string())]).await?;
    let limits = json!({"spec": {"template": {"spec": {"containers": [{"name": "old", "resources": {"limits": {"cpu": "2"}}}]}}}});
    place.accepts(Who::Automation, &format!("patch deployment/web --patch={limits} --field-manager=sizer")).await?;
    place.rests("Deployment/web").await?;
    place.commits(&[("web.yaml", WEB)]).await?;
    place.heals("Deployment/web", "/spec/template/spec/containers/1", Value::Null).await
}

/// Our own record of what Git said is on the object, so it does not matter who was there when the commit came.
async fn what_left_git_while_it_was_down_and_what_a_person_added_goes() -> Result<()> {
    let stage = fragile().await?;
    let other = config("other", "a", "b");
    let files = [("settings.yaml", SETTINGS), ("web.yaml", WEB), ("other.yaml", &other)];
    let place = Place::at(&stage, "gone-down", &files, |_| {}).await?;
    stage.world.stop_holdfast().await?;
    place.accepts(Who::Alice, &patch("configmap/settings", &json!({"data": {"mine": "yes"}}))).await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=7").await?;
    place.accepts(Who::Alice, &patch("configmap/other", &json!({"data": {"a": "mine"}}))).await?;
    let commit = place
        .write(&[("settings.yaml", SETTINGS_WITHOUT_LEVEL), ("web.yaml", &WEB.replace("web:1.0", "web:2.0"))])
        .await?;
    stage.world.start_holdfast().await?;
    place.is_synced(&commit).await?;
    place.heals("ConfigMap/settings", "/data", json!({"mode": "fast"})).await?;
    place.heals("Deployment/web", "/spec/replicas", json!(3)).await?;
    place.is("Deployment/web", &format!("{APP}/image"), json!("registry.example/web:2.0")).await?;
    // What the commit did not touch was not applied because of it.
    place.heals("ConfigMap/other", "/data/a", json!("b")).await?;
    place.record("Applied", "Deployment/web").await?;
    ensure!(place.records("Healed", "ConfigMap/other")?.len() == 1, "nobody says that it had drifted");
    ensure!(place.records("Applied", "ConfigMap/other")?.len() == 1, "it was applied once, long ago");
    Ok(())
}

/// Whoever starts does not forget what was good because of what is not.
async fn a_commit_refused_after_a_start_leaves_the_one_before_in_force() -> Result<()> {
    let stage = fragile().await?;
    let place =
        Place::at(&stage, "refused-at-start", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |_| {}).await?;
    stage.world.stop_holdfast().await?;
    place.accepts(Who::Alice, &patch("configmap/settings", &json!({"data": {"mode": "mine"}}))).await?;
    place.write(&[("web.yaml", &WEB.replace("replicas: 3", "replicas: -3"))]).await?;
    stage.world.start_holdfast().await?;
    place.condition("Synced", false, &["refused before any of it was written"]).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    place.refuses(Who::Alice, "delete configmap/settings").await?;
    place.commits(&[("web.yaml", WEB)]).await?;
    place.condition("Ready", true, &[]).await
}

/// Killed in the middle of a commit, Holdfast finds another one that is no good. What it has made of the first the second says as well.
async fn a_commit_refused_after_a_start_deletes_nothing_of_the_one_that_was_half_real() -> Result<()> {
    let stage = fragile().await?;
    let files = [("settings.yaml", SETTINGS), ("web.yaml", WEB)];
    let place = Place::at(&stage, "half-real", &files, |_| {}).await?;
    stage.world.stop_holdfast().await?;
    let mut half = parsed(&config("half", "a", "b"));
    half["metadata"]["labels"] = json!({"holdfast.dev/managed": "true"});
    let id = "holdfast-system/half-real:/ConfigMap:half-real/half";
    half["metadata"]["annotations"] = json!({"holdfast.dev/tracking-id": id});
    place.run(Who::Administrator, &["apply", "--server-side", "-f", "-"], &half.to_string()).await?.success()?;
    let uid = place.live("ConfigMap/half").await?["metadata"]["uid"].clone();
    place
        .write(&[("half.yaml", &config("half", "a", "b")), ("web.yaml", &WEB.replace("replicas: 3", "replicas: -3"))])
        .await?;
    stage.world.start_holdfast().await?;
    place.condition("Synced", false, &["refused before any of it was written"]).await?;
    place.is("ConfigMap/half", "/metadata/uid", uid.clone()).await?;
    place.commits(&[("web.yaml", WEB)]).await?;
    place.is("ConfigMap/half", "/metadata/uid", uid).await?;
    // And what leaves Git by a commit that is good still goes.
    place.remove(&["half.yaml"]).await?;
    place.becomes("ConfigMap/half", "", &Value::Null).await
}

/// Whoever is read first after a start, and whatever comes first in the alphabet: the object itself says who keeps it. What moved to
/// another sync while nobody looked is taken over, not deleted.
async fn who_keeps_a_shared_object_is_the_same_after_a_start() -> Result<()> {
    let stage = fragile().await?;
    let more = config("more", "a", "b");
    let first = Place::at(&stage, "keeps-z", &[("settings.yaml", SETTINGS), ("more.yaml", &more)], |spec| {
        prunes(spec, "keeps-z");
    })
    .await?;
    let second = Place::empty(&stage, "keeps-a").await?;
    second.write(&[("mine.yaml", &SETTINGS.replace("fast", "slow"))]).await?;
    second.sync(|spec| prunes(spec, "keeps-z")).await?;
    let words = ["GitSync holdfast-system/keeps-z (keeps-z/settings.yaml:1), which keeps it"];
    second.condition("Conflict", true, &words).await?;
    let uid = first.live("ConfigMap/settings").await?["metadata"]["uid"].clone();

    stage.world.stop_holdfast().await?;
    first.accepts(Who::Alice, &patch("configmap/settings", &json!({"data": {"mode": "mine"}}))).await?;
    stage.world.start_holdfast().await?;
    first.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    second.looks_again().await?;
    second.condition("Conflict", true, &words).await?;
    ensure!(first.records("Healed", "ConfigMap/settings")?.len() == 1, "they fought");

    stage.world.stop_holdfast().await?;
    first.remove(&["settings.yaml"]).await?;
    stage.world.start_holdfast().await?;
    first.becomes("ConfigMap/settings", "/data/mode", &json!("slow")).await?;
    second.condition("Ready", true, &[]).await?;
    first.condition("Ready", true, &[]).await?;
    ensure!(first.records("Pruned", "ConfigMap/settings")?.is_empty(), "it was pruned");
    first.is("ConfigMap/settings", "/metadata/uid", uid).await
}

fn prunes(spec: &mut Value, namespace: &str) {
    spec["destination"]["namespace"] = json!(namespace);
    spec["syncPolicy"]["automated"]["prune"] = json!(true);
}

/// Controllers copy labels and annotations, ours among them. A copy is not ours: it names another object as itself.
async fn copies_are_nobodys() -> Result<()> {
    let place = Place::with("copies", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)], |spec| {
        spec["syncPolicy"]["automated"]["prune"] = json!(true);
    })
    .await?;
    let sets = || async {
        let output = place.run(Who::Administrator, &["get", "replicasets", "--output=json"], "").await?.success()?;
        let sets: Value = serde_json::from_str(&output)?;
        let set = sets["items"][0].clone();
        ensure!(set["metadata"]["annotations"]["holdfast.dev/tracking-id"].is_string(), "no tracking-id yet: {set}");
        Ok(set["metadata"]["name"].as_str().context("it has a name")?.to_owned())
    };
    let set = wait_until("a ReplicaSet carries the Deployment's tracking-id", PATIENCE, sets).await?;
    place.accepts(Who::Alice, &format!("annotate replicaset/{set} note=mine")).await?;

    let mut copy = place.live("ConfigMap/settings").await?;
    let marks = ["labels", "annotations"].map(|field| copy["metadata"][field].clone());
    copy["metadata"] = json!({"name": "copy", "labels": marks[0], "annotations": marks[1]});
    place.accepts_input(Who::Automation, "create --filename=-", &copy).await?;
    place.looks_again().await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(status["objects"] == 2 && status["drifted"] == 0, "the copy is listed: {status}");
    place.accepts(Who::Alice, &patch("configmap/copy", &json!({"data": {"mode": "mine"}}))).await?;
    // With the next commit something is pruned, and the copy is not.
    place.commits(&[("more.yaml", &config("more", "a", "b"))]).await?;
    let commit = place.remove(&["more.yaml"]).await?;
    place.is_synced(&commit).await?;
    place.becomes("ConfigMap/more", "", &Value::Null).await?;
    place.is("ConfigMap/copy", "/data/mode", json!("mine")).await?;
    place.accepts(Who::Alice, "delete configmap/copy").await.map(drop)
}

/// Files and lines of both; the first counts. The key leaves out the version, and has the namespace either way.
async fn one_object_in_two_files_is_an_error_that_names_both() -> Result<()> {
    let place = Place::new("twice", &[("a.yaml", SETTINGS)]).await?;
    let explicit = SETTINGS.replace("{name: settings}", "{name: settings, namespace: twice}").replace("fast", "slow");
    place.write(&[("b.yaml", &format!("# One line.\n{explicit}"))]).await?;
    let words = ["twice/b.yaml:2", "ConfigMap twice/settings", "already described in twice/a.yaml:1"];
    place.condition("Synced", false, &words).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;

    let scaler = |version: &str| {
        json!({"apiVersion": version, "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": {
            "maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}}})
    };
    let (one, two) = (scaler("autoscaling/v1").to_string(), scaler("autoscaling/v2").to_string());
    // A namespace on what lives in none means nothing: templates put it everywhere.
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: twice, namespace: any}\nrules: []\n";
    place.write(&[("b.yaml", &one), ("c.yaml", &two), ("role.yaml", role)]).await?;
    let words = ["twice/c.yaml:1", "HorizontalPodAutoscaler.autoscaling twice/web", "twice/b.yaml:1"];
    place.condition("Synced", false, &words).await?;
    place.becomes("HorizontalPodAutoscaler/web", "/spec/maxReplicas", &json!(3)).await?;
    place.becomes("ClusterRole/twice", "/metadata/name", &json!("twice")).await?;
    let commit = place.remove(&["c.yaml"]).await?;
    place.is_synced(&commit).await?;
    place.heals("HorizontalPodAutoscaler/web", "/spec/maxReplicas", json!(3)).await
}

async fn an_unknown_kind_does_not_hold_up_the_others() -> Result<()> {
    let place = Place::new("unknown-kind", &[("settings.yaml", SETTINGS)]).await?;
    let widget = json!({"apiVersion": "unknown.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}});
    place.write(&[("widget.yaml", &widget.to_string()), ("settings.yaml", &SETTINGS.replace("fast", "slow"))]).await?;
    let words = ["unknown-kind/widget.yaml:1", "does not serve kind Widget of unknown.example.com/v1"];
    place.condition("Synced", false, &words).await?;
    place.heals("ConfigMap/settings", "/data/mode", json!("slow")).await?;
    // No commit is needed once it is served: it is tried again.
    let mut crd = definition("Widget", "widgets");
    crd["metadata"]["name"] = json!("widgets.unknown.example.com");
    crd["spec"]["group"] = json!("unknown.example.com");
    place.accepts_input(Who::Administrator, "apply --filename=-", &crd).await?;
    place.condition("Ready", true, &[]).await
}

/// A field that never changes: a name, the object, what Git says first and then, and the API server's words.
struct Stuck {
    name: &'static str,
    object: &'static str,
    before: fn() -> Value,
    after: fn(&mut Value),
    pointer: &'static str,
    words: &'static str,
}

#[rustfmt::skip] // one row, a few short lines: a table
const STUCK: &[Stuck] = &[
    Stuck { name: "the_selector_of_a_deployment", object: "Deployment/web", before: || parsed(WEB), pointer: "/spec/selector/matchLabels",
        after: |web| { web["spec"]["selector"]["matchLabels"]["x"] = json!("y"); web["spec"]["template"]["metadata"]["labels"]["x"] = json!("y"); },
        words: "field is immutable" },
    Stuck { name: "the_address_of_a_service", object: "Service/web",
        before: || json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}),
        after: |service| service["spec"]["clusterIP"] = json!("None"), pointer: "/spec/selector",
        words: "may not change once set" },
    Stuck { name: "an_immutable_config_map", object: "ConfigMap/settings",
        before: || { let mut settings = parsed(SETTINGS); settings["immutable"] = json!(true); settings },
        after: |settings| settings["data"]["mode"] = json!("slow"), pointer: "/data",
        words: "field is immutable when `immutable` is set" },
    Stuck { name: "an_immutable_secret", object: "Secret/token",
        before: || json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "immutable": true, "stringData": {"a": "one-secret-word"}}),
        after: |secret| secret["stringData"]["a"] = json!("another-secret-word"), pointer: "/data",
        words: "field is immutable when `immutable` is set" },
    Stuck { name: "the_template_of_a_job", object: "Job/once",
        before: || json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "app", "image": "once:1"}]}}}}),
        after: |job| job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("once:2"), pointer: "/spec/template/spec/containers/0/image",
        words: "field is immutable" },
    Stuck { name: "the_claims_of_a_stateful_set", object: "StatefulSet/db",
        before: || json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
            "replicas": 0, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "app", "image": "db:1"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}}),
        after: |set| set["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] = json!("2Gi"),
        pointer: "/spec/volumeClaimTemplates/0/spec/resources", words: "updates to statefulset spec for fields other than" },
];

/// It is told of that object, in the API server's words; the others go on, and so does what was declared of it before. It is tried
/// again ever more seldom, until Git is put right.
async fn is_stuck(row: &Stuck) -> Result<()> {
    let name = format!("stuck-{}", row.name.replace('_', "-"));
    let before = (row.before)();
    let place =
        Place::new(&name, &[("it.yaml", &before.to_string()), ("other.yaml", &config("other", "a", "old"))]).await?;
    let live = place.live(row.object).await?;
    let mut after = before.clone();
    (row.after)(&mut after);
    place.write(&[("it.yaml", &after.to_string()), ("other.yaml", &config("other", "a", "new"))]).await?;
    let words = [format!("{name}/it.yaml:1"), row.words.to_owned(), "put the field back".to_owned()];
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    place.condition("Synced", false, &words).await?;
    place.becomes("ConfigMap/other", "/data/a", &json!("new")).await?;
    place.is(row.object, row.pointer, live.pointer(row.pointer).cloned().unwrap_or_default()).await?;
    place.refuses(Who::Alice, &format!("label {} {}", row.object, "holdfast.dev/managed-")).await?;
    let failures = || async {
        let status = place.git_sync().await?["status"].clone();
        ensure!(condition(&status, "Stalled").is_some_and(|stalled| stalled["status"] == "True"), "{status}");
        let text = status.to_string();
        ensure!(
            !text.contains("secret-word") && !text.contains("c2VjcmV0LXdvcmQ"),
            "the status tells a secret: {text}"
        );
        Ok(())
    };
    place
        .sync(|spec| spec["syncPolicy"]["retry"] = json!({"limit": 2, "backoff": {"duration": "1s", "factor": 2}}))
        .await?;
    wait_until("it is stalled, and goes on trying", PATIENCE, failures).await?;
    place.commits(&[("it.yaml", &before.to_string())]).await?;
    place.condition("Ready", true, &[]).await?;
    place.rests(row.object).await
}

/// `autoscaling/v1` spells the target of the load otherwise than `autoscaling/v2`.
async fn an_entry_in_another_version_is_no_obstacle() -> Result<()> {
    let place = Place::empty(shared().await?, "version-other").await?;
    let old = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": {
        "minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 50,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}}});
    place.accepts_input(Who::Automation, "create --field-manager=helm --filename=-", &old).await?;
    let mut new = parsed(crate::manifests::AUTOSCALER);
    new["spec"]["scaleTargetRef"]["name"] = json!("none");
    let commit = place.write(&[("hpa.yaml", &new.to_string())]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    place.heals("HorizontalPodAutoscaler/web", "/spec/maxReplicas", json!(10)).await?;
    let average = "/spec/metrics/0/resource/target/averageUtilization";
    place.is("HorizontalPodAutoscaler/web", average, json!(80)).await?;
    // Nobody holds on to what the other version called it: it leaves with Git.
    if let Some(spec) = new["spec"].as_object_mut() {
        spec.remove("minReplicas");
    }
    new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] = json!(70);
    place.commits(&[("hpa.yaml", &new.to_string())]).await?;
    place.heals("HorizontalPodAutoscaler/web", "/spec/minReplicas", json!(1)).await?;
    place.is("HorizontalPodAutoscaler/web", average, json!(70)).await
}

/// A CRD of its own with two versions, of which one can be taken away.
fn versions(kind: &str, plural: &str, old: bool) -> Value {
    let mut crd = definition(kind, plural);
    let mut older = crd["spec"]["versions"][0].clone();
    older["name"] = json!("v1alpha1");
    older["storage"] = json!(false);
    older["served"] = json!(old);
    crd["spec"]["versions"].as_array_mut().expect("versions are a list").push(older);
    crd
}

fn part(version: &str, kind: &str, size: u64) -> Value {
    json!({"apiVersion": format!("example.com/{version}"), "kind": kind, "metadata": {"name": "it"}, "spec": {"size": size}})
}

/// Waits until a version of the kind is served, or is not.
async fn served(place: &Place<'_>, resource: &str, version: &str, wanted: bool) -> Result<()> {
    wait_until(&format!("{resource} in {version} is served: {wanted}"), PATIENCE, || async {
        let path = format!("/apis/example.com/{version}");
        let list = place.run(Who::Administrator, &["get", "--raw", &path], "").await?;
        ensure!(list.stdout.contains(&format!("\"{resource}\"")) == wanted, "{}", list.stdout);
        Ok(())
    })
    .await
}

/// The API server drops entries it can no longer convert, ours too if Git spoke that version. Nothing breaks, nothing is lost.
async fn a_version_that_is_no_longer_served_is_no_obstacle() -> Result<()> {
    let place = Place::empty(shared().await?, "version-gone").await?;
    place.accepts_input(Who::Administrator, "apply --filename=-", &versions("Relic", "relics", true)).await?;
    served(&place, "relics", "v1alpha1", true).await?;
    let mut helm = part("v1alpha1", "Relic", 2);
    helm["spec"]["colour"] = json!("red");
    place.accepts_input(Who::Automation, "create --field-manager=helm --filename=-", &helm).await?;
    let annotate = "annotate relics.v1alpha1.example.com/it note=kept --field-manager=some-operator";
    place.accepts(Who::Automation, annotate).await?;
    let commit = place.write(&[("it.yaml", &part("v1", "Relic", 2).to_string())]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    place.heals("Relic/it", "/spec", json!({"size": 2, "colour": "grey"})).await?;

    place.accepts_input(Who::Administrator, "apply --filename=-", &versions("Relic", "relics", false)).await?;
    served(&place, "relics", "v1alpha1", false).await?;
    place.accepts(Who::Collector, &patch("relic/it", &json!({"spec": {"size": 9}}))).await?;
    place.heals("Relic/it", "/spec/size", json!(2)).await?;
    place.is("Relic/it", "/metadata/annotations/note", json!("kept")).await?;
    place.commits(&[("it.yaml", &part("v1", "Relic", 3).to_string())]).await?;
    place.heals("Relic/it", "/spec/size", json!(3)).await
}

/// What we own is written down in the version Git speaks; otherwise it would go with the old one.
async fn a_new_version_in_git_takes_our_entry_along() -> Result<()> {
    let place = Place::empty(shared().await?, "version-new").await?;
    place.accepts_input(Who::Administrator, "apply --filename=-", &versions("Fossil", "fossils", true)).await?;
    served(&place, "fossils", "v1alpha1", true).await?;
    let mut old = part("v1alpha1", "Fossil", 2);
    old["spec"]["colour"] = json!("red");
    let commit = place.write(&[("it.yaml", &old.to_string())]).await?;
    place.sync(|_| {}).await?;
    place.is_synced(&commit).await?;
    old["apiVersion"] = json!("example.com/v1");
    place.commits(&[("it.yaml", &old.to_string())]).await?;
    place.rests("Fossil/it").await?;
    let live = place.live("Fossil/it").await?;
    let ours = live["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["manager"] == "holdfast" && entry["operation"] == "Apply");
    ensure!(ours.is_some_and(|ours| ours["apiVersion"] == "example.com/v1"), "our entry is {ours:?}");
    place.accepts_input(Who::Administrator, "apply --filename=-", &versions("Fossil", "fossils", false)).await?;
    served(&place, "fossils", "v1alpha1", false).await?;
    place.commits(&[("it.yaml", &part("v1", "Fossil", 2).to_string())]).await?;
    place.heals("Fossil/it", "/spec", json!({"size": 2, "colour": "grey"})).await
}

/// Both are seen in both versions, and mean nothing in the other.
async fn a_kind_in_two_versions_is_judged_in_each() -> Result<()> {
    let spec = |field: &str, value: Value| {
        let mut spec = json!({"maxReplicas": 5, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}});
        spec[field] = value;
        spec
    };
    let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}});
    let scaler = |version: &str, name: &str, spec: Value| {
        json!({"apiVersion": version, "kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": spec})
            .to_string()
    };
    let one = scaler("autoscaling/v1", "one", spec("targetCPUUtilizationPercentage", json!(50)));
    let two = scaler("autoscaling/v2", "two", spec("metrics", json!([cpu])));
    let place = Place::new("two-versions", &[("one.yaml", &one), ("two.yaml", &two)]).await?;
    for name in ["one", "two"] {
        let object = format!("HorizontalPodAutoscaler/{name}");
        place.accepts(Who::Collector, &patch(&object, &json!({"spec": {"maxReplicas": 9}}))).await?;
        place.heals(&object, "/spec/maxReplicas", json!(5)).await?;
        place.accepts(Who::Collector, &format!("annotate {object} note=seen")).await?;
        place.rests(&object).await?;
        let healed = place.records("Healed", &object)?;
        ensure!(healed.len() == 1, "{object} was healed more than once: {healed:?}");
    }
    Ok(())
}

/// The status does not claim what is not so: the commit has arrived when the break-glass is over.
async fn a_break_glass_that_keeps_a_commit_out_is_told() -> Result<()> {
    let place =
        Place::new("held", &[("settings.yaml", SETTINGS), ("other.yaml", &config("other", "a", "old"))]).await?;
    let open = json!({"metadata": {"annotations": {"holdfast.dev/break-glass": "INC-1"}}, "data": {"mode": "mine"}});
    place.accepts(Who::Oncall, &patch("configmap/settings", &open)).await?;
    place.condition("BreakGlass", true, &[]).await?;
    let commit =
        place.write(&[("settings.yaml", SETTINGS_WITHOUT_LEVEL), ("other.yaml", &config("other", "a", "new"))]).await?;
    place.becomes("ConfigMap/other", "/data/a", &json!("new")).await?;
    place.condition("Synced", false, &["a break-glass keeps the newest commit from ConfigMap held/settings"]).await?;
    let status = place.git_sync().await?["status"].clone();
    ensure!(place.stage.is_at(&status["syncedRevision"], &commit).await.is_err(), "it claims to be synced: {status}");
    place.stage.is_at(&status["observedRevision"], &commit).await?;
    place.is("ConfigMap/settings", "/data", json!({"mode": "mine", "level": "info"})).await?;
    place.accepts(Who::Oncall, "annotate configmap/settings holdfast.dev/break-glass-").await?;
    place.is_synced(&commit).await?;
    place.heals("ConfigMap/settings", "/data", json!({"mode": "fast"})).await?;
    place.condition("Synced", true, &[]).await
}
