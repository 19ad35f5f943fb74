//! Taking parts of a world away, and putting them back: what production does to Holdfast, on purpose.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::{self, Signal};

use super::control_plane::{API_SERVER, ETCD};
use super::git::GIT_SERVER;
use super::people::Person;
use super::process::Process;
use super::wait::wait_until;
use super::{HOLDFAST, HOLDFAST_NAMESPACE, World, holdfast};

impl World {
    /// Whether controllers run: without them Deployments make no pods, the HPA rests, namespaces never finish going.
    pub fn has_controllers(&self) -> bool {
        self.plane.has_controllers()
    }

    /// Starts the API server, on the port and with the data it had.
    pub async fn start_api_server(&self) -> Result<()> {
        self.steps.start("kube-apiserver", self.plane.start_api_server()).await
    }

    /// Ends the API server.
    pub async fn stop_api_server(&self) -> Result<()> {
        self.process(API_SERVER).stop().await
    }

    /// Kills the API server: nothing it has begun is ended.
    pub async fn kill_api_server(&self) -> Result<()> {
        self.kill(API_SERVER).await
    }

    /// Kills etcd, and starts it on the port and with the data it had.
    pub async fn restart_etcd(&self) -> Result<()> {
        self.kill(ETCD).await?;
        self.steps.start("etcd", self.plane.start_etcd()).await
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

    /// Sends the Git server a signal.
    pub fn signal_git(&self, signal: Signal) -> Result<()> {
        self.process(GIT_SERVER).signal(signal)
    }

    /// Starts Holdfast, and waits until it is ready.
    pub async fn start_holdfast(&self) -> Result<()> {
        self.start_holdfast_with(&[]).await
    }

    /// Likewise, with further arguments for this one start.
    pub async fn start_holdfast_with(&self, arguments: &[&str]) -> Result<()> {
        self.steps.start("Holdfast", self.holdfast.start(arguments)).await
    }

    /// Ends Holdfast and leaves its webhooks where they are.
    pub async fn stop_holdfast(&self) -> Result<()> {
        self.process(HOLDFAST).stop().await
    }

    /// Kills Holdfast, wherever it is.
    pub async fn kill_holdfast(&self) -> Result<()> {
        self.kill(HOLDFAST).await
    }

    /// Sends Holdfast a signal.
    pub fn signal_holdfast(&self, signal: Signal) -> Result<()> {
        self.process(HOLDFAST).signal(signal)
    }

    /// What Holdfast has logged so far.
    pub fn holdfast_log(&self) -> Result<String> {
        self.holdfast.log()
    }

    /// Where Holdfast keeps clones, and evidence that is not written out.
    pub fn holdfast_cache(&self) -> PathBuf {
        self.layout.cache_of(HOLDFAST)
    }

    pub(super) async fn kill(&self, name: &'static str) -> Result<()> {
        let process = self.process(name);
        let Some(pid) = process.running() else { return Ok(()) };
        process.signal(Signal::SIGKILL)?;
        // Dead is not enough: its port is free when the last of its threads is gone.
        wait_until("it has died", Duration::from_secs(10), || async {
            ensure!(process.running().is_none() && signal::kill(pid, None).is_err(), "it lives");
            Ok(())
        })
        .await
    }

    /// Takes the webhooks of a Holdfast that is not running out of the cluster; one that runs would put them back.
    pub async fn take_webhooks_away(&self) -> Result<()> {
        holdfast::take_webhooks_away(self.client(Person::Administrator).await?).await
    }

    pub(super) async fn remove_holdfast(&self) -> Result<()> {
        self.stop_holdfast().await?;
        self.take_webhooks_away().await
    }

    /// As in any cluster: the administrator applies what `holdfast render` prints, and the account gets a token.
    pub(super) async fn install_holdfast(&self) -> Result<()> {
        self.apply_yaml(&self.holdfast.manifests()?).await?;
        let established = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=30s"];
        self.kubectl(Person::Administrator, &established).await?.success()?;
        let token = ["create", "token", "holdfast", "--namespace", HOLDFAST_NAMESPACE, "--duration=8760h"];
        let token = self.kubectl(Person::Administrator, &token).await?.success()?;
        Person::Holdfast.write_kubeconfig(&self.layout, self.plane.pki(), &self.plane.server()?, token.trim())
    }

    pub(super) fn process(&self, name: &'static str) -> Process {
        Process::new(&self.layout, name)
    }
}
