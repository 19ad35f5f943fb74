//! Replicas of Holdfast in a world: each a process, with a token of its own, so that the audit log tells them apart.

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::holdfast::Holdfast;
use super::people::{self, Person};
use super::{HOLDFAST_NAMESPACE, REPLICAS, World};

impl World {
    /// One of the replicas, running or not.
    pub fn replica(&self, number: usize) -> Holdfast {
        self.holdfast.replica(number)
    }

    /// Starts it, unless it runs, and waits until it is ready; all of them answer at `webhook_url`.
    pub async fn start_replica(&self, number: usize, webhook_url: &str, arguments: &[&str]) -> Result<()> {
        self.start_replica_within(number, webhook_url, arguments, &[]).await
    }

    /// Likewise, with this in its environment.
    pub async fn start_replica_within(
        &self,
        number: usize,
        webhook_url: &str,
        arguments: &[&str],
        environment: &[(&'static str, String)],
    ) -> Result<()> {
        let replica = self.replica(number).within(environment);
        if !replica.kubeconfig().exists() {
            let token = ["create", "token", "holdfast", "--namespace", HOLDFAST_NAMESPACE, "--duration=8760h"];
            let token = self.kubectl(Person::Administrator, &token).await?.success()?;
            let (name, server) = (Person::Holdfast.name(), self.plane.server()?);
            people::write_kubeconfig(replica.kubeconfig(), name, self.plane.pki(), &server, token.trim())?;
        }
        let arguments: Vec<_> = ["--webhook-url", webhook_url].iter().chain(arguments).copied().collect();
        self.steps.start(REPLICAS[number], replica.start(&arguments)).await
    }

    /// Sends it a signal.
    pub fn signal_replica(&self, number: usize, signal: Signal) -> Result<()> {
        self.replica(number).process().signal(signal)
    }

    /// Kills it, wherever it is.
    pub async fn kill_replica(&self, number: usize) -> Result<()> {
        self.kill(REPLICAS[number]).await
    }

    /// The id of its token, as the audit log has it.
    pub fn credential(&self, number: usize) -> Result<String> {
        let kubeconfig: Value = serde_json::from_slice(&std::fs::read(self.replica(number).kubeconfig())?)?;
        let token = kubeconfig["users"][0]["user"]["token"].as_str().context("a kubeconfig has a token")?;
        let claims = token.split('.').nth(1).context("a token has three parts")?;
        let padded = claims.replace('-', "+").replace('_', "/") + &"=".repeat((4 - claims.len() % 4) % 4);
        let claims: ByteString = serde_json::from_value(padded.into())?;
        let claims: Value = serde_json::from_slice(&claims.0)?;
        Ok(format!("JTI={}", claims["jti"].as_str().context("a token has an id")?))
    }
}
