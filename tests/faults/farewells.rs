//! The end of a `GitSync` that takes its objects along, or lets them go, and Holdfast dies in the middle of it, once or several times.
//!
//! After that the end has come all the same: each object was deleted, or lost the marks, once; that is on record; and nothing else was
//! touched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::census::{managed, uids};
use crate::chance::Chance;
use crate::repository::{Id, config, id};
use crate::stage::{PATIENCE, Stage, from_env};
use crate::trace::{Step, Trace, step, written};
use crate::world::wait_until;

/// How many ends there are, each with one death or more.
const ENDS: usize = 40;
/// What it dies after, at most: a step of the end, or a while.
const STEPS: usize = 16;
const LONGEST: Duration = Duration::from_secs(2);

/// One `GitSync`, from its commit to its end.
struct Leaving {
    name: String,
    policy: &'static str,
    objects: BTreeMap<Id, Value>,
    /// Who each object is.
    uids: BTreeMap<Id, Value>,
    requests: Vec<Value>,
    records: usize,
    deaths: usize,
}

/// Holdfast, while it takes leave.
pub async fn holdfast_is_killed_in_the_middle_of_an_end(stage: &mut Stage) -> Result<()> {
    let (seed, mut ends) = (from_env("FAULTS_SEED", 2026), BTreeMap::<String, usize>::new());
    let first = from_env("FAULTS_ROUND", 0);
    for round in first..first + from_env("FAULTS_ENDS", ENDS) {
        let mut chance = Chance::new(seed as u64, &format!("end {round}"));
        let mut said = Vec::new();
        let played = play(stage, round, &mut chance, &mut said).await;
        played.with_context(|| format!("FAULTS_SEED={seed} FAULTS_ROUND={round} FAULTS_ENDS=1: {said:?}"))?;
        said.into_iter().for_each(|end| *ends.entry(end).or_default() += 1);
    }
    println!("seed {seed}: {} deaths", ends.values().sum::<usize>());
    ends.iter().for_each(|(end, times)| println!("  {times:>3} {end}"));
    Ok(())
}

async fn play(stage: &mut Stage, round: usize, chance: &mut Chance, said: &mut Vec<String>) -> Result<()> {
    let others = uids(&managed(&stage.client).await?);
    let mut leaving = Leaving::begin(stage, round, chance).await?;
    let mut trace = Trace::from_now(stage.world.audit_file())?;
    let syncs = stage.world.git_syncs().await?;
    syncs.delete(&leaving.name, &DeleteParams::default()).await?;
    for death in 0..=chance.below(3) {
        let (after, linger) = (chance.below(STEPS), Duration::from_micros(chance.below(4_000) as u64));
        let end = leaving.dies(stage, &mut trace, (death > 0, after, linger)).await?;
        said.push(format!("{}, {end}", leaving.policy));
    }
    stage.world.start_holdfast().await?;
    wait_until("the GitSync is gone", PATIENCE, || is_gone(&syncs, &leaving.name)).await?;
    leaving.requests.extend(trace.more()?);
    leaving.holds(stage).await?;
    let now = uids(&managed(&stage.client).await?);
    ensure!(now == others, "others than its own were touched: {others:?} became {now:?}");
    stage.begin().await
}

async fn is_gone(syncs: &Api<DynamicObject>, name: &str) -> Result<()> {
    ensure!(syncs.get_opt(name).await?.is_none(), "it is still there");
    Ok(())
}

/// What there is besides the marks.
fn objects(name: &str, chance: &mut Chance) -> BTreeMap<Id, Value> {
    let mut all: Vec<_> = (0..3 + chance.below(8)).map(|number| config(&format!("z{number}"), "0")).collect();
    for object in &mut all {
        object["metadata"]["annotations"] = json!({"holdfast.dev/wave": chance.below(3).to_string()});
    }
    let mut precious = config("precious", "0");
    precious["metadata"]["annotations"] = json!({"holdfast.dev/prune": "disabled"});
    all.push(precious);
    all.push(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    }));
    all.into_iter()
        .map(|mut object| {
            object["metadata"]["namespace"] = json!(name);
            (id(&object), object)
        })
        .collect()
}

// === impl Leaving ===

impl Leaving {
    async fn begin(stage: &mut Stage, round: usize, chance: &mut Chance) -> Result<Self> {
        let name = format!("leaving-{round}");
        let policy = if chance.percent(50) { "Delete" } else { "Orphan" };
        let objects = objects(&name, chance);
        let commit = stage.world.commit("Leaving", |root| {
            let folder = root.join(&name);
            std::fs::create_dir_all(&folder)?;
            objects.iter().try_for_each(|(id, object)| {
                let file = folder.join(format!("{}.json", id.replace('/', "_")));
                std::fs::write(file, object.to_string()).with_context(|| format!("failed to write {id}"))
            })
        });
        stage.head = commit.await?;
        stage.world.namespace(&name).await?;
        let mut sync = stage.world.git_sync(&name, &name, &name)?;
        sync["spec"]["source"]["interval"] = json!("1s");
        sync["spec"]["deletionPolicy"] = json!(policy);
        stage.world.apply(&sync).await?;
        stage.world.synced(&name, &stage.head).await?;
        stage.is_synced().await?;
        let live = managed(&stage.client).await?.into_iter().filter(|(id, _)| objects.contains_key(id)).collect();
        let records = stage.world.records()?.len();
        Ok(Self { name, policy, objects, uids: uids(&live), requests: Vec::new(), records, deaths: 0 })
    }

    /// Takes leave until it dies; answers with what it was doing then.
    async fn dies(
        &mut self,
        stage: &Stage,
        trace: &mut Trace,
        (starts, after, linger): (bool, usize, Duration),
    ) -> Result<String> {
        let start = async {
            if starts {
                // Dead before it is ready is what it is meant to be.
                stage.world.start_holdfast().await.ok();
            }
            std::future::pending::<()>().await;
        };
        let last = tokio::select! {
            last = self.takes_leave(trace, after, linger) => last?,
            () = start => None,
        };
        stage.world.kill_holdfast().await?;
        self.deaths += 1;
        let how = if starts { "starting" } else { "running" };
        Ok(last.map_or(format!("{how}, before its first step"), |step| format!("{how}, after a {step:?}")))
    }

    async fn takes_leave(&mut self, trace: &mut Trace, after: usize, linger: Duration) -> Result<Option<Step>> {
        let (begun, mut steps) = (Instant::now(), Vec::new());
        while steps.len() < after && begun.elapsed() < LONGEST {
            let more = trace.more()?;
            let is_its_own = |request: &&Value| self.is_about_it(request);
            steps.extend(more.iter().filter(is_its_own).filter_map(step));
            self.requests.extend(more);
            sleep(Duration::from_millis(1)).await;
        }
        sleep(linger).await;
        Ok(steps.last().copied())
    }

    /// Lists are of all namespaces.
    fn is_about_it(&self, request: &Value) -> bool {
        let of = &request["objectRef"];
        of["namespace"] == *self.name || of["name"] == *self.name || request["verb"] == "list"
    }

    async fn holds(&self, stage: &Stage) -> Result<()> {
        let api = |kind| crate::census::api(&stage.client, kind);
        for (id, object) in &self.objects {
            let kind = if id.starts_with("roles/") {
                ("rbac.authorization.k8s.io", "v1", "Role")
            } else {
                ("", "v1", "ConfigMap")
            };
            let listed = api(kind).list(&kube::api::ListParams::default()).await?.items;
            let name = object["metadata"]["name"].as_str();
            let live = listed.into_iter().find(|live| {
                live.metadata.namespace.as_deref() == Some(&self.name) && live.metadata.name.as_deref() == name
            });
            self.is_as_it_is_to_be(id, live.map(serde_json::to_value).transpose()?)?;
        }
        self.was_done_once()?;
        let told = || async { self.is_told(&stage.world.records()?.split_off(self.records)) };
        wait_until("everything is on record", Duration::from_secs(5), told).await?;
        stage.notes_nothing().await
    }

    fn stays(&self, id: &Id) -> bool {
        self.policy == "Orphan" || id.ends_with("/precious")
    }

    fn is_as_it_is_to_be(&self, id: &Id, live: Option<Value>) -> Result<()> {
        ensure!(live.is_some() == self.stays(id), "{id} is to stay: {}; it is {live:?}", self.stays(id));
        let Some(live) = live else { return Ok(()) };
        ensure!(Some(&live["metadata"]["uid"]) == self.uids.get(id), "{id} is another one");
        let of = &self.objects[id];
        ensure!(live["data"] == of["data"] && live["rules"] == of["rules"], "{id} is {live}");
        let text = live["metadata"].to_string();
        ensure!(!text.contains("holdfast.dev/managed") && !text.contains("tracking-id\":"), "{id} is marked: {text}");
        Ok(())
    }

    /// Was each deleted, or unmarked, by one request, and nothing else written? What became of a request whose sender died, the API
    /// server may not have written down.
    fn was_done_once(&self) -> Result<()> {
        let mut done = BTreeMap::<Id, usize>::new();
        self.requests.iter().filter_map(written).for_each(|id| *done.entry(id).or_default() += 1);
        let is_lavish = |(id, times): (&Id, &usize)| *times > 1 || !self.objects.contains_key(id);
        ensure!(!done.iter().any(is_lavish), "written: {done:?}");
        let unseen = self.objects.len() - done.len();
        ensure!(unseen <= self.deaths, "{unseen} were not written in {} deaths: {done:?}", self.deaths);
        Ok(())
    }

    /// Is each on record, and of what the records are sure, once?
    fn is_told(&self, records: &[Value]) -> Result<()> {
        let (mut told, mut sure) = (BTreeSet::new(), BTreeMap::<Id, BTreeSet<&str>>::new());
        let is_of_a_sync = |record: &Value| record["kind"] == "Applied";
        let of_it = records.iter().filter(|record| record["object"]["namespace"] == *self.name);
        for record in of_it.filter(|record| !is_of_a_sync(record)) {
            let of = &record["object"];
            let metadata = json!({"namespace": of["namespace"], "name": of["name"]});
            let who = id(&json!({"kind": of["kind"], "metadata": metadata}));
            let wanted = if self.stays(&who) { "PruneWithheld" } else { "Pruned" };
            ensure!(record["kind"] == wanted, "on record, and no part of an end: {record}");
            if !record["reason"].to_string().contains("whether it was done is not known") {
                sure.entry(who.clone()).or_default().insert(record["id"].as_str().unwrap_or_default());
            }
            told.insert(who);
        }
        let untold: Vec<_> = self.objects.keys().filter(|id| !told.contains(*id)).collect();
        ensure!(untold.is_empty(), "not on record: {untold:?}");
        let twice: Vec<_> = sure.iter().filter(|(_, ids)| ids.len() > 1).collect();
        ensure!(twice.is_empty(), "twice on record: {twice:?}");
        Ok(())
    }
}
