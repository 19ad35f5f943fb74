//! The worlds tests play in, and the runtime they play on.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Client;
use kube::api::{DeleteParams, ListParams};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::guards;
use crate::manifests::{EVERY_KIND, gadgets, widgets};
use crate::who::{ARGO, AUTOMATION, FLUX, LISTED};
use crate::world::{Options, Person, World, wait_until};

/// Long enough for a machine with other things to do; a condition that holds ends the wait at once.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// One runtime for all tests, so that they can share a client.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

static SHARED: OnceCell<Stage> = OnceCell::const_new();
static FRAGILE: OnceCell<Mutex<Stage>> = OnceCell::const_new();

/// A world, and what every test in it needs.
pub struct Stage {
    /// The world.
    pub world: World,
    /// The administrator.
    pub client: Client,
    /// Every commit so far. Others commit too, so "at my commit" means "at mine or a later one".
    commits: Mutex<Vec<String>>,
}

/// A test by the name `name`.
pub fn test<F, T>(name: impl Into<String>, run: F) -> Trial
where
    F: FnOnce() -> T + Send + 'static,
    T: Future<Output = Result<()>>,
{
    let run = move || RUNTIME.block_on(run()).map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(name, run)
}

/// The tests of a module, named after it.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        vec![$(crate::stage::test(
            concat!(module_path!(), "::", stringify!($name)).trim_start_matches("cluster::").to_owned(),
            $name,
        )),+]
    };
}
pub(crate) use tests;

/// The world all tests share. Nobody stops anything in it.
pub async fn shared() -> Result<&'static Stage> {
    SHARED.get_or_try_init(|| Stage::set("cluster", Options::for_tests())).await
}

/// The world for those who break things, one after the other. Its API server is one that streams no lists.
pub async fn fragile() -> Result<MutexGuard<'static, Stage>> {
    let api_server_arguments = vec!["--feature-gates=WatchList=false".to_owned()];
    let audited = Options { audit: true, api_server_arguments, ..Options::for_tests() };
    let stage = FRAGILE.get_or_try_init(async || Stage::set("cluster-fragile", audited).await.map(Mutex::new)).await?;
    Ok(stage.lock().await)
}

/// A folder for files of the tests themselves.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

// === impl Stage ===

impl Stage {
    async fn set(name: &str, options: Options) -> Result<Self> {
        Self::of(World::start(&folder(name), options).await?).await
    }

    /// In this world, where somebody guards.
    pub async fn of(world: World) -> Result<Self> {
        let client = world.client(Person::Administrator).await?;
        let stage = Self { world, client, commits: Mutex::default() };
        stage.world.apply(&rights()?).await?;
        stage.world.apply_yaml(&gadgets()).await?;
        stage.world.apply_yaml(&widgets()).await?;
        let established = [
            "wait",
            "crd/gadgets.example.com",
            "crd/widgets.example.com",
            "--for=condition=Established",
            "--timeout=30s",
        ];
        stage.world.kubectl(Person::Administrator, &established).await?.success()?;
        stage.declare_every_kind().await?;
        Ok(stage)
    }

    /// Holdfast registers anew when Git declares a kind it did not declare before. With something of every kind declared from
    /// the start it registers once, and no test has to wait for a guard that is still being put up.
    pub async fn declare_every_kind(&self) -> Result<()> {
        let world = &self.world;
        world.namespace("every-kind").await?;
        let commit = self
            .commit("Something of every kind", |files| write(&files.join("every-kind/all.yaml"), EVERY_KIND))
            .await?;
        world.apply(&world.git_sync("every-kind", "every-kind", "every-kind")?).await?;
        world.synced("every-kind", &commit).await?;
        for kind in ["deployment", "gadget"] {
            wait_until("the guard is up", PATIENCE, || async {
                let delete = ["delete", kind, "some", "--namespace", "every-kind", "--dry-run=server"];
                world.kubectl(Person::Alice, &delete).await?.refusal()
            })
            .await?;
        }
        Ok(())
    }

    /// Changes files of the repository; answers with the commit.
    pub async fn commit(&self, message: &str, edit: impl FnOnce(&Path) -> Result<()>) -> Result<String> {
        let mut commits = self.commits.lock().await;
        let commit = self.world.commit(message, edit).await?;
        commits.push(commit.clone());
        Ok(commit)
    }

    /// Is `revision` this commit, or a later one?
    pub async fn is_at(&self, revision: &Value, commit: &str) -> Result<()> {
        let commits = self.commits.lock().await;
        let position = |wanted: &str| commits.iter().position(|known| known == wanted);
        let at = revision.as_str().and_then(position);
        ensure!(at.is_some() && at >= position(commit), "it is at {revision}, not yet at {commit}");
        Ok(())
    }

    /// The value of a metric, all of whose labels are written in `series`.
    pub async fn metric(&self, series: &str) -> Result<u64> {
        let page = self.metrics().await?;
        let line = page.lines().find_map(|line| line.strip_prefix(series)).with_context(|| format!("no {series}"))?;
        line.trim().parse().with_context(|| format!("{series} is {line}"))
    }

    /// Deletes every `GitSync` but this one; what it kept stays. [`Stage::declare_every_kind`] brings back what others rely on.
    pub async fn forget_all_but(&self, name: &str) -> Result<()> {
        let syncs = self.world.git_syncs().await?;
        for sync in syncs.list(&ListParams::default()).await? {
            let other = sync.metadata.name.unwrap_or_default();
            if other != name {
                syncs.delete(&other, &DeleteParams::default()).await?;
            }
        }
        Ok(())
    }

    /// Every request to the API server that Holdfast counted.
    pub async fn api_calls(&self) -> Result<Vec<String>> {
        let page = self.metrics().await?;
        Ok(page.lines().filter(|line| line.starts_with("holdfast_api_calls_total")).map(str::to_owned).collect())
    }

    /// All metrics.
    pub async fn metrics(&self) -> Result<String> {
        scrape(self.world.metrics_url()?).await
    }
}

/// All metrics of whoever is at this address; whoever does not answer soon does not answer.
pub async fn scrape(url: String) -> Result<String> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
    Ok(client.get(url).send().await?.error_for_status()?.text().await?)
}

/// Writes a file, and the folders it lies in.
pub fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::create_dir_all(file.parent().context("a file lies in a folder")?)?;
    std::fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))
}

/// Programs may edit like developers, and so may the autoscaler (kubectl reads what it scales, the real one does not). Those of
/// namespace `listed` count as controllers by policy.
fn rights() -> Result<Value> {
    let mut subjects =
        vec![json!({"kind": "ServiceAccount", "namespace": "kube-system", "name": "horizontal-pod-autoscaler"})];
    subjects.extend([AUTOMATION, LISTED, FLUX, ARGO].map(|namespace| {
        json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": format!("system:serviceaccounts:{namespace}")})
    }));
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "dev:programs"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "dev:developer"},
            "subjects": subjects,
        },
        {
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "DriftPolicy", "metadata": {"name": "default"},
            "spec": {"controllers": [format!("system:serviceaccount:{LISTED}:*")], "guards": guards::pasted()?, "teams": {"people": [{"groups": ["team-*"]}], "objects": [{"annotation": "team"}]}},
        },
    ]}))
}
