//! Globs, pointers, and what they cover once they are resolved against a manifest.

use serde_json::json;

use super::*;
use crate::core::manifest::{Lines, Origin};
use crate::core::path::{MergeKey, Step};

#[test]
fn globs() {
    let matches = [
        ("", ""),
        ("*", ""),
        ("*", "x"),
        ("a*", "a"),
        ("a*c", "abc"),
        ("a*b*c", "a1b2c"),
        ("*-*", "a-b"),
        ("a**b", "ab"),
    ];
    for (pattern, text) in matches {
        assert!(glob(pattern, text), "{pattern} should match {text}");
    }
    let others = [("", "x"), ("a", "ab"), ("a*a", "a"), ("a*b*b", "ab"), ("*b", "ba"), ("a*bc*c", "abc")];
    for (pattern, text) in others {
        assert!(!glob(pattern, text), "{pattern} should not match {text}");
    }
}

#[test]
fn pointers_are_read_and_spelled_alike() {
    for text in ["/spec/replicas", "/a~1b/c~0d", "/spec/*/x", "/"] {
        assert_eq!(text.parse::<Pointer>().map(|pointer| pointer.to_string()).as_deref(), Ok(text));
    }
}

#[test]
fn what_is_no_pointer_is_refused_with_what_to_write() {
    let refused = |text: &str| text.parse::<Pointer>().expect_err("it is refused").to_string();
    insta::assert_snapshot!(refused("spec/replicas"), @r#""spec/replicas" is not a JSON pointer: it must start with "/" (RFC 6901), for example /spec/replicas"#);
    insta::assert_snapshot!(refused(""), @r#""" is not a JSON pointer: it must start with "/" (RFC 6901), for example /spec/replicas"#);
    insta::assert_snapshot!(refused("/a~b"), @r#""/a~b" is not a JSON pointer: "~" must be written "~0", and "/" inside a name "~1" (RFC 6901)"#);
    assert_eq!("/a~".parse::<Pointer>(), Err(BadPointer::BadEscape("/a~".to_owned())));
}

fn named(name: &str) -> Step {
    Step::Key(MergeKey::parse(&json!({ "name": name }).to_string()).expect("a key is an object"))
}

fn field(name: &str) -> Step {
    Step::Field(name.into())
}

fn excluding(pointer: &str) -> Exclusions {
    let value = json!({
        "apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"},
        "list": [{"name": "a", "sub": [{"name": "x"}, {"name": "y"}]}, {"name": "b", "sub": [{"name": "z"}]}],
        "set": ["one", "two"],
        "atomic": ["one", "two"],
        "map": {"0": 1},
    });
    let element = |below: Value| json!({"f:name": {}, "f:sub": below});
    let (x, y, z) = (json!({"f:name": {}}), json!({"f:name": {}}), json!({"f:name": {}}));
    let owned = json!({
        "f:list": {
            "k:{\"name\":\"a\"}": element(json!({"k:{\"name\":\"x\"}": x, "k:{\"name\":\"y\"}": y})),
            "k:{\"name\":\"b\"}": element(json!({"k:{\"name\":\"z\"}": z})),
        },
        "f:set": {"v:\"one\"": {}, "v:\"two\"": {}},
        "f:atomic": {},
        "f:map": {"f:0": {}},
    });
    let mut answer = value.clone();
    answer["metadata"]["managedFields"] = json!([{"manager": "holdfast", "operation": "Apply", "fieldsV1": owned}]);
    let origin = Origin { file: "a.yaml".into(), lines: Lines::leaf(1) };
    let manifest = Manifest { key: ObjectKey::of(&value).expect("it has an identity"), value, origin };
    let declaration = Declaration::read(&manifest, &answer).expect("our entry is there");
    let rule = Rule { pointers: vec![pointer.parse().expect("a pointer")], ..Rule::default() };
    Exclusions::resolve([rule].into(), &manifest, &declaration, &Surroundings::default())
}

#[test]
fn positions_mean_gits_elements() {
    let covers = |pointer, steps: &[Step]| excluding(pointer).cover(&Path::new(steps.to_vec()));
    let (a, b) = (named("a"), named("b"));
    assert!(covers("/list/0", &[field("list"), a.clone()]));
    assert!(covers("/list/0", &[field("list"), a.clone(), field("sub")]));
    assert!(!covers("/list/0", &[field("list"), b.clone()]));
    assert!(!covers("/list/9", &[field("list"), a.clone()]));
    assert!(covers("/list/*/v", &[field("list"), named("injected"), field("v")]));
    assert!(covers("/list/*/sub/0", &[field("list"), a.clone(), field("sub"), named("x")]));
    assert!(covers("/list/*/sub/0", &[field("list"), b, field("sub"), named("z")]));
    assert!(!covers("/list/*/sub/0", &[field("list"), a, field("sub"), named("y")]));
    assert!(covers("/set/1", &[field("set"), Step::Value(json!("two"))]));
    assert!(!covers("/set/1", &[field("set"), Step::Value(json!("one"))]));
    assert!(covers("/map/0", &[field("map"), field("0")]));
    let atomic = Path::new(vec![field("atomic")]);
    assert!(excluding("/atomic/1").reach_below(&atomic) && !excluding("/atomic/1").cover(&atomic));
}

#[test]
fn above_and_below() {
    let excluded = excluding("/map/x");
    assert!(excluded.reach_below(&Path::of_fields(&["map"])));
    assert!(!excluded.reach_below(&Path::of_fields(&["map", "x"])));
    assert!(!excluded.cover(&Path::of_fields(&["map"])));
    assert!(excluded.cover(&Path::of_fields(&["map", "x", "y"])));
}

#[test]
fn cluster_scoped_objects_are_in_no_namespace() {
    let anywhere = Selector { namespace: Some("*".to_owned()), ..Selector::default() };
    let key = |namespace: Option<&str>| ObjectKey {
        group: String::new(),
        kind: "Thing".into(),
        namespace: namespace.map(str::to_owned),
        name: "a".into(),
    };
    let none = LabelMap::new();
    let matches = |key| anywhere.matches(Subject { key: &key, labels: &none, namespace_labels: None });
    assert!(matches(key(Some("prod"))));
    assert!(!matches(key(None)));
}
