//! Our own kinds: what cannot run is refused when it is written, by the schema or by the reader that would run it.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::stage::{self, test, tests};
use crate::who::Who;
use crate::world::{HOLDFAST_NAMESPACE, Person};

/// A name, where in the spec, what is written there, and the words of the answer.
type Row = (&'static str, &'static str, fn() -> Value, &'static [&'static str]);

/// What our reader refuses, naming field and remedy.
const READ: &[Row] = &[
    (
        "credentials_in_the_url",
        "/source/repoURL",
        || json!("https://me:secret@host/x"),
        &["spec.source.repoURL", "carries credentials", "remove them"],
    ),
    ("no_host", "/source/repoURL", || json!("https:///x"), &["spec.source.repoURL", "names no host"]),
    ("an_interval_too_short", "/source/interval", || json!("500ms"), &["spec.source.interval", "at least 1s"]),
    (
        "a_revision_with_a_space",
        "/source/targetRevision",
        || json!("a b"),
        &["spec.source.targetRevision", "a branch, a tag"],
    ),
    ("a_path_with_a_backslash", "/source/path", || json!(r"a\b"), &["spec.source.path", "relative to the repository"]),
    (
        "an_option_nobody_knows",
        "/syncPolicy/syncOptions",
        || json!(["Replace=true"]),
        &["spec.syncPolicy.syncOptions[0]", "CreateNamespace, Validate and PruneLast"],
    ),
    (
        "an_option_without_a_value",
        "/syncPolicy/syncOptions",
        || json!(["Validate"]),
        &["syncOptions[0]", "Name=true or Name=false"],
    ),
    (
        "a_wait_of_nothing",
        "/syncPolicy/retry",
        || json!({"backoff": {"duration": "0s"}}),
        &["spec.syncPolicy.retry.backoff.duration", "write a duration"],
    ),
    (
        "a_field_path_for_a_pointer",
        "/ignoreDifferences",
        || json!([{"jsonPointers": [".spec.replicas"]}]),
        &["spec.ignoreDifferences[0].jsonPointers[0]", "/spec/replicas"],
    ),
    (
        "a_pointer_badly_escaped",
        "/ignoreDifferences",
        || json!([{"jsonPointers": ["/a~2b"]}]),
        &["jsonPointers[0]", "~0"],
    ),
    (
        "a_pause_without_a_reason",
        "/suspend",
        || json!({"reason": " ", "until": "2099-01-01T00:00:00Z"}),
        &["spec.suspend.reason", "say why"],
    ),
    (
        "a_rollback_without_a_reason",
        "/rollback",
        || json!({"revision": "0123456", "reason": " ", "until": "2099-01-01T00:00:00Z"}),
        &["spec.rollback.reason", "say why"],
    ),
    (
        "a_rollback_that_is_over",
        "/rollback",
        || json!({"revision": "0123456", "reason": "INC-1", "until": "2020-01-01T00:00:00Z"}),
        &["spec.rollback.until", "over already"],
    ),
    (
        "a_rollback_to_a_few_digits",
        "/rollback",
        || json!({"revision": "012345", "reason": "INC-1", "until": "2099-01-01T00:00:00Z"}),
        &["spec.rollback.revision", "too short for a commit id", "7 digits"],
    ),
    (
        "a_rollback_to_a_branch",
        "/rollback",
        || json!({"revision": "refs/heads/main", "reason": "INC-1", "until": "2099-01-01T00:00:00Z"}),
        &["spec.rollback.revision", "neither a commit id nor a tag"],
    ),
];

/// What the schema refuses already.
const SCHEMA: &[Row] = &[
    ("scheme", "/source/repoURL", || json!("ftp://example.org/x.git"), &["spec.source.repoURL", "must be an https://"]),
    ("a_path_out_of_the_repository", "/source/path", || json!("../x"), &["spec.source.path", "must not contain '..'"]),
    ("no_namespace", "/destination/namespace", || json!(""), &["spec.destination.namespace"]),
    ("a_mode_nobody_knows", "/admission/mode", || json!("Block"), &["spec.admission.mode", "Deny"]),
    ("a_pause_without_an_end", "/suspend", || json!({"reason": "INC-1"}), &["spec.suspend.until", "Required"]),
    (
        "a_rollback_without_an_end",
        "/rollback",
        || json!({"revision": "0123456", "reason": "INC-1"}),
        &["spec.rollback.until", "Required"],
    ),
    (
        "a_rollback_to_nothing",
        "/rollback",
        || json!({"revision": "", "reason": "INC-1", "until": "2099-01-01T00:00:00Z"}),
        &["spec.rollback.revision"],
    ),
    ("a_pause_until_some_day", "/suspend", || json!({"reason": "INC-1", "until": "tomorrow"}), &["spec.suspend.until"]),
];

/// What makes no sense in a `DriftPolicy`.
const POLICY: &[Row] = &[
    ("a_controller_without_a_name", "/controllers", || json!(["ci-*", " "]), &["spec.controllers[1]", "is empty"]),
    ("everyone_as_a_controller", "/controllers", || json!(["*"]), &["spec.controllers[0]", "exempts everyone"]),
    ("a_manager_without_a_name", "/interactiveManagers", || json!([""]), &["spec.interactiveManagers[0]", "is empty"]),
    (
        "a_usual_time_above_the_longest",
        "/breakGlass",
        || json!({"maxDuration": "10m", "defaultDuration": "20m"}),
        &["spec.breakGlass.defaultDuration", "longer than maxDuration"],
    ),
    ("no_time_at_all", "/breakGlass", || json!({"maxDuration": "0s"}), &["spec.breakGlass.maxDuration", "no time"]),
    ("some_time", "/breakGlass", || json!({"maxDuration": "long"}), &["spec.breakGlass.maxDuration"]),
    (
        "a_rule_with_a_bad_pointer",
        "/ignoreDifferences",
        || json!([{}, {"jsonPointers": ["/ok", "spec"]}]),
        &["spec.ignoreDifferences[1].jsonPointers[1]"],
    ),
    (
        "a_rule_with_a_bad_field_path",
        "/ignoreDifferences",
        || json!([{"fieldPaths": [".spec.containers[name"]}]),
        &["spec.ignoreDifferences[0].fieldPaths[0]"],
    ),
    (
        "a_rule_with_a_bad_jq_expression",
        "/ignoreDifferences",
        || json!([{"jqPathExpressions": [".spec["]}]),
        &["spec.ignoreDifferences[0].jqPathExpressions[0]"],
    ),
    (
        "a_guard_of_everything",
        "/guards",
        || json!([{"name": "all", "selector": {}, "managers": ["helm"], "writers": ["ci"]}]),
        &["spec.guards[0].selector", "asked about every object", "name a label"],
    ),
    (
        "a_guard_against_its_own_tool",
        "/guards",
        || json!([{"name": "all", "selector": {"annotations": ["a"]}, "managers": ["helm"], "writers": []}]),
        &["spec.guards[0].writers", "the tool itself would be refused"],
    ),
    (
        "a_guard_without_managers",
        "/guards",
        || json!([{"name": "all", "selector": {"annotations": ["a"]}, "managers": [], "writers": ["ci"]}]),
        &["spec.guards[0].managers", "nothing would count as declared"],
    ),
    ("a_switch_that_is_no_switch", "/presets", || json!({"hpa": "maybe"}), &["spec.presets.hpa"]),
];

pub fn trials() -> Vec<Trial> {
    let rows = READ.iter().chain(SCHEMA);
    let rows = rows.map(|(name, at, value, words)| {
        test(format!("own::{name}_is_refused"), move || refused_with(at, value(), words))
    });
    let policy = POLICY.iter().map(|(name, at, value, words)| {
        test(format!("own::{name}_is_refused"), move || refused_policy(at, value(), words))
    });
    rows.chain(policy)
        .chain(tests![
            every_mistake_is_named_at_once,
            a_good_one_is_taken_and_can_be_explained,
            only_one_policy_has_effect,
            a_policy_that_exempts_everyone_is_refused,
        ])
        .collect()
}

async fn refused_with(at: &str, value: Value, words: &[&str]) -> Result<()> {
    let sync = git_sync(&[(at, value)]).await?;
    let refusal = create(&sync).await?.refusal()?;
    let missing: Vec<_> = words.iter().filter(|word| !refusal.contains(**word)).collect();
    ensure!(missing.is_empty(), "it does not say {missing:?}: {refusal}");
    ensure!(!refusal.contains("secret@"), "it repeats the password: {refusal}");
    Ok(())
}

async fn refused_policy(at: &str, value: Value, words: &[&str]) -> Result<()> {
    let field = at.trim_start_matches('/');
    let change = json!({"spec": {field: value}}).to_string();
    let world = &stage::shared().await?.world;
    let patch = ["patch", "driftpolicy", "default", "--type=merge", "--patch", &change, "--dry-run=server"];
    let refusal = world.kubectl(Person::Administrator, &patch).await?.refusal()?;
    let missing: Vec<_> = words.iter().filter(|word| !refusal.contains(**word)).collect();
    ensure!(missing.is_empty(), "it does not say {missing:?}: {refusal}");
    Ok(())
}

async fn every_mistake_is_named_at_once() -> Result<()> {
    let sync =
        git_sync(&[("/source/interval", json!("1ms")), ("/syncPolicy/syncOptions", json!(["Fast=yes"]))]).await?;
    let refusal = create(&sync).await?.refusal()?;
    ensure!(refusal.contains("cannot be run as written") && refusal.contains("interval"), "{refusal}");
    ensure!(refusal.contains("syncOptions[0]"), "{refusal}");
    Ok(())
}

async fn a_good_one_is_taken_and_can_be_explained() -> Result<()> {
    create(&git_sync(&[]).await?).await?.success()?;
    let world = &stage::shared().await?.world;
    let explain = ["explain", "gitsync.spec.admission.mode", "--api-version=holdfast.dev/v1alpha1"];
    let explained = world.kubectl(Person::Administrator, &explain).await?.success()?;
    ensure!(explained.contains("Deny") && explained.contains("Annotate"), "{explained}");
    let listed = world
        .kubectl(Person::Administrator, &["get", "gitsyncs", "--namespace", HOLDFAST_NAMESPACE])
        .await?
        .success()?;
    for column in ["READY", "REVISION", "OBJECTS", "DRIFTED", "MODE"] {
        ensure!(listed.contains(column), "there is no column {column}: {listed}");
    }
    Ok(())
}

async fn only_one_policy_has_effect() -> Result<()> {
    let policy =
        json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "DriftPolicy", "metadata": {"name": "mine"}, "spec": {}});
    let refusal = create(&policy).await?.refusal()?;
    ensure!(refusal.contains("named 'default'") || refusal.contains("named default"), "{refusal}");
    Ok(())
}

async fn a_policy_that_exempts_everyone_is_refused() -> Result<()> {
    let world = &stage::shared().await?.world;
    let change = json!({"spec": {"controllers": ["system:authenticated"]}}).to_string();
    let patch = ["patch", "driftpolicy", "default", "--type=merge", "--patch", &change];
    let refusal = world.kubectl(Person::Administrator, &patch).await?.refusal()?;
    ensure!(refusal.contains("exempts everyone") && refusal.contains("spec.controllers[0]"), "{refusal}");
    Ok(())
}

/// A good `GitSync` but for these places of its spec.
async fn git_sync(changes: &[(&str, Value)]) -> Result<Value> {
    let world = &stage::shared().await?.world;
    let mut sync = world.git_sync("own", "own", "own")?;
    for (at, value) in changes {
        let (parent, name) = at.rsplit_once('/').unwrap_or_default();
        sync["spec"].pointer_mut(parent).context("its parent is there")?[name] = value.clone();
    }
    Ok(sync)
}

/// As a dry run: what is stored nowhere needs no tidying.
async fn create(object: &Value) -> Result<crate::world::Output> {
    let place = crate::place::Place { stage: stage::shared().await?, name: "own".to_owned() };
    let line = ["create", "--dry-run=server", "--namespace", HOLDFAST_NAMESPACE, "--filename=-"];
    place.run(Who::Administrator, &line, &object.to_string()).await
}
