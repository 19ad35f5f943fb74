//! The world everything dies in, and what was in it before the round.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::timeout;

use crate::census::{equals, managed, uids};
use crate::gate::Gate;
use crate::ledger::Ledger;
use crate::repository::{Id, NAMESPACE, Repository, config};
use crate::trace::Trace;
use crate::world::{HOLDFAST_NAMESPACE, Options, Person, World, wait_until};

/// Long enough for a machine with other things to do; a condition that holds ends the wait at once.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// What nobody manages, and a copy of what Holdfast does: neither is any business of a prune.
const BYSTANDERS: [&str; 2] = ["bystander", "copy"];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));
static STAGE: OnceCell<Mutex<Stage>> = OnceCell::const_new();

/// The world, and what is known of it.
pub struct Stage {
    pub world: World,
    pub client: Client,
    /// Whom no webhook refuses.
    pub collector: Client,
    pub gate: Gate,
    pub git: Repository,
    /// The newest commit.
    pub head: String,
    syncs: Api<DynamicObject>,
    /// What is written in this round.
    pub ledger: Ledger,
    trace: Trace,
    records: usize,
    uids: BTreeMap<Id, Value>,
}

/// Runs a test in the world, which is whole and at rest.
pub fn run(test: impl AsyncFnOnce(&mut Stage) -> Result<()>) -> Result<(), Failed> {
    let test = async {
        let mut stage = STAGE.get_or_try_init(async || Stage::set().await.map(Mutex::new)).await?.lock().await;
        stage.recover().await?;
        test(&mut stage).await
    };
    RUNTIME.block_on(test).map_err(|error: anyhow::Error| Failed::from(format!("{error:#}")))
}

/// A number from the environment.
pub fn from_env(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("it is a number"))
}

// === impl Stage ===

impl Stage {
    async fn set() -> Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
        let world = World::start(&folder, Options { audit: true, ..Options::for_tests() }).await?;
        world.namespace(NAMESPACE).await?;
        let client = world.client(Person::Administrator).await?;
        let (gate, git) = (Gate::default(), Repository::first());
        let mut sync = world.git_sync(NAMESPACE, NAMESPACE, NAMESPACE)?;
        sync["spec"]["source"]["repoURL"] = gate.open(&world).await?.into();
        sync["spec"]["source"]["interval"] = "1s".into();
        sync["spec"]["syncPolicy"]["retry"] = json!({"limit": 5, "backoff": {"duration": "1s", "maxDuration": "2s"}});
        let head = world.commit("The first", |files| git.write(files)).await?;
        world.apply(&sync).await?;
        world.synced(NAMESPACE, &head).await?;
        for name in BYSTANDERS {
            world.apply(&bystander(name)).await?;
        }
        let collector = acting(&world, "system:serviceaccount:kube-system:generic-garbage-collector").await?;
        let (syncs, trace) = (world.git_syncs().await?, Trace::from_now(world.audit_file())?);
        let (ledger, uids) = (Ledger::default(), BTreeMap::new());
        Ok(Self { world, client, collector, gate, git, head, syncs, ledger, trace, records: 0, uids })
    }

    /// Whatever the test before left behind.
    async fn recover(&mut self) -> Result<()> {
        self.gate.lets_through(None);
        self.world.start_api_server().await?;
        self.world.start_holdfast().await?;
        self.git.mend();
        self.commit("Recovered").await?;
        self.is_synced().await?;
        wait_until("the cluster equals Git", PATIENCE, || self.equals_git()).await?;
        self.begin().await
    }

    /// From here on it is counted.
    pub async fn begin(&mut self) -> Result<()> {
        self.trace.more()?;
        self.ledger = Ledger::default();
        self.records = self.world.records()?.len();
        self.uids = uids(&managed(&self.client).await?);
        Ok(())
    }

    /// Commits what Git says now.
    pub async fn commit(&mut self, message: &str) -> Result<()> {
        let git = &self.git;
        self.head = self.world.commit(message, |files| git.write(files)).await?;
        Ok(())
    }

    /// Changes what Git says, and commits it.
    pub async fn commits<T>(&mut self, change: impl FnOnce(&mut Repository) -> T) -> Result<T> {
        let before = self.git.clone();
        let what = change(&mut self.git);
        self.ledger.commit(&before, &self.git);
        self.commit("Changed").await?;
        Ok(what)
    }

    /// The status of the `GitSync`.
    pub async fn status(&self) -> Result<Value> {
        // An API server that waits for an etcd that is gone does not answer.
        let sync = timeout(Duration::from_secs(5), self.syncs.get(NAMESPACE)).await?;
        Ok(sync?.data["status"].clone())
    }

    /// Does it say that the cluster equals the newest commit?
    pub async fn says_synced(&self) -> Result<()> {
        let status = self.status().await?;
        let ready = status["conditions"].as_array().into_iter().flatten().find(|said| said["type"] == "Ready");
        let is_ready = ready.is_some_and(|ready| ready["status"] == "True");
        ensure!(is_ready && status["syncedRevision"] == *self.head, "not at {}: {status}", self.head);
        Ok(())
    }

    /// Waits until it does.
    pub async fn is_synced(&self) -> Result<()> {
        wait_until("it is synced", PATIENCE, || self.says_synced()).await
    }

    /// Does the cluster equal Git, and is it still the same cluster?
    pub async fn equals_git(&self) -> Result<()> {
        equals(&managed(&self.client).await?, &self.git)
    }

    /// Checks what must hold after a round. Of an API server that was killed not everything is in its log.
    pub async fn holds(&mut self, drifted: bool, logged: bool) -> Result<()> {
        self.is_synced().await?;
        if drifted {
            wait_until("drift is healed", PATIENCE, || self.equals_git()).await?;
        }
        self.equals_git().await.with_context(|| format!("it says that it is synced to {}", self.head))?;
        self.ledger.is_same(&self.uids, &uids(&managed(&self.client).await?))?;
        self.bystanders_stand().await?;
        let requests = self.trace.more()?;
        self.ledger.note(&requests);
        self.ledger.is_frugal()?;
        let told = || async {
            let records = self.world.records()?.split_off(self.records);
            let told = self.ledger.is_told(&records);
            if logged { told } else { Ok(()) }
        };
        wait_until("everything is on record", Duration::from_secs(5), told).await?;
        let history = self.status().await?["history"].clone();
        ensure!(history[0]["revision"] == *self.head && history[0]["outcome"] == "Synced", "{history}");
        self.notes_nothing().await
    }

    /// Waits until every write that was begun is on record. Files that are there for the next are empty.
    pub async fn notes_nothing(&self) -> Result<()> {
        let notes = self.world.holdfast_cache().join("evidence.intents");
        wait_until("nothing is noted any more", PATIENCE, || async {
            let notes = std::fs::read_dir(&notes).into_iter().flatten().flatten();
            let left = notes.filter(|note| note.metadata().is_ok_and(|note| note.len() > 0)).count();
            ensure!(left == 0, "{left} are");
            Ok(())
        })
        .await
    }

    async fn bystanders_stand(&self) -> Result<()> {
        let objects = crate::census::api(&self.client, ("", "v1", "ConfigMap"));
        let listed = objects.list(&kube::api::ListParams::default().labels("faults=bystander")).await?;
        ensure!(listed.items.len() == BYSTANDERS.len(), "a bystander is gone");
        Ok(())
    }
}

/// The copy says what the original says of itself; only its name is another.
fn bystander(name: &str) -> Value {
    let mut object = config(name, "0");
    object["metadata"]["namespace"] = json!(NAMESPACE);
    object["metadata"]["labels"] = json!({"faults": "bystander"});
    if name == "copy" {
        let of = format!("{HOLDFAST_NAMESPACE}/{NAMESPACE}:/ConfigMap:{NAMESPACE}/removed");
        object["metadata"]["annotations"] = json!({"holdfast.dev/tracking-id": of});
    }
    object
}

/// The administrator, acting for somebody.
async fn acting(world: &World, user: &str) -> Result<Client> {
    let environment = world.environment()?;
    let file = environment.iter().find(|(name, _)| *name == "KUBECONFIG").context("every world says where it is")?;
    let kubeconfig = Kubeconfig::read_from(&file.1)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.auth_info.impersonate = Some(user.to_owned());
    Ok(Client::try_from(config)?)
}
