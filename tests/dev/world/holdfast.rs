//! Holdfast in a world: installed as in any cluster, run as a process beside it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::layout::Layout;
use super::people::Person;
use super::ports;
use super::process::Process;
use super::server::{self, Start};

/// The name under which it is recorded and logged.
pub const HOLDFAST: &str = "holdfast";

/// Others beside it, or instead of it: replicas of one Holdfast.
pub const REPLICAS: [&str; 3] = ["replica-0", "replica-1", "replica-2"];

/// The Holdfast of one world, or one replica of it.
#[derive(Clone, Debug)]
pub struct Holdfast {
    name: &'static str,
    kubeconfig: PathBuf,
    layout: Layout,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Holdfast {
    /// `arguments` are added to those of `holdfast run`.
    pub fn new(layout: &Layout, program: PathBuf, arguments: Vec<String>) -> Self {
        let kubeconfig = Person::Holdfast.kubeconfig(layout);
        Self { name: HOLDFAST, kubeconfig, layout: layout.clone(), program, arguments, environment: Vec::new() }
    }

    /// A replica of it: a process of its own, with its own ports, records and cache.
    pub fn replica(&self, number: usize) -> Self {
        let name = REPLICAS[number];
        Self { name, kubeconfig: self.layout.root().join(format!("{name}.kubeconfig")), ..self.clone() }
    }

    /// The same, with this in its environment when it is started.
    #[must_use]
    pub fn within(self, environment: &[(&'static str, String)]) -> Self {
        Self { environment: environment.to_vec(), ..self }
    }

    /// By which it knows the cluster.
    pub fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// What the administrator applies first: namespace, kinds, and the service account with its rights.
    pub fn manifests(&self) -> Result<String> {
        let output = Command::new(&self.program).args(["render", "--only", "namespace,crds,rbac"]).output();
        let output = output.with_context(|| format!("failed to start {}", self.program.display()))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`holdfast render --only namespace,crds,rbac` failed: {}", complaint.trim());
        let manifests =
            String::from_utf8(output.stdout).context("`holdfast render` printed something else than text")?;
        ensure!(!manifests.trim().is_empty(), "`holdfast render --only namespace,crds,rbac` printed nothing");
        Ok(manifests)
    }

    /// Starts it unless it runs, with further arguments; done when it says that it is ready.
    pub async fn start(&self, arguments: &[&str]) -> Result<Start> {
        let ready = async |[_, admin, _]: [u16; 3]| {
            let client = reqwest::Client::builder().no_proxy().build()?;
            client.get(format!("http://127.0.0.1:{admin}/readyz")).send().await?.error_for_status()?;
            Ok(())
        };
        let names = self.ports();
        let names = [&names[0], &names[1], &names[2]].map(String::as_str);
        server::start(&self.layout, self.name, names, |ports| Ok(self.command(ports, arguments)), ready).await
    }

    fn ports(&self) -> [String; 3] {
        ["webhook", "admin", "receiver"].map(|what| format!("{}-{what}", self.name))
    }

    /// Where the API server calls it.
    pub fn webhook_url(&self) -> Result<String> {
        Ok(format!("https://127.0.0.1:{}", ports::port(&self.layout, &self.ports()[0])?))
    }

    /// Where it takes push webhooks.
    pub fn receiver_url(&self) -> Result<String> {
        Ok(format!("http://127.0.0.1:{}", ports::port(&self.layout, &self.ports()[2])?))
    }

    /// Where its metrics are.
    pub fn metrics_url(&self) -> Result<String> {
        Ok(format!("http://127.0.0.1:{}/metrics", ports::port(&self.layout, &self.ports()[1])?))
    }

    /// Its process id, if it runs.
    pub fn pid(&self) -> Option<i32> {
        self.process().running().map(nix::unistd::Pid::as_raw)
    }

    /// The process.
    pub fn process(&self) -> Process {
        Process::new(&self.layout, self.name)
    }

    /// The records it has written so far, oldest first. A line still being written is left for the next look.
    pub fn records(&self) -> Result<Vec<Value>> {
        json_lines(&self.layout.records_of(self.name))
    }

    /// What it has logged so far.
    pub fn log(&self) -> Result<String> {
        let file = self.layout.logs().join(format!("{}.log", self.name));
        std::fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))
    }

    fn command(&self, [webhook, admin, receiver]: [u16; 3], arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("run")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            // Whoever is killed and started again need not wait for the Lease it held.
            .args(["--identity", self.name])
            .args(["--webhook-listen", &format!("127.0.0.1:{webhook}")])
            .args(["--admin-listen", &format!("127.0.0.1:{admin}")])
            .args(["--receiver-listen", &format!("127.0.0.1:{receiver}")])
            .arg("--cache-dir")
            .arg(self.layout.cache_of(self.name))
            .args(&self.arguments)
            .args(arguments)
            // As it is deployed.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .envs(self.environment.iter().cloned());
        command
    }
}

/// Takes Holdfast's webhooks out of the cluster: nothing denies that, and with Holdfast stopped they would refuse
/// every edit of what it manages.
pub async fn take_webhooks_away(client: Client) -> Result<()> {
    delete_ours(Api::<ValidatingWebhookConfiguration>::all(client.clone())).await?;
    delete_ours(Api::<MutatingWebhookConfiguration>::all(client)).await
}

async fn delete_ours<K>(configurations: Api<K>) -> Result<()>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    for found in configurations.list(&ListParams::default()).await? {
        if found.name_any().contains(HOLDFAST) {
            configurations.delete(&found.name_any(), &DeleteParams::default()).await?;
        }
    }
    Ok(())
}

/// A file of JSON documents, one a line, as far as its last whole line.
pub fn json_lines(path: &std::path::Path) -> Result<Vec<Value>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.with_context(|| format!("failed to read {}", path.display()))?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line: &str| serde_json::from_str(line).with_context(|| format!("not a record: {line}"));
    whole.lines().map(parse).collect()
}
