//! Teams that would be nobody's, or everybody's.

use serde_json::{Value, json};

use super::*;

fn reading(teams: &Value) -> Result<Teams, Vec<super::super::FieldError>> {
    let typed: TeamsSpec = serde_json::from_value(teams.clone()).expect("the fixture follows the schema");
    let mut faults = Faults::default();
    let read = read(&typed, &mut faults);
    faults.or(read)
}

#[test]
fn good_ones_mean_what_they_say() {
    let typed = json!({
        "people": [{"groups": ["oidc:team-*"]}, {"groups": ["sre", "oncall-*"], "users": ["root"], "team": "platform"}],
        "objects": [{"label": "team"}, {"annotation": "example.com/owner"}, {"namespaceLabel": "team"}, {"gitSyncLabel": "team"}],
    });
    let Teams { people, objects } = reading(&typed).expect("they are good");
    assert_eq!(people[0], Members { groups: vec!["oidc:team-*".to_owned()], ..Members::default() });
    assert_eq!(people[1].team.as_deref(), Some("platform"));
    let marks = [
        Mark::Label("team".to_owned()),
        Mark::Annotation("example.com/owner".to_owned()),
        Mark::NamespaceLabel("team".to_owned()),
        Mark::SyncLabel("team".to_owned()),
    ];
    assert_eq!(objects, marks);
    assert_eq!(reading(&json!({})).expect("none are needed"), Teams::default());
}

#[test]
fn what_names_no_team_or_everybody_is_refused_with_the_way_out() {
    let cases = [
        (json!({"people": [{}]}), "spec.teams.people[0]", "name groups"),
        (json!({"people": [{"groups": [" "]}]}), "spec.teams.people[0].groups[0]", "write a name or a glob"),
        (json!({"people": [{"groups": ["*"]}]}), "spec.teams.people[0].groups[0]", "before the team's name"),
        (json!({"people": [{"groups": ["sre"]}]}), "spec.teams.people[0].groups[0]", "name the team with `team`"),
        (json!({"people": [{"users": ["a-*-*"]}]}), "spec.teams.people[0].users[0]", "one `*`"),
        (json!({"people": [{"users": ["a"], "team": "other"}]}), "spec.teams.people[0].team", "not \"other\""),
        (json!({"people": [{"users": ["a"], "team": "a b"}]}), "spec.teams.people[0].team", "letters"),
        (json!({"objects": [{}]}), "spec.teams.objects[0]", "write one of label"),
        (json!({"objects": [{"label": "a", "annotation": "b"}]}), "spec.teams.objects[0]", "several elements"),
        (json!({"objects": [{"label": "team=shop"}]}), "spec.teams.objects[0].label", "without a value"),
    ];
    for (teams, field, remedy) in cases {
        let faults = reading(&teams).expect_err("it is refused");
        assert!(
            faults.iter().any(|fault| fault.field == field && fault.remedy.contains(remedy)),
            "{teams}: {faults:?}"
        );
    }
}
