//! One control plane without Holdfast for all tests, and the runtime they share it on.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context, Result};
use holdfast::cluster::{Cluster, Kinds};
use holdfast::evidence::Metrics;
use libtest_mimic::Failed;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::specimen::Specimen;
use crate::subject::Subject;
use crate::world::{Options, Person, World};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));
static STAGE: OnceCell<Stage> = OnceCell::const_new();

/// What every test needs.
pub struct Stage {
    /// The world.
    pub world: World,
    /// The administrator's connection.
    pub cluster: Cluster,
    /// What is served.
    pub kinds: Kinds,
}

/// Plays a test.
pub fn play<T: Future<Output = Result<()>>>(test: impl FnOnce() -> T) -> Result<(), Failed> {
    RUNTIME.block_on(test()).map_err(|error| Failed::from(format!("{error:#}")))
}

/// Where disagreements are written down.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle")
}

// === impl Stage ===

impl Stage {
    /// The one of all tests.
    pub async fn shared() -> Result<&'static Self> {
        STAGE.get_or_try_init(Self::set).await
    }

    /// The object of a specimen, in the namespace it lives in.
    pub async fn subject<'s>(&'s self, specimen: &'s Specimen) -> Result<Subject<'s>> {
        if let Some(namespace) = specimen.namespace() {
            self.world.namespace(namespace).await?;
        }
        Subject::new(&self.cluster, specimen).await
    }

    /// Makes this definition, or changes it, and waits until its kind is served.
    pub async fn define(&self, definition: &Value) -> Result<()> {
        define(&self.world, &definition.to_string()).await
    }

    async fn set() -> Result<Self> {
        let options = Options { without_holdfast: true, ..Options::for_tests() };
        let world = World::start(&folder(), options).await.context("no world")?;
        define(&world, include_str!("crds.yaml")).await?;
        let client = world.client(Person::Administrator).await?;
        let cluster = Cluster::connect(client, Metrics::new().0).await?;
        let kinds = cluster.kinds().await;
        Ok(Self { world, cluster, kinds })
    }
}

async fn define(world: &World, definitions: &str) -> Result<()> {
    world.apply_yaml(definitions).await?;
    let established = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=30s"];
    world.kubectl(Person::Administrator, &established).await?.success().map(drop)
}
