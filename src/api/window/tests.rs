//! What is accepted, and the words with which the rest is refused.

use serde_json::{Value, json};

use super::*;
use crate::api::{DriftPolicy, DriftPolicySpec, FieldError, GitSync, Policy, SyncPlan};

fn typed(change: &Value) -> Value {
    let mut window = json!({"kind": "deny", "schedule": "0 8 * * 1-5", "duration": "10h", "timeZone": "Europe/London", "applies": ["sync"]});
    json_patch::merge(&mut window, change);
    window
}

fn plan(windows: &Value) -> Result<SyncPlan, Vec<FieldError>> {
    let sync: GitSync = serde_json::from_value(json!({
        "apiVersion": "holdfast.dev/v1alpha1", "kind": "GitSync", "metadata": {"name": "api"},
        "spec": {"source": {"repoURL": "https://a/b.git"}, "destination": {"namespace": "shop"}, "syncWindows": windows},
    }))
    .expect("the fixture follows the schema");
    SyncPlan::try_from(&sync)
}

fn fault(windows: &Value) -> String {
    let faults = plan(windows).expect_err("must be refused");
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].to_string()
}

#[test]
fn a_window_means_what_it_says() {
    let windows =
        plan(&json!([typed(&json!({"applies": ["heal", "sync"], "manualSync": true}))])).expect("valid").windows;
    assert_eq!(windows[0].to_string(), "spec.syncWindows[0] (deny \"0 8 * * 1-5\" for 10h Europe/London)");
    assert_eq!(windows[0].applies, [Action::Sync, Action::Heal].into());
    assert!(windows[0].manual && windows[0].is_on("2026-07-01T07:00:00Z".parse().expect("a time")));
}

#[test]
fn what_cannot_run_is_refused_with_a_remedy() {
    let refused = |change| fault(&json!([typed(&change)]));
    insta::assert_snapshot!(refused(json!({"schedule": "0 25 * * *"})),
        @r#"spec.syncWindows[0].schedule: "0 25 * * *" has "25" as hour, which is not within 0-23; write five fields as in cron, such as "0 8 * * 1-5" for eight o'clock on weekdays"#);
    insta::assert_snapshot!(refused(json!({"timeZone": "Europe/Londn"})),
        @r#"spec.syncWindows[0].timeZone: "Europe/Londn" is not a time zone; write an IANA name such as Europe/London, or UTC"#);
    insta::assert_snapshot!(refused(json!({"duration": "0s"})),
        @r#"spec.syncWindows[0].duration: "0s" is no time at all; write a duration such as 30s, 2m or 1h30m"#);
    insta::assert_snapshot!(refused(json!({"applies": []})),
        @"spec.syncWindows[0].applies: is empty; name at least one of sync, heal and prune");
    insta::assert_snapshot!(fault(&json!([typed(&json!({})), typed(&json!({}))])),
        @"spec.syncWindows[1]: is there twice; leave one of the two");
}

#[test]
fn what_never_opens_is_refused() {
    insta::assert_snapshot!(fault(&json!([typed(&json!({"schedule": "* * * * *", "timeZone": "UTC"}))])),
        @r#"spec.syncWindows: never lets it sync: spec.syncWindows[0] (deny "* * * * *" for 10h UTC) is on, or off, for ever; shorten what denies, or widen what allows; to stop for a while use spec.suspend"#);
    let never = json!({"kind": "allow", "schedule": "0 0 31 2 *", "applies": ["heal"]});
    assert!(fault(&json!([typed(&never)])).contains("never lets it heal"));
    let cancelled = json!([typed(&json!({"kind": "allow"})), typed(&json!({"duration": "11h"}))]);
    assert!(fault(&cancelled).contains("does not let it sync within the next 1000 times"));
}

#[test]
fn a_window_of_the_policy_is_for_whom_it_selects() {
    let mut window = typed(&json!({"namespaces": ["team-*"], "names": ["shop", "api*"]}));
    window["labelSelector"] = json!({"matchLabels": {"tier": "prod"}});
    let policy = |window: &Value| {
        let spec: DriftPolicySpec = serde_json::from_value(json!({"syncWindows": [window]})).expect("a spec");
        Policy::try_from(&DriftPolicy::new("default", spec))
    };
    let read = policy(&window).expect("valid").windows;
    let prod: BTreeMap<_, _> = [("tier".to_owned(), "prod".to_owned())].into();
    assert!(read[0].selects("team-a", "api-2", Some(&prod)));
    assert!(!read[0].selects("other", "api-2", Some(&prod)) && !read[0].selects("team-a", "web", Some(&prod)));
    assert!(!read[0].selects("team-a", "shop", None));
    assert!(policy(&typed(&json!({}))).expect("valid").windows[0].selects("any", "thing", None));
    assert!(read[0].window.to_string().starts_with("spec.syncWindows[0] of DriftPolicy default (deny"));
    let never = policy(&typed(&json!({"duration": "168h", "schedule": "0 0 * * 1", "timeZone": "UTC"})))
        .expect_err("never opens");
    assert_eq!(never[0].field, "spec.syncWindows[0]");
}
