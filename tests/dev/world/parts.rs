//! Taking parts of a world away, and putting them back: what production does to Holdfast, on purpose.

use anyhow::Result;

use super::control_plane::API_SERVER;
use super::git::GIT_SERVER;
use super::people::Person;
use super::process::Process;
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
