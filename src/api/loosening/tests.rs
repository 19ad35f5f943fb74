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

#[test]
fn a_rollback_is_one_until_it_ends_sooner() {
    let rollback = |revision: &str, reason: &str, until: &str| Rollback {
        revision: revision.to_owned(),
        reason: reason.to_owned(),
        until: until.to_owned(),
    };
    let (short, long) =
        (rollback("v1", "INC-1", "2026-12-01T10:00:00Z"), rollback("v1", "INC-1", "2026-12-01T11:00:00Z"));
    let said = rolls_back(None, Some(&short)).expect("one").to_string();
    assert_eq!(said, "spec.rollback: nothing → v1 until 2026-12-01T10:00:00Z (INC-1)");
    assert!(rolls_back(Some(&short), Some(&long)).is_some(), "a later end");
    assert!(rolls_back(Some(&short), Some(&rollback("v1", "INC-2", &short.until))).is_some(), "another reason");
    assert!(rolls_back(Some(&short), Some(&rollback("v0", "INC-1", &short.until))).is_some(), "another commit");
    assert!(rolls_back(Some(&long), Some(&short)).is_none() && rolls_back(Some(&long), Some(&long)).is_none());
    assert!(rolls_back(Some(&long), None).is_none());
}

#[test]
fn windows_loosen_where_drift_stays_or_changes_get_through() {
    let window = |kind: &str, applies: &str| json!({"kind": kind, "schedule": "0 8 * * *", "duration": "1h", "timeZone": "UTC", "applies": [applies], "manualSync": false});
    let loosens = |old: &[&Value], new: &[&Value]| {
        let [old, new] = [old, new].map(|windows| sync(&json!({"syncWindows": windows})));
        !of_sync(&old, &new).is_empty()
    };
    for (kind, applies, adding, removing) in [
        ("deny", "heal", true, false),
        ("deny", "sync", false, true),
        ("deny", "prune", false, true),
        ("allow", "heal", true, false),
        ("allow", "sync", false, true),
    ] {
        let one = window(kind, applies);
        assert_eq!(loosens(&[], &[&one]), adding, "adding {kind} {applies}");
        assert_eq!(loosens(&[&one], &[]), removing, "removing {kind} {applies}");
        assert!(!loosens(&[&one], &[&one]), "leaving {kind} {applies}");
    }
    // Beside one that allows, another opens more.
    for (applies, widens) in [("sync", true), ("heal", false)] {
        let (one, mut later) = (window("allow", applies), window("allow", applies));
        later["schedule"] = json!("0 9 * * *");
        assert_eq!(loosens(&[&one], &[&one, &later]), widens, "{applies}");
        assert_eq!(loosens(&[&one, &later], &[&one]), !widens, "{applies}");
    }
    // A freeze that may be gone around by hand is less of one.
    let (strict, mut lenient) = (window("deny", "sync"), window("deny", "sync"));
    lenient["manualSync"] = json!(true);
    assert!(loosens(&[&strict], &[&lenient]));
    let said = of_sync(&sync(&json!({})), &sync(&json!({"syncWindows": [window("deny", "heal")]})));
    assert!(said[0].to_string().starts_with(r#"spec.syncWindows: nothing → {"kind":"deny""#), "{}", said[0]);
}

#[test]
fn a_guard_is_loosened_one_way_and_tightened_the_other() {
    let with = |change: Value| {
        let mut guard = json!({
            "name": "flux", "managers": ["kustomize-controller"], "writers": ["flux"],
            "selector": {"labelSelector": {"matchLabels": {"a": "b"}}, "resources": ["configmaps", "secrets"]},
        });
        json_patch::merge(&mut guard, &change);
        policy(json!({"guards": [guard]}))
    };
    let cases = [
        (json!({"mode": "Warn"}), "spec.guards[flux].mode: Deny → Warn"),
        (json!({"writers": ["flux", "alice"]}), "spec.guards[flux].writers: nothing → alice"),
        (json!({"selector": {"resources": ["secrets"]}}), "spec.guards[flux].selector.resources: configmaps → nothing"),
        (json!({"selector": {"namespaces": ["shop"]}}), "spec.guards[flux].selector.namespaces: any → shop"),
        (json!({"selector": {"annotations": ["x"]}}), "spec.guards[flux].selector.annotations: nothing → x"),
    ];
    for (change, said) in cases {
        let (strict, loose) = (with(json!({})), with(change));
        assert_eq!(fields(&of_policy(&strict, &loose)), [said]);
        assert_eq!(fields(&of_policy(&loose, &strict)), Vec::<String>::new(), "back: {said}");
    }
    let (guarded, not) = (with(json!({})), policy(json!({})));
    assert_eq!(fields(&of_policy(&guarded, &not)), ["spec.guards[flux]: in force → nothing"]);
    assert_eq!(fields(&of_policy(&not, &guarded)), Vec::<String>::new());
    let managers = with(json!({"managers": ["kustomize-controller", "helm-controller"]}));
    assert_eq!(fields(&of_policy(&managers, &guarded)), ["spec.guards[flux].managers: helm-controller → nothing"]);
    let relabelled = with(json!({"selector": {"labelSelector": {"matchLabels": {"a": "c"}}}}));
    assert_eq!(of_policy(&guarded, &relabelled).len(), 1);
    let undeclared = with(json!({"undeclared": "Deny"}));
    assert_eq!(fields(&of_policy(&undeclared, &guarded)), ["spec.guards[flux].undeclared: Deny → Allow"]);
}
