//! What an explanation looks like, on paper and for programs.

use anstream::adapter::strip_str;
use serde_json::json;

use super::super::explanation::Case;
use super::super::testing::{deployment, drifted_deployment, identities, judging, live, secret};
use super::*;

#[test]
fn every_place_has_its_owner_and_its_verdict() {
    let (who, managed) = (identities(), deployment());
    let live = drifted_deployment();
    let case = Case { managed: &managed, live: Some(&live), judging: judging(&who) };
    insta::assert_snapshot!(strip_str(&table(&Explanation::of(&case))).to_string());
}

#[test]
fn in_an_emergency_drift_is_held_open() {
    let (who, managed) = (identities(), deployment());
    let mut live = drifted_deployment();
    live["metadata"]["annotations"] = json!({
        "holdfast.dev/break-glass": "INC-1: failover", "holdfast.dev/break-glass-by": "oncall",
        "holdfast.dev/break-glass-until": "2026-11-21T13:00:00Z",
    });
    let case = Case { managed: &managed, live: Some(&live), judging: judging(&who) };
    let explanation = Explanation::of(&case);
    assert!(explanation.summary.contains("break-glass open until 2026-11-21T13:00:00Z, by oncall: INC-1: failover"));
    assert!(explanation.fields.iter().any(|field| field.verdict == Verdict::BreakGlass));
    assert!(explanation.fields.iter().all(|field| field.verdict != Verdict::Drift));
}

#[test]
fn secrets_are_masked_here_too() {
    let (who, managed) = (identities(), secret());
    let mut live = live(&managed);
    live["data"]["user"] = json!("aHVudGVyMg==");
    let case = Case { managed: &managed, live: Some(&live), judging: judging(&who) };
    let explanation = Explanation::of(&case);
    let text = format!("{}{}", table(&explanation), json!(explanation));
    assert!(!text.contains("aHVudGVyMg") && !text.contains("c2hvcA"), "{text}");
    let field = |path: &str| explanation.fields.iter().find(|field| field.path.to_string() == path).expect("declared");
    assert_eq!(field(".data.user").live, field(".data.password").git, "equal values look equal");
    assert_ne!(field(".data.user").live, field(".data.user").git, "different ones differ");
}

#[test]
fn an_object_that_is_not_there_is_explained() {
    let (who, managed) = (identities(), deployment());
    let case = Case { managed: &managed, live: None, judging: judging(&who) };
    let explanation = Explanation::of(&case);
    assert_eq!(explanation.summary, "not in the cluster; it would be created");
    assert!(explanation.fields.iter().all(|field| field.live.is_none() && field.verdict != Verdict::InSync));
}

#[test]
fn programs_get_every_detail() {
    let (who, managed) = (identities(), deployment());
    let live = drifted_deployment();
    let case = Case { managed: &managed, live: Some(&live), judging: judging(&who) };
    let explanation = json!(Explanation::of(&case));
    assert_eq!(explanation["sync"], "holdfast-system/shop");
    assert_eq!(explanation["kind"], "Deployment");
    insta::assert_json_snapshot!(explanation["fields"][0]);
}
