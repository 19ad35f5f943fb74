//! A round: something is committed, or drifts, and Holdfast dies over it, once or several times; then it may live.
//!
//! All of it is drawn before it begins, from the seed and the number of the round, so that it can be played again.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::census::api;
use crate::chance::Chance;
use crate::repository::{NAMESPACE, Repository};
use crate::stage::Stage;
use crate::trace::{Step, Trace, step};

/// Steps after which it dies, at most; a sync that is over sooner is met when it is.
const STEPS: usize = 26;
/// Likewise, of the steps that change something. Most do not, and most can go wrong in the others.
const CHANGES: usize = 10;
/// For who never comes to so many steps, because the commit is no good.
const LONGEST: Duration = Duration::from_secs(3);

/// One life, from a start (or from a commit, if it runs already) to its death.
#[derive(Clone, Debug)]
pub struct Life {
    commits: bool,
    drifts: bool,
    harm: Option<Harm>,
    /// How many requests it may make, or only how many of those that change something, and how long it lives on.
    after: usize,
    changes: bool,
    linger: Duration,
}

/// What is done to the cache of one that is dead.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// The clones are gone.
    Clones,
    /// What they hold is half there.
    Halves,
    /// It died in the middle of a line.
    HalfALine,
}

/// The lives of a round.
pub fn plan(seed: usize, round: usize) -> Vec<Life> {
    let mut chance = Chance::new(seed as u64, &format!("round {round}"));
    let count = 1 + chance.below(5);
    (0..count).map(|number| Life::draw(number, &mut chance)).collect()
}

/// What the commits of a round that is not played make of Git.
pub fn pass_over(seed: usize, round: usize, git: &mut Repository) {
    let commits = plan(seed, round).into_iter().filter(|life| life.commits).count();
    (0..commits).for_each(|number| _ = git.change(&mut of_commit(seed, round, number)));
    git.mend();
}

/// Plays a round; answers with how each life ended.
pub async fn play(stage: &mut Stage, seed: usize, round: usize, said: &mut Vec<String>) -> Result<Vec<String>> {
    let (lives, mut commits, mut ends) = (plan(seed, round), 0, Vec::new());
    for (number, life) in lives.iter().enumerate() {
        let is_running = number == 0;
        life.harm.filter(|_| !is_running).map_or(Ok(()), |harm| harm.done(stage))?;
        if life.commits {
            let shape = stage.commits(|git| git.change(&mut of_commit(seed, round, commits))).await?;
            said.push(format!("{} {shape:?}", stage.head.get(..7).unwrap_or_default()));
            commits += 1;
        }
        let life_time = Trace::from_now(stage.world.audit_file())?;
        if life.drifts {
            drift(stage).await?;
        }
        let end = life.live(stage, is_running, life_time).await?;
        said.push(format!("{life:?} died: {end}"));
        ends.push(end);
    }
    if stage.git.clone().mend() {
        stage.commits(Repository::mend).await?;
        said.push("mended".to_owned());
    }
    stage.world.start_holdfast().await?;
    stage.holds(lives.iter().any(|life| life.drifts), true).await?;
    stage.begin().await?;
    Ok(ends)
}

fn of_commit(seed: usize, round: usize, number: usize) -> Chance {
    Chance::new(seed as u64, &format!("commit {round}.{number}"))
}

// === impl Life ===

impl Life {
    fn draw(number: usize, chance: &mut Chance) -> Self {
        let drifts = chance.percent(15);
        let commits = if number == 0 { !drifts } else { chance.percent(30) };
        let harms = [Harm::Clones, Harm::Halves, Harm::HalfALine];
        let harm = chance.pick(&harms).copied().filter(|_| chance.percent(20));
        let changes = chance.percent(50);
        let after = if changes { 1 + chance.below(CHANGES) } else { chance.below(STEPS) };
        // Before its first request it has a lot to do with itself.
        let linger = if after == 0 { chance.below(400_000) } else { chance.below(6_000) };
        Self { commits, drifts, harm, after, changes, linger: Duration::from_micros(linger as u64) }
    }

    /// Lives, and dies; answers with what it was doing then.
    async fn live(&self, stage: &Stage, is_running: bool, trace: Trace) -> Result<String> {
        let start = async {
            if !is_running {
                // Dead before it is ready is what it is meant to be.
                stage.world.start_holdfast().await.ok();
            }
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            end = self.wait(stage, trace) => end?,
            () = start => String::new(),
        };
        stage.world.kill_holdfast().await?;
        let how = if is_running { "running" } else { "starting" };
        Ok(format!("{how}, {end}"))
    }

    async fn wait(&self, stage: &Stage, mut trace: Trace) -> Result<String> {
        let (begun, mut looked) = (Instant::now(), Instant::now());
        let mut steps: Vec<Step> = Vec::new();
        let counts = |step: &&Step| !self.changes || matches!(step, Step::Write | Step::Delete | Step::Status);
        let mut is_over = false;
        while steps.iter().filter(counts).count() < self.after && !is_over {
            steps.extend(trace.more()?.iter().filter_map(step));
            if looked.elapsed() > Duration::from_millis(40) {
                looked = Instant::now();
                is_over = begun.elapsed() > LONGEST || stage.says_synced().await.is_ok();
            }
            sleep(Duration::from_millis(1)).await;
        }
        sleep(self.linger).await;
        Ok(match steps.last() {
            _ if is_over => "at the end".to_owned(),
            None => "before its first step".to_owned(),
            Some(step) => format!("after a {step:?}"),
        })
    }
}

// === impl Harm ===

impl Harm {
    fn done(self, stage: &Stage) -> Result<()> {
        let cache = stage.world.holdfast_cache();
        if matches!(self, Self::HalfALine) {
            let half = r#"{"id":"018f","kind":"Den"#;
            return std::fs::write(cache.join("evidence.spill.jsonl"), half).context("failed to spill half a line");
        }
        for entry in std::fs::read_dir(&cache)? {
            let path = entry?.path();
            let is_clone = path.is_dir() && !path.ends_with("evidence.intents");
            match self {
                Self::Clones if is_clone => std::fs::remove_dir_all(&path)?,
                Self::Halves if is_clone => halve(&path)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn halve(folder: &std::path::Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            halve(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "pack") {
            let length = path.metadata()?.len();
            // Git makes them for nobody to write to.
            let halved = std::fs::read(&path)?[..usize::try_from(length / 2)?].to_vec();
            std::fs::remove_file(&path)?;
            std::fs::write(&path, halved)?;
        }
    }
    Ok(())
}

/// Changes three objects and deletes one, as somebody whom no webhook refuses.
async fn drift(stage: &mut Stage) -> Result<()> {
    let objects: Api<ConfigMap> = Api::namespaced(stage.collector.clone(), NAMESPACE);
    let drifting: Vec<_> = stage.git.anchors().take(4).collect();
    let definition = "customresourcedefinitions//relics.faults.example.com".to_owned();
    for (number, name) in drifting.iter().enumerate() {
        if number == 0 {
            objects.delete(name, &DeleteParams::default()).await.ok();
        } else {
            let patch = Patch::Merge(json!({"data": {"value": "drifted"}}));
            objects.patch(name, &PatchParams::default(), &patch).await.ok();
        }
        stage.ledger.drifted(format!("configmaps/{NAMESPACE}/{name}"), number == 0);
    }
    if stage.git.objects().contains_key(&definition) {
        let definitions = api(&stage.collector, ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"));
        definitions.delete("relics.faults.example.com", &DeleteParams::default()).await.ok();
        let gone: Vec<_> = stage.git.objects().keys().filter(|id| id.starts_with("relics/")).cloned().collect();
        gone.into_iter().chain([definition]).for_each(|id| stage.ledger.drifted(id, true));
    }
    Ok(())
}
