//! Exclusions that hang on more than a pointer: jq, managers, annotations, the policy of the cluster, and who else scales.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::WEB;
use crate::place::Place;
use crate::stage::{PATIENCE, tests};
use crate::who::Who;
use crate::world::wait_until;

const REPLICAS: &str = "/spec/replicas";
const IMAGE: &str = "/spec/template/spec/containers/0/image";
const TEAM: &str = "/metadata/annotations/team";

/// Something Git does say, changed by somebody who is never refused.
const ANOTHER_FIELD: &str =
    r#"patch deployment/web --type=merge --patch={"metadata":{"annotations":{"team":"theirs"}}}"#;

const SCALER: &str = "\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 6
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
";

/// Commands that are run without a shell, so that one of them is no list.
const WORKER: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {team: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: app, image: 'registry.example/web:1.0', args: [serve, --verbosity=1, --cache]}
";

const BUDGET: &str = "\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec:
  minAvailable: 1
  selector: {matchLabels: {app: web, track: stable}}
";

pub fn trials() -> Vec<Trial> {
    tests![
        an_hpa_moves_replicas_within_its_range,
        an_hpa_that_is_live_counts_as_well,
        an_hpa_that_is_deleted_does_not_scale_back,
        a_rule_written_today_applies_today,
        jq_and_field_paths_hold,
        a_failing_rule_is_loud_and_nothing_is_healed,
        managers_keep_what_they_own,
        an_argument_and_a_selector_key_may_be_left_alone,
        an_annotation_counts_only_from_git,
        the_policy_of_the_cluster_applies_at_once,
        a_rule_that_cannot_be_read_is_refused,
        scaling_is_judged_by_managers_and_expressions,
        one_variable_is_left_alone_while_others_come_and_go,
        a_label_of_the_template_may_be_left_alone,
        what_cannot_change_may_be_left_alone,
    ]
}

async fn ignoring(name: &str, files: &[(&str, &str)], rules: Value) -> Result<Place<'static>> {
    Place::with(name, files, |spec| spec["ignoreDifferences"] = rules).await
}

async fn an_hpa_moves_replicas_within_its_range() -> Result<()> {
    let place = Place::new("hpa", &[("web.yaml", WEB), ("scaler.yaml", SCALER)]).await?;
    place.is("Deployment/web", REPLICAS, json!(3)).await?;
    place.accepts(Who::Autoscaler, "scale deployment/web --replicas=6").await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?;
    let said = place.refuses(Who::Alice, "scale deployment/web --replicas=9").await?;
    ensure!(said.contains(".spec.replicas"), "{said}");
    place.refuses(Who::Alice, "scale deployment/web --replicas=0").await?;
    place.accepts(Who::Collector, ANOTHER_FIELD).await?;
    place.heals("Deployment/web", TEAM, json!("shop")).await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await?;
    place.commits(&[("web.yaml", &WEB.replace("web:1.0", "web:2.0"))]).await?;
    place.is("Deployment/web", IMAGE, json!("registry.example/web:2.0")).await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await?;
    place.accepts(Who::Collector, "scale deployment/web --replicas=9").await?;
    place.heals("Deployment/web", REPLICAS, json!(6)).await?;
    place.accepts(Who::Collector, "scale deployment/web --replicas=1").await?;
    place.heals("Deployment/web", REPLICAS, json!(2)).await
}

async fn an_hpa_that_is_live_counts_as_well() -> Result<()> {
    let place = Place::new("hpa-live", &[("web.yaml", WEB)]).await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.accepts(Who::Alice, "autoscale deployment/web --min=2 --max=6").await?;
    wait_until("the autoscaler is seen", PATIENCE, || place.accepts(Who::Alice, "scale deployment/web --replicas=5"))
        .await?;
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await?;
    place.accepts(Who::Alice, "delete hpa/web").await?;
    place.heals("Deployment/web", REPLICAS, json!(3)).await
}

async fn an_hpa_that_is_deleted_does_not_scale_back() -> Result<()> {
    let place = Place::new("hpa-deleted", &[("web.yaml", WEB), ("scaler.yaml", SCALER)]).await?;
    place.accepts(Who::Autoscaler, "scale deployment/web --replicas=6").await?;
    place.accepts(Who::Collector, "delete hpa/web").await?;
    place.heals("HorizontalPodAutoscaler/web", "/spec/maxReplicas", json!(6)).await?;
    place.is("Deployment/web", REPLICAS, json!(6)).await
}

async fn a_rule_written_today_applies_today() -> Result<()> {
    let place = Place::new("today", &[("web.yaml", WEB)]).await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.sync(|spec| spec["ignoreDifferences"] = json!([{"jsonPointers": [REPLICAS]}])).await?;
    wait_until("the rule applies", PATIENCE, || place.accepts(Who::Alice, "scale deployment/web --replicas=5")).await?;
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await?;
    place.sync(|_| {}).await?;
    place.heals("Deployment/web", REPLICAS, json!(3)).await
}

async fn jq_and_field_paths_hold() -> Result<()> {
    let rules = json!([
        {"jqPathExpressions": [".spec.template.spec.containers[] | select(.name == \"app\") | .image"]},
        {"fieldPaths": [".spec.template.spec.containers[name=app].env[name=LOG_LEVEL].value", ".spec.replicas"]},
    ]);
    let place = ignoring("jq", &[("web.yaml", WEB)], rules).await?;
    place.accepts(Who::Alice, "set image deployment/web app=registry.example/web:9.0").await?;
    place.accepts(Who::Alice, "set env deployment/web LOG_LEVEL=debug").await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.refuses(Who::Alice, "set env deployment/web OTHER=1").await?;
    place.accepts(Who::Collector, ANOTHER_FIELD).await?;
    place.heals("Deployment/web", TEAM, json!("shop")).await?;
    place.is("Deployment/web", IMAGE, json!("registry.example/web:9.0")).await?;
    place.is("Deployment/web", "/spec/template/spec/containers/0/env/0/value", json!("debug")).await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await
}

async fn a_failing_rule_is_loud_and_nothing_is_healed() -> Result<()> {
    let rules = json!([{"jqPathExpressions": [".metadata.annotations | .team.x"]}, {"jsonPointers": [REPLICAS]}]);
    let place = ignoring("jq-fails", &[("web.yaml", WEB)], rules).await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.accepts(Who::Collector, "set image deployment/web app=registry.example/web:9.0").await?;
    let words = ["spec.ignoreDifferences[0] of GitSync holdfast-system/jq-fails", "jq-fails/web"];
    place.condition("RuleError", true, &words).await?;
    let said = place.refuses(Who::Alice, "set env deployment/web OTHER=1").await?;
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(said.contains(words[0]) && said.contains("without it"), "{said}");
    let denied = place.record("Denied", "Deployment/web").await?;
    ensure!(denied["reason"].as_str().is_some_and(|reason| reason.contains(words[0])), "{denied}");
    place.is("Deployment/web", IMAGE, json!("registry.example/web:9.0")).await?;
    place.sync(|spec| spec["ignoreDifferences"] = json!([{"jsonPointers": [REPLICAS]}])).await?;
    place.heals("Deployment/web", IMAGE, json!("registry.example/web:1.0")).await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await
}

async fn managers_keep_what_they_own() -> Result<()> {
    let rules = json!([{"managedFieldsManagers": ["tuner-*"]}]);
    let place = ignoring("managers", &[("web.yaml", WEB)], rules).await?;
    place
        .accepts(Who::Collector, "set image deployment/web app=registry.example/web:9.0 --field-manager=tuner-a")
        .await?;
    place.accepts(Who::Collector, ANOTHER_FIELD).await?;
    place.heals("Deployment/web", TEAM, json!("shop")).await?;
    place.is("Deployment/web", IMAGE, json!("registry.example/web:9.0")).await
}

async fn an_argument_and_a_selector_key_may_be_left_alone() -> Result<()> {
    let rules = json!([
        {"kind": "Deployment", "jsonPointers": ["/spec/template/spec/containers/0/args/1"]},
        {"kind": "PodDisruptionBudget", "fieldPaths": [".spec.selector.matchLabels.track"]},
    ]);
    let place = ignoring("parts", &[("web.yaml", WORKER), ("budget.yaml", BUDGET)], rules).await?;
    let arguments = |verbosity: u8, last: &str| {
        let args = json!(["serve", format!("--verbosity={verbosity}"), last]);
        let change = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": args}]);
        format!("patch deployment/web --type=json --patch={change}")
    };
    place.accepts(Who::Alice, &arguments(5, "--cache")).await?;
    place.refuses(Who::Alice, &arguments(5, "--none")).await?;
    place.accepts(Who::Collector, &arguments(7, "--none")).await?;
    place.heals("Deployment/web", "/spec/template/spec/containers/0/args/2", json!("--cache")).await?;
    place.is("Deployment/web", "/spec/template/spec/containers/0/args/1", json!("--verbosity=7")).await?;
    let track = r#"patch pdb/web --type=merge --patch={"spec":{"selector":{"matchLabels":{"track":"canary"}}}}"#;
    place.accepts(Who::Alice, track).await?;
    place.accepts(Who::Collector, r#"patch pdb/web --type=merge --patch={"spec":{"minAvailable":2}}"#).await?;
    place.heals("PodDisruptionBudget/web", "/spec/minAvailable", json!(1)).await?;
    place.is("PodDisruptionBudget/web", "/spec/selector/matchLabels/track", json!("canary")).await
}

async fn an_annotation_counts_only_from_git() -> Result<()> {
    let place = Place::new("annotation", &[("web.yaml", WEB)]).await?;
    place.refuses(Who::Alice, "annotate deployment/web holdfast.dev/ignore=/spec/replicas").await?;
    let from_git = WEB.replace("{team: shop}", "{team: shop, holdfast.dev/ignore: /spec/replicas}");
    place.commits(&[("web.yaml", &from_git)]).await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.refuses(Who::Alice, "annotate deployment/web holdfast.dev/ignore=* --overwrite").await?;
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await?;
    place.write(&[("web.yaml", &from_git.replace("/spec/replicas}", "spec.replicas}"))]).await?;
    place.condition("Synced", false, &["holdfast.dev/ignore", "web.yaml"]).await
}

/// The policy is everybody's; its rules here speak of this place alone.
async fn the_policy_of_the_cluster_applies_at_once() -> Result<()> {
    let place = Place::new("policy-rules", &[("web.yaml", WEB)]).await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=5").await?;
    let rules = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "policy-rules"}}, "jsonPointers": [REPLICAS]}]);
    let patch = |rules: Value| {
        format!("patch driftpolicy/default --type=merge --patch={}", json!({"spec": {"ignoreDifferences": rules}}))
    };
    place.accepts(Who::Administrator, &patch(rules)).await?;
    wait_until("the rule applies", PATIENCE, || place.accepts(Who::Alice, "scale deployment/web --replicas=5")).await?;
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await?;
    // Changed, it applies at once as well, at both edges; a broken one changes nothing.
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": "policy-rules"}});
    let another = json!([{"namespaceSelector": here, "jsonPointers": [IMAGE]}]);
    place.accepts(Who::Administrator, &patch(another.clone())).await?;
    place.heals("Deployment/web", REPLICAS, json!(3)).await?;
    place.accepts(Who::Alice, "set image deployment/web app=registry.example/web:9.0").await?;
    let broken = json!([another[0], {"namespaceSelector": here, "fieldPaths": ["spec.replicas"]}]);
    let line = patch(broken);
    let said = place.run(Who::Administrator, &line.split(' ').collect::<Vec<_>>(), "").await?.refusal()?;
    ensure!(said.contains("spec.ignoreDifferences[1].fieldPaths[0]"), "{said}");
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", IMAGE, json!("registry.example/web:9.0")).await?;
    place.accepts(Who::Administrator, &patch(Value::Null)).await?;
    place.heals("Deployment/web", IMAGE, json!("registry.example/web:1.0")).await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=5").await?;
    Ok(())
}

async fn a_rule_that_cannot_be_read_is_refused() -> Result<()> {
    let place = Place::new("bad-rules", &[("web.yaml", WEB)]).await?;
    let patch = |rule: Value| {
        let change = json!({"spec": {"ignoreDifferences": [rule]}});
        vec![
            "patch".to_owned(),
            "gitsync".into(),
            place.name.clone(),
            "--namespace=holdfast-system".into(),
            "--type=merge".into(),
            format!("--patch={change}"),
        ]
    };
    for (rule, words) in [
        (json!({"jsonPointers": ["spec/replicas"]}), "spec.ignoreDifferences[0].jsonPointers[0]"),
        (json!({"fieldPaths": [".spec..a"]}), "spec.ignoreDifferences[0].fieldPaths[0]"),
        (json!({"jqPathExpressions": ["def f: f; f"]}), "spec.ignoreDifferences[0].jqPathExpressions[0]"),
    ] {
        let arguments = patch(rule);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let said = place.run(Who::Administrator, &arguments, "").await?.refusal()?;
        ensure!(said.contains(words), "{said}");
    }
    Ok(())
}

async fn scaling_is_judged_by_managers_and_expressions() -> Result<()> {
    let place =
        ignoring("scale-managers", &[("web.yaml", WEB)], json!([{"managedFieldsManagers": ["tuner-*"]}])).await?;
    let scale = |replicas: u8, manager: &str| {
        let patch = json!({"spec": {"replicas": replicas}});
        format!("patch deployment/web --subresource=scale --type=merge --field-manager={manager} --patch={patch}")
    };
    place.accepts(Who::Automation, &scale(5, "tuner-a")).await?;
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await?;
    place.refuses(Who::Automation, &scale(6, "another")).await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=6").await?;

    // The expression looks at what no `Scale` shows.
    let tuned = json!([{"jqPathExpressions": ["select(.metadata.annotations.tuned == \"yes\") | .spec.replicas"]}]);
    let place = ignoring("scale-jq", &[("web.yaml", WEB)], tuned).await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.accepts(Who::Alice, "annotate deployment/web tuned=yes").await?;
    place.accepts(Who::Alice, "scale deployment/web --replicas=5").await?;
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", REPLICAS, json!(5)).await
}

async fn one_variable_is_left_alone_while_others_come_and_go() -> Result<()> {
    let rules = json!([{"fieldPaths": [".spec.template.spec.containers[name=app].env[name=LOG_LEVEL]"]}]);
    let env = |more: &str| {
        WEB.replace(
            "- {name: LOG_LEVEL, value: info}",
            &format!("- {{name: LOG_LEVEL, value: info}}\n            - {{name: {more}, value: git}}"),
        )
    };
    let place = ignoring("one-variable", &[("web.yaml", &env("OLD"))], rules).await?;
    place.accepts(Who::Alice, "set env deployment/web LOG_LEVEL=debug").await?;
    place.commits(&[("web.yaml", &env("NEW"))]).await?;
    let expected = json!([{"name": "LOG_LEVEL", "value": "debug"}, {"name": "NEW", "value": "git"}]);
    let all = "/spec/template/spec/containers/0/env";
    place.is("Deployment/web", all, expected.clone()).await?;
    place.accepts(Who::Collector, "set env deployment/web NEW=theirs").await?;
    place.heals("Deployment/web", all, expected.clone()).await?;
    // What the rule speaks of may go altogether, and stays gone.
    place.accepts(Who::Alice, "set env deployment/web LOG_LEVEL-").await?;
    place.accepts(Who::Collector, "set env deployment/web NEW=theirs").await?;
    place.heals("Deployment/web", all, json!([expected[1]])).await
}

async fn a_label_of_the_template_may_be_left_alone() -> Result<()> {
    let tracked =
        WEB.replace("      labels: {app: web}\n    spec", "      labels: {app: web, track: stable}\n    spec");
    let label = "/spec/template/metadata/labels/track";
    let place = ignoring("template-label", &[("web.yaml", &tracked)], json!([{"jsonPointers": [label]}])).await?;
    let canary = json!({"spec": {"template": {"metadata": {"labels": {"track": "canary"}}}}});
    place.accepts(Who::Alice, &crate::place::patch("deployment/web", &canary)).await?;
    place.accepts(Who::Collector, "set image deployment/web app=registry.example/web:9.0").await?;
    place.heals("Deployment/web", IMAGE, json!("registry.example/web:1.0")).await?;
    place.is("Deployment/web", label, json!("canary")).await
}

/// Git changes its mind about what the API server lets nobody change, and a rule says that it does not matter.
async fn what_cannot_change_may_be_left_alone() -> Result<()> {
    let service = |address: &str, port: u16| {
        let spec = json!({"clusterIP": address, "selector": {"app": "web"}, "ports": [{"port": port}]});
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}).to_string()
    };
    let selected = |labels: &str| {
        let tracked = WEB.replace("matchLabels: {app: web}", &format!("matchLabels: {labels}"));
        tracked.replace("      labels: {app: web}\n    spec", "      labels: {app: web, track: one}\n    spec")
    };
    let rules = json!([{"kind": "Service", "jsonPointers": ["/spec/clusterIP", "/spec/clusterIPs"]}, {"kind": "Deployment", "jsonPointers": ["/spec/selector"]}]);
    let files = |address: &str, port: u16, labels: &str| [service(address, port), selected(labels)];
    let [before, web] = files("10.96.77.7", 80, "{app: web}");
    let place = ignoring("immutable", &[("service.yaml", &before), ("web.yaml", &web)], rules).await?;
    let [after, other] = files("10.96.77.8", 81, "{app: web, track: one}");
    place.commits(&[("service.yaml", &after), ("web.yaml", &other.replace("web:1.0", "web:2.0"))]).await?;
    place.is("Service/web", "/spec/ports/0/port", json!(81)).await?;
    place.is("Service/web", "/spec/clusterIP", json!("10.96.77.7")).await?;
    place.is("Deployment/web", IMAGE, json!("registry.example/web:2.0")).await?;
    place.is("Deployment/web", "/spec/selector/matchLabels", json!({"app": "web"})).await?;
    place.rests("Service/web").await?;
    place.rests("Deployment/web").await
}
