//! What is committed under `deploy/` is what the program prints. `UPDATE=1 cargo test --test deploy` rewrites it.
#![allow(missing_docs)]

use std::{collections::BTreeSet, env, fs, path::Path};

use holdfast::cluster::lease::names as leases;
use holdfast::deploy::{Installation, Part, render};
use holdfast::webhook::register::CERTIFICATE_SECRET;
use serde_json::Value;

fn rendered(parts: &[Part]) -> String {
    render(&Installation::default(), parts).expect("typed values can be printed")
}

fn check(file: &str, parts: &[Part]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file);
    let text = rendered(parts);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &text).expect("the repository is writable");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "deploy/{file} is out of date; run `UPDATE=1 cargo test --test deploy` and commit it");
}

fn documents(parts: &[Part]) -> Vec<Value> {
    serde_saphyr::from_multiple(&rendered(parts)).expect("what is printed can be read")
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents.iter().find(|document| document["kind"] == kind).expect("printed")
}

#[test]
fn committed_files_are_up_to_date() {
    check("crds.yaml", &[Part::Crds]);
    check("holdfast.yaml", &Part::ALL);
}

#[test]
fn every_part_is_in_the_whole_and_in_the_order_of_applying() {
    let kinds: Vec<String> =
        documents(&[Part::Workload, Part::Namespace]).iter().map(|document| document["kind"].to_string()).collect();
    assert_eq!(kinds, [r#""Namespace""#, r#""Deployment""#, r#""PodDisruptionBudget""#, r#""Service""#]);
    let all = Part::ALL.map(|part| documents(&[part]).len()).iter().sum::<usize>();
    assert_eq!(documents(&Part::ALL).len(), all);
}

#[test]
fn the_program_is_started_with_flags_it_knows() {
    use clap::Parser;
    let documents = documents(&[Part::Workload]);
    let container = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let arguments: Vec<&str> = container["args"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    holdfast::cli::Cli::try_parse_from([&["holdfast"], arguments.as_slice()].concat()).expect("known flags");
}

#[test]
fn the_service_finds_the_pods_and_their_ports() {
    let documents = documents(&[Part::Workload]);
    let (deployment, service) = (of_kind(&documents, "Deployment"), of_kind(&documents, "Service"));
    let template = &deployment["spec"]["template"];
    assert_eq!(service["spec"]["selector"], template["metadata"]["labels"]);
    let names = |list: &Value, key: &str| -> BTreeSet<String> {
        list.as_array().expect("a list").iter().map(|port| port[key].to_string()).collect()
    };
    let open = names(&template["spec"]["containers"][0]["ports"], "name");
    assert_eq!(names(&service["spec"]["ports"], "targetPort"), open);
}

/// Whoever may read all Secrets of a namespace may do what everybody in it may. And whoever may write its Leases…
#[test]
fn the_certificate_is_the_only_secret_that_is_named_and_ours_the_only_leases() {
    let documents = documents(&[Part::Rbac]);
    let rules = of_kind(&documents, "Role")["rules"].as_array().expect("a list");
    for rule in rules {
        let is_create = rule["verbs"].as_array().is_some_and(|verbs| verbs.len() == 1 && verbs[0] == "create");
        let names = match rule["resources"][0].as_str() {
            Some("secrets") => vec![CERTIFICATE_SECRET.to_owned()],
            Some("leases") => leases(),
            _ => panic!("{rule}"),
        };
        assert!(is_create || rule["resourceNames"] == serde_json::json!(names), "{rule}");
    }
    assert_eq!(of_kind(&documents, "RoleBinding")["roleRef"]["name"], of_kind(&documents, "Role")["metadata"]["name"]);
}

#[test]
fn nobody_gets_break_glass_or_may_write_a_gitsync_by_being_an_editor() {
    for document in documents(&[Part::Rbac]) {
        let labels = document["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        assert!(!labels.contains_key("rbac.authorization.k8s.io/aggregate-to-edit"), "{document}");
        assert!(!labels.contains_key("rbac.authorization.k8s.io/aggregate-to-admin"), "{document}");
        let viewers = labels.contains_key("rbac.authorization.k8s.io/aggregate-to-view");
        assert!(!viewers || !document["rules"].to_string().contains("break-glass"), "{document}");
    }
}
