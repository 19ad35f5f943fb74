//! Globs, pointers, and what they cover once they are resolved against a manifest.

use serde_json::json;

use super::*;

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
    let manifest = json!({
        "list": [{"name": "a", "sub": [{"name": "x"}, {"name": "y"}]}, {"name": "b", "sub": [{"name": "z"}]}],
        "set": ["one", "two"],
        "map": {"0": 1},
    });
    let keys = |list: &[Step], element: &Value| {
        let _ = list;
        MergeKey::parse(&json!({"name": element.get("name")?}).to_string())
    };
    let rule = Rule { objects: Selector::default(), pointers: vec![pointer.parse().expect("a pointer")] };
    let key = ObjectKey { group: String::new(), kind: "Thing".into(), namespace: None, name: "a".into() };
    Exclusions::resolve([&rule], &key, &manifest, &keys)
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
    assert!(anywhere.matches(&key(Some("prod"))));
    assert!(!anywhere.matches(&key(None)));
}
