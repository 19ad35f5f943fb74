//! How places are spelled, found, and told apart.

use serde_json::json;

use super::*;

fn key(json: &str) -> MergeKey {
    MergeKey::parse(json).expect("the key is a JSON object")
}

fn fields(names: &[&str]) -> Vec<Step> {
    Path::of_fields(names).steps().to_vec()
}

#[test]
fn spelled_the_way_people_read_them() {
    let cases = [
        (vec![], "."),
        (fields(&["spec", "replicas"]), ".spec.replicas"),
        (fields(&["data", "app.yaml"]), ".data[\"app.yaml\"]"),
        (fields(&["metadata", "annotations", "a/b"]), ".metadata.annotations[\"a/b\"]"),
        (vec![Step::Field("containers".into()), Step::Key(key(r#"{"name":"api"}"#))], ".containers[name=api]"),
        (vec![Step::Key(key(r#"{"protocol":"TCP","containerPort":53}"#))], "[containerPort=53,protocol=TCP]"),
        (vec![Step::Value(json!("example.com/keep"))], "[=example.com/keep]"),
    ];
    for (steps, spelled) in cases {
        assert_eq!(Path::new(steps).to_string(), spelled);
    }
}

/// Text that looks like something else is quoted.
#[test]
fn no_two_spelled_alike() {
    let values = [json!("1"), json!(1), json!("true"), json!(true), json!("a]"), json!("a"), json!(""), json!("a,b=c")];
    let spelled: std::collections::BTreeSet<_> =
        values.iter().map(|value| Step::Value(value.clone()).to_string()).collect();
    assert_eq!(spelled.len(), values.len(), "{spelled:?}");
}

#[test]
fn pointers_look_positions_up_and_escape() {
    let object = json!({"a/b~c": [{"name": "x"}, {"name": "y", "v": 1}]});
    let path = Path::new(vec![Step::Field("a/b~c".into()), Step::Key(key(r#"{"name":"y"}"#)), Step::Field("v".into())]);
    assert_eq!(path.pointer_in(&object).as_deref(), Some("/a~1b~0c/1/v"));
    assert_eq!(path.find(&object), Some(&json!(1)));
    assert_eq!(path.pointer_in(&json!({})), None);
}

#[test]
fn an_unsaid_protocol_is_nobody_elses() {
    let ports = [json!({"containerPort": 53}), json!({"containerPort": 53, "protocol": "UDP"})];
    let position = |json| key(json).position_as_written(&ports);
    assert_eq!(position(r#"{"containerPort":53,"protocol":"TCP"}"#), Some(0));
    assert_eq!(position(r#"{"containerPort":53,"protocol":"UDP"}"#), Some(1));
    assert_eq!(position(r#"{"containerPort":80,"protocol":"TCP"}"#), None);
}

#[test]
fn all_of_a_key_that_is_there_twice() {
    let object = json!({"env": [{"name": "A", "value": 1}, {"name": "B"}, {"name": "A", "value": 2}]});
    let path = Path::new(vec![Step::Field("env".into()), Step::Key(key(r#"{"name":"A"}"#))]);
    assert_eq!(path.find_all(&object).len(), 2);
}
