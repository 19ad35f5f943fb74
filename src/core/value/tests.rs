//! Which values are one to the API server, and which only look alike.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
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

/// Values in which every shape, and every form of nothing, stands beside every other.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2..3_i64).prop_map(Value::from),
        Just(json!(1.0)),
        Just(json!(u64::MAX)),
        "[aé]?".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map("[ab]", inner, 0..3).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    /// To keep a value changes neither what it is nor what it is the same as.
    #[test]
    fn frozen_is_as_before(left in value(), right in value()) {
        let frozen = Frozen::from(&left);
        prop_assert_eq!(Value::from(&frozen), left.clone());
        prop_assert_eq!(frozen.same(&right), same(&left, &right));
        prop_assert!(frozen.same(&left));
        prop_assert_eq!(frozen.is_nothing(), is_nothing(Some(&left)));
    }
}
