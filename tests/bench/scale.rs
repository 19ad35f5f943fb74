//! `scale`: what ten thousand objects in fifty `GitSync`s cost, beside a hundred and a thousand.
//!
//! For each size a bare apply of all objects in a world of its own, for what the API server takes at all; then a world with
//! Holdfast: the first sync, a restart, a commit that changes one object, a minute in which nothing happens, and, without the
//! webhook, a hundred edits a second and how long each lasts. `SCALE=500 make bench ONLY=scale` goes no further than that.
//!
//! Plots lie beside the results: `scale-sync.svg`, `scale-heal.svg`, `scale-memory.svg`.
//!
//! # What has been measured
//! On two cores with the API server, etcd and the load beside it (November 2026, machine idle but for that), whose speed changes from one
//! minute to the next: hence the floors, and two runs of 10,000.
//!
//! | objects, GitSyncs | bare apply | with a dry run before | first sync | restart | writes after it | heal p50, p99 | resident, at most |
//! |---|---|---|---|---|---|---|---|
//! | 100, 10 | 0.1 s | 0.2 s | 1.3 s | 0.3 s | 4 | 10 samples: 3 to 7 ms | 39 MB, 39 MB |
//! | 1,000, 50 | 1.5 s | 2.5 s | 6.0 s | 0.7 s | 4 | 100 samples: 1 to 9 ms | 53 MB, 59 MB |
//! | 10,000, 50 | 16.7 s | 26.4 s | 33.4 s | 3.3 s | 4 | 3.3 ms, 19 ms | 124 MB, 157 MB |
//! | 10,000, 50 | 11.8 s | 18.6 s | 26.3 s | 2.4 s | 4 | 2.1 ms, 8 ms | 124 MB, 154 MB |
//!
//! A hundred edits a second got through. After a restart there was no dry run, and the writes were none of objects; an idle minute had no call.
//! A commit of one object took 2.3 and 1.4 s (medians of 6; Git asked every 2 s).
//!
//! The first sync asks twice for each object, a dry run and then the apply, and while it lasts both cores are busy: of the 51 CPU seconds of
//! one that took 25.5 s the API server took 35 (29 for the same without Holdfast), etcd 4 and Holdfast 7. What an object costs the API server more is,
//! by its own profile, the `matchConditions` of the two webhook configurations (it turns the object into what CEL reads for each: an eighth
//! of all it does), the authorization of an account that is no administrator's, the watches, and the statuses.
//!
//! # What 100,000 objects and 100 clusters would take
//! Arithmetic, from these figures and not from a run:
//!
//! - Memory: 9,000 more objects in as many syncs made 71 MB, so 8 KB each, on about 45 MB. That makes 0.8 to 0.9 GB for
//!   100,000 in one process, or a part of that for each replica with `--shards`; what watches hold while they list comes on top.
//! - First sync: 200,000 requests. At the 760 requests a second of the loop that tries out and applies that is 4½ minutes of the API server's
//!   time, and 5½ as measured (33 s for 10,000); nothing here makes it fewer. A restart, which only lists, would take half a minute.
//! - Heals: each is one write. At a hundred edits a second the API server's two cores were busy with edits and heals alike; how many
//!   objects lie still beside them makes no difference, since watches tell of what changes only.
//! - A hundred clusters: one Holdfast in each, which share nothing but the Git server. That one is asked once a repository, revision
//!   and interval by each cluster: at the default interval of 30 s, 200 questions a minute for a repository.

mod load;
mod objects;
mod plot;
mod probe;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::Client;
use serde_json::{Value, json};

use self::load::{Floor, Witness};
use self::plot::Plot;
use self::probe::{Calls, Memory};
use super::measure::{Samples, machine};
use super::results::{self, Figure, Results};
use super::world::{Options, Person, World};

/// How many objects there are.
const SIZES: [usize; 3] = [100, 1_000, 10_000];

/// Commits, one after the other.
const COMMITS: usize = 5;

/// Edits at most: ten seconds of them.
const EDITS: usize = 1_000;

/// After this long a sync has failed.
const PATIENCE: Duration = Duration::from_mins(15);

/// Echoes of what was measured before are over by then.
const SETTLE: Duration = Duration::from_secs(10);

/// How long nothing happens.
const IDLE: Duration = Duration::from_mins(1);

/// What was measured at one size.
struct Measured {
    size: usize,
    floor: Floor,
    first_sync: Duration,
    first_calls: Calls,
    restart: Duration,
    restart_calls: Calls,
    commit: Samples,
    idle_calls: f64,
    heals: Samples,
    edits_per_second: f64,
    synced: Memory,
    restarted: Memory,
    last: Memory,
}

/// Measures each size, in fresh worlds that end with it.
pub fn run(results: &mut Results) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut measured = Vec::new();
    for size in sizes()? {
        let one = runtime.block_on(measure(size)).with_context(|| format!("at {size} objects"))?;
        one.report(results);
        results.save()?;
        measured.push(one);
    }
    draw(&measured)
}

fn sizes() -> Result<Vec<usize>> {
    let Some(most) = std::env::var_os("SCALE") else { return Ok(SIZES.to_vec()) };
    let most = most.to_string_lossy().parse().context("SCALE is a number of objects")?;
    ensure!(most >= 20, "fewer than 20 objects tell nothing");
    Ok(SIZES.into_iter().filter(|size| *size < most).chain([most]).collect())
}

async fn measure(size: usize) -> Result<Measured> {
    let floor = floor(size).await?;
    let [applied, tried] = [floor.applied, floor.tried].map(|took| took.as_secs_f64());
    println!("  {size} objects: bare apply {applied:.2} s, tried out before in {tried:.2} s");
    let options = Options { without_controllers: true, ..Options::for_tests() };
    let world = World::start(&results::folder().join("world"), options).await?;
    let measured = Bench::new(&world, size).await?.measure(floor).await;
    world.stop().await?;
    measured
}

async fn floor(size: usize) -> Result<Floor> {
    let options = Options { without_controllers: true, without_holdfast: true, ..Options::for_tests() };
    let world = World::start(&results::folder().join("world"), options).await?;
    let applied = load::apply_all(&world.client(Person::Administrator).await?, size).await;
    world.stop().await?;
    applied
}

/// A world of one size.
struct Bench<'w> {
    world: &'w World,
    client: Client,
    size: usize,
}

// === impl Bench ===

impl<'w> Bench<'w> {
    async fn new(world: &'w World, size: usize) -> Result<Self> {
        Ok(Self { world, client: world.client(Person::Administrator).await?, size })
    }

    async fn measure(&self, floor: Floor) -> Result<Measured> {
        let (first_sync, first_calls) = self.counting(self.first_sync()).await?;
        println!("  {} objects: first sync {:.2} s, {first_calls}", self.size, first_sync.as_secs_f64());
        let synced = Memory::of(self.world)?;
        println!("  {} objects: {synced}", self.size);
        let (restart, restart_calls) = self.counting(self.restart(&[])).await?;
        let restarted = Memory::of(self.world)?;
        println!("  {} objects: restart {:.2} s, {restart_calls}, {restarted}", self.size, restart.as_secs_f64());
        let commit = self.commits().await?;
        println!("  {} objects: commit {commit} ms", self.size);
        tokio::time::sleep(SETTLE).await;
        let idle_calls = self.idle().await?;
        self.restart(&["--webhook=off"]).await?;
        tokio::time::sleep(SETTLE).await;
        let mut edited = objects::edited(self.size);
        edited.truncate(EDITS);
        let edits = edited.len();
        let healed = load::edit_all(&self.client, edited).await?;
        let heals: Samples = healed.latencies.into_iter().map(millis).collect();
        #[allow(clippy::cast_precision_loss)] // a thousand at most
        let edits_per_second = edits as f64 / healed.took.as_secs_f64();
        println!("  {} objects: {edits_per_second:.0} edits/s, healed in {heals} ms", self.size);
        let last = Memory::of(self.world)?;
        let size = self.size;
        Ok(Measured {
            size,
            floor,
            first_sync,
            first_calls,
            restart,
            restart_calls,
            commit,
            idle_calls,
            heals,
            edits_per_second,
            synced,
            restarted,
            last,
        })
    }

    /// What it takes, and what it and its echoes ask of the API server.
    async fn counting(&self, doing: impl Future<Output = Result<Duration>>) -> Result<(Duration, Calls)> {
        let before = Calls::so_far(&self.client).await?;
        let took = doing.await?;
        tokio::time::sleep(SETTLE).await;
        Ok((took, Calls::so_far(&self.client).await?.since(&before)))
    }

    /// From the creation of the syncs to the moment the last of them says that the cluster equals Git.
    async fn first_sync(&self) -> Result<Duration> {
        let commit = self.world.commit("What is to be kept", |files| objects::write(files, self.size)).await?;
        let sync = |name: &String| self.world.git_sync(name, name, name);
        let syncs = objects::syncs(self.size).iter().map(sync).collect::<Result<Vec<_>>>()?;
        let started = Instant::now();
        self.world.apply(&json!({"apiVersion": "v1", "kind": "List", "items": syncs})).await?;
        self.all_synced(&commit).await?;
        Ok(started.elapsed())
    }

    async fn all_synced(&self, commit: &str) -> Result<()> {
        let mut late: HashMap<_, _> = objects::syncs(self.size).into_iter().map(|sync| (sync, Value::Null)).collect();
        let all_there = load::synced(self.world.git_syncs().await?, commit, &mut late);
        let in_time = tokio::time::timeout(PATIENCE, all_there).await;
        let first = late.iter().next();
        in_time.with_context(|| format!("{} GitSyncs are not at their commit, one is {first:?}", late.len()))?
    }

    /// From the start of the program to its readiness: every sync was read again, and everything is judged.
    async fn restart(&self, arguments: &[&str]) -> Result<Duration> {
        self.world.stop_holdfast().await?;
        let started = Instant::now();
        self.world.start_holdfast_with(arguments).await?;
        let known = probe::metric(self.world, "holdfast_objects").await?;
        #[allow(clippy::cast_precision_loss)] // far from 2^52
        let all = self.size as f64;
        ensure!((known - all).abs() < 0.5, "it says that it is ready, and knows {known} objects");
        Ok(started.elapsed())
    }

    /// From the end of the push to the event that shows the new value.
    async fn commits(&self) -> Result<Samples> {
        let mut witness = Witness::start(&self.client).await?;
        let mut applied = Vec::new();
        for round in 0..=COMMITS {
            let level = if round == COMMITS { "info".to_owned() } else { format!("commit-{round}") };
            let mut object = None;
            let edit = |files: &std::path::Path| {
                object = Some(objects::write_edited(files, self.size, &level)?);
                Ok(())
            };
            let commit = self.world.commit(&format!("Round {round}"), edit).await?;
            let pushed = Instant::now();
            let seen = witness.sees(&object.context("something was written")?, &level).await?;
            applied.push(millis(seen.saturating_duration_since(pushed)));
            self.all_synced(&commit).await?;
        }
        Ok(applied.into_iter().collect())
    }

    async fn idle(&self) -> Result<f64> {
        let before = probe::metric(self.world, "holdfast_api_calls_total").await?;
        tokio::time::sleep(IDLE).await;
        Ok(probe::metric(self.world, "holdfast_api_calls_total").await? - before)
    }
}

// === impl Measured ===

impl Measured {
    fn report(&self, results: &mut Results) {
        let label = if self.size == 10_000 { "10k".to_owned() } else { self.size.to_string() };
        let what = format!(
            "{} objects of 8 kinds in {} GitSyncs of one repository, real API server on the same machine, etcd without \
             fsync; {}",
            self.size,
            objects::syncs(self.size).len(),
            machine()
        );
        let mut set = |name: &str, value: f64, unit: &str, how: String| {
            results.set(&name.replace('*', &label), Figure::new(value, unit, format!("{how}; {what}")));
        };
        let seconds = |duration: Duration| duration.as_secs_f64();
        let Floor { tried, applied } = self.floor;
        set("first_sync_floor_*_s", seconds(applied), "s", "a bare forced apply of each object, 64 at once".into());
        let both = "the same after a dry run of each";
        set("first_sync_tried_floor_*_s", seconds(tried + applied), "s", both.into());
        let how = format!("GitSyncs created to all synced, webhook on; {}", self.first_calls);
        set("first_sync_*_s", seconds(self.first_sync), "s", how);
        let how = format!("start to ready; {}", self.restart_calls);
        set("restart_*_s", seconds(self.restart), "s", how);
        let writes = self.restart_calls.writes + self.restart_calls.dry_runs;
        set("restart_*_writes", writes, "count", format!("and dry runs: {}", self.restart_calls));
        let how = format!("end of git push to watch event, Git asked every 2 s, {} ms", self.commit);
        set("commit_*_ms", self.commit.median(), "ms", how);
        set(
            "idle_*_calls_per_minute",
            self.idle_calls,
            "count",
            "holdfast_api_calls_total, Git asked every 2 s".into(),
        );
        let how = format!("{:.0} edits a second, webhook off, {} ms", self.edits_per_second, self.heals);
        set("heal_*_p50_ms", self.heals.median(), "ms", how.clone());
        set("heal_*_p99_ms", self.heals.quantile(0.99), "ms", how);
        let how = format!(
            "the most that was resident after the first sync: {}; after the restart: {}; after the heals: {}",
            self.synced, self.restarted, self.last
        );
        let resident = self.synced.resident.max(self.restarted.resident).max(self.last.resident);
        set("rss_*_mb", resident, "MB", how);
        let peak = self.synced.peak.max(self.restarted.peak).max(self.last.peak);
        set("rss_peak_*_mb", peak, "MB", "the most of these, including the first sync".into());
    }
}

fn draw(measured: &[Measured]) -> Result<()> {
    let curve = |name, of: &dyn Fn(&Measured) -> f64| {
        (name, measured.iter().map(|one| (one.size, of(one))).collect::<Vec<_>>())
    };
    let plots = [
        Plot {
            file: "scale-sync.svg",
            title: "First sync, restart and commit, by objects",
            unit: "seconds",
            curves: vec![
                curve("first sync", &|one| one.first_sync.as_secs_f64()),
                curve("bare apply", &|one| one.floor.applied.as_secs_f64()),
                curve("restart to ready", &|one| one.restart.as_secs_f64()),
                curve("commit of one object", &|one| one.commit.median() / 1e3),
            ],
        },
        Plot {
            file: "scale-heal.svg",
            title: "Healing while 100 edits a second arrive, by objects",
            unit: "milliseconds",
            curves: vec![curve("p50", &|one| one.heals.median()), curve("p99", &|one| one.heals.quantile(0.99))],
        },
        Plot {
            file: "scale-memory.svg",
            title: "Resident memory, by objects",
            unit: "MB",
            curves: vec![
                curve("after the first sync", &|one| one.synced.resident),
                curve("after a restart", &|one| one.restarted.resident),
                curve("most", &|one| one.synced.peak.max(one.restarted.peak).max(one.last.peak)),
            ],
        },
    ];
    plots.iter().try_for_each(Plot::draw)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
