//! Whatever arrives, the webhook answers: never a panic, never a malformed 200, never "allow" for what it could not read.

use axum::http::StatusCode;
use holdfast::core::snapshot::Mode;
use proptest::prelude::*;
use serde_json::Value;

use crate::desk::{Desk, EDIT_REPLICAS};

/// A recorded review with something done to its text.
fn mutilated() -> impl Strategy<Value = Vec<u8>> {
    let body = EDIT_REPLICAS.as_bytes();
    let cut = (0..body.len()).prop_map(|end| body[..end].to_vec());
    let changed = (0..body.len(), any::<u8>()).prop_map(|(at, byte)| {
        let mut changed = body.to_vec();
        changed[at] = byte;
        changed
    });
    let spliced = (0..body.len(), 0..body.len(), prop::collection::vec(any::<u8>(), 0..8))
        .prop_map(|(a, b, middle)| [&body[..a.min(b)], &middle, &body[a.max(b)..]].concat());
    prop_oneof![cut, changed, spliced, prop::collection::vec(any::<u8>(), 0..512)]
}

/// A document of the right shape whose every value may be anything.
fn misshapen() -> impl Strategy<Value = Vec<u8>> {
    let anything = prop_oneof![
        Just("null"),
        Just("true"),
        Just("-1e400"),
        Just("\"\""),
        Just("\"\\u0000\\ud83d\\ude00\""),
        Just("[]"),
        Just("{}"),
        Just("[{}]"),
        Just("{\"name\":null}"),
        Just("{\"metadata\":{\"annotations\":{\"a\":1}}}"),
        Just("\"UPDATE\""),
        Just("\"scale\""),
        Just("{\"group\":\"apps\",\"kind\":\"Deployment\",\"resource\":\"deployments\"}"),
    ];
    let fields = [
        "uid",
        "kind",
        "resource",
        "subResource",
        "name",
        "namespace",
        "operation",
        "userInfo",
        "object",
        "oldObject",
        "dryRun",
        "options",
    ];
    prop::collection::vec(anything, fields.len()).prop_map(move |values| {
        let request: Vec<_> = fields.iter().zip(values).map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let request = request.join(",");
        format!(r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{{request}}}}}"#)
            .into_bytes()
    })
}

fn check(path: &str, body: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let answered = runtime.block_on(async { Desk::new(Mode::Deny).post(path, body.to_vec()).await });
    match answered.status {
        StatusCode::OK => {
            let answer: Value = serde_json::from_slice(&answered.body).expect("an answer is JSON");
            let uid = answer["response"]["uid"].as_str().expect("an answer says to what");
            // What nobody reads need not be JSON.
            let asked = serde_json::from_slice::<Value>(body).ok();
            assert!(asked.is_none_or(|asked| asked["request"]["uid"] == uid), "it answers another question: {uid}");
            assert!(answer["response"]["allowed"].is_boolean());
        }
        status => assert_eq!(status, StatusCode::BAD_REQUEST, "{}", String::from_utf8_lossy(&answered.body)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutilated_reviews_are_answered_or_refused(body in mutilated(), path in prop_oneof![Just("/validate"), Just("/mutate")]) {
        check(path, &body);
    }

    #[test]
    fn misshapen_reviews_are_answered_or_refused(body in misshapen(), path in prop_oneof![Just("/validate"), Just("/mutate"), Just("/validate/own")]) {
        check(path, &body);
    }
}
