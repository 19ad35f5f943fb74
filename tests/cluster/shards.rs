//! `GitSync`s spread over replicas: each is written by one, all write, and whoever goes, stands still or comes is made up for. In a
//! world of its own, with four shards and a `GitSync` in each.

use anyhow::{Context, Result, ensure};
use holdfast::core::shards::shard_of;
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::manifests::{SETTINGS, config};
use crate::place::{Place, condition};
use crate::stage::{PATIENCE, tests};
use crate::troupe::{ALL, Troupe, lease};
use crate::world::{HOLDFAST_NAMESPACE, wait_until};

const SHARDS: usize = 4;
/// Who comes later.
const THIRD: usize = 2;

static TROUPE: OnceCell<Mutex<Troupe>> = OnceCell::const_new();

pub fn trials() -> Vec<Trial> {
    tests![
        each_sync_is_written_by_one_and_all_write,
        who_is_killed_is_followed_in_every_shard,
        who_stood_still_writes_for_no_shard_of_others,
        a_third_gets_its_share,
        a_roll_to_another_number_of_shards_writes_nothing_twice,
        syncs_of_different_shards_do_not_fight_over_one_object,
    ]
}

/// Two of them, each with half of the shards, and a `GitSync` for each shard.
async fn shared(name: &str) -> Result<(MutexGuard<'static, Troupe>, Vec<String>)> {
    let gather = async || Troupe::gather("cluster-shards", THIRD + 1, &["--shards=4"]).await.map(Mutex::new);
    let troupe = TROUPE.get_or_try_init(gather).await?.lock().await;
    troupe.stage.world.replica(THIRD).process().stop().await?;
    for number in ALL {
        troupe.start(number).await?;
    }
    hold(&troupe, &[2, 2]).await?;
    let is_in = |shard: usize, name: &String| shard_of(&format!("{HOLDFAST_NAMESPACE}/{name}"), 4) as usize == shard;
    let named = |shard| (0..1000).map(|number| format!("{name}-{number}")).find(|name| is_in(shard, name));
    Ok((troupe, (0..SHARDS).filter_map(named).collect()))
}

async fn places<'t>(troupe: &'t Troupe, names: &[String]) -> Result<Vec<Place<'t>>> {
    let place = |name| Place::at(&troupe.stage, name, &[("settings.yaml", SETTINGS)], |_| {});
    futures::future::try_join_all(names.iter().map(|name| place(name))).await
}

/// Waits until the replicas hold so many shards each, in whatever order.
async fn hold(troupe: &Troupe, wanted: &[u64]) -> Result<()> {
    wait_until(&format!("{wanted:?} shards are held"), PATIENCE, || async {
        let mut held = Vec::new();
        for number in 0..=THIRD {
            held.push(troupe.metric(number, "holdfast_shards_held").await.unwrap_or_default());
        }
        held.sort_unstable_by(|one, other| other.cmp(one));
        ensure!(held.starts_with(wanted) && held[wanted.len()..].iter().all(|more| *more == 0), "{held:?} are");
        Ok(())
    })
    .await
}

/// Waits until one of them holds so many.
async fn holds(troupe: &Troupe, number: usize, wanted: u64) -> Result<()> {
    wait_until(&format!("replica {number} holds {wanted} shards"), PATIENCE, || async {
        let held = troupe.metric(number, "holdfast_shards_held").await?;
        ensure!(held == wanted, "it holds {held}");
        Ok(())
    })
    .await
}

/// Something slips in every place, and is healed.
async fn heal(troupe: &Troupe, places: &[Place<'_>]) -> Result<()> {
    for place in places {
        troupe.slips(place, "slow").await?;
    }
    for place in places {
        place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    }
    Ok(())
}

/// Who has written objects of a place since then, once for each time.
fn writers(troupe: &Troupe, place: &Place<'_>, since: usize) -> Result<Vec<usize>> {
    let of = |write: &&Value| {
        write["objectRef"]["namespace"] == place.name.as_str() && write["objectRef"]["resource"] == "configmaps"
    };
    let mut writers = Vec::new();
    for number in 0..=THIRD {
        if troupe.stage.world.replica(number).kubeconfig().exists() {
            let count = troupe.writes(number, since)?.iter().filter(of).count();
            writers.extend(std::iter::repeat_n(number, count));
        }
    }
    Ok(writers)
}

/// Each drift since then was undone by one write.
fn healed_once(troupe: &Troupe, places: &[Place<'_>], since: usize) -> Result<Vec<usize>> {
    let mut who = Vec::new();
    for place in places {
        let writers = writers(troupe, place, since)?;
        ensure!(writers.len() == 1, "{} was written by {writers:?}", place.name);
        who.extend(writers);
    }
    Ok(who)
}

/// From the first commit to the last heal; and each shard has its Lease, of which the first says how many there are.
async fn each_sync_is_written_by_one_and_all_write() -> Result<()> {
    let (troupe, names) = shared("spread").await?;
    let since = troupe.stage.world.audit()?.len();
    let places = places(&troupe, &names).await?;
    heal(&troupe, &places).await?;
    let mut all = Vec::new();
    for place in &places {
        let mut writers = writers(&troupe, place, since)?;
        ensure!(writers.len() == 2, "{} was written by {writers:?}", place.name);
        writers.dedup();
        ensure!(writers.len() == 1, "{} was written by both", place.name);
        all.extend(writers);
    }
    all.sort_unstable();
    ensure!(all == [0, 0, 1, 1], "{all:?} write");
    let first = lease(&troupe.stage.world).await?;
    ensure!(first["metadata"]["annotations"]["holdfast.dev/shards"] == "4", "{first:#}");
    Ok(())
}

async fn who_is_killed_is_followed_in_every_shard() -> Result<()> {
    let (troupe, names) = shared("killed-share").await?;
    let places = places(&troupe, &names).await?;
    troupe.signal(0, Signal::SIGKILL)?;
    let since = troupe.stage.world.audit()?.len();
    heal(&troupe, &places).await?;
    ensure!(healed_once(&troupe, &places, since)?.iter().all(|number| *number == 1));
    holds(&troupe, 1, 4).await
}

/// Thawed, it believes that no time has passed, and sees everything that slipped meanwhile.
async fn who_stood_still_writes_for_no_shard_of_others() -> Result<()> {
    let (troupe, names) = shared("frozen-share").await?;
    let places = places(&troupe, &names).await?;
    troupe.signal(0, Signal::SIGSTOP)?;
    let since = troupe.stage.world.audit()?.len();
    let healed = async {
        holds(&troupe, 1, 4).await?;
        heal(&troupe, &places).await
    };
    let healed = healed.await;
    troupe.signal(0, Signal::SIGCONT)?;
    healed?;
    hold(&troupe, &[2, 2]).await?;
    for place in &places {
        place.looks_again().await?;
    }
    ensure!(healed_once(&troupe, &places, since)?.iter().all(|number| *number == 1));
    Ok(())
}

/// What changes hands is looked at, and not written.
async fn a_third_gets_its_share() -> Result<()> {
    let (troupe, names) = shared("third").await?;
    let places = places(&troupe, &names).await?;
    let since = troupe.stage.world.audit()?.len();
    troupe.start(THIRD).await?;
    hold(&troupe, &[2, 1, 1]).await?;
    for place in &places {
        ensure!(writers(&troupe, place, since)?.is_empty(), "what was in sync was written");
    }
    heal(&troupe, &places).await?;
    let who = healed_once(&troupe, &places, since)?;
    ensure!((0..=THIRD).all(|number| who.contains(&number)), "{who:?} healed");
    troupe.stage.world.replica(THIRD).process().stop().await?;
    hold(&troupe, &[2, 2]).await
}

/// One by one, as a Deployment is rolled: for a while, each goes by another number.
async fn a_roll_to_another_number_of_shards_writes_nothing_twice() -> Result<()> {
    let (troupe, names) = shared("rolled-share").await?;
    let places = places(&troupe, &names).await?;
    let since = troupe.stage.world.audit()?.len();
    for (number, wanted) in [(0, 1), (1, 1)] {
        troupe.stage.world.replica(number).process().stop().await?;
        troupe.start_with(number, &["--shards=1"]).await?;
        troupe.slips(&places[number], "slow").await?;
        places[number].becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
        let writers = writers(&troupe, &places[number], since)?;
        ensure!(writers.len() == wanted, "{} was written by {writers:?}", places[number].name);
    }
    hold(&troupe, &[1]).await?;
    let said = lease(&troupe.stage.world).await?;
    ensure!(said["metadata"]["annotations"]["holdfast.dev/shards"].is_null(), "{said:#}");
    let since = troupe.stage.world.audit()?.len();
    heal(&troupe, &places).await?;
    let mut who = healed_once(&troupe, &places, since)?;
    who.dedup();
    ensure!(who.len() == 1, "{who:?} healed");
    for number in ALL {
        troupe.stage.world.replica(number).process().stop().await.context("it was to end")?;
    }
    Ok(())
}

/// All four declare it, each in its own way and all at once, and two replicas write for them: neither knows what the other has read.
async fn syncs_of_different_shards_do_not_fight_over_one_object() -> Result<()> {
    let (troupe, names) = shared("contested").await?;
    let mut rivals = Vec::new();
    for name in &names {
        let rival = Place::empty(&troupe.stage, name).await?;
        rival.write(&[("shared.yaml", &config("shared", "by", name))]).await?;
        rivals.push(rival);
    }
    let since = troupe.stage.world.audit()?.len();
    let to_one = |spec: &mut Value| spec["destination"]["namespace"] = json!(names[0]);
    futures::future::try_join_all(rivals.iter().map(|rival| rival.sync(to_one))).await?;
    let keeper = wait_until("one keeps it, and the others say so", PATIENCE, || one_keeps(&rivals)).await?;
    let tracked = format!("{HOLDFAST_NAMESPACE}/{keeper}:/ConfigMap:{}/shared", names[0]);
    rivals[0].is("ConfigMap/shared", "/metadata/annotations/holdfast.dev~1tracking-id", json!(tracked)).await?;
    rivals[0].is("ConfigMap/shared", "/data/by", json!(keeper)).await?;
    let first = writers(&troupe, &rivals[0], since)?;
    ensure!(first.len() <= names.len(), "they fought: {first:?} wrote it");
    let version = rivals[0].live("ConfigMap/shared").await?["metadata"]["resourceVersion"].clone();
    for rival in &rivals {
        rival.looks_again().await?;
    }
    ensure!(one_keeps(&rivals).await? == keeper, "another keeps it now");
    rivals[0].is("ConfigMap/shared", "/metadata/resourceVersion", version).await
}

/// The one that is ready, if all others are not because it keeps what they declare.
async fn one_keeps(rivals: &[Place<'_>]) -> Result<String> {
    let (mut keepers, mut losers) = (Vec::new(), Vec::new());
    for rival in rivals {
        let status = rival.git_sync().await?["status"].clone();
        let ready = condition(&status, "Ready").with_context(|| format!("its status is {status}"))?;
        let message = ready["message"].as_str().unwrap_or_default().to_owned();
        if ready["status"] == "True" { keepers.push(rival.name.clone()) } else { losers.push(message) }
    }
    let [keeper] = keepers.as_slice() else { anyhow::bail!("{keepers:?} keep it, {losers:?}") };
    let kept = format!("GitSync {HOLDFAST_NAMESPACE}/{keeper} ({keeper}/shared.yaml:1), which keeps it");
    ensure!(losers.iter().all(|message| message.contains(&kept)), "{keeper} keeps it, {losers:?}");
    Ok(keeper.clone())
}
