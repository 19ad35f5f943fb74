//! Break-glass: who gets one, what passes while it is open, and how it ends.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::{SETTINGS, SLOW, WEB};
use crate::place::{Place, patch};
use crate::stage::{PATIENCE, test, tests};
use crate::who::Who;
use crate::world::wait_until;

const SETTINGS_OBJECT: &str = "ConfigMap/settings";
const OPEN: &str = "annotate configmap/settings holdfast.dev/break-glass=INC-4211";

/// A name, who, the annotations, and what the refusal says.
type Row = (&'static str, Who, &'static str, &'static str);

const REFUSED: &[Row] = &[
    ("without_the_right", Who::Alice, "holdfast.dev/break-glass=INC-1", "lacks the verb \"break-glass\""),
    (
        "without_the_right_in_a_program",
        Who::Automation,
        "holdfast.dev/break-glass=INC-1",
        "lacks the verb \"break-glass\"",
    ),
    ("without_a_reason", Who::Oncall, "holdfast.dev/break-glass=", "needs a reason"),
    ("for_too_long", Who::Oncall, "holdfast.dev/break-glass=INC-1 holdfast.dev/break-glass-for=5h", "at most"),
    ("for_no_time", Who::Oncall, "holdfast.dev/break-glass=INC-1 holdfast.dev/break-glass-for=0s", "is not a duration"),
    (
        "for_some_time",
        Who::Oncall,
        "holdfast.dev/break-glass=INC-1 holdfast.dev/break-glass-for=soon",
        "is not a duration",
    ),
    (
        "with_stamps_typed",
        Who::Oncall,
        "holdfast.dev/break-glass=INC-1 holdfast.dev/break-glass-by=oncall holdfast.dev/break-glass-until=2099-01-01T00:00:00Z",
        "stamped by Holdfast",
    ),
    (
        "with_somebody_else_s_name",
        Who::Oncall,
        "holdfast.dev/break-glass=INC-1 holdfast.dev/break-glass-by=alice",
        "stamped by Holdfast",
    ),
];

pub fn trials() -> Vec<Trial> {
    let rows = REFUSED.iter().map(|(name, who, annotations, words)| {
        test(format!("breakglass::{name}_it_is_refused"), move || refused(*who, annotations, words))
    });
    rows.chain(tests![
        it_opens_for_oncall_alone_and_ends_when_taken_back,
        it_expires,
        it_may_come_with_the_edit,
        it_covers_scale,
        it_covers_delete,
        it_can_be_made_longer,
        stamps_cannot_be_moved_while_it_is_open,
        everybody_who_uses_it_is_named,
        git_catching_up_closes_it,
        people_are_reminded_once,
        what_is_open_can_be_listed,
    ])
    .collect()
}

async fn refused(who: Who, annotations: &str, words: &str) -> Result<()> {
    static PLACE: tokio::sync::OnceCell<Place<'static>> = tokio::sync::OnceCell::const_new();
    let place =
        PLACE.get_or_try_init(async || Place::new("glass-refused", &[("settings.yaml", SETTINGS)]).await).await?;
    let message = place.refuses(who, &format!("annotate configmap/settings {annotations}")).await?;
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(message.contains(words), "it does not say {words:?}: {message}");
    let record = place.record("BreakGlassRefused", SETTINGS_OBJECT).await?;
    ensure!(record["reason"].is_string(), "{record}");
    place.is(SETTINGS_OBJECT, "/metadata/annotations/holdfast.dev~1break-glass", Value::Null).await
}

/// One of our annotations.
pub fn annotation<'v>(object: &'v Value, name: &str) -> &'v str {
    object["metadata"]["annotations"][format!("holdfast.dev/{name}")].as_str().unwrap_or_default()
}

async fn it_opens_for_oncall_alone_and_ends_when_taken_back() -> Result<()> {
    let place = Place::new("glass", &[("settings.yaml", SETTINGS)]).await?;
    place.accepts(Who::Oncall, OPEN).await?;
    let stamped = place.live(SETTINGS_OBJECT).await?;
    ensure!(annotation(&stamped, "break-glass-by") == "oncall", "{stamped}");
    let until: jiff::Timestamp = annotation(&stamped, "break-glass-until").parse()?;
    let left = until.duration_since(jiff::Timestamp::now());
    ensure!((25..=30).contains(&left.as_mins()), "it stays open for {left}");
    let opened = place.record("BreakGlassOpened", SETTINGS_OBJECT).await?;
    ensure!(opened["by"]["user"] == "oncall" && opened["reason"] == "INC-4211", "{opened}");

    place.accepts(Who::Oncall, SLOW).await?;
    let edited = place.record("Edited", SETTINGS_OBJECT).await?;
    ensure!(edited["by"]["user"] == "oncall" && edited["reason"] == "INC-4211", "{edited}");
    place.refuses(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"level":"debug"}}"#).await?;
    let drifted = async |status: &Value| {
        let drift = &status["drift"][0];
        ensure!(drift["why"].as_str().is_some_and(|why| why.contains("oncall")), "it says {status}");
        ensure!(drift["paths"] == json!([".data.mode"]), "it says {status}");
        Ok(())
    };
    place.says("the drift is reported as break-glass", drifted).await?;
    place.condition("BreakGlass", true, &[]).await?;
    place.rests(SETTINGS_OBJECT).await?;
    place.is(SETTINGS_OBJECT, "/data/mode", json!("slow")).await?;

    place.accepts(Who::Oncall, "annotate configmap/settings holdfast.dev/break-glass-").await?;
    place.heals(SETTINGS_OBJECT, "/data/mode", json!("fast")).await?;
    place.record("BreakGlassClosed", SETTINGS_OBJECT).await?;
    let closed = place.live(SETTINGS_OBJECT).await?;
    ensure!(
        ["break-glass-by", "break-glass-until"].iter().all(|stamp| annotation(&closed, stamp).is_empty()),
        "{closed}"
    );
    Ok(())
}

async fn it_expires() -> Result<()> {
    let place = Place::new("glass-expires", &[("settings.yaml", SETTINGS)]).await?;
    place.accepts(Who::Oncall, &format!("{OPEN} holdfast.dev/break-glass-for=4s")).await?;
    place.accepts(Who::Oncall, SLOW).await?;
    place.heals(SETTINGS_OBJECT, "/data/mode", json!("fast")).await?;
    let live = place.live(SETTINGS_OBJECT).await?;
    let left = ["break-glass", "break-glass-for", "break-glass-by", "break-glass-until"];
    ensure!(left.iter().all(|name| annotation(&live, name).is_empty()), "something is left of it: {live}");
    place.record("BreakGlassClosed", SETTINGS_OBJECT).await?;
    place.refuses(Who::Oncall, SLOW).await.map(drop)
}

/// One edit that says why and does it: there may be no time for two.
async fn it_may_come_with_the_edit() -> Result<()> {
    let place = Place::new("glass-with-edit", &[("settings.yaml", SETTINGS)]).await?;
    let edit = patch(
        "configmap/settings",
        &json!({
            "metadata": {"annotations": {"holdfast.dev/break-glass": "INC-4211"}}, "data": {"mode": "slow"},
        }),
    );
    place.refuses(Who::Alice, &edit).await?;
    place.accepts(Who::Oncall, &edit).await?;
    let opened = place.record("BreakGlassOpened", SETTINGS_OBJECT).await?;
    ensure!(opened["fields"][0]["path"] == ".data.mode", "{opened}");
    place.rests(SETTINGS_OBJECT).await?;
    place.is(SETTINGS_OBJECT, "/data/mode", json!("slow")).await
}

/// A `Scale` does not say what break-glass its parent carries.
async fn it_covers_scale() -> Result<()> {
    let place = Place::new("glass-scale", &[("web.yaml", WEB)]).await?;
    place.accepts(Who::Oncall, "annotate deployment/web holdfast.dev/break-glass=INC-4211").await?;
    place.accepts(Who::Oncall, "scale deployment/web --replicas=5").await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=7").await?;
    place.rests("Deployment/web").await?;
    place.is("Deployment/web", "/spec/replicas", json!(5)).await?;
    place.accepts(Who::Oncall, "annotate deployment/web holdfast.dev/break-glass-").await?;
    place.heals("Deployment/web", "/spec/replicas", json!(3)).await
}

/// The annotation goes with the object, so Git puts it back at once; but the deletion itself passes.
async fn it_covers_delete() -> Result<()> {
    let place = Place::new("glass-delete", &[("settings.yaml", SETTINGS)]).await?;
    let uid = place.live(SETTINGS_OBJECT).await?["metadata"]["uid"].clone();
    place.accepts(Who::Oncall, OPEN).await?;
    place.refuses(Who::Alice, "delete configmap/settings").await?;
    place.accepts(Who::Oncall, "delete configmap/settings --wait=false").await?;
    place.becomes(SETTINGS_OBJECT, "/data/mode", &json!("fast")).await?;
    ensure!(place.live(SETTINGS_OBJECT).await?["metadata"]["uid"] != uid, "it was never deleted");
    Ok(())
}

async fn it_can_be_made_longer() -> Result<()> {
    let place = Place::new("glass-longer", &[("settings.yaml", SETTINGS)]).await?;
    place.accepts(Who::Oncall, &format!("{OPEN} holdfast.dev/break-glass-for=10m")).await?;
    let until = async || {
        anyhow::Ok(annotation(&place.live(SETTINGS_OBJECT).await?, "break-glass-until").parse::<jiff::Timestamp>()?)
    };
    let before = until().await?;
    place.accepts(Who::Oncall, "annotate configmap/settings holdfast.dev/break-glass-for=2h --overwrite").await?;
    ensure!(until().await?.duration_since(before).as_mins() > 100, "it still ends at {before}");
    place.refuses(Who::Alice, "annotate configmap/settings holdfast.dev/break-glass-for=3h --overwrite").await.map(drop)
}

async fn stamps_cannot_be_moved_while_it_is_open() -> Result<()> {
    let place = Place::new("glass-stamps", &[("settings.yaml", SETTINGS)]).await?;
    place.accepts(Who::Oncall, OPEN).await?;
    for (who, stamp) in [
        (Who::Oncall, "holdfast.dev/break-glass-until=2099-01-01T00:00:00Z"),
        (Who::Alice, "holdfast.dev/break-glass-by=alice"),
        (Who::Administrator, "holdfast.dev/break-glass-until-"),
    ] {
        place.refuses(who, &format!("annotate configmap/settings {stamp} --overwrite")).await?;
    }
    Ok(())
}

/// Two edit under it: each needs the right, and the evidence names each.
async fn everybody_who_uses_it_is_named() -> Result<()> {
    let place = Place::new("glass-shared", &[("settings.yaml", SETTINGS)]).await?;
    place.accepts(Who::Oncall, OPEN).await?;
    let debug = r#"patch configmap/settings --type=merge --patch={"data":{"level":"debug"}}"#;
    place.refuses(Who::Alice, debug).await?;
    place.refuses(Who::Automation, debug).await?;
    for (who, line, user) in [(Who::Oncall, SLOW, "oncall"), (Who::Administrator, debug, "administrator")] {
        place.accepts(who, line).await?;
        let edited = place.record("Edited", SETTINGS_OBJECT).await?;
        ensure!(edited["by"]["user"] == user && edited["reason"] == "INC-4211", "{edited}");
    }
    // Whoever prolongs it answers for it from then on.
    let longer = "annotate configmap/settings holdfast.dev/break-glass-for=1h --overwrite";
    place.accepts(Who::Administrator, longer).await?;
    ensure!(
        annotation(&place.live(SETTINGS_OBJECT).await?, "break-glass-by") == "administrator",
        "it is still oncall's"
    );
    let opened = place.record("BreakGlassOpened", SETTINGS_OBJECT).await?;
    ensure!(opened["by"]["user"] == "administrator", "{opened}");
    Ok(())
}

async fn git_catching_up_closes_it() -> Result<()> {
    let place = Place::new("glass-caught-up", &[("settings.yaml", SETTINGS)]).await?;
    place.accepts(Who::Oncall, OPEN).await?;
    place.rests(SETTINGS_OBJECT).await?;
    ensure!(!annotation(&place.live(SETTINGS_OBJECT).await?, "break-glass").is_empty(), "it closed before it was used");
    place.accepts(Who::Oncall, SLOW).await?;
    place.condition("Ready", false, &[]).await?;
    place.commits(&[("settings.yaml", &SETTINGS.replace("fast", "slow"))]).await?;
    place.becomes(SETTINGS_OBJECT, "/metadata/annotations/holdfast.dev~1break-glass-until", &Value::Null).await?;
    let closed = place.record("BreakGlassClosed", SETTINGS_OBJECT).await?;
    ensure!(closed["reason"].as_str().is_some_and(|reason| reason.contains("Git caught up")), "{closed}");
    place.condition("Ready", true, &[]).await?;
    place.is(SETTINGS_OBJECT, "/data/mode", json!("slow")).await?;
    let back = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"fast"}}"#;
    place.refuses(Who::Oncall, back).await.map(drop)
}

/// What `holdfast break-glass list` says of this place to its administrator.
pub async fn open_glasses(place: &Place<'_>, more: &[&str]) -> Result<std::process::Output> {
    let kubectl = place.stage.world.command(Who::Administrator.person());
    let kubeconfig = kubectl.as_std().get_envs().find(|(name, _)| *name == "KUBECONFIG").and_then(|(_, value)| value);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.args(["break-glass", "list", "--kubeconfig"]).arg(kubeconfig.context("kubectl has a kubeconfig")?);
    command.args(["--namespace", &place.name]).args(more).env("NO_PROXY", "127.0.0.1");
    Ok(command.output().await?)
}

async fn what_is_open_can_be_listed() -> Result<()> {
    let place = Place::new("glass-listed", &[("settings.yaml", SETTINGS), ("web.yaml", WEB)]).await?;
    let list = async |more: &[&str]| open_glasses(&place, more).await;
    let none = list(&[]).await?;
    ensure!(none.status.code() == Some(0) && none.stdout.is_empty(), "{none:?}");

    place.accepts(Who::Oncall, OPEN).await?;
    place
        .accepts(Who::Oncall, "annotate deployment/web holdfast.dev/break-glass=INC-9 holdfast.dev/break-glass-for=10m")
        .await?;
    let some = list(&["--output=json"]).await?;
    ensure!(some.status.code() == Some(1), "{some:?}");
    let open: Value = serde_json::from_slice(&some.stdout)?;
    ensure!(
        open[0]["object"]["name"] == "web" && open[1]["object"]["name"] == "settings",
        "the first to end is not first: {open}"
    );
    ensure!(open[0]["by"] == "oncall" && open[0]["reason"] == "INC-9", "{open}");
    ensure!((500..=600).contains(&open[0]["remainingSeconds"].as_i64().unwrap_or_default()), "{open}");
    let wide = String::from_utf8(list(&["--output=wide"]).await?.stdout)?;
    ensure!(wide.contains("GITSYNC") && wide.contains("holdfast-system/glass-listed"), "{wide}");
    let broken = list(&["--context=none"]).await?;
    ensure!(broken.status.code() == Some(2), "{broken:?}");
    Ok(())
}

/// Five minutes before the end; so of this one after four seconds.
async fn people_are_reminded_once() -> Result<()> {
    let place = Place::new("glass-ends", &[("settings.yaml", SETTINGS)]).await?;
    place.accepts(Who::Oncall, &format!("{OPEN} holdfast.dev/break-glass-for=5m4s")).await?;
    place.accepts(Who::Oncall, SLOW).await?;
    let ending = place.record("BreakGlassEnding", SETTINGS_OBJECT).await?;
    let reason = ending["reason"].as_str().unwrap_or_default();
    ensure!(
        ending["by"]["user"] == "oncall" && reason.contains("INC-4211") && reason.contains("undone then"),
        "{ending}"
    );
    let event = ["get", "events", "--field-selector=reason=BreakGlassEnding", "--output=jsonpath={.items[*].message}"];
    wait_until("there is an Event", PATIENCE, || async {
        let told = place.run(Who::Administrator, &event, "").await?.success()?;
        ensure!(told.contains("INC-4211"), "{told}");
        Ok(())
    })
    .await?;
    place.rests(SETTINGS_OBJECT).await?;
    ensure!(place.records("BreakGlassEnding", SETTINGS_OBJECT)?.len() == 1, "it was said twice");

    // Prolonged, it has another end.
    place.accepts(Who::Oncall, "annotate configmap/settings holdfast.dev/break-glass-for=5m2s --overwrite").await?;
    wait_until("people are reminded again", PATIENCE, || async {
        ensure!(place.records("BreakGlassEnding", SETTINGS_OBJECT)?.len() == 2, "they are not");
        Ok(())
    })
    .await
}
