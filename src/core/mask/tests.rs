//! No value of a Secret is ever shown, however it got there.

use serde_json::json;

use super::*;
use crate::core::path::Step;

const VALUE: &str = "aHVudGVyMg==";

fn secret() -> ObjectKey {
    ObjectKey { group: String::new(), kind: "Secret".into(), namespace: Some("prod".into()), name: "db".into() }
}

fn text(object: &ObjectKey, path: Path, value: &Value) -> String {
    let deviation =
        Deviation { path, kind: Kind::Changed, git: Some(value.clone()), live: Some(value.clone()), line: None };
    serde_json::to_string(&show(object, &[deviation])).expect("what is shown is plain text")
}

#[test]
fn nothing_of_a_secret_is_shown() {
    let applied = "kubectl.kubernetes.io/last-applied-configuration";
    let places: [(&[&str], Value); 7] = [
        (&["data", "password"], json!(VALUE)),
        (&["data"], json!({"password": VALUE})),
        (&["stringData", "password"], json!(VALUE)),
        (&["metadata", "annotations", applied], json!(format!("{{\"data\":\"{VALUE}\"}}"))),
        (&["metadata", "annotations"], json!({applied: VALUE})),
        (&["metadata"], json!({"annotations": {applied: VALUE}})),
        (&[], json!({"data": {"password": VALUE}})),
    ];
    for (fields, value) in places {
        let shown = text(&secret(), Path::of_fields(fields), &value);
        assert!(!shown.contains(VALUE), "{shown}");
    }
}

#[test]
fn what_a_secret_is_called_and_labelled_is_no_secret() {
    let shown = text(&secret(), Path::of_fields(&["metadata", "labels", "team"]), &json!("shop"));
    assert!(shown.contains("shop"), "{shown}");
    let shown = text(&secret(), Path::of_fields(&["data", "password"]), &json!(VALUE));
    assert!(shown.contains(".data.password"), "{shown}");
}

/// A custom resource may be called Secret; it is not ours to hide.
#[test]
fn only_the_core_kind_is_hidden() {
    let other = ObjectKey { group: "example.com".into(), ..secret() };
    assert!(text(&other, Path::new(vec![Step::Field("data".into())]), &json!(VALUE)).contains(VALUE));
}

#[test]
fn long_values_are_cut_between_characters() {
    let config = ObjectKey { kind: "ConfigMap".into(), ..secret() };
    let shown = text(&config, Path::of_fields(&["data", "a"]), &json!("ü".repeat(500)));
    assert!(shown.contains("… (502 characters)"), "{shown}");
}

#[test]
fn equal_secrets_look_equal_and_different_ones_differ() {
    let key = secret();
    let mut mask = Mask::new(&key);
    let git = json!({"kind": "Secret", "metadata": {"name": "db", "annotations": {"a": "cw=="}},
                     "data": {"password": "cw==", "user": "dQ=="}});
    let shown = mask.value(&Path::default(), &git);
    assert_eq!((&shown["kind"], &shown["metadata"]["name"]), (&json!("Secret"), &json!("db")));
    let password = Path::of_fields(&["data", "password"]);
    assert_eq!(mask.value(&password, &json!("cw==")), shown["data"]["password"]);
    assert_eq!(shown["data"]["password"], shown["metadata"]["annotations"]["a"]);
    assert_ne!(shown["data"]["password"], shown["data"]["user"]);
    assert_ne!(mask.value(&password, &json!("bmV3")), shown["data"]["password"]);
}

#[test]
fn whole_maps_are_hidden_value_by_value() {
    let key = secret();
    let shown = Mask::new(&key).value(&Path::of_fields(&["data"]), &json!({"a": "eA==", "b": null}));
    assert_eq!(shown, json!({"a": "<hidden 1>", "b": null}));
}

#[test]
fn deviations_can_be_compared_under_one_mask() {
    let deviation = |name: &str, git: &str, live: &str| Deviation {
        path: Path::of_fields(&["data", name]),
        kind: Kind::Changed,
        git: Some(json!(git)),
        live: Some(json!(live)),
        line: None,
    };
    let shown = show(&secret(), &[deviation("a", "eA==", "eQ=="), deviation("b", "eQ==", "eg==")]);
    assert_eq!(shown[0].live, shown[1].git);
    assert!(
        shown[0].git != shown[0].live && shown[1].git != shown[1].live && shown[0].git != shown[1].live,
        "{shown:?}"
    );
}

/// It may be cut off, no JSON at all, or on an object that is no Secret.
#[test]
fn a_copy_of_an_object_is_hidden_wherever_it_is() {
    let config = ObjectKey { kind: "ConfigMap".into(), ..secret() };
    let list = r#"{"kind":"List","items":[{"kind":"Secret","data":{"a":"aHVudGVyMg=="}}]}"#;
    for copy in [list, &list[..60], "hunter2 aHVudGVyMg==", ""] {
        for (at, value) in [
            (&["metadata", "annotations", LAST_APPLIED][..], json!(copy)),
            (&["metadata", "annotations"], json!({LAST_APPLIED: copy, "team": "shop"})),
            (&["spec", "template", "metadata", "annotations", LAST_APPLIED], json!(copy)),
            (&[], json!({"metadata": {"annotations": {LAST_APPLIED: copy}}})),
        ] {
            let shown = text(&config, Path::of_fields(at), &value);
            assert!(!shown.contains("aHVu") && !shown.contains("hunter2"), "{shown}");
        }
    }
    let shown = text(&config, Path::of_fields(&["metadata", "annotations"]), &json!({"team": "shop"}));
    assert!(shown.contains("shop"), "{shown}");
}
