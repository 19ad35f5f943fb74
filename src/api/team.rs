//! How teams are told, as it is written in the `DriftPolicy`, and its reading.
//!
//! What is refused here would name no team, or make one of everybody: reports would be full of it before anybody noticed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::Faults;
use super::guard::is_qualified;
use super::policy::globs;
use crate::core::team::{Mark, Members, Teams};

/// How teams are told. They are what reports are counted by, and decide nothing.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TeamsSpec {
    /// The team of whoever edits; the first rule that fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub people: Vec<MembersSpec>,
    /// The team of an object; the first that is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub objects: Vec<MarkSpec>,
}

/// Who belongs to a team. Without `team`, each glob has one `*`, and the team is what that stands for.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MembersSpec {
    /// Users, as globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    pub users: Vec<String>,
    /// Groups, as globs such as `oidc:team-*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    pub groups: Vec<String>,
    /// The team, where the globs do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub team: Option<String>,
}

/// What names the team of an object: one of these.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MarkSpec {
    /// A label of the object, as Git declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 316))]
    pub label: Option<String>,
    /// An annotation of the object, as Git declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 316))]
    pub annotation: Option<String>,
    /// A label of its namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 316))]
    pub namespace_label: Option<String>,
    /// A label of the `GitSync` that declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 316))]
    pub git_sync_label: Option<String>,
}

/// What metrics call every team beyond those they have room for.
const OTHER: &str = "other";

/// Reads the teams of a `DriftPolicy`.
pub(super) fn read(TeamsSpec { people, objects }: &TeamsSpec, faults: &mut Faults) -> Teams {
    let at = |list: &str, index: usize| format!("spec.teams.{list}[{index}]");
    let members = |(index, members): (usize, &MembersSpec)| members.read(&at("people", index), faults);
    let people = people.iter().enumerate().map(members).collect();
    let mark = |(index, mark): (usize, &MarkSpec)| mark.read(&at("objects", index), faults);
    Teams { people, objects: objects.iter().enumerate().filter_map(mark).collect() }
}

// === impl MembersSpec ===

impl MembersSpec {
    fn read(&self, at: &str, faults: &mut Faults) -> Members {
        let Self { users, groups, team } = self;
        let remedy = "name groups, such as oidc:team-*, or users";
        faults.require(!users.is_empty() || !groups.is_empty(), at, "names neither users nor groups", remedy);
        for (list, patterns) in [("users", users), ("groups", groups)] {
            globs(&format!("{at}.{list}"), patterns, faults);
            for (index, pattern) in patterns.iter().enumerate().filter(|_| team.is_none()) {
                tells_a_team(pattern, &format!("{at}.{list}[{index}]"), faults);
            }
        }
        if let Some(team) = team {
            let reason = format!("{team:?} is no name of a team");
            let remedy = "write letters, digits, '-', '_' and '.', 63 at most, and not \"other\"";
            faults.require(is_team(team), &format!("{at}.team"), &reason, remedy);
        }
        Members { users: users.clone(), groups: groups.clone(), team: team.clone() }
    }
}

/// Every request carries a group: a bare `*` would make a team of each, `system:authenticated` among them.
fn tells_a_team(pattern: &str, at: &str, faults: &mut Faults) {
    let stars = pattern.matches('*').count();
    if pattern == "*" {
        faults.add(
            at,
            "\"*\" makes a team of everybody",
            "write what comes before the team's name, such as oidc:team-*",
        );
    } else if stars != 1 && !pattern.trim().is_empty() {
        let reason = format!("{pattern:?} has {stars} `*`, so it does not say which team");
        faults.add(at, reason, "write one `*` where the team's name stands, or name the team with `team`");
    }
}

/// As label values are written.
fn is_team(team: &str) -> bool {
    let is_plain = team.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    is_plain && !team.is_empty() && team.len() <= 63 && team != OTHER
}

// === impl MarkSpec ===

impl MarkSpec {
    fn read(&self, at: &str, faults: &mut Faults) -> Option<Mark> {
        let Self { label, annotation, namespace_label, git_sync_label } = self;
        let said = [
            ("label", label.clone().map(Mark::Label)),
            ("annotation", annotation.clone().map(Mark::Annotation)),
            ("namespaceLabel", namespace_label.clone().map(Mark::NamespaceLabel)),
            ("gitSyncLabel", git_sync_label.clone().map(Mark::SyncLabel)),
        ];
        let mut said = said.into_iter().filter_map(|(field, mark)| Some((field, mark?)));
        let (Some((field, mark)), None) = (said.next(), said.next()) else {
            let remedy =
                "write one of label, annotation, namespaceLabel and gitSyncLabel; several are several elements";
            faults.add(at, "does not say what names the team, or says it twice", remedy);
            return None;
        };
        let name = mark.name();
        let reason = format!("{name:?} is no name of a label or annotation");
        faults.require(
            is_qualified(name),
            &format!("{at}.{field}"),
            &reason,
            "write it as on the objects, without a value",
        );
        Some(mark)
    }
}

#[cfg(test)]
mod tests;
