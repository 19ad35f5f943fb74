//! Who passes for whom: names are easily had, and count only with the groups that come with them.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use tokio::sync::OnceCell;

use super::door::{Ask, Caller, Came};
use crate::manifests::SETTINGS;
use crate::place::Place;
use crate::stage::{test, tests};

const HOLDFAST: &str = "system:serviceaccount:holdfast-system:holdfast";
const CONTROLLER: &str = "system:serviceaccount:kube-system:deployment-controller";

/// A name, the user, the groups besides `system:authenticated`, and whether an edit away from Git passes. All may do
/// everything by RBAC: `system:masters` where nothing else gives rights, the programs' own binding otherwise.
type Row = (&'static str, &'static str, &'static [&'static str], bool);

const ROWS: &[Row] = &[
    ("holdfast_itself", HOLDFAST, &["system:serviceaccounts", "system:serviceaccounts:holdfast-system"], true),
    ("our_name_without_groups", HOLDFAST, &["system:masters"], false),
    ("our_name_with_half_the_groups", HOLDFAST, &["system:masters", "system:serviceaccounts"], false),
    (
        "our_name_with_the_groups_of_another",
        HOLDFAST,
        &["system:masters", "system:serviceaccounts", "system:serviceaccounts:default"],
        false,
    ),
    (
        "our_groups_with_another_name",
        "mallory",
        &["system:masters", "system:serviceaccounts", "system:serviceaccounts:holdfast-system"],
        false,
    ),
    (
        "our_name_in_another_namespace",
        "system:serviceaccount:ci:holdfast",
        &["system:serviceaccounts", "system:serviceaccounts:ci"],
        false,
    ),
    (
        "another_account_of_our_namespace",
        "system:serviceaccount:holdfast-system:default",
        &["system:masters", "system:serviceaccounts", "system:serviceaccounts:holdfast-system"],
        false,
    ),
    (
        "a_name_that_ours_begins",
        "system:serviceaccount:holdfast-system:holdfast:more",
        &["system:masters", "system:serviceaccounts", "system:serviceaccounts:holdfast-system"],
        false,
    ),
    ("a_person_called_holdfast", "holdfast", &["system:masters"], false),
    ("the_masters", "administrator", &["system:masters"], false),
    (
        "a_controller",
        CONTROLLER,
        &["system:masters", "system:serviceaccounts", "system:serviceaccounts:kube-system"],
        true,
    ),
    ("the_name_of_a_controller", CONTROLLER, &["system:masters"], false),
    (
        "the_group_of_controllers_with_another_name",
        "mallory",
        &["system:masters", "system:serviceaccounts:kube-system"],
        false,
    ),
    ("a_node", "system:node:one", &["system:masters", "system:nodes"], true),
    ("the_group_of_nodes_without_the_name_of_one", "mallory", &["system:masters", "system:nodes"], false),
    ("the_name_of_a_node_without_the_group", "system:node:one", &["system:masters"], false),
    ("the_controller_manager", "system:kube-controller-manager", &["system:masters"], true),
    ("the_scheduler", "system:kube-scheduler", &["system:masters"], true),
    ("the_api_server", "system:apiserver", &["system:masters"], true),
    ("a_listed_name_without_its_groups", "system:serviceaccount:listed:operator", &["system:masters"], false),
    (
        "a_listed_name_in_another_namespace",
        "system:serviceaccount:ci:operator",
        &["system:serviceaccounts", "system:serviceaccounts:ci"],
        false,
    ),
];

pub fn trials() -> Vec<Trial> {
    let rows = ROWS.iter().map(|row| test(format!("verbs::spoofed_{}", row.0), move || check(row)));
    rows.chain(tests![whoever_writes_in_our_guise_is_noticed_and_healed]).collect()
}

async fn check((_, user, groups, passes): &'static Row) -> Result<()> {
    static PLACE: OnceCell<Place<'static>> = OnceCell::const_new();
    let place = PLACE.get_or_try_init(async || Place::new("spoofed", &[("settings.yaml", SETTINGS)]).await).await?;
    let body = json!({"data": {"mode": "slow"}});
    let ask = Ask { verb: "merge".to_owned(), at: "v1/configmaps/settings".to_owned(), body, dry_run: true };
    let came = ask.by(place.stage, &place.name, &Caller::named(user, groups)).await?;
    ensure!((came == Came::Through) == *passes, "{came:?}");
    Ok(())
}

/// Nobody can tell who it was from what the API server says of an impersonated request; but that it was not us.
async fn whoever_writes_in_our_guise_is_noticed_and_healed() -> Result<()> {
    let place = Place::new("guise", &[("settings.yaml", SETTINGS)]).await?;
    let us = Caller::account("holdfast-system", "holdfast");
    let body = json!({"data": {"mode": "slow"}});
    let edit = Ask {
        verb: "merge".to_owned(),
        at: "v1/configmaps/settings?fieldManager=kubectl".to_owned(),
        body,
        dry_run: false,
    };
    ensure!(edit.by(place.stage, &place.name, &us).await? == Came::Through, "it was refused");
    place.heals("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    let edited = place.record("Edited", "ConfigMap/settings").await?;
    ensure!(edited["by"]["user"] == HOLDFAST && edited["by"]["manager"] == "kubectl", "{edited}");
    ensure!(edited["reason"].as_str().is_some_and(|reason| reason.contains("by somebody else")), "{edited}");

    // Our own writes, the heal among them, are not taken for somebody else's.
    ensure!(place.records("Edited", "ConfigMap/settings")?.len() == 1, "we suspect ourselves");
    let delete = Ask { verb: "delete".to_owned(), at: "v1/configmaps/settings".to_owned(), ..Ask::default() };
    delete.by(place.stage, &place.name, &us).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    let deleted = place.record("Edited", "ConfigMap/settings").await?;
    ensure!(deleted["verb"] == "DELETE" && deleted["by"]["user"] == HOLDFAST, "{deleted}");
    place.remove(&["settings.yaml"]).await.map(drop)
}
