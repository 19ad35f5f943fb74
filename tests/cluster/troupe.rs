//! Two replicas of Holdfast behind one address, under `failurePolicy: Fail`, in a world where every request is written down. Tests take
//! turns with it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::balancer;
use crate::manifests::{WEB, config};
use crate::place::Place;
use crate::stage::{PATIENCE, Stage, folder, scrape};
use crate::who::Who;
use crate::world::{Options, Person, World, wait_until};

/// How many there are.
pub const ALL: [usize; 2] = [0, 1];
/// How long a dead leader holds up the other one.
pub const LEASE: Duration = Duration::from_secs(3);
/// What drifts under load, by turns: whoever undoes heals of one object too often is given way to.
const DRIFTING: usize = 60;
/// How often each of them drifts at most.
const TIMES: usize = 4;
/// By then somebody else leads, on a machine with other things to do.
pub const SOON: Duration = Duration::from_secs(10);

static TROUPE: OnceCell<Mutex<Troupe>> = OnceCell::const_new();

/// The replicas, and the stage they play on.
pub struct Troupe {
    pub stage: Stage,
    url: String,
    arguments: &'static [&'static str],
}

/// All of them, running, one of them leading.
pub async fn troupe() -> Result<MutexGuard<'static, Troupe>> {
    let gather = async || Troupe::gather("cluster-replicas", ALL.len(), &[]).await.map(Mutex::new);
    let troupe = TROUPE.get_or_try_init(gather).await?.lock().await;
    for number in ALL {
        troupe.start(number).await?;
    }
    troupe.leader().await?;
    Ok(troupe)
}

// === impl Troupe ===

impl Troupe {
    /// In a world of their own, behind an address for so many; the first two run.
    pub async fn gather(name: &str, most: usize, arguments: &'static [&'static str]) -> Result<Self> {
        let options = Options { audit: true, without_holdfast: true, ..Options::for_tests() };
        let world = World::start(&folder(name), options).await?;
        let url = format!("https://{}", balancer::start(&world, most).await?);
        for number in ALL {
            start(&world, number, &url, (arguments, &[])).await?;
        }
        Ok(Self { stage: Stage::of(world).await?, url, arguments })
    }

    /// Starts one, unless it runs, and waits until it is ready.
    pub async fn start(&self, number: usize) -> Result<()> {
        self.start_with(number, self.arguments).await
    }

    /// Likewise, with other arguments than usual.
    pub async fn start_with(&self, number: usize, arguments: &[&str]) -> Result<()> {
        start(&self.stage.world, number, &self.url, (arguments, &[])).await
    }

    /// Likewise, with this in its environment.
    pub async fn start_within(&self, number: usize, environment: &[(&'static str, String)]) -> Result<()> {
        start(&self.stage.world, number, &self.url, (self.arguments, environment)).await
    }

    /// The one that says it leads, as soon as exactly one of those who answer does.
    pub async fn leader(&self) -> Result<usize> {
        wait_until("one leads", PATIENCE, || async {
            let mut leaders = Vec::new();
            for number in ALL {
                if self.metric(number, "holdfast_leader").await.unwrap_or(0) == 1 {
                    leaders.push(number);
                }
            }
            ensure!(leaders.len() == 1, "{leaders:?} lead");
            Ok(leaders[0])
        })
        .await
    }

    /// Waits until `number` leads; answers with how long that took.
    pub async fn leads(&self, number: usize) -> Result<Duration> {
        let start = Instant::now();
        wait_until(&format!("replica {number} leads"), PATIENCE, || async {
            let leads = self.metric(number, "holdfast_leader").await?;
            ensure!(leads == 1, "it does not");
            Ok(())
        })
        .await?;
        Ok(start.elapsed())
    }

    /// A metric of one of them.
    pub async fn metric(&self, number: usize, series: &str) -> Result<u64> {
        let page = scrape(self.stage.world.replica(number).metrics_url()?).await?;
        let line = page.lines().find_map(|line| line.strip_prefix(series)).with_context(|| format!("no {series}"))?;
        line.trim().parse().with_context(|| format!("{series} is {line}"))
    }

    /// Sends a signal to one of them.
    pub fn signal(&self, number: usize, signal: Signal) -> Result<()> {
        self.stage.world.signal_replica(number, signal)
    }

    /// Ends one as a cluster does.
    pub async fn stop(&self, number: usize) -> Result<()> {
        self.stage.world.replica(number).process().stop().await
    }

    /// Kills all of them at once.
    pub async fn kill_all(&self) -> Result<()> {
        futures::future::try_join_all(ALL.map(|number| self.stage.world.kill_replica(number))).await.map(drop)
    }

    /// Ends one as a cluster does, and starts it anew.
    pub async fn restart(&self, number: usize) -> Result<()> {
        self.stop(number).await?;
        self.start(number).await
    }

    /// What replica `number` has written, by its token, since the audit log had `since` entries: no dry runs, no questions.
    pub fn writes(&self, number: usize, since: usize) -> Result<Vec<Value>> {
        let credential = self.stage.world.credential(number)?;
        let is_its = |request: &Value| {
            request["user"]["extra"]["authentication.kubernetes.io/credential-id"][0] == credential.as_str()
        };
        Ok(self.stage.world.audit()?.into_iter().skip(since).filter(is_its).filter(is_write).collect())
    }

    /// Changes a ConfigMap behind the webhook, which leaves controllers of kube-system alone.
    pub async fn slips(&self, place: &Place<'_>, mode: &str) -> Result<()> {
        let api = self.api(
            Some("system:serviceaccount:kube-system:generic-garbage-collector"),
            "v1",
            "ConfigMap",
            &place.name,
        );
        let patch = Patch::Merge(json!({"data": {"mode": mode}}));
        api.await?.patch("settings", &PatchParams::default(), &patch).await.context("it did not slip")?;
        Ok(())
    }

    /// Objects of a kind, as the administrator, or as whom the administrator impersonates.
    async fn api(
        &self,
        acting: Option<&str>,
        version: &str,
        kind: &str,
        namespace: &str,
    ) -> Result<Api<DynamicObject>> {
        let environment = self.stage.world.environment()?;
        let name = if acting.is_some() { "KUBECONFIG" } else { "ALICE_KUBECONFIG" };
        let file = environment.iter().find(|(known, _)| *known == name).context("every world says where it is")?;
        let mut config =
            Config::from_custom_kubeconfig(Kubeconfig::read_from(&file.1)?, &KubeConfigOptions::default()).await?;
        config.auth_info.impersonate = acting.map(str::to_owned);
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Ok(Api::namespaced_with(Client::try_from(config)?, namespace, &resource))
    }

    /// Edits that are to be refused, and drift that is to be healed, until told to stop.
    pub async fn load(&self, place: &Place<'_>) -> Result<Load> {
        // What was registered a moment ago, the API server may not know yet.
        let scale = r#"patch deployment/web --type=merge --patch={"spec":{"replicas":999}} --dry-run=server"#;
        wait_until("the guard is up", PATIENCE, || place.refuses(Who::Alice, scale)).await?;
        let stop = CancellationToken::new();
        let web = self.api(None, "apps/v1", "Deployment", &place.name).await?;
        let collector = Some("system:serviceaccount:kube-system:generic-garbage-collector");
        let settings = self.api(collector, "v1", "ConfigMap", &place.name).await?;
        let since = self.stage.world.audit()?.len();
        Ok(Load {
            since,
            under_way: 0,
            edits: tokio::spawn(edit(web, stop.clone())),
            drifts: tokio::spawn(drift(settings, stop.clone())),
            stop,
        })
    }
}

/// What goes on while something else happens.
pub struct Load {
    since: usize,
    /// Requests that may have been cut off: made and not written down, or made and then made again.
    under_way: usize,
    stop: CancellationToken,
    edits: JoinHandle<Edits>,
    drifts: JoinHandle<Result<usize>>,
}

/// What became of alice's edits, each by a number of its own.
#[derive(Debug, Default)]
pub struct Edits {
    pub refused: BTreeSet<i64>,
    pub passed: Vec<i64>,
    /// Neither: the API server got no answer, and refused for want of one.
    pub failed: Vec<String>,
}

// === impl Load ===

impl Load {
    /// Restarts the API server, which leaves nobody an answer. One drift and its heal are under way at most.
    pub async fn restart_api_server(&mut self, troupe: &Troupe) -> Result<()> {
        self.under_way += 1;
        troupe.stage.world.restart_api_server().await
    }

    /// Stops, and checks what must always hold: nothing has passed, everything that was refused is on record, all drift is healed, and
    /// each was healed by one write.
    pub async fn end(self, troupe: &Troupe, place: &Place<'_>) -> Result<Edits> {
        let Self { since, under_way, stop, edits, drifts } = self;
        stop.cancel();
        let (edits, drifts) = (edits.await?, drifts.await??);
        ensure!(edits.passed.is_empty(), "passed: {:?}", edits.passed);
        ensure!(!edits.refused.is_empty() && drifts > 0, "nothing happened: {edits:?}");
        // What had no room is brought back a moment later.
        wait_until("every denial is on record", SOON, || async {
            let told: BTreeSet<i64> = place.records("Denied", "Deployment/web")?.iter().filter_map(live).collect();
            let untold: Vec<_> = edits.refused.difference(&told).collect();
            ensure!(untold.is_empty(), "not on record: {untold:?}");
            Ok(())
        })
        .await?;
        let mut writes = Vec::new();
        for number in ALL {
            let of = |request: &Value| {
                request["objectRef"]["namespace"] == place.name.as_str()
                    && request["objectRef"]["resource"] == "configmaps"
            };
            writes.extend(troupe.writes(number, since)?.into_iter().filter(of));
        }
        ensure!(writes.len().abs_diff(drifts) <= under_way, "{} writes for {drifts} drifts", writes.len());
        Ok(edits)
    }
}

/// What a start has of its own: arguments, and an environment.
type Own<'a> = (&'a [&'a str], &'a [(&'static str, String)]);

async fn start(world: &World, number: usize, url: &str, (arguments, environment): Own<'_>) -> Result<()> {
    let lease = format!("{}s", LEASE.as_secs());
    let fail = ["--webhook-failure-policy=Fail", "--webhook-timeout=2s", "--lease-duration", &lease];
    world.start_replica_within(number, url, &[&fail, arguments].concat(), environment).await
}

/// Alice scales to a number she never had before, and again.
async fn edit(web: Api<DynamicObject>, stop: CancellationToken) -> Edits {
    let mut edits = Edits::default();
    for replicas in 1000.. {
        if stop.is_cancelled() {
            break;
        }
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        match web.patch("web", &PatchParams::default(), &patch).await {
            Ok(_) => edits.passed.push(replicas),
            Err(kube::Error::Api(status)) if status.message.contains("holdfast.dev\" denied the request") => {
                edits.refused.insert(replicas);
            }
            Err(error) => edits.failed.push(error.to_string()),
        }
    }
    edits
}

/// A controller changes what Git says, waits until it is undone, and does it again; answers with how often.
async fn drift(objects: Api<DynamicObject>, stop: CancellationToken) -> Result<usize> {
    for count in 0..DRIFTING * TIMES {
        if stop.is_cancelled() {
            return Ok(count);
        }
        let name = format!("drifting-{}", count % DRIFTING);
        let patch = Patch::Merge(json!({"data": {"mode": format!("slow-{count}")}}));
        // The API server may be away for a moment.
        wait_until("a controller may edit", PATIENCE, || async {
            Ok(objects.patch(&name, &PatchParams::default(), &patch).await?)
        })
        .await?;
        wait_until("it is undone", PATIENCE, || async {
            let live = objects.get(&name).await?;
            ensure!(live.data["data"]["mode"] == "fast", "it is {}", live.data["data"]["mode"]);
            Ok(())
        })
        .await?;
    }
    Ok(DRIFTING * TIMES)
}

/// What a place needs for [`Troupe::load`], as files in Git.
pub fn for_load() -> Vec<(&'static str, String)> {
    let drifting: Vec<_> = (0..DRIFTING).map(|number| config(&format!("drifting-{number}"), "mode", "fast")).collect();
    vec![("web.yaml", WEB.to_owned()), ("drifting.yaml", drifting.join("\n---\n"))]
}

/// The number of replicas somebody wanted, as the record has it.
fn live(record: &Value) -> Option<i64> {
    let fields = record["fields"].as_array()?;
    fields.iter().find(|field| field["path"] == ".spec.replicas")?["live"].as_i64()
}

fn is_write(request: &Value) -> bool {
    let text = |field: &str| request[field].as_str().unwrap_or_default().to_owned();
    let reads = ["get", "list", "watch"].contains(&text("verb").as_str()) || text("requestURI").contains("dryRun=All");
    let group = request["objectRef"]["apiGroup"].as_str().unwrap_or_default();
    let succeeded = request["responseStatus"]["code"].as_u64().is_some_and(|code| code < 300);
    succeeded && !reads && !["authorization.k8s.io", "authentication.k8s.io"].contains(&group)
}

/// The Lease, as the administrator sees it.
pub async fn lease(world: &World) -> Result<Value> {
    let get = ["get", "lease", "holdfast", "--namespace", crate::world::HOLDFAST_NAMESPACE, "--output=json"];
    Ok(serde_json::from_str(&world.kubectl(Person::Administrator, &get).await?.success()?)?)
}
