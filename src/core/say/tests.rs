//! What people read: every kind of denial fits a terminal and says what to do instead.

use serde_json::{Value, json};
use std::sync::Arc;

use super::*;
use crate::core::breakglass::{Glass, Refused};
use crate::core::compare::{Deviation, Kind};
use crate::core::declaration::Declaration;
use crate::core::exclude::Exclusions;
use crate::core::manifest::{Lines, Manifest, Origin};
use crate::core::path::Path;
use crate::core::snapshot::{Mode, Undeclared};

fn managed(kind: &str) -> Managed {
    let (group, api_version) = if kind == "Deployment" { ("apps", "apps/v1") } else { ("", "v1") };
    let key = ObjectKey { group: group.into(), kind: kind.into(), namespace: Some("prod".into()), name: "api".into() };
    let origin = Origin { file: "apps/api/api.yaml".into(), lines: Lines::leaf(3) };
    let sync = Sync {
        name: "holdfast-system/shop".into(),
        repository: "https://git.example/shop.git".into(),
        target: "main".into(),
        revision: "0123456789abcdef0123456789abcdef01234567".into(),
        mode: Mode::Deny,
        undeclared: Undeclared::Deny,
        self_heal: true,
        suspension: None,
    };
    Managed {
        sync: Arc::new(sync),
        manifest: Arc::new(Manifest { key, value: json!({"apiVersion": api_version, "kind": kind}), origin }),
        declaration: Declaration { sections: Vec::new(), pristine: None },
        exclusions: Exclusions::default(),
        resource: "things".into(),
    }
}

fn changed(fields: &[&str], git: Value, live: Value) -> Deviation {
    let (git, live) = (Some(git), Some(live));
    Deviation { path: Path::of_fields(fields), kind: Kind::Changed, git, live, line: Some(12) }
}

fn denied(kind: &str, why: Why, introduced: Vec<Deviation>) -> String {
    let managed = managed(kind);
    let text = message(
        &managed.manifest.key,
        Some(&managed),
        &Judgement { verdict: Verdict::Deny, why, introduced, failed: Vec::new() },
    );
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    assert!(text.lines().count() <= 24 && longest <= 180, "{longest} wide:\n{text}");
    text
}

#[test]
fn drift() {
    let text = denied("Deployment", Why::Drift, vec![changed(&["spec", "replicas"], json!(3), json!(9))]);
    insta::assert_snapshot!(text, @r#"
    Deployment.apps prod/api is kept equal to Git, and this edit is not what Git says.
      .spec.replicas
          Git:  3   (apps/api/api.yaml:12)
          this: 9
    Git: https://git.example/shop.git (main at 0123456), apps/api/api.yaml:3, synced by GitSync holdfast-system/shop
    To change it: commit to main and let Holdfast apply it.
    In an emergency, with the right to: kubectl annotate -n prod deployment.apps/api holdfast.dev/break-glass="INC-…: why" holdfast.dev/break-glass-for=30m
    "#);
}

#[test]
fn many_fields_are_counted() {
    let fields = (0..9).map(|n| changed(&["data", &format!("k{n}")], json!("x".repeat(400)), json!(n))).collect();
    let text = denied("ConfigMap", Why::Drift, fields);
    assert!(text.contains("… and 4 more"), "{text}");
}

#[test]
fn a_secret() {
    let text =
        denied("Secret", Why::Drift, vec![changed(&["data", "password"], json!("aHVudGVyMg=="), json!("b3RoZXI="))]);
    assert!(!text.contains("aHVudGVyMg") && !text.contains("b3RoZXI"), "{text}");
    insta::assert_snapshot!(text, @r#"
    Secret prod/api is kept equal to Git, and this edit is not what Git says.
      .data.password
          Git:  "<hidden 1>"   (apps/api/api.yaml:12)
          this: "<hidden 2>"
    Git: https://git.example/shop.git (main at 0123456), apps/api/api.yaml:3, synced by GitSync holdfast-system/shop
    To change it: commit to main and let Holdfast apply it.
    In an emergency, with the right to: kubectl annotate -n prod secret/api holdfast.dev/break-glass="INC-…: why" holdfast.dev/break-glass-for=30m
    "#);
}

#[test]
fn delete() {
    insta::assert_snapshot!(denied("Deployment", Why::Delete, Vec::new()), @r#"
    Deployment.apps prod/api is declared in Git and cannot be deleted by hand.
    Git: https://git.example/shop.git (main at 0123456), apps/api/api.yaml:3, synced by GitSync holdfast-system/shop
    To change it: commit to main and let Holdfast apply it.
    In an emergency, with the right to: kubectl annotate -n prod deployment.apps/api holdfast.dev/break-glass="INC-…: why" holdfast.dev/break-glass-for=30m
    "#);
}

#[test]
fn marks() {
    insta::assert_snapshot!(denied("ConfigMap", Why::Marks, Vec::new()), @r#"
    the marks of a managed object (holdfast.dev/managed, holdfast.dev/tracking-id, …) are Holdfast's to write: ConfigMap prod/api.
    Git: https://git.example/shop.git (main at 0123456), apps/api/api.yaml:3, synced by GitSync holdfast-system/shop
    To change it: commit to main and let Holdfast apply it.
    "#);
}

#[test]
fn ownership() {
    insta::assert_snapshot!(denied("ConfigMap", Why::Ownership, Vec::new()), @r#"
    Holdfast's entry in metadata.managedFields of ConfigMap prod/api is Holdfast's to write.
    Git: https://git.example/shop.git (main at 0123456), apps/api/api.yaml:3, synced by GitSync holdfast-system/shop
    To change it: commit to main and let Holdfast apply it.
    "#);
}

#[test]
fn owner_references() {
    insta::assert_snapshot!(denied("ConfigMap", Why::OwnerReferences, Vec::new()), @r#"
    the owner references of ConfigMap prod/api, which is declared in Git, cannot be changed by hand.
    Git: https://git.example/shop.git (main at 0123456), apps/api/api.yaml:3, synced by GitSync holdfast-system/shop
    To change it: commit to main and let Holdfast apply it.
    "#);
}

#[test]
fn break_glass_refused() {
    let refused = Refused::NoRight { user: "bob".into(), sync: "holdfast-system/shop".into() };
    insta::assert_snapshot!(denied("ConfigMap", Why::Refused(refused), Vec::new()), @r#"
    break-glass on ConfigMap prod/api refused: user "bob" lacks the verb "break-glass" on gitsyncs.holdfast.dev "holdfast-system/shop".
    Git: https://git.example/shop.git (main at 0123456), apps/api/api.yaml:3, synced by GitSync holdfast-system/shop
    To change it: commit to main and let Holdfast apply it.
    "#);
    insta::assert_snapshot!(denied("ConfigMap", Why::Refused(Refused::NoReason), Vec::new()), @r#"
    break-glass on ConfigMap prod/api refused: holdfast.dev/break-glass needs a reason: holdfast.dev/break-glass="INC-4211: failover".
    Git: https://git.example/shop.git (main at 0123456), apps/api/api.yaml:3, synced by GitSync holdfast-system/shop
    To change it: commit to main and let Holdfast apply it.
    "#);
}

/// Neither is declared in Git, so there is no place in Git to name.
#[test]
fn what_git_does_not_declare() {
    let key = ObjectKey { group: String::new(), kind: "Namespace".into(), namespace: None, name: "prod".into() };
    let said = |why| {
        message(&key, None, &Judgement { verdict: Verdict::Deny, why, introduced: Vec::new(), failed: Vec::new() })
    };
    insta::assert_snapshot!(said(Why::NamespaceDelete(4)), @"Namespace prod holds 4 objects declared in Git and cannot be deleted by hand.");
    insta::assert_snapshot!(said(Why::Forged), @"Namespace prod is not declared in Git, and holdfast.dev/tracking-id would make it look as if it were. Leave it out.");
}

#[test]
fn an_open_break_glass_says_until_when() {
    let managed = managed("ConfigMap");
    let until = "2026-03-01T12:30:00Z".parse().expect("this is a time");
    let why = Why::BreakGlass(Glass { reason: "INC-1: down".into(), by: "alice".into(), until });
    let judgement = Judgement { verdict: Verdict::Note, why, introduced: Vec::new(), failed: Vec::new() };
    insta::assert_snapshot!(message(&managed.manifest.key, Some(&managed), &judgement), @r#"
    break-glass on ConfigMap prod/api is open until 2026-03-01T12:30:00Z (INC-1: down): recorded, and not undone before then.
    Git: https://git.example/shop.git (main at 0123456), apps/api/api.yaml:3, synced by GitSync holdfast-system/shop
    "#);
}
