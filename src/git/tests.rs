//! From a commit to manifests, all the way.

use std::fmt::Write as _;

use super::testing::Origin;
use super::{Error, Reading, RenderOptions, read};

fn reading(origin: &Origin, path: &str) -> Result<Reading, Error> {
    let cluster_scoped = |_: &str, kind: &str| Some(kind == "Namespace");
    let options = RenderOptions { default_namespace: Some("prod"), sync: "s/s", cluster_scoped: &cluster_scoped };
    read(&origin.repository(), "HEAD", path, &options)
}

fn summary(reading: &Reading) -> String {
    let mut summary = String::new();
    for manifest in &reading.manifests {
        let (file, line) = (&manifest.origin.file, manifest.origin.lines.line);
        writeln!(summary, "{} in {file}:{line}", manifest.key).expect("a String takes everything");
    }
    for problem in &reading.problems {
        writeln!(summary, "! {problem}").expect("a String takes everything");
    }
    summary
}

#[test]
fn a_commit_becomes_manifests_and_problems() {
    let origin = Origin::with(&[
        ("apps/api/deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\n---\nkind: Oops\n"),
        ("apps/api/ns.json", "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"prod\"}}"),
        ("apps/api/chart/Chart.yaml", "name: chart\n"),
        ("apps/api/chart/templates/x.yaml", "{{ nonsense }}\n"),
        ("other/x.yaml", "not: read\n"),
    ]);
    let reading = reading(&origin, "apps/api").expect("readable");
    assert_eq!(reading.commit.sha, origin.git(&["rev-parse", "HEAD"]));
    assert_eq!(reading.commit.author, "Ann <ann@example.com>");
    insta::assert_snapshot!(summary(&reading), @"
    Deployment.apps prod/api in apps/api/deployment.yaml:1
    Namespace prod in apps/api/ns.json:1
    ! apps/api/chart/Chart.yaml: rendering with Helm is not supported, and applying a chart unrendered would be wrong, so nothing in this folder is applied; commit the output of `helm template` instead
    ! apps/api/deployment.yaml:5: apiVersion is missing
    ");
}

#[test]
fn a_path_that_is_not_there_is_an_error_and_no_empty_reading() {
    let origin = Origin::with(&[("a.yaml", "")]);
    assert!(matches!(reading(&origin, "apps"), Err(Error::NoSuchPath { .. })));
    assert!(reading(&origin, "").expect("the root is always there").manifests.is_empty());
}
