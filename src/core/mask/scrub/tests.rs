//! However a value is repeated, it is not.

use serde_json::{Value, json};

use super::*;

fn secret() -> ObjectKey {
    ObjectKey { group: String::new(), kind: "Secret".into(), namespace: Some("prod".into()), name: "db".into() }
}

fn scrubbed(sent: &Value, text: &str) -> String {
    scrub(&secret(), Some(sent), text)
}

#[test]
fn encoded_decoded_and_in_other_alphabets() {
    let sent = json!({"data": {"a": "c28/Pn5+c2VjcmV0Pz8+"}}); // so?>~~secret??>
    for text in [
        "it said c28/Pn5+c2VjcmV0Pz8+ to me",
        "it said so?>~~secret??> to me",
        "it said c28_Pn5-c2VjcmV0Pz8- to me",
        "it said so%3F%3E~~secret%3F%3F%3E to me",
    ] {
        assert_eq!(scrubbed(&sent, text), "it said <hidden> to me", "{text}");
    }
}

#[test]
fn text_is_found_encoded_as_well() {
    let sent = json!({"stringData": {"a": "hunter2!"}});
    assert_eq!(scrubbed(&sent, "aHVudGVyMiE= and aHVudGVyMiE"), "<hidden> and <hidden>");
}

#[test]
fn in_quotes_and_in_quotes_within_quotes() {
    let sent = json!({"stringData": {"a": "pass\"word\\1"}});
    let once = json!({"a": "pass\"word\\1"}).to_string();
    let twice = json!({ "b": once }).to_string();
    assert_eq!(scrubbed(&sent, &once), r#"{"a":"<hidden>"}"#);
    assert_eq!(scrubbed(&sent, &twice), r#"{"b":"{\"a\":\"<hidden>\"}"}"#);
}

#[test]
fn lines_of_a_key_file() {
    let sent = json!({"stringData": {"key": "-----BEGIN-----\nMIIEvQIBADANBg\n-----END-----\n"}});
    assert_eq!(scrubbed(&sent, "bad line MIIEvQIBADANBg"), "bad line <hidden>");
}

#[test]
fn short_values_only_in_quotes() {
    let sent = json!({"stringData": {"pin": "a", "n": 7}});
    let said = scrubbed(&sent, r#"a pin of "a", 'a' or \"a\" or "7" is a bad one"#);
    assert_eq!(said, r#"a pin of "<hidden>", '<hidden>' or \"<hidden>\" or "<hidden>" is a bad one"#);
}

#[test]
fn what_the_api_server_repeats_is_not_even_looked_at() {
    let cases = [
        (r#"data[x]: Invalid value: "unknown \"to\" us": too long"#, "data[x]: Invalid value: <hidden>: too long"),
        ("type: Unsupported value: {1 2}: supported: 3", "type: Unsupported value: <hidden>: supported: 3"),
        (
            r#"a: Invalid value: "b", c: Duplicate value: "d""#,
            "a: Invalid value: <hidden>, c: Duplicate value: <hidden>",
        ),
        (r#"Invalid value: "never closed"#, "Invalid value: <hidden>"),
    ];
    for (said, shown) in cases {
        assert_eq!(scrubbed(&json!({}), said), shown);
    }
}

#[test]
fn what_a_webhook_says_of_values_nobody_knows_is_not_repeated() {
    let said = r#"admission webhook "weak.example.com" denied the request: hunter2 is weak"#;
    let shown = r#"admission webhook "weak.example.com" denied the request: <hidden>"#;
    assert_eq!(scrub(&secret(), None, said), shown);
    assert_eq!(scrub(&secret(), None, "the server is busy"), "the server is busy");
}

#[test]
fn annotations_are_values() {
    let sent = json!({"metadata": {"annotations": {"note": "the old one was hunter1"}}});
    assert_eq!(scrubbed(&sent, "note: the old one was hunter1."), "note: <hidden>.");
}

#[test]
fn other_kinds_may_be_quoted() {
    let config = ObjectKey { kind: "ConfigMap".into(), ..secret() };
    let text = r#"Invalid value: "visible""#;
    assert_eq!(scrub(&config, Some(&json!({"data": {"a": "visible"}})), text), text);
}

#[test]
fn base64_there_and_back() {
    for text in ["", "a", "ab", "abc", "abcd", "ü€𝄞"] {
        assert_eq!(decode(&encode(text.as_bytes())).as_deref(), Some(text.as_bytes()), "{text}");
    }
    assert_eq!(encode(b"hunter2"), "aHVudGVyMg==");
    assert_eq!(decode("not base64!"), None);
}
