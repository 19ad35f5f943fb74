//! Which edits loosen, and which do not.

use serde_json::json;

use super::*;

fn sync(change: &Value) -> GitSyncSpec {
    let mut spec = json!({"source": {"repoURL": "https://a/b.git"}, "destination": {"namespace": "shop"}});
    json_patch::merge(&mut spec, change);
    serde_json::from_value(spec).expect("a spec")
}

fn policy(spec: Value) -> DriftPolicySpec {
    serde_json::from_value(spec).expect("a spec")
}

fn fields(found: &[Loosened]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_sync_is_loosened_one_way_and_tightened_the_other() {
    let cases = [
        (json!({"admission": {"mode": "Off"}}), "spec.admission.mode: Deny → Off"),
        (json!({"admission": {"mode": "Annotate"}}), "spec.admission.mode: Deny → Annotate"),
        (json!({"admission": {"undeclared": "Allow"}}), "spec.admission.undeclared: Deny → Allow"),
        (json!({"syncPolicy": {"automated": {"selfHeal": false}}}), "spec.syncPolicy.automated.selfHeal: true → false"),
        (
            json!({"ignoreDifferences": [{"kind": "Deployment"}]}),
            r#"spec.ignoreDifferences: nothing → {"kind":"Deployment"}"#,
        ),
    ];
    for (change, said) in cases {
        assert_eq!(fields(&of_sync(&sync(&json!({})), &sync(&change))), [said]);
        assert_eq!(fields(&of_sync(&sync(&change), &sync(&json!({})))), Vec::<String>::new(), "back: {said}");
    }
    let moved = of_sync(&sync(&json!({})), &sync(&json!({"source": {"path": "empty"}})));
    assert_eq!(fields(&moved), ["spec.source.path: . → empty"]);
    let account = |name: &str| sync(&json!({"serviceAccountName": name}));
    assert_eq!(fields(&of_sync(&account("shop"), &sync(&json!({})))), ["spec.serviceAccountName: shop → none"]);
    assert_eq!(fields(&of_sync(&account("shop"), &account("admin"))), ["spec.serviceAccountName: shop → admin"]);
    assert_eq!(fields(&of_sync(&sync(&json!({})), &account("shop"))), Vec::<String>::new());
    let faster = of_sync(&sync(&json!({})), &sync(&json!({"source": {"interval": "1s"}})));
    assert_eq!(fields(&faster), Vec::<String>::new());
}

#[test]
fn a_policy_is_loosened_one_way_and_tightened_the_other() {
    let cases = [
        (json!({}), json!({"controllers": ["ci-*"]}), "spec.controllers: nothing → ci-*"),
        (json!({}), json!({"breakGlass": {"maxDuration": "5h"}}), "spec.breakGlass.maxDuration: 4h → 5h"),
        (
            json!({"interactiveManagers": ["k9s*", "curl"]}),
            json!({"interactiveManagers": ["curl"]}),
            "spec.interactiveManagers: k9s* → nothing",
        ),
        (json!({"presets": {"hpa": false}}), json!({}), "spec.presets.hpa: false → true"),
    ];
    for (old, new, said) in cases {
        assert_eq!(fields(&of_policy(&policy(old.clone()), &policy(new.clone()))), [said]);
        assert_eq!(fields(&of_policy(&policy(new), &policy(old))), Vec::<String>::new(), "back: {said}");
    }
}

#[test]
fn a_pause_is_one_until_it_ends_sooner() {
    let pause = |reason: &str, until: &str| Suspend { reason: reason.to_owned(), until: until.to_owned() };
    let (short, long) = (pause("INC-1", "2026-12-01T10:00:00Z"), pause("INC-1", "2026-12-01T11:00:00Z"));
    assert!(pauses(None, Some(&short)).is_some() && pauses(Some(&short), Some(&long)).is_some());
    assert!(pauses(Some(&short), Some(&pause("INC-2", "2026-12-01T10:00:00Z"))).is_some(), "another reason");
    assert!(pauses(Some(&long), Some(&short)).is_none() && pauses(Some(&long), Some(&long)).is_none());
    assert!(pauses(Some(&long), None).is_none());
}
