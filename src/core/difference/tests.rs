//! What is left of two sections, and that nobody is misled by it. (That no judgement is: `tests/agree.rs`.)

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::core::value::Frozen;

fn node(shape: Shape) -> Node {
    Node { line: 1, shape, empties: false }
}

/// `replicas`, and of a template two fields: one that is compared whole, and one whose fields are declared.
fn declared() -> Node {
    let fields = |fields: &[(&str, Shape)]| {
        let fields = fields.iter().map(|(name, shape)| (Arc::from(*name), node(shape.clone())));
        Shape::Fields(fields.collect())
    };
    let leaf = |value: Value| Shape::Leaf(Frozen::from(&value));
    let template = fields(&[("labels", fields(&[("app", leaf(json!("a")))])), ("selector", leaf(json!({"a": 1})))]);
    node(fields(&[("replicas", leaf(json!(3))), ("template", template)]))
}

fn parsed(declared: Option<&Node>, old: &str, new: &str) -> [Value; 2] {
    let new = Outline::of(new, None);
    parse(declared, &Outline::of(old, Some(&new)), &new).expect("JSON")
}

#[test]
fn what_is_equal_is_left_out_on_both_sides() {
    let old = r#"{"replicas":3,"paused":true,"template":{"labels":{"app":"a","x":"1"},"selector":{"a":1}}}"#;
    let new = r#"{"replicas":5,"template":{"labels":{"app":"a","x":"2"},"selector":{"a":1}},"more":{}}"#;
    let [before, after] = parsed(Some(&declared()), old, new);
    assert_eq!(before, json!({"replicas": 3, "paused": true, "template": {"labels": {"x": "1"}}}));
    assert_eq!(after, json!({"replicas": 5, "template": {"labels": {"x": "2"}}, "more": {}}));
}

#[test]
fn what_is_compared_or_shown_whole_stays_whole() {
    let old = r#"{"template":{"selector":{"a":1,"b":2}},"undeclared":{"a":1,"b":2}}"#;
    let new = r#"{"template":{"selector":{"a":1,"b":3}},"undeclared":{"a":1,"b":3}}"#;
    let whole = |text| serde_json::from_str::<Value>(text).expect("JSON");
    assert_eq!(parsed(Some(&declared()), old, new), [whole(old), whole(new)]);
    assert_eq!(parsed(None, r#"{"a":1,"b":1}"#, r#"{"a":1}"#), [json!({"a": 1, "b": 1}), json!({"a": 1})]);
}

/// Which of the two counts is not for the text to say.
#[test]
fn a_name_that_is_there_twice_leaves_nothing_out() {
    let (old, new) = (r#"{"replicas":3,"a":1}"#, r#"{"replicas":5,"a":1,"replicas":3}"#);
    assert_eq!(parsed(Some(&declared()), old, new), [json!({"replicas": 3, "a": 1}), json!({"replicas": 3, "a": 1})]);
}

#[test]
fn what_cannot_be_held_is_an_error_unless_it_is_equal() {
    let deep = format!(r#"{{"replicas":5,"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let shallow = r#"{"replicas":5,"a":[]}"#;
    let of = |old, new| parse(Some(&declared()), &Outline::of(old, None), &Outline::of(new, None));
    assert!(of(&deep, shallow).is_err() && of(shallow, &deep).is_err());
    assert!(of(&deep, &deep.replace('5', "6")).is_ok());
}
