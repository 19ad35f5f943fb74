//! What is done to replicas on purpose, while alice goes on editing and a controller goes on drifting.
//!
//! Whatever happens: nothing passes that is guarded, every denial is on record, all drift is healed, and by one write each
//! ([`Load::end`](crate::troupe::Load::end)).

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use holdfast::certs::rotation::{Kept, LIFE, SETTLE};
use jiff::Timestamp;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::manifests::{SETTINGS, WEB};
use crate::place::{Place, words};
use crate::stage::{PATIENCE, tests};
use crate::tampering::{MUTATING, SECRET, VALIDATING, entries, secret};
use crate::troupe::{ALL, SOON, Troupe, for_load, troupe};
use crate::who::Who;
use crate::world::{Person, wait_until};

const RUNS_OUT: &str = "holdfast_certificate_expiry_timestamp_seconds";
const REFUSED: &str = "holdfast_connections_refused_total";

/// More than a replica has places for.
const CROWD: usize = 800;

const BOTH: &[(&str, &str)] = &[("settings.yaml", SETTINGS), ("web.yaml", WEB)];

pub fn trials() -> Vec<Trial> {
    tests![
        a_leader_is_killed,
        a_leader_that_stood_still_writes_nothing_afterwards,
        a_rolling_restart_fails_no_edit,
        the_api_server_restarts_under_load,
        an_expired_certificate_is_never_served,
        strangers_fill_every_connection_under_load,
        all_are_killed_at_once_under_load,
        a_certificate_is_exchanged_under_load,
    ]
}

/// A place with all that drifts and is edited under load.
pub async fn loaded<'t>(troupe: &'t Troupe, name: &str) -> Result<Place<'t>> {
    let files = for_load();
    let files: Vec<_> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
    Place::at(&troupe.stage, name, &files, |_| {}).await
}

async fn a_leader_is_killed() -> Result<()> {
    let troupe = troupe().await?;
    let place = loaded(&troupe, "killed").await?;
    let load = troupe.load(&place).await?;
    let leader = troupe.leader().await?;
    troupe.signal(leader, Signal::SIGKILL)?;
    let took = troupe.leads(1 - leader).await?;
    ensure!(took < SOON, "it took {took:?}");
    load.end(&troupe, &place).await.map(drop)
}

/// As a node that hangs, or a machine that is moved: it thinks that no time has passed. It sees every drift from then on, heals none
/// while the other one leads, and leads again when that one is gone.
async fn a_leader_that_stood_still_writes_nothing_afterwards() -> Result<()> {
    let troupe = troupe().await?;
    let place = loaded(&troupe, "frozen").await?;
    let frozen = troupe.leader().await?;
    let load = troupe.load(&place).await?;
    troupe.signal(frozen, Signal::SIGSTOP)?;
    let took = troupe.leads(1 - frozen).await;
    let since = troupe.stage.world.audit()?.len();
    troupe.signal(frozen, Signal::SIGCONT)?;
    ensure!(took? < SOON, "the other one waited for too long");
    follows(&troupe, frozen).await?;
    goes_on(&place).await?;
    let writes = troupe.writes(frozen, since)?;
    ensure!(writes.is_empty(), "it wrote: {writes:#?}");
    troupe.signal(1 - frozen, Signal::SIGKILL)?;
    troupe.leads(frozen).await?;
    load.end(&troupe, &place).await.map(drop)
}

/// How often something was healed there, by anybody.
pub fn healed_in(place: &Place<'_>) -> Result<usize> {
    let records = place.stage.world.records()?.into_iter();
    let here = |record: &serde_json::Value| record["object"]["namespace"] == place.name.as_str();
    Ok(records.filter(|record| record["kind"] == "Healed" && here(record)).count())
}

/// Waits until drift has been healed there some more times.
pub async fn goes_on(place: &Place<'_>) -> Result<()> {
    let healed = healed_in(place)?;
    wait_until("drift is healed again and again", PATIENCE, || async {
        let now = healed_in(place)?;
        ensure!(now > healed + 5, "{now} times, after {healed}");
        Ok(())
    })
    .await
}

async fn follows(troupe: &Troupe, number: usize) -> Result<()> {
    wait_until("it knows that it follows", PATIENCE, || async {
        let leads = troupe.metric(number, "holdfast_leader").await?;
        ensure!(leads == 0, "it thinks that it leads");
        Ok(())
    })
    .await
}

async fn a_rolling_restart_fails_no_edit() -> Result<()> {
    let troupe = troupe().await?;
    let place = loaded(&troupe, "rolled").await?;
    let load = troupe.load(&place).await?;
    for number in ALL {
        troupe.restart(number).await?;
    }
    let edits = load.end(&troupe, &place).await?;
    ensure!(edits.failed.is_empty(), "{:?}", edits.failed);
    Ok(())
}

async fn the_api_server_restarts_under_load() -> Result<()> {
    let troupe = troupe().await?;
    let place = loaded(&troupe, "api-server").await?;
    let mut load = troupe.load(&place).await?;
    load.restart_api_server(&troupe).await?;
    troupe.leader().await?;
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, "delete deployment/web --dry-run=server"))
        .await?;
    load.end(&troupe, &place).await.map(drop)
}

/// More than there are places, at both; and then the API server, which has lost its own, comes to ask. Whoever only holds a place has
/// to make room.
async fn strangers_fill_every_connection_under_load() -> Result<()> {
    let troupe = troupe().await?;
    let place = loaded(&troupe, "crowded").await?;
    let mut load = troupe.load(&place).await?;
    let mut crowd = Vec::new();
    for number in ALL {
        let url = troupe.stage.world.replica(number).webhook_url()?;
        let address = url.strip_prefix("https://").unwrap_or(&url).to_owned();
        let before = troupe.metric(number, REFUSED).await?;
        for _ in 0..CROWD {
            crowd.push(TcpStream::connect(&address).await?);
        }
        wait_until("every place is taken", PATIENCE, || async {
            ensure!(troupe.metric(number, REFUSED).await? > before, "there is room");
            Ok(())
        })
        .await?;
    }
    load.restart_api_server(&troupe).await?;
    troupe.leader().await?;
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, "delete deployment/web --dry-run=server"))
        .await?;
    drop(crowd);
    load.end(&troupe, &place).await.map(drop)
}

/// All were away when it ran out: whoever starts first makes another, and nobody ever shows the old one.
async fn an_expired_certificate_is_never_served() -> Result<()> {
    let troupe = troupe().await?;
    let place = Place::at(&troupe.stage, "expired", BOTH, |_| {}).await?;
    for number in ALL {
        troupe.signal(number, Signal::SIGKILL)?;
    }
    keep(&troupe, &Kept::fresh(&names(), Timestamp::now() - LIFE * 2)?).await?;
    for number in ALL {
        troupe.start(number).await?;
        let runs_out = troupe.metric(number, RUNS_OUT).await?;
        ensure!(i64::try_from(runs_out)? > Timestamp::now().as_second(), "it serves what ran out at {runs_out}");
    }
    wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, "delete configmap/settings --dry-run=server"))
        .await?;
    ensure!(renewed(&troupe, "no use")? == 1, "the two did not agree on one");
    Ok(())
}

/// What the certificate is asked for by.
pub fn names() -> [String; 1] {
    ["127.0.0.1".to_owned()]
}

/// Has the Secret hold this.
pub async fn keep(troupe: &Troupe, kept: &Kept) -> Result<()> {
    let patch = format!("--patch={}", json!({"data": kept.data()}));
    let patch = [&["patch"], &SECRET[..], &["--type=merge", &patch]].concat();
    troupe.stage.world.kubectl(Person::Administrator, &patch).await?.success().map(drop)
}

/// How often a certificate was written for this reason.
pub fn renewed(troupe: &Troupe, why: &str) -> Result<usize> {
    let records = troupe.stage.world.records()?.into_iter().filter(|record| record["kind"] == "CertificateRenewed");
    Ok(records.filter(|record| record["reason"].to_string().contains(why)).count())
}

/// Nobody is left to say no, so everything is refused; and nobody is left who knows what has happened, so it is found.
async fn all_are_killed_at_once_under_load() -> Result<()> {
    let troupe = troupe().await?;
    let place = loaded(&troupe, "all-killed").await?;
    let load = troupe.load(&place).await?;
    goes_on(&place).await?;
    troupe.kill_all().await?;
    let healed = healed_in(&place)?;
    for line in [
        "scale deployment/web --replicas=9",
        "delete configmap/drifting-0",
        "label deployment/web holdfast.dev/managed-",
    ] {
        let output = place.run(Who::Alice, &words(line), "").await?;
        let is_locked = !output.status.success() && output.stderr.contains("failed calling webhook");
        ensure!(is_locked, "{line}: {output:?}");
    }
    ensure!(healed_in(&place)? == healed, "somebody lives");
    for number in ALL {
        troupe.start(number).await?;
    }
    troupe.leader().await?;
    goes_on(&place).await?;
    let edits = load.end(&troupe, &place).await?;
    ensure!(!edits.failed.is_empty(), "nobody asked meanwhile");
    ensure!(edits.failed.iter().all(|failed| failed.contains("failed calling webhook")), "{:?}", edits.failed);
    place.condition("Ready", true, &[]).await?;
    place.refuses(Who::Alice, "scale deployment/web --replicas=9").await.map(drop)
}

/// Both authorities are registered, a while passes, and then both replicas serve the new leaf: nobody goes without a verdict for it.
async fn a_certificate_is_exchanged_under_load() -> Result<()> {
    let troupe = troupe().await?;
    let place = loaded(&troupe, "exchanged").await?;
    let old = Kept::fresh(&names(), Timestamp::now() - LIFE * 3 / 4)?;
    keep(&troupe, &old).await?;
    let exchanged = renewed(&troupe, "the next one is served")?;
    wait_until("its successor is there", PATIENCE, || async {
        let found = secret(&troupe.stage).await?;
        ensure!(found["data"]["next.key"].is_string() && served(&troupe).await? == [until(&old); 2], "it is not");
        Ok(())
    })
    .await?;
    let load = troupe.load(&place).await?;
    // As if the successor had been made an hour ago, short of what it takes to register it.
    let prepared = old.prepared(&names(), Timestamp::now() - SETTLE + Duration::from_secs(5))?;
    keep(&troupe, &prepared).await?;
    let new = prepared.promoted();
    wait_until("all serve the new leaf", PATIENCE, || async {
        let served = served(&troupe).await?;
        if served.contains(&until(&new)) && !is_trusted(&troupe, &new).await? {
            return Ok(Err(anyhow!("it is served, and its authority is not registered")));
        }
        ensure!(served == [until(&new); 2], "they serve what runs out at {served:?}");
        Ok(Ok(()))
    })
    .await??;
    ensure!(renewed(&troupe, "the next one is served")? == exchanged + 1, "the two did not agree on one");
    // Whoever is connected stays connected, and looks at no certificate again: let all connect anew.
    for number in ALL {
        troupe.restart(number).await?;
    }
    place.refuses(Who::Alice, "scale deployment/web --replicas=9").await?;
    let edits = load.end(&troupe, &place).await?;
    ensure!(edits.failed.is_empty(), "{:?}", edits.failed);
    Ok(())
}

fn until(kept: &Kept) -> i64 {
    kept.serving.validity.until.as_second()
}

/// When what each of them serves runs out.
async fn served(troupe: &Troupe) -> Result<Vec<i64>> {
    let mut served = Vec::new();
    for number in ALL {
        served.push(troupe.metric(number, RUNS_OUT).await?.try_into()?);
    }
    Ok(served)
}

/// Do both configurations name exactly the authorities to trust with it?
async fn is_trusted(troupe: &Troupe, kept: &Kept) -> Result<bool> {
    let trust = json!(kept.data()["ca.crt"]);
    for which in [VALIDATING, MUTATING] {
        let entries = entries(&troupe.stage, which).await?;
        let is_named = |entry: &Value| entry["clientConfig"]["caBundle"] == trust;
        if !entries.as_array().is_some_and(|entries| !entries.is_empty() && entries.iter().all(is_named)) {
            return Ok(false);
        }
    }
    Ok(true)
}
