//! The README says what there is: its reference tables are compared with the code, in both directions.
//!
//! A table that only grows stale tells readers about flags that are gone. The rows are read off the Markdown; what they
//! should be, off the types wherever there are types, and off the source text where there are only names.
#![allow(missing_docs)]

use std::collections::BTreeSet;

use clap::CommandFactory;
use holdfast::cli::Cli;
use holdfast::evidence::{Metrics, metrics};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;

const README: &str = include_str!("../README.md");
const NAMES: &str = include_str!("../src/core/names.rs");
const RECORD: &str = include_str!("../src/evidence/record.rs");
const STATUS: &str = include_str!("../src/reconcile/status.rs");

/// What stands in backquotes in the first column of the table whose head begins with `head`, after `heading`.
fn rows(heading: &str, head: &str) -> BTreeSet<String> {
    let (_, section) = README.split_once(&format!("\n### {heading}\n")).expect("the README has this heading");
    let (_, table) = section.split_once(&format!("\n| {head} |")).expect("and below it this table");
    let cells = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    cells.map(|line| line.split('`').nth(1).expect("a name in backquotes").to_owned()).collect()
}

fn compare(what: &str, documented: &BTreeSet<String>, there: &BTreeSet<String>) {
    let missing: Vec<_> = there.difference(documented).collect();
    let invented: Vec<_> = documented.difference(there).collect();
    assert!(missing.is_empty(), "{what} without a row in the README: {missing:?}");
    assert!(invented.is_empty(), "{what} in the README that are not there: {invented:?}");
}

/// The leaves of a schema, as paths; `[]` stands for the elements of a list of objects.
fn leaves(schema: &JSONSchemaProps, path: &str, found: &mut BTreeSet<String>) {
    let element = schema.items.as_ref().and_then(|items| {
        let text = serde_json::to_value(items).expect("a schema is plain data");
        serde_json::from_value::<JSONSchemaProps>(text).ok().filter(|element| element.properties.is_some())
    });
    match (&schema.properties, element) {
        // A label selector is what it is everywhere in Kubernetes.
        (Some(fields), _) if !fields.contains_key("matchLabels") => {
            for (name, field) in fields {
                leaves(field, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }
        }
        (None, Some(element)) => leaves(&element, &format!("{path}[]"), found),
        _ => drop(found.insert(path.to_owned())),
    }
}

fn spec_of(kind: &str) -> BTreeSet<String> {
    let definition = holdfast::api::definitions().into_iter().find(|definition| definition.spec.names.kind == kind);
    let version = definition.expect("one of ours").spec.versions.remove(0);
    let schema = version.schema.and_then(|schema| schema.open_api_v3_schema).expect("a schema");
    let spec = schema.properties.expect("an object").remove("spec").expect("with a spec");
    let mut found = BTreeSet::new();
    leaves(&spec, "", &mut found);
    found
}

/// Every text between `before` and `after` in `source`.
fn between(source: &str, before: &str, after: char) -> BTreeSet<String> {
    source.split(before).skip(1).filter_map(|rest| rest.split(after).next()).map(str::to_owned).collect()
}

#[test]
fn fields_of_our_kinds() {
    compare("fields of a GitSync", &rows("GitSync", "field"), &spec_of("GitSync"));
    compare("fields of a DriftPolicy", &rows("DriftPolicy", "field"), &spec_of("DriftPolicy"));
}

#[test]
fn conditions() {
    compare("conditions", &rows("GitSync", "condition"), &between(STATUS, "kind: \"", '"'));
}

#[test]
fn labels_and_annotations() {
    let names = between(NAMES, "= \"holdfast.dev/", '"').into_iter().filter(|name| !name.is_empty());
    let there = names.map(|name| format!("holdfast.dev/{name}")).collect();
    compare("labels and annotations", &rows("Labels and annotations", "name"), &there);
}

#[test]
fn flags_and_subcommands() {
    let command = Cli::command();
    let run = command.find_subcommand("run").expect("there");
    let there = run.get_arguments().filter_map(|argument| argument.get_long()).filter(|flag| *flag != "help");
    compare("flags of `holdfast run`", &rows("Command line", "flag"), &there.map(|flag| format!("--{flag}")).collect());
    let there = command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned());
    compare("subcommands", &rows("Command line", "command"), &there.collect());
}

#[test]
fn record_kinds() {
    let (_, variants) = RECORD.split_once("pub enum Kind {").expect("the enum");
    let (variants, _) = variants.split_once("\n}").expect("its end");
    let there = variants.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("///"));
    compare(
        "kinds of records",
        &rows("Records", "kind"),
        &there.map(|name| name.trim_end_matches(',').to_owned()).collect(),
    );
}

/// The architecture names tests that hold it; each must exist in the file or folder it is said to be in.
#[test]
fn tests_that_hold_the_architecture() {
    let sources = [source_of("tests"), source_of("src")].concat();
    let named = between(include_str!("../src/lib.rs"), "`", '`').into_iter().filter(|name| name.contains("::"));
    for name in named.filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_:".contains(&byte))) {
        let (place, test) = name.rsplit_once("::").expect("filtered");
        let holds = |(path, text): &(String, String)| path.contains(place) && text.contains(&format!("fn {test}("));
        let is_module = sources.iter().any(|(path, _)| path.ends_with(&format!("src/{}.rs", name.replace("::", "/"))));
        assert!(is_module || sources.iter().any(holds), "src/lib.rs names {name}, and there is no such test");
    }
}

/// Every Rust file below a folder: its path and its text.
fn source_of(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&entry).expect("readable");
                found.push((entry.to_string_lossy().into_owned(), text));
            }
        }
    }
    found
}

#[test]
fn metric_names() {
    let page = metrics::encode(&Metrics::new().1).expect("text");
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let there = types.map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() });
    compare("metrics", &rows("Metrics", "metric"), &there.collect());
}
