//! One of two replicas has a wrong clock, while alice goes on editing and a controller goes on drifting: by minutes, as where nobody
//! keeps time, and by a third of a year, as after a battery has died. It goes by the API server's: its verdicts are right, so are its
//! emergencies and the times on its records, its heals come at once, nobody loses the Lease for it, and the certificate of all is left alone.
//!
//! Only Linux with glibc lets a process be lied to about the time without any rights (`clock.c`).

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use holdfast::certs::rotation::{Kept, LIFE, Step};
use jiff::{SignedDuration, Timestamp};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::breakglass::annotation;
use crate::chaos::{goes_on, keep, loaded, names, renewed};
use crate::manifests::{SETTINGS, SLOW, WEB};
use crate::place::Place;
use crate::stage::{PATIENCE, folder, test, tests};
use crate::tampering::{SECRET, secret};
use crate::troupe::{SOON, Troupe, lease, troupe};
use crate::who::Who;
use crate::world::{Person, wait_until};

/// The one whose clock is wrong.
const WRONG: usize = 1;
const RIGHT: usize = 0;

/// More than a certificate lives.
const DAYS: i64 = 100;
const DAY: i64 = 24 * 60 * 60;

/// So often is a glass opened and closed while all answer.
const OFTEN: usize = 8;

/// A Lease changes hands so often while one of two is stopped, on a machine with other things to do. By the wall clock it would after every
/// renewal.
const SELDOM: i64 = 4;

const BOTH: &[(&str, &str)] = &[("settings.yaml", SETTINGS), ("web.yaml", WEB)];
const OBJECT: &str = "ConfigMap/settings";
const OPEN: &str = "annotate configmap/settings holdfast.dev/break-glass=INC-1";
pub fn trials() -> Vec<Trial> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return Vec::new();
    }
    let rows = [
        ("minutes-ahead", 3 * 60),
        ("minutes-behind", -3 * 60),
        ("days-ahead", DAYS * DAY),
        ("days-behind", -DAYS * DAY),
    ];
    let rows = rows.map(|(name, ahead)| {
        test(format!("clocks::{}_under_load", name.replace('-', "_")), move || under_load(name, ahead))
    });
    rows.into_iter().chain(tests![the_certificate_of_a_wrong_clock_is_good]).collect()
}

/// What has this in its environment is so many seconds ahead.
async fn ahead(seconds: i64) -> Result<[(&'static str, String); 2]> {
    static SHIM: OnceCell<PathBuf> = OnceCell::const_new();
    let shim = SHIM.get_or_try_init(async || compiled()).await?;
    Ok([("LD_PRELOAD", shim.display().to_string()), ("CLOCK_AHEAD", seconds.to_string())])
}

/// With what links this test: where there is Rust, there is a C compiler.
fn compiled() -> Result<PathBuf> {
    let shim = folder("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/clock.c");
    let made =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", source, "-o"]).arg(&shim).output();
    let made = made.context("failed to run cc")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(shim)
}

/// Does this, and leaves nobody with a wrong clock behind.
async fn lied_to(troupe: &Troupe, story: impl Future<Output = Result<()>>) -> Result<()> {
    let told = story.await;
    troupe.stop(WRONG).await?;
    told
}

async fn under_load(name: &str, ahead: i64) -> Result<()> {
    let troupe = troupe().await?;
    let place = loaded(&troupe, name).await?;
    let glass = Place::at(&troupe.stage, &format!("{name}-glass"), BOTH, |_| {}).await?;
    lied_to(&troupe, by_turns(&troupe, (&place, &glass), ahead)).await
}

/// It follows, leads, and follows again.
async fn by_turns(troupe: &Troupe, (place, glass): (&Place<'_>, &Place<'_>), seconds: i64) -> Result<()> {
    troupe.stop(WRONG).await?;
    troupe.leads(RIGHT).await?;
    let (kept, changes, written) = (secret(&troupe.stage).await?, transitions(troupe).await?, renewed(troupe, "")?);
    troupe.start_within(WRONG, &ahead(seconds).await?).await?;
    let load = troupe.load(place).await?;
    goes_on(place).await?;
    opens_whoever_is_asked(glass).await?;
    troupe.stop(RIGHT).await?;
    let took = troupe.leads(WRONG).await?;
    ensure!(took < SOON, "it took {took:?}");
    goes_on(place).await?;
    knows_the_time(troupe, place)?;
    ends_in_time(glass).await?;
    troupe.start(RIGHT).await?;
    load.end(troupe, place).await?;
    let changes = transitions(troupe).await? - changes;
    ensure!((1..=SELDOM).contains(&changes), "the Lease has changed hands {changes} times");
    ensure!(secret(&troupe.stage).await? == kept, "the certificate was written");
    ensure!(renewed(troupe, "")? == written, "a certificate was written");
    Ok(())
}

async fn transitions(troupe: &Troupe) -> Result<i64> {
    let lease = lease(&troupe.stage.world).await?;
    lease["spec"]["leaseTransitions"].as_i64().with_context(|| format!("{lease:#}"))
}

/// It has noticed, and its records have the right time.
fn knows_the_time(troupe: &Troupe, place: &Place<'_>) -> Result<()> {
    let replica = troupe.stage.world.replica(WRONG);
    ensure!(replica.log()?.contains("the API server's, which is gone by"), "it was not lied to");
    let healed = |record: &Value| record["kind"] == "Healed" && record["object"]["namespace"] == place.name.as_str();
    let records = replica.records()?;
    let newest = records.iter().rfind(|record| healed(record)).context("it has healed nothing")?;
    is_about(newest["time"].as_str().context("a record has a time")?, Timestamp::now())
}

/// Is this that time, but for a second or two, and for what a busy machine takes?
fn is_about(found: &str, expected: Timestamp) -> Result<()> {
    let off = found.parse::<Timestamp>()?.duration_since(expected);
    ensure!(off.abs() < SignedDuration::from_secs(30), "{found} is off by {off}");
    Ok(())
}

/// One replica stamps, and any of them checks what it has stamped.
async fn opens_whoever_is_asked(place: &Place<'_>) -> Result<()> {
    for _ in 0..OFTEN {
        let open = "annotate deployment/web holdfast.dev/break-glass=INC-2 holdfast.dev/break-glass-for=10m";
        place.accepts(Who::Oncall, open).await?;
        let stamped = place.live("Deployment/web").await?;
        is_about(annotation(&stamped, "break-glass-until"), Timestamp::now() + SignedDuration::from_mins(10))?;
        let close = "annotate deployment/web holdfast.dev/break-glass- holdfast.dev/break-glass-for-";
        place.accepts(Who::Oncall, close).await?;
    }
    Ok(())
}

/// An emergency, where nobody is there but the one with the wrong clock. What was forged does not pass.
async fn ends_in_time(place: &Place<'_>) -> Result<()> {
    for (who, stamps) in [
        (Who::Alice, ""),
        (Who::Oncall, " holdfast.dev/break-glass-by=oncall holdfast.dev/break-glass-until=2099-01-01T00:00:00Z"),
        (Who::Oncall, " holdfast.dev/break-glass-by=alice"),
    ] {
        place.refuses(who, &format!("{OPEN}{stamps}")).await?;
    }
    place.accepts(Who::Oncall, &format!("{OPEN} holdfast.dev/break-glass-for=6s")).await?;
    place.accepts(Who::Oncall, SLOW).await?;
    place.refuses(Who::Alice, r#"patch configmap/settings --type=merge --patch={"data":{"level":"debug"}}"#).await?;
    let forged = "annotate configmap/settings --overwrite holdfast.dev/break-glass-until=2099-01-01T00:00:00Z";
    place.refuses(Who::Oncall, forged).await?;
    let stamped = place.live(OBJECT).await?;
    let until: Timestamp = annotation(&stamped, "break-glass-until").parse()?;
    place.becomes(OBJECT, "/data/mode", &json!("fast")).await?;
    ensure!(until.duration_since(Timestamp::now()) < SignedDuration::from_secs(3), "it is over too early");
    place.record("BreakGlassClosed", OBJECT).await?;
    place.refuses(Who::Oncall, SLOW).await.map(drop)
}

/// It is there first, and alone: what it makes is taken by the API server, and left alone by the other one.
async fn the_certificate_of_a_wrong_clock_is_good() -> Result<()> {
    let troupe = troupe().await?;
    let place = Place::at(&troupe.stage, "wrong-certificate", BOTH, |_| {}).await?;
    for days in [DAYS, -DAYS] {
        lied_to(&troupe, makes(&troupe, &place, days * DAY)).await?;
    }
    Ok(())
}

async fn makes(troupe: &Troupe, place: &Place<'_>, seconds: i64) -> Result<()> {
    let guarded = || {
        wait_until("the guard is up", PATIENCE, || {
            place.refuses(Who::Alice, "delete configmap/settings --dry-run=server")
        })
    };
    troupe.kill_all().await?;
    let delete = [&["delete"], &SECRET[..]].concat();
    troupe.stage.world.kubectl(Person::Administrator, &delete).await?.success()?;
    troupe.start_within(WRONG, &ahead(seconds).await?).await?;
    guarded().await?;
    let made = secret(&troupe.stage).await?["data"].take();
    let kept = Kept::read(&serde_json::from_value(made.clone())?, &names(), Timestamp::now())?;
    ensure!(matches!(kept.step(true, Timestamp::now()), Step::Rest(_)), "it is to be renewed already: {kept:?}");

    // When another is due, that is as good.
    let old = Kept::fresh(&names(), Timestamp::now() - LIFE * 3 / 4)?;
    keep(troupe, &old).await?;
    let next = wait_until("its successor is there", PATIENCE, || async {
        let found = secret(&troupe.stage).await?["data"].take();
        ensure!(found["next.key"].is_string(), "it is not");
        Ok(found)
    })
    .await?;
    let kept = Kept::read(&serde_json::from_value(next.clone())?, &names(), Timestamp::now())?;
    ensure!(kept.serving == old.serving && kept.next.is_some(), "{kept:?}");
    troupe.start(RIGHT).await?;
    guarded().await?;
    ensure!(secret(&troupe.stage).await?["data"] == next, "the other one has made another");
    Ok(())
}
