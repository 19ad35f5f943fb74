//! Defaults, and the settings that would quietly disarm the guard.

use serde_json::{Value, json};

use super::*;

fn policy(spec: Value) -> Result<Policy, Vec<FieldError>> {
    let spec = serde_json::from_value(spec).expect("the fixture follows the schema");
    Policy::try_from(&DriftPolicy::new(POLICY_NAME, spec))
}

#[test]
fn an_empty_policy_means_the_same_as_none() {
    assert_eq!(policy(json!({})), Ok(Policy::default()));
}

#[test]
fn observing_is_asked_for() {
    let observes = |spec| policy(spec).map(|policy| policy.observe_only);
    assert_eq!(observes(json!({"observeOnly": true})), Ok(true));
    assert_eq!(observes(json!({})), Ok(false));
}

#[test]
fn exempting_everyone_is_refused() {
    for glob in ["*", "**", "system:authenticated", "system:serviceaccounts"] {
        assert!(policy(json!({"controllers": [glob]})).is_err(), "{glob}");
    }
    assert!(policy(json!({"controllers": ["system:serviceaccount:istio-system:*"]})).is_ok());
}

#[test]
fn the_usual_break_glass_fits_into_the_longest() {
    let faults = policy(json!({"breakGlass": {"maxDuration": "10m"}})).expect_err("30m by default");
    assert_eq!(faults[0].field, "spec.breakGlass.defaultDuration");
}

#[test]
fn another_name_is_refused_because_it_would_have_no_effect() {
    let faults =
        Policy::try_from(&DriftPolicy::new("strict", DriftPolicySpec::default())).expect_err("not the default");
    assert_eq!(faults[0].field, "metadata.name");
}
