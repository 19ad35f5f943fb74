//! Drift cases as data: a folder each under `tests/drift`, or under `DRIFT_CASES` for a folder of your own.
//!
//! `README.md` there says what a case consists of. A case is added without touching Rust; what it says wrongly is refused
//! rather than ignored, for a case with a misspelt key would pass and prove nothing.

mod common;
#[path = "drift/runner/mod.rs"]
mod runner;

use std::path::{Path, PathBuf};

use runner::Case;

fn folder() -> PathBuf {
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drift");
    std::env::var_os("DRIFT_CASES").map_or_else(ours, PathBuf::from)
}

#[test]
fn every_case_is_as_expected() {
    let cases = runner::cases_in(&folder());
    assert!(!cases.is_empty(), "there are no cases in {}", folder().display());
    let failures: Vec<_> = cases.iter().filter_map(|case| runner::run(case).err()).collect();
    assert!(failures.is_empty(), "\n{} of {} cases:\n{}\n", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn what_a_case_says_wrongly_is_refused() {
    let refusals = [
        ("expect.yaml", "drift: []\nverdit: deny\n", "verdit"),
        ("expect.yml", "drift: []\n", "expect.yml"),
        ("edit.yaml", "user: alice\npatch: {}\nmanger: kubectl\n", "manger"),
        ("live.patch.yaml", "by: kubectl\n", "needs one of `patch`, `json` or `object`"),
        ("rules.yaml", "- {jsonPointers: [spec/replicas]}\n", "does not start with"),
        ("policy.yaml", "mode: Denied\n", "Denied"),
    ];
    for (file, text, complaint) in refusals {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let write =
            |file: &str, text: &str| std::fs::write(folder.path().join(file), text).expect("a file can be written");
        write("manifest.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}, data: {k: v}}");
        write("expect.yaml", "drift: []\n");
        write(file, text);
        let outcome = Case::read(folder.path()).and_then(|case| runner::run(&case));
        let said = outcome.expect_err("what a case says wrongly is refused");
        assert!(said.contains(complaint), "{file}: {said}");
    }
}

/// The table of complaints names cases, and tests elsewhere: all of them are there.
#[test]
fn the_readme_names_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = root.join("tests/drift");
    let readme = std::fs::read_to_string(cases.join("README.md")).expect("there is a README");
    let table = readme.split("| complaint |").nth(1).expect("it has a table of complaints");
    let sources: Vec<_> =
        ["tests/agree.rs", "tests/cluster"].iter().flat_map(|place| texts(&root.join(place))).collect();
    let names = table.split('`').skip(1).step_by(2).filter(|name| !name.contains([' ', ':']) && name.contains('-'));
    let lost: Vec<_> = names.filter(|name| !cases.join(name).is_dir()).collect();
    assert!(lost.is_empty(), "there are no cases {lost:?}");
    for name in table.split('`').filter_map(|name| name.strip_prefix("cluster::").or(name.strip_prefix("agree::"))) {
        let is_there = sources.iter().any(|text| text.contains(&format!("fn {name}")));
        assert!(is_there, "there is no test {name}");
    }
}

fn texts(place: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(place) else { return std::fs::read_to_string(place).into_iter().collect() };
    entries.flatten().flat_map(|entry| texts(&entry.path())).collect()
}

#[test]
fn a_failing_case_says_what_differs() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let case = folder.path().join("changed");
    std::fs::create_dir(&case).expect("a folder can be made");
    let files = [
        ("manifest.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}, data: {k: v}}"),
        ("live.patch.yaml", "{by: kubectl-edit, patch: {data: {k: w}}}"),
        ("expect.yaml", "drift: [{kind: Removed, path: .data.k}]\nhealed: {data: {k: x}}"),
    ];
    for (file, text) in files {
        std::fs::write(case.join(file), text).expect("a file can be written");
    }
    let said = runner::run(&Case::read(&case).expect("the case can be read")).expect_err("the case fails");
    insta::assert_snapshot!(said, @r#"
    changed: drift
        - Removed .data.k
        + Changed .data.k
    changed: healed.data
        - {"k":"x"}
        + {"k":"v"}
    "#);
}
