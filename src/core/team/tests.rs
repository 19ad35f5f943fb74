//! Who is of which team, and whose objects there are.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

fn user(name: &str, groups: &[&str]) -> User {
    User { name: name.to_owned(), groups: groups.iter().map(|&group| group.to_owned()).collect() }
}

fn members(users: &[&str], groups: &[&str], team: Option<&str>) -> Members {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    Members { users: owned(users), groups: owned(groups), team: team.map(str::to_owned) }
}

#[test]
fn the_first_rule_that_tells_a_team_is_believed() {
    let people = vec![
        members(&[], &["oidc:team-*", "system:serviceaccounts:team-*"], None),
        members(&["root"], &["sre*"], Some("platform")),
        members(&["*@shop.example"], &[], None),
    ];
    let teams = Teams { people, objects: Vec::new() };
    let ci = ["system:serviceaccounts", "system:serviceaccounts:team-ci"];
    let cases = [
        (user("alice", &["system:authenticated", "oidc:team-pay"]), Some("pay")),
        (user("alice", &["oidc:team-shop", "oidc:team-pay"]), Some("pay")),
        (user("alice", &["sre-eu", "oidc:team-pay"]), Some("pay")),
        (user("alice", &["oidc:team-"]), None),
        (user("bob", &["sre-eu"]), Some("platform")),
        (user("root", &[]), Some("platform")),
        (user("carol@shop.example", &[]), Some("carol")),
        (user("system:serviceaccount:team-ci:deployer", &ci), Some("ci")),
        (user("nobody", &["system:authenticated"]), None),
    ];
    for (user, team) in cases {
        assert_eq!(teams.of_user(&user).as_deref(), team, "{user:?}");
    }
}

#[test]
fn the_name_of_an_account_counts_with_its_groups_only() {
    let teams = Teams { people: vec![members(&["system:serviceaccount:*:deployer"], &[], None)], objects: Vec::new() };
    let name = "system:serviceaccount:ci:deployer";
    assert_eq!(teams.of_user(&user(name, &["system:masters"])), None);
    let groups = ["system:serviceaccounts", "system:serviceaccounts:ci"];
    assert_eq!(teams.of_user(&user(name, &groups)).as_deref(), Some("ci"));
}

#[test]
fn an_object_is_of_its_namespace_s_team_where_nothing_else_says() {
    let label = |name: &str| BTreeMap::from([("team".to_owned(), name.to_owned())]);
    let around = Surroundings {
        namespaces: BTreeMap::from([("shop".to_owned(), label("shop")), ("bare".to_owned(), BTreeMap::new())]),
        ..Surroundings::default()
    };
    let objects = vec![Mark::Label("team".to_owned()), Mark::NamespaceLabel("team".to_owned())];
    let teams = Teams { people: Vec::new(), objects };
    assert!(teams.ask_for_namespaces() && !teams.ask_for_syncs());
    let of = |object: &Value| teams.of_object(&ObjectKey::of(object).expect("a key"), None, &around);
    let map = |namespace: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}});
    assert_eq!(of(&map("shop")).as_deref(), Some("shop"));
    assert_eq!((of(&map("bare")), of(&map("unknown"))), (None, None));
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    assert_eq!(of(&namespace).as_deref(), Some("shop"));
}
