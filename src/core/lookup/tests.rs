//! Whatever the length of a list, a lookup finds what a search from its start would find.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Children, Found, LONG, Lookup};
use crate::core::path::{MergeKey, Step};

/// Elements that often have a key twice, leave a key field out, or write a number as a fraction.
fn element() -> impl Strategy<Value = Value> {
    let port = prop_oneof![Just(None), (0..9_i64).prop_map(|port| Some(json!(port))), Just(Some(json!(0.0)))];
    let protocol = prop_oneof![Just(None), Just(Some("TCP")), Just(Some("UDP"))];
    (port, protocol, any::<bool>()).prop_map(|(port, protocol, more)| {
        let mut element = json!({"more": more});
        if let Some(port) = port {
            element["port"] = port;
        }
        if let Some(protocol) = protocol {
            element["protocol"] = protocol.into();
        }
        element
    })
}

fn key() -> impl Strategy<Value = MergeKey> {
    let protocol = prop_oneof![Just("TCP"), Just("UDP")];
    (0..9_i64, protocol).prop_map(|(port, protocol)| {
        MergeKey::parse(&json!({"port": port, "protocol": protocol}).to_string()).expect("an object is a key")
    })
}

proptest! {
    #[test]
    fn finds_what_a_search_finds(list in vec(element(), 0..3 * LONG), keys in vec(key(), 1..20)) {
        let lookup = Lookup::new(&list);
        for key in &keys {
            let all: Vec<_> = list.iter().filter(|element| key.matches(element)).collect();
            let expected = match all.as_slice() {
                [] => Found::Nowhere,
                [one] => Found::Once(one),
                _ => Found::Often(all.clone()),
            };
            prop_assert_eq!(lookup.find_all(key), expected);
            prop_assert_eq!(lookup.find(key).is_some(), !all.is_empty());
            prop_assert!(lookup.find(key).is_none_or(|found| key.matches(found)));
            let as_written = lookup.find_as_written(key).map(|(position, _)| position);
            prop_assert_eq!(as_written, key.position_as_written(&list));
        }
    }

    #[test]
    fn members_too(list in vec(0..200_i64, 0..3 * LONG), wanted in 0..200_i64) {
        let set = Value::from(list.clone());
        let found = Children::of(&set).find(&Step::Value(wanted.into()));
        prop_assert_eq!(found.is_some(), list.contains(&wanted));
        prop_assert_eq!(Lookup::of(Some(&set)).contains(&wanted.into()), list.contains(&wanted));
    }
}

#[test]
fn what_is_no_list_has_no_elements() {
    let key = MergeKey::parse(r#"{"name":"a"}"#).expect("an object is a key");
    for value in [Value::Null, json!({"name": "a"}), json!("a")] {
        assert_eq!(Lookup::of(Some(&value)).find(&key), None);
        assert_eq!(Lookup::of(Some(&value)).find_all(&key), Found::Nowhere);
    }
}
