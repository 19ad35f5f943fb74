//! What is read as a rule, and the words with which the rest is refused.

use serde_json::{Value, json};

use super::*;

fn rule(written: &Value) -> Result<Rule, Vec<String>> {
    let typed: IgnoreRule = serde_json::from_value(written.clone()).expect("the fixture follows the schema");
    let mut faults = Faults::default();
    let rule = typed.read("spec.ignoreDifferences[2]", "GitSync shop/web", &mut faults);
    faults.or(rule).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn fault(written: &Value) -> String {
    let faults = rule(written).expect_err("must be refused");
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

#[test]
fn pointers_of_rfc_6901_are_accepted() {
    for pointer in ["/spec/replicas", "/metadata/annotations/a.b~1c", "/a~0b", "/spec/containers/*/image", "/"] {
        assert!(rule(&json!({"jsonPointers": [pointer]})).is_ok(), "{pointer}");
    }
}

#[test]
fn a_rule_is_called_by_where_it_stands() {
    let rule = rule(&json!({"kind": "Deployment"})).expect("valid");
    assert_eq!(&*rule.called, "spec.ignoreDifferences[2] of GitSync shop/web");
    assert!(rule.is_whole());
}

#[test]
fn what_cannot_be_read_is_refused_with_the_field_the_value_and_the_remedy() {
    insta::assert_snapshot!(fault(&json!({"jsonPointers": ["/a", ".spec.replicas"]})),
        @r#"spec.ignoreDifferences[2].jsonPointers[1]: ".spec.replicas" does not start with '/'; write "/spec/replicas""#);
    insta::assert_snapshot!(fault(&json!({"jsonPointers": ["/a~2b"]})),
        @r#"spec.ignoreDifferences[2].jsonPointers[0]: "/a~2b" has a '~' that is neither ~0 nor ~1; in a JSON Pointer '~' is written ~0 and '/' inside a key is written ~1"#);
    insta::assert_snapshot!(fault(&json!({"fieldPaths": ["/spec/replicas"]})),
        @r#"spec.ignoreDifferences[2].fieldPaths[0]: "/spec/replicas" is not a field path: a step begins with "." or "[" at character 1; move it to jsonPointers"#);
    insta::assert_snapshot!(fault(&json!({"jqPathExpressions": ["def f: f; f"]})),
        @r#"spec.ignoreDifferences[2].jqPathExpressions[0]: "def f: f; f" is not a rule: it must not contain definitions; write paths and conditions, such as .webhooks[]? | select(.name == "a") | .clientConfig.caBundle"#);
    insta::assert_snapshot!(fault(&json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}})),
        @r#"spec.ignoreDifferences[2].labelSelector.matchExpressions[0].operator: "Is" is no operator; write In, NotIn, Exists or DoesNotExist"#);
    insta::assert_snapshot!(fault(&json!({"managedFieldsManagers": [" "]})),
        @"spec.ignoreDifferences[2].managedFieldsManagers[0]: is empty; write a field manager or a glob");
}

#[test]
fn an_empty_pointer_is_refused() {
    assert!(fault(&json!({"jsonPointers": [""]})).contains("the whole object"));
}
