//! What people read: every kind of denial fits a terminal and says what to do instead.

use serde_json::{Value, json};
use std::sync::Arc;

use super::*;
use crate::core::breakglass::{Glass, Refused};
use crate::core::compare::{Deviation, Kind};
use crate::core::declaration::Declaration;
use crate::core::exclude::Exclusions;
use crate::core::guard::Tool;
use crate::core::manifest::{Lines, Manifest, Origin};
use crate::core::path::Path;
use crate::core::snapshot::{Mode, Rollback, Suspension, Undeclared};

fn managed(kind: &str) -> Managed {
    let (group, api_version) = if kind == "Deployment" { ("apps", "apps/v1") } else { ("", "v1") };
    let key = ObjectKey { group: group.into(), kind: kind.into(), namespace: Some("prod".into()), name: "api".into() };
    let origin = Origin { file: "apps/api/api.yaml".into(), lines: Lines::leaf(3) };
    Managed {
        sync: Arc::new(sync("git@github.com:org/shop.git")),
        manifest: Arc::new(Manifest { key, value: json!({"apiVersion": api_version, "kind": kind}), origin }.into()),
        declaration: Declaration { sections: Box::default(), pristine: None },
        exclusions: Exclusions::default(),
        resource: "things".into(),
    }
}

fn sync(repository: &str) -> Sync {
    Sync {
        name: "holdfast-system/shop".into(),
        repository: repository.into(),
        target: "main".into(),
        revision: "0123456789abcdef0123456789abcdef01234567".into(),
        mode: Mode::Deny,
        undeclared: Undeclared::Deny,
        self_heal: true,
        suspension: None,
        rollback: None,
        tool: None,
    }
}

fn changed(fields: &[&str], git: Value, live: Value) -> Deviation {
    let (git, live) = (Some(git), Some(live));
    Deviation { path: Path::of_fields(fields), kind: Kind::Changed, git, live, line: Some(12) }
}

fn judged(verdict: Verdict, why: Why, introduced: Vec<Deviation>) -> Judgement {
    Judgement { verdict, why, introduced, failed: Vec::new() }
}

/// What is said, once it is known to fit: only what is copied in one piece may be wider.
fn said(managed: &Managed, judgement: &Judgement) -> String {
    fitting(message(&managed.manifest.key, Some(managed), judgement))
}

fn fitting(text: String) -> String {
    let copied = |line: &str| line.starts_with("  https://") || line.starts_with("  kubectl ");
    let wide: Vec<_> = text.lines().filter(|line| line.chars().count() > WIDTH && !copied(line)).collect();
    assert!(
        text.lines().count() <= 15 && wide.is_empty(),
        "{} lines, too wide: {wide:#?} in\n{text}",
        text.lines().count()
    );
    text
}

fn denied(kind: &str, why: Why, introduced: Vec<Deviation>) -> String {
    said(&managed(kind), &judged(Verdict::Deny, why, introduced))
}

fn replicas() -> Vec<Deviation> {
    vec![changed(&["spec", "replicas"], json!(3), json!(9))]
}

#[test]
fn one_field() {
    insta::assert_snapshot!(denied("Deployment", Why::Drift, replicas()));
}

/// Whoever cannot be given a link is given everything to find it by.
#[test]
fn a_host_nobody_knows() {
    let managed = Managed { sync: Arc::new(sync("https://git.example/shop.git")), ..managed("Deployment") };
    insta::assert_snapshot!(said(&managed, &judged(Verdict::Deny, Why::Drift, replicas())));
}

#[test]
fn many_fields_are_counted() {
    let fields = (0..9).map(|n| changed(&["data", &format!("k{n}")], json!("x".repeat(400)), json!(n))).collect();
    insta::assert_snapshot!(denied("ConfigMap", Why::Drift, fields));
}

/// Git has nothing at the one, and does not have the other any more: neither has a line.
#[test]
fn added_and_left_over() {
    let undeclared = |name: &str, kind| {
        let path = Path::of_fields(&["spec", "template", "spec", name]);
        Deviation { path, kind, git: None, live: Some(json!("by hand")), line: None }
    };
    let fields = vec![undeclared("hostname", Kind::Added), undeclared("subdomain", Kind::Leftover)];
    insta::assert_snapshot!(denied("Deployment", Why::Drift, fields));
}

#[test]
fn a_secret() {
    let text =
        denied("Secret", Why::Drift, vec![changed(&["data", "password"], json!("aHVudGVyMg=="), json!("b3RoZXI="))]);
    assert!(!text.contains("aHVudGVyMg") && !text.contains("b3RoZXI"), "{text}");
    insta::assert_snapshot!(text);
}

/// A `Scale` is judged as the replicas of what it scales; in mode `Warn` it passes.
#[test]
fn a_warning() {
    insta::assert_snapshot!(said(&managed("Deployment"), &judged(Verdict::Warn, Why::Drift, replicas())));
}

#[test]
fn long_values_and_long_places() {
    let mut managed = managed("Deployment");
    let file = format!("clusters/{}api.yaml", "europe-west/".repeat(8));
    let lines = Lines::leaf(3);
    let origin = Origin { file: file.into(), lines };
    managed.manifest = Arc::new(Manifest { origin, ..managed.manifest.unpacked() }.into());
    let long =
        ["spec", "template", "spec", "a-field-of-a-custom-resource", "with-many-levels", "and-long-names", "below"];
    let fields = vec![changed(&long, json!("a ".repeat(200)), json!("b ".repeat(200)))];
    insta::assert_snapshot!(said(&managed, &judged(Verdict::Deny, Why::Drift, fields)));
}

#[test]
fn unicode_is_counted_in_characters() {
    let fields = vec![changed(&["data", "grüße"], json!("🦀".repeat(200)), json!("Zürich"))];
    let mut managed = managed("ConfigMap");
    let origin = Origin { file: "läden/über uns.yaml".into(), lines: Lines::leaf(3) };
    managed.manifest = Arc::new(Manifest { origin, ..managed.manifest.unpacked() }.into());
    insta::assert_snapshot!(said(&managed, &judged(Verdict::Deny, Why::Drift, fields)));
}

#[test]
fn delete() {
    insta::assert_snapshot!(denied("Deployment", Why::Delete, Vec::new()));
}

#[test]
fn marks() {
    insta::assert_snapshot!(denied("ConfigMap", Why::Marks, Vec::new()));
}

#[test]
fn ownership() {
    insta::assert_snapshot!(denied("ConfigMap", Why::Ownership, Vec::new()));
}

#[test]
fn owner_references() {
    insta::assert_snapshot!(denied("ConfigMap", Why::OwnerReferences, Vec::new()));
}

#[test]
fn finalizers() {
    insta::assert_snapshot!(denied("ConfigMap", Why::Finalizers, Vec::new()));
}

#[test]
fn break_glass_without_the_right() {
    let refused = Refused::NoRight { user: "bob".into(), resource: "gitsyncs", name: "holdfast-system/shop".into() };
    insta::assert_snapshot!(denied("ConfigMap", Why::Refused(refused), Vec::new()));
}

#[test]
fn break_glass_without_a_reason() {
    insta::assert_snapshot!(denied("ConfigMap", Why::Refused(Refused::NoReason), Vec::new()));
}

/// An expired one is none: the edit is judged as any other, and told how to open it anew.
#[test]
fn break_glass_expired() {
    let text = denied("ConfigMap", Why::Drift, vec![changed(&["data", "mode"], json!("fast"), json!("slow"))]);
    assert!(text.contains("--overwrite"), "what is left of the last one is in the way: {text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_pause_says_until_when() {
    let mut managed = managed("Deployment");
    let suspension = Suspension { reason: "INC-7: storage is being moved".into(), until: until() };
    managed.sync = Arc::new(Sync { suspension: Some(suspension), ..sync("https://github.com/org/shop") });
    insta::assert_snapshot!(said(&managed, &judged(Verdict::Mark, Why::Suspended, replicas())));
}

/// A commit has no effect before the end of a rollback, and whoever is refused must know.
#[test]
fn a_rollback_says_from_when_commits_count() {
    let rollback = |reason: &str| Rollback { by: Some("oncall".into()), reason: reason.into(), until: until() };
    let at = |reason: &str| Managed {
        sync: Arc::new(Sync { rollback: Some(rollback(reason)), ..sync("https://github.com/org/shop") }),
        ..managed("Deployment")
    };
    insta::assert_snapshot!(said(&at("INC-7: 1.15 loses orders"), &judged(Verdict::Deny, Why::Drift, replicas())));
    let fields = (0..9).map(|n| changed(&["data", &format!("k{n}")], json!("x".repeat(400)), json!(n))).collect();
    said(&at(&"why ".repeat(250)), &judged(Verdict::Deny, Why::Drift, fields));
}

/// None of these is declared in Git, so there is no place in Git to name.
#[test]
fn what_git_does_not_declare() {
    let key = ObjectKey { group: String::new(), kind: "Namespace".into(), namespace: None, name: "prod".into() };
    let said = |why| fitting(message(&key, None, &judged(Verdict::Deny, why, Vec::new())));
    insta::assert_snapshot!("a_namespace_that_holds_some", said(Why::NamespaceDelete(4)));
    insta::assert_snapshot!("a_forged_mark", said(Why::Forged));
}

#[test]
fn an_open_break_glass_says_until_when() {
    let why = Why::BreakGlass(Glass { reason: "INC-1: down".into(), by: "alice".into(), until: until() });
    insta::assert_snapshot!(said(&managed("ConfigMap"), &judged(Verdict::Note, why, Vec::new())));
}

#[test]
fn what_another_tool_keeps() {
    let tool = Tool {
        guard: "flux".into(),
        managers: ["kustomize-controller".to_owned()].into(),
        manager: "kustomize-controller".into(),
        application: Some("Flux Kustomization flux-system/shop".into()),
    };
    let mut managed = managed("Deployment");
    managed.sync = Arc::new(Sync { tool: Some(Arc::new(tool)), ..sync("") });
    insta::assert_snapshot!("kept_by_a_tool", said(&managed, &judged(Verdict::Deny, Why::Drift, replicas())));
    insta::assert_snapshot!("kept_by_a_tool_warned", said(&managed, &judged(Verdict::Warn, Why::Drift, replicas())));
    insta::assert_snapshot!("kept_by_a_tool_deleted", said(&managed, &judged(Verdict::Deny, Why::Delete, Vec::new())));
    insta::assert_snapshot!("kept_by_a_tool_wiped", said(&managed, &judged(Verdict::Deny, Why::Ownership, Vec::new())));
}

fn until() -> jiff::Timestamp {
    "2026-03-01T12:30:00Z".parse().expect("this is a time")
}
