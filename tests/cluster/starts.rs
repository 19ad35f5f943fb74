//! A start, of many syncs at once and into trouble. Whoever says that it is ready knows what to guard; and who cannot be read keeps nobody
//! waiting for long.
//!
//! The API server is made to turn away lists of one kind as it does when it is overloaded, by its own means: a priority level without
//! seats, where one request may wait and somebody else's does. The Git server is frozen: it takes connections and says nothing.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::process::Child;
use tokio::time::timeout;

use crate::crowd::{no_room, room, says};
use crate::manifests::{SETTINGS, SLOW};
use crate::place::Place;
use crate::stage::{PATIENCE, Stage, fragile, tests};
use crate::who::Who;
use crate::world::{HOLDFAST_NAMESPACE, Person, wait_until};

const WIDGET: &str = "\
apiVersion: example.com/v1
kind: Widget
metadata: {name: cog}
spec: {count: 1}
";
const TURN: &str = r#"patch widget/cog --type=merge --patch={"spec":{"count":2}}"#;

/// The name of what makes it so.
const CROWDED: &str = "starts-crowded";

/// A server that keeps silent is given up after so long, when nobody waits for it.
const USUALLY: Duration = Duration::from_secs(30);

/// Said once others no longer wait.
const GIVEN_UP: &str = "could not be read since the start";

pub fn trials() -> Vec<Trial> {
    tests![
        whoever_is_ready_knows_what_to_guard,
        who_cannot_be_read_keeps_nobody_waiting_for_long,
        a_git_server_that_keeps_silent_keeps_nobody_waiting_for_long,
        new_syncs_list_together,
    ]
}

/// Where this takes so long that nobody waits any more, it is tried again.
async fn whoever_is_ready_knows_what_to_guard() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "starts-late", &[("settings.yaml", SETTINGS), ("cog.yaml", WIDGET)], |_| {}).await?;
    for _ in 0..5 {
        stage.world.stop_holdfast().await?;
        let before = stage.world.holdfast_log()?.len();
        let crowd = crowd(&stage).await?;
        let relieved = async {
            let failed = wait_until("the first look fails", PATIENCE, || async {
                let log = stage.world.holdfast_log()?;
                let failed = |line: &str| line.contains("starts-late") && line.contains("ClusterUnavailable");
                ensure!(log[before..].lines().any(failed), "it has not");
                Ok(())
            });
            let failed = failed.await;
            crowd.goes(&stage).await?;
            failed
        };
        let (started, relieved) = tokio::join!(stage.world.start_holdfast(), relieved);
        relieved.and(started)?;
        // The first try counts.
        let refused = place.refuses(Who::Alice, TURN).await;
        if !stage.world.holdfast_log()?[before..].contains(GIVEN_UP) {
            return refused.map(drop).context("it said that it was ready");
        }
        place.condition("Ready", true, &[]).await?;
    }
    bail!("nobody waits for what could be read a moment later")
}

async fn who_cannot_be_read_keeps_nobody_waiting_for_long() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "starts-never", &[("cog.yaml", WIDGET)], |_| {}).await?;
    let other = Place::at(&stage, "starts-beside", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    let wrong = Place::empty(&stage, "starts-wrong").await?;
    stage.world.stop_holdfast().await?;
    // Nobody is there to refuse it.
    wrong.sync(|spec| spec["ignoreDifferences"] = json!([{"jsonPointers": [".spec.replicas"]}])).await?;
    let before = stage.world.holdfast_log()?.len();
    let crowd = crowd(&stage).await?;
    let started = stage.world.start_holdfast().await;
    let guarded = other.refuses(Who::Alice, SLOW).await;
    // Nobody decides, so it passes in this world; and that is told.
    let passed = place.accepts(Who::Alice, TURN).await;
    let undecided = stage.metric(r#"holdfast_review_errors_total{kind="unread"}"#).await;
    crowd.goes(&stage).await?;
    started?;
    guarded?;
    passed?;
    ensure!(undecided? > 0, "it passed in silence");
    let log = stage.world.holdfast_log()?;
    let said = log[before..].lines().any(|line| line.contains("starts-never") && line.contains(GIVEN_UP));
    ensure!(said, "it does not say whom it does not guard: {}", &log[before..]);
    wait_until("what could not be read is guarded", PATIENCE, || place.refuses(Who::Alice, TURN)).await.map(drop)
}

async fn a_git_server_that_keeps_silent_keeps_nobody_waiting_for_long() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "starts-silent", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    stage.world.stop_holdfast().await?;
    stage.world.signal_git(Signal::SIGSTOP)?;
    let started = timeout(USUALLY, stage.world.start_holdfast()).await.context("it waited as long as usually");
    let guarded = place.refuses(Who::Alice, SLOW).await;
    let said = place.condition("Synced", false, &["failed to reach"]).await;
    stage.world.signal_git(Signal::SIGCONT)?;
    started??;
    guarded?;
    said?;
    place.condition("Ready", true, &[]).await
}

/// The Git server keeps silent until all of them wait for it: then none has listed anything when the last of them comes.
async fn new_syncs_list_together() -> Result<()> {
    const COUNT: u64 = 8;
    let stage = fragile().await?;
    let mut places = Vec::new();
    for number in 0..COUNT {
        places.push(Place::empty(&stage, &format!("starts-together-{number}")).await?);
    }
    let mut commit = String::new();
    for place in &places {
        commit = place.write(&[("settings.yaml", SETTINGS)]).await?;
    }
    let waiting = async || stage.metric(r#"holdfast_syncs{ready="false"}"#).await;
    let lists = async || stage.metric(r#"holdfast_api_calls_total{verb="list"}"#).await;
    stage.world.signal_git(Signal::SIGSTOP)?;
    let begun = async {
        let before = (waiting().await?, lists().await?);
        for place in &places {
            place.sync(|_| {}).await?;
        }
        wait_until("they wait for Git", PATIENCE, || async {
            let now = waiting().await?;
            ensure!(now >= before.0 + COUNT, "{now} do");
            Ok(())
        })
        .await?;
        anyhow::Ok(before.1)
    };
    let begun = begun.await;
    stage.world.signal_git(Signal::SIGCONT)?;
    let before = begun?;
    for place in &places {
        place.is_synced(&commit).await?;
    }
    let listed = lists().await? - before;
    ensure!(listed == 1, "{COUNT} syncs of one kind listed it {listed} times");
    Ok(())
}

/// Whose request waits where there is room for one to wait.
struct Crowd(Child);

/// From now on the API server turns away lists of Widgets that Holdfast asks for.
async fn crowd(stage: &Stage) -> Result<Crowd> {
    no_room(stage, CROWDED, "list", "widgets").await?;
    let list = ["get", "--raw", "/apis/example.com/v1/widgets"];
    let account = format!("--as=system:serviceaccount:{HOLDFAST_NAMESPACE}:holdfast");
    let mut waits = stage.world.command(Person::Administrator);
    waits.args(list).arg(account).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let waits = Crowd(waits.spawn().context("failed to start kubectl")?);
    let series = "apiserver_flowcontrol_current_inqueue_requests";
    says(stage, &format!("{series}{{flow_schema=\"{CROWDED}\",priority_level=\"{CROWDED}\"}} 1")).await?;
    Ok(waits)
}

// === impl Crowd ===

impl Crowd {
    /// There is room again.
    async fn goes(mut self, stage: &Stage) -> Result<()> {
        room(stage, CROWDED).await?;
        self.0.kill().await.context("failed to end kubectl")
    }
}
