//! A world: a real control plane with people in it, a Git server, and Holdfast between the two, all on loopback.
//!
//! This is the one implementation behind `make up`, the demo, the benchmarks and the tests against a real API server, so
//! that what a test sees is what a person sees. Include it as a module (`#[path = "../dev/world/mod.rs"] mod world;`).
//!
//! ```ignore
//! static WORLD: OnceCell<World> = OnceCell::const_new();     // tokio's; one world for all tests of a file
//!
//! async fn world() -> &'static World {
//!     let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster");
//!     WORLD.get_or_init(async || World::start(&folder, Options::for_tests()).await.expect("a world starts")).await
//! }
//!
//! #[tokio::test]
//! async fn a_scale_is_refused() -> Result<()> {
//!     let world = world().await;
//!     world.namespace("scale-refused").await?;                                    // alice's team may edit in it
//!     let commit = world.commit("Add web", |files| fs::write(files.join("scale/web.yaml"), WEB).context("…")).await?;
//!     world.apply(&world.git_sync("scale", "scale", "scale-refused")?).await?;    // name, path, namespace
//!     world.synced("scale", &commit).await?;
//!     let refusal = world.kubectl(Person::Alice, &["scale", "deploy/web", "--replicas=9"]).await?.refusal()?;
//!     assert!(refusal.contains("web.yaml:7"));
//!     Ok(())
//! }
//! ```
//!
//! - Give every test a namespace and a folder in Git of its own; the rest may be shared. A test that stops or restarts
//!   something shared needs a world of its own.
//! - Wait with [`wait_until`] on what you can see; never sleep.
//! - [`World::command`] prepares a kubectl that still wants something: an `EDITOR`, an input. As the administrator,
//!   `--as` and `--as-group` act for anybody else.
//! - A world made with [`Options::for_tests`] ends with the process that started it, however that ends.

// Each program that includes this module uses a part of it, and none exports it.
#![allow(dead_code, unreachable_pub)]

mod acting;
mod clients;
mod control_plane;
mod git;
pub mod git_server;
pub mod guard;
mod holdfast;
mod layout;
mod lifetime;
mod parts;
mod people;
mod pki;
mod ports;
mod process;
mod programs;
mod replicas;
pub mod report;
mod server;
mod wait;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

pub use holdfast::{HOLDFAST, REPLICAS};
pub use people::Person;
#[allow(unused_imports)] // for tests; `make up` has no use for them
pub use {clients::Output, wait::wait_until};

use control_plane::{CONTROLLER_MANAGER, ControlPlane};
use git::Git;
use guard::Guard;
use holdfast::Holdfast;
use layout::{Layout, write_atomically};
use lifetime::{end_all, lock, wipe};
use report::{Steps, env_lines};

/// The namespace of every `GitSync` here.
pub const HOLDFAST_NAMESPACE: &str = "holdfast-system";

/// The `GitSync` of the sample.
pub const SAMPLE: &str = "shop";

/// The namespaces alice's team gets in a world with the sample.
const TEAM_NAMESPACES: [&str; 2] = [SAMPLE, "playground"];

/// What kind of world.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent switches, each read once
pub struct Options {
    /// With the sample repository, alice's namespaces and the sample's `GitSync`; else Git has but a README.
    pub sample: bool,
    /// Leave Holdfast out; if one ran in this world, it is ended and its webhooks are taken away.
    pub without_holdfast: bool,
    /// Nobody makes Pods of Deployments: objects are what was written into them.
    pub without_controllers: bool,
    /// Forget everything the folder holds from before.
    pub fresh: bool,
    /// End the world when the process that started it ends.
    pub ephemeral: bool,
    /// Write every request the API server gets into [`World::audit`].
    pub audit: bool,
    /// Further arguments for the API server.
    pub api_server_arguments: Vec<String>,
    /// Print no steps.
    pub quiet: bool,
    /// Holdfast's program; found beside this one if not given.
    pub holdfast: Option<PathBuf>,
    /// Further arguments for `holdfast run`.
    pub holdfast_arguments: Vec<String>,
}

impl Options {
    /// A fresh world, without the sample, that ends with the tests.
    pub fn for_tests() -> Self {
        Self { fresh: true, ephemeral: true, quiet: true, ..Self::default() }
    }
}

/// A running world. Everything it is lies in its folder: a second one on the same folder is the same world.
#[derive(Debug)]
pub struct World {
    layout: Layout,
    options: Options,
    plane: ControlPlane,
    git: Git,
    holdfast: Holdfast,
    steps: Steps,
    committing: tokio::sync::Mutex<()>,
    _guard: Option<Guard>,
}

// === impl World ===

impl World {
    /// Starts what does not run yet, and waits until all of it works.
    pub async fn start(folder: &Path, options: Options) -> Result<Self> {
        let _lock = lock(folder)?;
        if options.fresh {
            end_all(folder, Steps { quiet: true }).await?;
            wipe(folder)?;
        }
        let world = Self::new(folder, options)?;
        world.bring_up().await?;
        Ok(world)
    }

    /// Ends every process of the world; its data stays.
    pub async fn stop(&self) -> Result<()> {
        Self::end(self.layout.root(), self.options.quiet).await
    }

    /// Ends every process of the world in `folder`, whoever started it.
    pub async fn end(folder: &Path, quiet: bool) -> Result<()> {
        if !folder.exists() {
            return Ok(());
        }
        let _lock = lock(folder)?;
        end_all(folder, Steps { quiet }).await
    }

    /// Ends the world in `folder`, and deletes the folder.
    pub async fn throw_away(folder: &Path) -> Result<()> {
        let _lock = lock(folder)?;
        end_all(folder, Steps { quiet: true }).await?;
        std::fs::remove_dir_all(folder).context("failed to delete a world's folder")
    }

    fn new(folder: &Path, options: Options) -> Result<Self> {
        let layout = Layout::create(folder)?;
        let dev = programs::dev()?;
        let program = options.holdfast.clone().map_or_else(programs::holdfast, Ok)?;
        Ok(Self {
            plane: ControlPlane::new(&layout, options.audit, &options.api_server_arguments)?,
            git: Git::new(&layout, dev.clone()),
            holdfast: Holdfast::new(&layout, program, options.holdfast_arguments.clone()),
            steps: Steps { quiet: options.quiet },
            committing: tokio::sync::Mutex::default(),
            _guard: if options.ephemeral {
                Some(Guard::post(&layout, &dev)?)
            } else {
                Guard::dismiss(&layout).map(|()| None)?
            },
            layout,
            options,
        })
    }

    async fn bring_up(&self) -> Result<()> {
        self.start_control_plane().await?;
        self.start_git().await?;
        self.steps.step("repository and working clone", self.git.prepare(&self.content()?)).await?;
        self.steps.step("people, and what each may do", self.admit_people()).await?;
        self.steps.step("Holdfast's namespace, kinds and rights", self.install_holdfast()).await?;
        if self.options.without_holdfast {
            self.steps.step("no Holdfast, and no webhook of it", self.remove_holdfast()).await?;
        } else {
            self.start_holdfast().await?;
        }
        if self.options.sample {
            self.steps.step("the sample's GitSync", self.apply(&self.sample()?)).await?;
            if !self.options.without_holdfast {
                self.steps.step("the cluster equals Git", self.ready(SAMPLE)).await?;
            }
        }
        write_atomically(&self.layout.env(), env_lines(&self.environment()?))
    }

    async fn start_control_plane(&self) -> Result<()> {
        let (etcd, server) = (self.plane.etcd()?, self.plane.server()?);
        self.steps.start("etcd", self.plane.start_etcd()).await?;
        if etcd != self.plane.etcd()? {
            // It had to move, and its client knows the old address. Likewise below.
            self.stop_api_server().await?;
        }
        self.start_api_server().await?;
        if server != self.plane.server()? {
            self.process(CONTROLLER_MANAGER).stop().await?;
            self.process(HOLDFAST).stop().await?;
        }
        if self.options.without_controllers {
            Ok(())
        } else if self.plane.has_controllers() {
            self.steps.start("kube-controller-manager", self.plane.start_controller_manager()).await
        } else {
            self.steps.step("no kube-controller-manager in KUBEBUILDER_ASSETS", async { Ok(()) }).await
        }
    }

    async fn admit_people(&self) -> Result<()> {
        if self.holdfast.pid().is_none() {
            // Left by one that was killed, they would refuse what follows. It registers them again when it starts.
            self.take_webhooks_away().await?;
        }
        self.apply(&people::cluster_rights()).await?;
        for namespace in TEAM_NAMESPACES.into_iter().filter(|_| self.options.sample) {
            self.namespace(namespace).await?;
        }
        Ok(())
    }

    fn content(&self) -> Result<PathBuf> {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dev/sample");
        if self.options.sample {
            return Ok(sample);
        }
        let readme = self.layout.run().join("content");
        std::fs::create_dir_all(&readme)?;
        std::fs::write(readme.join("README.md"), "Tests put their manifests here.\n")?;
        Ok(readme)
    }

    /// The `GitSync` of the sample. The HPA owns the replicas of `web`, so Git's number is only where it starts.
    fn sample(&self) -> Result<Value> {
        let mut sync = self.git_sync(SAMPLE, "apps/shop", SAMPLE)?;
        sync["spec"]["ignoreDifferences"] =
            json!([{"group": "apps", "kind": "Deployment", "name": "web", "jsonPointers": ["/spec/replicas"]}]);
        Ok(sync)
    }

    /// What `DIR/env` says.
    pub fn environment(&self) -> Result<Vec<(&'static str, String)>> {
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let kubeconfig = |person: Person| path(person.kubeconfig(&self.layout));
        Ok(vec![
            ("KUBECONFIG", kubeconfig(Person::Administrator)),
            ("ALICE_KUBECONFIG", kubeconfig(Person::Alice)),
            ("ONCALL_KUBECONFIG", kubeconfig(Person::Oncall)),
            ("KUBECTL", path(self.plane.kubectl())),
            ("GIT_WORKTREE", path(self.layout.worktree())),
            ("GIT_REMOTE", self.git.url()?),
            ("WEBHOOK_URL", self.holdfast.webhook_url()?),
            ("METRICS_URL", self.holdfast.metrics_url()?),
            ("LOG_DIR", path(self.layout.logs())),
            ("HOLDFAST_PID", self.holdfast.pid().map(|pid| pid.to_string()).unwrap_or_default()),
            ("SYNC", format!("{HOLDFAST_NAMESPACE}/{SAMPLE}")),
        ])
    }
}
