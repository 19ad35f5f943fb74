//! `heal`: from the acknowledgement of an edit that slipped past the webhook to the moment a watcher sees Git's value again.
//!
//! A world of its own, with a real API server: Holdfast runs without its webhook (`--webhook=off`), the administrator edits one object after
//! the other, and a watch that has nothing to do with Holdfast's says when each was healed. On the same world, how often
//! Holdfast calls the API server when nothing happens, and how long a commit takes.

mod manifests;
mod watch;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::Value;

use self::manifests::{Edit, NAMESPACE, SYNC};
use self::watch::Watch;
use super::measure::{Samples, machine};
use super::results::{self, Figure, Results};
use super::world::{Options, Person, World};

/// Slipped edits, each of another object: the second of one object would meet the guard against fights.
const TRIALS: usize = 200;

/// Commits, one after the other.
const COMMITS: usize = 9;

/// After this long an edit counts as never healed, and the measurement as failed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Events of the measurement itself are over by then.
const SETTLE: Duration = Duration::from_secs(15);

/// How long nothing happens.
const IDLE: Duration = Duration::from_mins(1);

/// Measures, in a fresh world that ends with it.
pub fn run(results: &mut Results) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(results))
}

async fn measure(results: &mut Results) -> Result<()> {
    let unguarded = vec!["--webhook=off".to_owned()];
    let options = Options { quiet: false, holdfast_arguments: unguarded, ..Options::for_tests() };
    let world = World::start(&results::folder().join("world"), options).await?;
    let measured = in_world(&world, results).await;
    world.stop().await?;
    measured
}

async fn in_world(world: &World, results: &mut Results) -> Result<()> {
    world.namespace(NAMESPACE).await?;
    let commit = world.commit("What is to be kept", manifests::write).await?;
    world.apply(&world.git_sync(SYNC, manifests::FOLDER, NAMESPACE)?).await?;
    world.synced(SYNC, &commit).await?;
    tokio::time::sleep(SETTLE).await;

    let mut bench = Bench::new(world).await?;
    bench.heals(results).await?;
    bench.commits(results).await?;
    tokio::time::sleep(SETTLE).await;
    results.set("idle_calls_per_minute", idle(world).await?);
    Ok(())
}

/// Who edits, and who watches.
struct Bench<'w> {
    world: &'w World,
    client: kube::Client,
    watch: Watch,
}

// === impl Bench ===

impl<'w> Bench<'w> {
    async fn new(world: &'w World) -> Result<Self> {
        let client = world.client(Person::Administrator).await?;
        Ok(Self { world, watch: Watch::start(&client), client })
    }

    async fn heals(&mut self, results: &mut Results) -> Result<()> {
        let (mut healed, mut written) = (Vec::new(), Vec::new());
        for edit in manifests::edits().take(TRIALS) {
            let started = Instant::now();
            let version = self.slip(&edit).await?;
            let acknowledged = Instant::now();
            let seen = self.healed(&edit, version).await?;
            written.push(millis(acknowledged - started));
            healed.push(millis(seen.saturating_duration_since(acknowledged)));
        }
        let (healed, written): (Samples, Samples) = (healed.into_iter().collect(), written.into_iter().collect());
        let what = format!(
            "{TRIALS} edits in {} managed objects, by turns a Deployment's replicas and a ConfigMap's value, webhook off, \
             acknowledgement to watch event, wall time, {healed} ms; the edits themselves took {:.1} ms (median); \
             etcd without fsync; {}",
            manifests::OBJECTS,
            written.median(),
            machine(),
        );
        results.set("heal_p50_ms", Figure::new(healed.median(), "ms", &what));
        results.set("heal_p99_ms", Figure::new(healed.quantile(0.99), "ms", &what));
        results.set("heal_objects", Figure::count(manifests::OBJECTS.into(), "managed objects in the world of heal"));
        Ok(())
    }

    /// Edits as an administrator would; answers with the resource version of the edited object.
    async fn slip(&self, edit: &Edit) -> Result<u64> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), NAMESPACE, &edit.kind.resource());
        let edited = api.patch(&edit.name, &PatchParams::default(), &Patch::Merge(edit.patch())).await?;
        ensure!(edit.kind.value_of(&edited) == Some(&edit.slipped), "the edit of {} did not stick", edit.name);
        watch::version(&edited)
    }

    async fn healed(&mut self, edit: &Edit, after: u64) -> Result<Instant> {
        let healed = self.watch.wait_for(|seen| {
            seen.version > after && seen.is(edit.kind, &edit.name) && seen.value.as_ref() == Some(&edit.declared)
        });
        let healed = tokio::time::timeout(PATIENCE, healed).await;
        healed.with_context(|| format!("the edit of {} was not healed in {PATIENCE:?}", edit.name))?
    }

    async fn commits(&mut self, results: &mut Results) -> Result<()> {
        let mut applied = Vec::new();
        for round in 0..COMMITS {
            let value = Value::from(format!("commit-{round}"));
            self.world.commit(&format!("Round {round}"), |files| manifests::write_one(files, &value)).await?;
            let pushed = Instant::now();
            let seen = self.watch.wait_for(|seen| seen.value.as_ref() == Some(&value));
            let seen = tokio::time::timeout(PATIENCE, seen).await.context("a commit was not applied")??;
            applied.push(millis(seen.saturating_duration_since(pushed)));
        }
        let applied: Samples = applied.into_iter().collect();
        let what =
            format!("end of git push to watch event, Git asked every 2 s; median of {applied} ms; {}", machine());
        results.set("commit_to_applied_ms", Figure::new(applied.median(), "ms", what));
        Ok(())
    }
}

async fn idle(world: &World) -> Result<Figure> {
    let before = calls(world).await?;
    tokio::time::sleep(IDLE).await;
    let calls = calls(world).await? - before;
    let what = format!("holdfast_api_calls_total over an idle minute, {} managed objects", manifests::OBJECTS);
    Ok(Figure::new(calls, "count", format!("{what}; {}", machine())))
}

/// Requests of Holdfast to the API server so far.
async fn calls(world: &World) -> Result<f64> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let page = client.get(world.metrics_url()?).send().await?.error_for_status()?.text().await?;
    let lines = page.lines().filter(|line| line.starts_with("holdfast_api_calls_total"));
    let counts: Vec<f64> = lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    ensure!(!counts.is_empty(), "Holdfast's metrics do not count its calls");
    Ok(counts.iter().sum())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
