//! The reader against kubectl's own (`golden.json`: YAML given to `sigs.k8s.io/yaml` 1.6.0, ending in a newline because
//! kubectl adds a missing one, and its answers), bad input, and a property: what is written comes back, and every node has a line of the file.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Fault, Node, documents};
use crate::core::manifest::{Below, Lines};

fn one(text: &str) -> Result<Node, Fault> {
    let mut documents = documents(text);
    assert_eq!(documents.len(), 1, "one document in {text:?}");
    documents.remove(0)
}

fn value(text: &str) -> Value {
    one(text).unwrap_or_else(|fault| panic!("{text:?}: {fault:?}")).value
}

fn fault(text: &str) -> (u32, String) {
    let Fault { line, reason } = one(text).expect_err(text);
    (line, reason)
}

/// Go prints whole floats without a fraction or with an exponent; what they mean is compared.
fn same(ours: &Value, kubectl: &Value) -> bool {
    match (ours, kubectl) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => ours == kubectl,
    }
}

/// Where we deliberately differ from kubectl, and why.
fn stricter(yaml: &str) -> Option<&'static str> {
    match yaml {
        "a: 1\na: 2" | "1: a\n'1': b" => Some("a key written twice is refused"),
        ".inf: v" => Some("a float key without obvious text is refused"),
        "{}: x" | "[]: x" => Some("a collection as key is refused"),
        _ => None,
    }
}

/// Newer YAML that kubectl's reader does not know; accepting it declares what it says.
fn more_lenient(yaml: &str) -> bool {
    matches!(yaml, "%YAML 1.2\n---\na: 1" | "a: \"\\u00e9\\x41\\/\"" | "a: \"\\ud83d\\ude00\"")
}

#[test]
fn reads_what_kubectl_reads() {
    let golden: Vec<Value> = serde_json::from_str(include_str!("golden.json")).expect("golden.json is JSON");
    let mut differences = Vec::new();
    for case in &golden {
        let yaml = case["yaml"].as_str().expect("every case has its YAML");
        let ours = documents(yaml).pop().unwrap_or_else(|| Ok(Node { value: Value::Null, lines: Lines::leaf(1) }));
        let kubectl = case["json"].as_str().map(|json| serde_json::from_str::<Value>(json).expect("kubectl's JSON"));
        let agree = match (&ours, &kubectl) {
            (Ok(ours), Some(kubectl)) => same(&ours.value, kubectl),
            (Err(_), None) => true,
            (Err(_), Some(_)) => stricter(yaml).is_some(),
            (Ok(_), None) => more_lenient(yaml),
        };
        if !agree {
            differences.push(format!("{yaml:?}: we {ours:?}, kubectl {kubectl:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_famous_ones() {
    assert_eq!(value("defaultMode: 0644"), json!({"defaultMode": 420}));
    assert_eq!(value("on: yes"), json!({"true": true}));
    assert_eq!(value("country: NO"), json!({"country": false}));
    assert_eq!(value("port: \"8080\""), json!({"port": "8080"}));
    assert_eq!(value("version: 1.10"), json!({"version": 1.1}));
    assert_eq!(value("time: 12:30:00"), json!({"time": "12:30:00"}));
    assert_eq!(value("whole: 1.0"), json!({"whole": 1}));
}

#[test]
fn every_node_has_the_line_of_its_key_or_dash() {
    let node = one("# comment\na:\n  b: 1\n  c:\n  - x\n  - y: 1\n    z: 2\nd: |\n  text\n").expect("valid");
    let line = |path: &[&str]| node.lines.nearest(path).line;
    assert_eq!((line(&["a"]), line(&["a", "b"]), line(&["a", "c"]), line(&["d"])), (2, 3, 4, 8));
    let c = node.lines.nearest(&["a", "c"]);
    assert_eq!(c.element(0).map(|lines| lines.line), Some(5));
    assert_eq!(c.element(1).and_then(|lines| lines.field("z")).map(|lines| lines.line), Some(7));
}

#[test]
fn a_dash_may_stand_alone() {
    let node = one("a:\n-\n  b: 1\n-\n-\n\n  - x\n").expect("valid");
    let element = |index| node.lines.field("a").and_then(|list| list.element(index)).map(|lines| lines.line);
    assert_eq!((element(0), element(1), element(2)), (Some(2), Some(4), Some(5)));
}

#[test]
fn lines_count_on_over_documents_comments_and_windows_line_ends() {
    let lines: Vec<_> = documents("a: 1\r\n---\r\n# note\r\nb: 2\r\n...\r\n---\r\nc: 3\r\n")
        .into_iter()
        .map(|document| document.map(|node| node.lines.line))
        .collect();
    assert_eq!(lines, [Ok(1), Ok(4), Ok(7)]);
}

#[test]
fn a_broken_document_does_not_take_the_others_with_it() {
    let documents = documents("a: 1\n---\nb: [1, 2\n---\nc: 3\nc: 4\n---\nd: 5\n");
    assert_eq!(documents.len(), 4);
    assert_eq!(documents[0].as_ref().map(|node| &node.value), Ok(&json!({"a": 1})));
    assert!(documents[1].is_err());
    assert_eq!(documents[2].as_ref().map_err(|fault| fault.line), Err(6));
    assert_eq!(documents[3].as_ref().map(|node| (&node.value, node.lines.line)), Ok((&json!({"d": 5}), 8)));
}

#[test]
fn a_key_written_twice_is_named_with_both_lines() {
    let (line, reason) = fault("a:\n  b: 1\n  c: 2\n  b: 3\n");
    assert_eq!((line, reason.as_str()), (4, "the key `b` is written twice; the first is on line 2"));
}

#[test]
fn aliases_keep_the_lines_of_what_they_repeat() {
    let node = one("x: &x\n  k: 1\ncopy: *x\nlist:\n- *x\n").expect("valid");
    assert_eq!(node.value["copy"], json!({"k": 1}));
    assert_eq!(node.lines.nearest(&["copy"]).line, 3);
    assert_eq!(node.lines.nearest(&["copy", "k"]).line, 2);
    assert_eq!(node.lines.field("list").and_then(|list| list.element(0)).map(|lines| lines.line), Some(5));
}

#[test]
fn merged_keys_keep_their_lines_and_are_no_duplicates() {
    let node = one("base: &b\n  k: 1\n  l: 2\nuse:\n  <<: *b\n  k: 9\n").expect("valid");
    assert_eq!(node.value["use"], json!({"k": 9, "l": 2}));
    assert_eq!(node.lines.nearest(&["use", "k"]).line, 6);
    assert_eq!(node.lines.nearest(&["use", "l"]).line, 3);
}

#[test]
fn yaml_bombs_are_refused() {
    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{below}]").expect("a String takes everything");
    }
    assert!(fault(&bomb).1.contains("beyond any reasonable size"));
    assert!(fault("a: &a [*a]").1.contains("contains itself"));
}

#[test]
fn depth_is_bounded_however_it_is_reached() {
    assert!(one(&"[".repeat(20_000)).is_err());
    assert!(one(&"{a: ".repeat(20_000)).is_err());
    assert!(one(&"- ".repeat(20_000)).is_err());
    let mut ladder = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        writeln!(ladder, "a{level}: &a{level} [*a{}]", level - 1).expect("a String takes everything");
    }
    assert!(fault(&ladder).1.contains("levels deep"));
}

#[test]
fn json_is_read_with_its_lines() {
    let node = one("{\n\t\"a\": {\"b\": [1,\n\t\t2.5, null, \"yes\"]},\n\t\"u\": \"\\u00e9\\/\"\n}").expect("valid");
    assert_eq!(node.value, json!({"a": {"b": [1, 2.5, null, "yes"]}, "u": "é/"}));
    let list = node.lines.nearest(&["a", "b"]);
    assert_eq!((list.line, list.element(1).map(|lines| lines.line)), (2, Some(3)));
    assert_eq!(value(r#"{"a":"b","c":[{"d":1}]}"#), json!({"a": "b", "c": [{"d": 1}]}));
}

/// JSON values as manifests contain them: text of all sorts, integers, fractions that survive printing.
fn arbitrary_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,6}",
        Just("yes".to_owned()),
        Just("0644".to_owned()),
        Just("a\nb\n".to_owned())
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1_000_000_i32..1_000_000).prop_map(|n| json!(f64::from(n) + 0.5)),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[ -~]{0,8}|yes|<<|12", inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

/// Lines have the shape of the value, stay within the file and never precede the line of what contains them.
fn check_lines(value: &Value, lines: &Lines, from: u32, to: u32) -> Result<(), TestCaseError> {
    prop_assert!((from..=to).contains(&lines.line), "line {} outside {from}..={to} for {value}", lines.line);
    match (value, &lines.below) {
        (Value::Object(entries), Below::Map(below)) => {
            prop_assert_eq!(entries.len(), below.len());
            entries.iter().try_for_each(|(key, value)| {
                let lines = lines.field(key).ok_or_else(|| TestCaseError::fail(format!("no line for {key:?}")))?;
                check_lines(value, lines, from, to)
            })
        }
        (Value::Array(elements), Below::List(below)) => {
            prop_assert_eq!(elements.len(), below.len());
            elements.iter().zip(below).try_for_each(|(value, lines)| check_lines(value, lines, lines.line, to))
        }
        (_, below) => {
            prop_assert_eq!(below, &Below::Nothing);
            Ok(())
        }
    }
}

fn round_trips(value: &Value, text: &str) -> Result<(), TestCaseError> {
    let node = one(text).map_err(|fault| TestCaseError::fail(format!("{fault:?} in {text}")))?;
    prop_assert_eq!(&node.value, value, "{}", text);
    let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX).max(1);
    check_lines(value, &node.lines, 1, lines)
}

proptest! {
    #[test]
    fn what_is_written_as_json_comes_back(value in arbitrary_json()) {
        round_trips(&value, &value.to_string())?;
        round_trips(&value, &serde_json::to_string_pretty(&value).expect("JSON prints"))?;
    }

    #[test]
    fn what_is_written_as_yaml_comes_back(value in arbitrary_json()) {
        let options = serde_saphyr::ser_options! { quote_all: true };
        round_trips(&value, &serde_saphyr::to_string_with_options(&value, options).expect("YAML prints"))?;
    }

    #[test]
    fn no_text_at_all_makes_the_reader_fail(text in "\\PC{0,60}|[-:{}\\[\\]&*!|>'\"%@`#, \n\ta-c0-9<]{0,80}") {
        let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX) + 1;
        for document in documents(&text) {
            match document {
                Ok(node) => check_lines(&node.value, &node.lines, 1, lines)?,
                Err(fault) => prop_assert!(fault.line <= lines, "{fault:?}"),
            }
        }
    }
}
