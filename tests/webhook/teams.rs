//! Whose edits there are, and of whose objects: in records, audit annotations and counts.

use holdfast::core::snapshot::Mode;
use serde_json::{Value, json};

use crate::desk::{Desk, review};

fn teams() -> Value {
    json!({
        "people": [{"groups": ["oidc:team-*"]}, {"groups": ["sre"], "team": "platform"}],
        "objects": [{"label": "team"}, {"namespaceLabel": "team"}, {"gitSyncLabel": "team"}],
    })
}

fn edit_by(groups: &[&str]) -> Value {
    review(|request| request["userInfo"] = json!({"username": "alice", "groups": groups}))
}

fn observing(namespaces: &Value, syncs: &Value) -> Desk {
    let desk = Desk::new(Mode::Deny);
    desk.observe(true);
    desk.teams(&teams(), namespaces, syncs);
    desk
}

#[tokio::test]
async fn who_would_have_been_refused_is_counted_by_team() {
    let desk = observing(&json!({"shop": {"team": "shop"}}), &json!({}));
    for (groups, team) in [
        (&["system:authenticated", "oidc:team-pay"][..], json!("pay")),
        (&["sre"], json!("platform")),
        (&["system:authenticated"], Value::Null),
    ] {
        let answer = desk.ask("/validate", &edit_by(groups)).await;
        assert_eq!(answer["allowed"], true);
        assert_eq!(answer["auditAnnotations"]["team"], team);
    }
    let records = desk.records().await;
    let told: Vec<_> = records.iter().map(|record| (&record["by"]["team"], &record["team"])).collect();
    let shop = json!("shop");
    assert_eq!(told, [(&json!("pay"), &shop), (&json!("platform"), &shop), (&Value::Null, &shop)]);
    let page = desk.metrics();
    for team in ["pay", "platform", "shop"] {
        let line = format!(r#"holdfast_would_deny_total{{gitsync="holdfast-system/shop",team="{team}"}} 1"#);
        assert!(page.contains(&line), "there is no {line} in {page}");
    }
}

#[tokio::test]
async fn an_object_is_of_its_sync_s_team_where_nothing_else_says() {
    let desk = observing(&json!({}), &json!({"holdfast-system/shop": {"team": "delivery"}}));
    desk.ask("/validate", &edit_by(&[])).await;
    let record = desk.records().await.remove(0);
    assert_eq!((&record["team"], &record["by"]["team"]), (&json!("delivery"), &Value::Null));
}

#[tokio::test]
async fn without_rules_nobody_has_a_team() {
    let desk = Desk::new(Mode::Deny);
    let answer = desk.ask("/validate", &edit_by(&["oidc:team-pay"])).await;
    assert!(answer["allowed"] == false && answer["auditAnnotations"]["team"].is_null());
    let record = desk.records().await.remove(0);
    assert!(record["team"].is_null() && record["by"]["team"].is_null(), "{record}");
}
