//! Holdfast hangs: it is there, takes connections, and says nothing. The API server waits for as long as `--webhook-timeout` says, and
//! then does what `--webhook-failure-policy` says.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::manifests::{SETTINGS, SLOW};
use crate::place::{Place, words};
use crate::stage::{PATIENCE, Stage, fragile, tests};
use crate::tampering::{MUTATING, VALIDATING, entries};
use crate::who::Who;
use crate::world::{Output, wait_until};

/// Neither what is usual here nor what the API server would wait by itself.
const TIMEOUT: Duration = Duration::from_secs(3);

pub fn trials() -> Vec<Trial> {
    tests![who_hangs_is_waited_for_and_then_refused_for, who_hangs_is_waited_for_and_then_done_without]
}

async fn who_hangs_is_waited_for_and_then_refused_for() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "hangs-fail", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    let refused = async {
        let output = hanging(&stage, &place, "Fail").await?;
        let told = ["failed calling webhook", "holdfast.dev", "timeout=3s", "deadline exceeded"];
        let is_told = told.iter().all(|words| output.stderr.contains(words));
        ensure!(!output.status.success() && is_told, "{output:?}");
        place.is("ConfigMap/settings", "/data/mode", json!("fast")).await
    };
    as_usual(&stage, refused.await).await
}

async fn who_hangs_is_waited_for_and_then_done_without() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "hangs-ignore", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    let passed = async {
        let output = hanging(&stage, &place, "Ignore").await?;
        ensure!(output.status.success(), "{output:?}");
        place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await
    };
    as_usual(&stage, passed.await).await
}

/// What becomes of alice's edit while Holdfast stands still, after no less than the timeout.
async fn hanging(stage: &Stage, place: &Place<'_>, policy: &str) -> Result<Output> {
    stage.world.stop_holdfast().await?;
    let (policy_is, timeout_is) = (format!("--webhook-failure-policy={policy}"), "--webhook-timeout=3s");
    stage.world.start_holdfast_with(&[&policy_is, timeout_is]).await?;
    wait_until("it is registered so", PATIENCE, || async {
        for which in [VALIDATING, MUTATING] {
            let entries = entries(stage, which).await?;
            let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
            let is_so = |entry: &&serde_json::Value| entry["timeoutSeconds"] == TIMEOUT.as_secs();
            let has_policy = entries.iter().any(|entry| entry["failurePolicy"] == policy);
            ensure!(has_policy && entries.iter().all(|entry| is_so(&entry)), "{entries:#?}");
        }
        Ok(())
    })
    .await?;
    let dry = format!("{SLOW} --dry-run=server");
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, &dry)).await?;
    stage.world.signal_holdfast(Signal::SIGSTOP)?;
    let output = edited(place, &dry).await;
    stage.world.signal_holdfast(Signal::SIGCONT)?;
    output
}

/// The API server may hear of what is registered a moment after us.
async fn edited(place: &Place<'_>, dry: &str) -> Result<Output> {
    let asked = async |line: &str| {
        let start = Instant::now();
        let output = place.run(Who::Alice, &words(line), "").await?;
        ensure!(start.elapsed() >= TIMEOUT, "it took only {:?}: {output:?}", start.elapsed());
        Ok(output)
    };
    wait_until("the API server waits so long", PATIENCE, || asked(dry)).await?;
    asked(SLOW).await
}

/// However it went, others find Holdfast as they know it.
async fn as_usual(stage: &Stage, outcome: Result<()>) -> Result<()> {
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await?;
    outcome
}
