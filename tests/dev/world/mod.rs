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

mod clients;
mod control_plane;
mod git;
pub mod git_server;
pub mod guard;
mod holdfast;
mod layout;
mod people;
mod pki;
mod ports;
mod process;
mod programs;
pub mod report;
mod server;
mod wait;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tokio::process::Command;

pub use clients::Output;
pub use holdfast::HOLDFAST;
pub use people::Person;
pub use wait::wait_until;

use control_plane::{API_SERVER, CONTROLLER_MANAGER, ControlPlane, ETCD};
use git::{GIT_SERVER, Git};
use guard::Guard;
use holdfast::{Holdfast, json_lines};
use layout::{Layout, write_atomically};
use process::Process;
use report::{Steps, env_lines};

/// The namespace of every `GitSync` here.
pub const HOLDFAST_NAMESPACE: &str = "holdfast-system";

/// The `GitSync` of the sample.
pub const SAMPLE: &str = "shop";

/// The namespaces alice's team gets in a world with the sample.
const TEAM_NAMESPACES: [&str; 2] = [SAMPLE, "playground"];

/// Those started last end first: nobody should mourn a server that was meant to go.
const ENDING_ORDER: [&str; 5] = [HOLDFAST, CONTROLLER_MANAGER, GIT_SERVER, API_SERVER, ETCD];

const PATIENCE: Duration = Duration::from_mins(1);

/// What kind of world.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent switches, each read once
pub struct Options {
    /// With the sample repository, alice's namespaces and the sample's `GitSync`; else Git has but a README.
    pub sample: bool,
    /// Leave Holdfast out; if one ran in this world, it is ended and its webhooks are taken away.
    pub without_holdfast: bool,
    /// Forget everything the folder holds from before.
    pub fresh: bool,
    /// End the world when the process that started it ends.
    pub ephemeral: bool,
    /// Write every request the API server gets into [`World::audit`].
    pub audit: bool,
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

// === impl World: the whole ===

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

    fn new(folder: &Path, options: Options) -> Result<Self> {
        let layout = Layout::create(folder)?;
        let dev = programs::dev()?;
        let program = options.holdfast.clone().map_or_else(programs::holdfast, Ok)?;
        Ok(Self {
            plane: ControlPlane::new(&layout, options.audit)?,
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
        let before = self.plane.server()?;
        self.steps.start("etcd", self.plane.start_etcd()).await?;
        self.start_api_server().await?;
        if before != self.plane.server()? {
            // It had to move, and these know the old address.
            self.process(CONTROLLER_MANAGER).stop().await?;
            self.process(HOLDFAST).stop().await?;
        }
        if self.plane.has_controllers() {
            self.steps.start("kube-controller-manager", self.plane.start_controller_manager()).await
        } else {
            self.steps.step("no kube-controller-manager in KUBEBUILDER_ASSETS", async { Ok(()) }).await
        }
    }

    async fn admit_people(&self) -> Result<()> {
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

    /// Whether controllers run: without them Deployments make no pods, the HPA rests, namespaces never finish going.
    pub fn has_controllers(&self) -> bool {
        self.plane.has_controllers()
    }

    fn process(&self, name: &'static str) -> Process {
        Process::new(&self.layout, name)
    }
}

// === impl World: acting in it ===

impl World {
    /// Runs kubectl as somebody.
    pub async fn kubectl(&self, person: Person, arguments: &[&str]) -> Result<Output> {
        clients::run(self.command(person).args(arguments), "").await
    }

    /// kubectl as somebody, not yet run.
    pub fn command(&self, person: Person) -> Command {
        clients::kubectl(&self.plane.kubectl(), &person.kubeconfig(&self.layout))
    }

    /// A client that acts as somebody. It lives on the runtime of the test that asks for it.
    pub async fn client(&self, person: Person) -> Result<Client> {
        clients::client(&person.kubeconfig(&self.layout)).await
    }

    /// Applies an object or a `List` as the administrator.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        self.apply_yaml(&object.to_string()).await
    }

    /// Applies documents of YAML as the administrator.
    pub async fn apply_yaml(&self, documents: &str) -> Result<()> {
        let mut command = self.command(Person::Administrator);
        command.args([
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager",
            people::FIELD_MANAGER,
            "-f",
            "-",
        ]);
        clients::run(&mut command, documents).await?.success()?;
        Ok(())
    }

    /// Makes a namespace in which alice's team may edit everything.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        self.apply(&people::team_namespace(name)).await
    }

    /// Edits files of the working clone, commits, pushes; answers with the commit's full id. One at a time.
    pub async fn commit(&self, message: &str, edit: impl FnOnce(&Path) -> Result<()>) -> Result<String> {
        let _one_at_a_time = self.committing.lock().await;
        self.git.commit(message, edit).await
    }

    /// The repository's address.
    pub fn git_url(&self) -> Result<String> {
        self.git.url()
    }

    /// A `GitSync` of `path` in the repository to `namespace`, with every usual switch on. Change it before applying.
    pub fn git_sync(&self, name: &str, path: &str, namespace: &str) -> Result<Value> {
        Ok(json!({
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "GitSync",
            "metadata": {"name": name, "namespace": HOLDFAST_NAMESPACE},
            "spec": {
                "source": {"repoURL": self.git.url()?, "targetRevision": "main", "path": path, "interval": "2s"},
                "destination": {"namespace": namespace},
                "admission": {"mode": "Deny"},
                "syncPolicy": {
                    "automated": {"prune": true, "selfHeal": true},
                    "syncOptions": ["CreateNamespace=true", "Validate=true"],
                },
            },
        }))
    }

    /// The `GitSync` of the sample. The HPA owns the replicas of `web`, so Git's number is only where it starts.
    fn sample(&self) -> Result<Value> {
        let mut sync = self.git_sync(SAMPLE, "apps/shop", SAMPLE)?;
        sync["spec"]["ignoreDifferences"] =
            json!([{"group": "apps", "kind": "Deployment", "name": "web", "jsonPointers": ["/spec/replicas"]}]);
        Ok(sync)
    }

    /// Waits until the `GitSync` is Ready.
    pub async fn ready(&self, name: &str) -> Result<()> {
        let syncs = self.git_syncs().await?;
        wait_until(&format!("GitSync {name} is Ready"), PATIENCE, || async {
            let status = syncs.get(name).await?.data["status"].clone();
            let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
            ensure!(ready.is_some_and(|ready| ready["status"] == "True"), "its status is {status}");
            Ok(())
        })
        .await
    }

    /// Waits until the cluster was made, or found, equal to `commit`.
    pub async fn synced(&self, name: &str, commit: &str) -> Result<()> {
        let syncs = self.git_syncs().await?;
        wait_until(&format!("GitSync {name} is at {commit}"), PATIENCE, || async {
            let status = syncs.get(name).await?.data["status"].clone();
            ensure!(status["syncedRevision"] == commit, "its status is {status}");
            Ok(())
        })
        .await
    }

    /// Every `GitSync` of this world.
    pub async fn git_syncs(&self) -> Result<Api<DynamicObject>> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("holdfast.dev", "v1alpha1", "GitSync"));
        Ok(Api::namespaced_with(self.client(Person::Administrator).await?, HOLDFAST_NAMESPACE, &kind))
    }

    /// Holdfast's evidence so far, oldest first.
    pub fn records(&self) -> Result<Vec<Value>> {
        self.holdfast.records()
    }

    /// What the API server was asked so far, if the world was started with `audit`.
    pub fn audit(&self) -> Result<Vec<Value>> {
        json_lines(&self.layout.audit())
    }

    /// Where Holdfast's metrics are.
    pub fn metrics_url(&self) -> Result<String> {
        self.holdfast.metrics_url()
    }
}

// === impl World: taking parts of it away, and putting them back ===

impl World {
    /// Starts the API server, on the port and with the data it had.
    pub async fn start_api_server(&self) -> Result<()> {
        self.steps.start("kube-apiserver", self.plane.start_api_server()).await
    }

    /// Ends the API server.
    pub async fn stop_api_server(&self) -> Result<()> {
        self.process(API_SERVER).stop().await
    }

    /// Restarts the API server alone, under everybody who is connected to it.
    pub async fn restart_api_server(&self) -> Result<()> {
        self.stop_api_server().await?;
        self.start_api_server().await
    }

    /// Starts the Git server, on the port it had.
    pub async fn start_git(&self) -> Result<()> {
        self.steps.start("Git server", self.git.start()).await
    }

    /// Ends the Git server.
    pub async fn stop_git(&self) -> Result<()> {
        self.process(GIT_SERVER).stop().await
    }

    /// Starts Holdfast, and waits until it is ready.
    pub async fn start_holdfast(&self) -> Result<()> {
        self.steps.start("Holdfast", self.holdfast.start()).await
    }

    /// Ends Holdfast and leaves its webhooks where they are.
    pub async fn stop_holdfast(&self) -> Result<()> {
        self.process(HOLDFAST).stop().await
    }

    /// Takes Holdfast's webhooks out of the cluster: from here edits slip through.
    pub async fn take_webhooks_away(&self) -> Result<()> {
        holdfast::take_webhooks_away(self.client(Person::Administrator).await?).await
    }

    async fn remove_holdfast(&self) -> Result<()> {
        self.stop_holdfast().await?;
        self.take_webhooks_away().await
    }

    /// As in any cluster: the administrator applies what `holdfast render` prints, and the account gets a token.
    async fn install_holdfast(&self) -> Result<()> {
        self.apply_yaml(&self.holdfast.manifests()?).await?;
        let established = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=30s"];
        self.kubectl(Person::Administrator, &established).await?.success()?;
        let token = ["create", "token", "holdfast", "--namespace", HOLDFAST_NAMESPACE, "--duration=8760h"];
        let token = self.kubectl(Person::Administrator, &token).await?.success()?;
        Person::Holdfast.write_kubeconfig(&self.layout, self.plane.pki(), &self.plane.server()?, token.trim())
    }
}

// === the folder as a whole ===

/// One `up` or `down` at a time in a folder. The kernel lets go of the lock with the process, however that ends.
fn lock(folder: &Path) -> Result<File> {
    if !folder.exists() {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    } else if !folder.join("lock").exists() && std::fs::read_dir(folder)?.next().is_some() {
        bail!("{} holds something else than a world; choose another folder", folder.display());
    }
    let lock = File::create(folder.join("lock")).context("failed to make the lock")?;
    lock.lock().context("failed to lock the world")?;
    Ok(lock)
}

async fn end_all(folder: &Path, steps: Steps) -> Result<()> {
    let layout = Layout::create(folder)?;
    for name in ENDING_ORDER {
        let process = Process::new(&layout, name);
        if process.running().is_some() {
            steps.step(&format!("{name} ended"), process.stop()).await?;
        }
    }
    match std::fs::remove_file(layout.env()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("failed to remove env"),
        _ => Ok(()),
    }
}

fn wipe(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != "lock" {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
