//! Which values are one to the API server, and which only look alike.

use serde_json::json;

use super::*;

#[test]
fn alike() {
    let pairs = [
        (json!(null), json!([])),
        (json!({"a": null}), json!({})),
        (json!({"a": []}), json!({})),
        (json!(1), json!(1.0)),
        (json!([{"a": []}]), json!([{}])),
    ];
    for (left, right) in pairs {
        assert!(same(&left, &right) && same(&right, &left), "{left} is {right}");
    }
}

#[test]
fn not_alike() {
    let pairs = [
        (json!(null), json!({})),
        (json!([]), json!({})),
        (json!([]), json!([{}])),
        (json!({"a": {}}), json!({})),
        (json!("1"), json!(1)),
        (json!(false), json!(null)),
        (json!(i64::MAX), json!(i64::MAX - 1)),
        (json!(["a", "b"]), json!(["b", "a"])),
    ];
    for (left, right) in pairs {
        assert!(!same(&left, &right) && !same(&right, &left), "{left} is not {right}");
    }
}
