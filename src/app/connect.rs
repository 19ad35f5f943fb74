//! Reaching the API server: with which credentials, and how patiently.

use std::time::Duration;

use anyhow::Context as _;
use kube::client::ClientBuilder;
use kube::{Client, config::Kubeconfig};
use tokio::runtime::Handle;

use super::identity;
use crate::cluster::{Cluster, clock};
use crate::config::Config;
use crate::evidence::Metrics;
use crate::shutdown::Shutdown;

/// Between two attempts to reach an API server that does not answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A client for the configured cluster that acts as `ourselves`, and one that may impersonate others, waiting for an API server that is not there yet; `None` when
/// asked to stop meanwhile. Requests time out; watches, which live long, are told apart by kube itself.
pub(super) async fn client(
    config: &Config,
    ourselves: &(String, String),
    shutdown: &Shutdown,
) -> anyhow::Result<Option<(Client, Client)>> {
    let mut bare = settings(config).await?;
    // The client's own way of trying again takes hours where one kind is away, and the sync that asked would stand still as long.
    bare.default_retry = false;
    loop {
        match identity::acting_as(bare.clone(), ourselves).await {
            Ok((settings, impersonator)) => {
                if let Some(user) = impersonator {
                    tracing::info!(user, "acting as Holdfast's service account");
                }
                let ours = made(settings)?;
                let bare = made(bare)?;
                return Ok(Some((ours, bare)));
            }
            Err(error) if is_an_answer(&error) => return Err(error),
            Err(error) => tracing::warn!("{error:#}; trying again"),
        }
        tokio::select! {
            () = shutdown.requested() => return Ok(None),
            () = tokio::time::sleep(PATIENCE) => {}
        }
    }
}

/// Where connections to the API server live, whoever asked first: the webhook's thread has other work.
#[derive(Clone)]
struct Home(Handle);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Home {
    fn execute(&self, connection: F) {
        self.0.spawn(connection);
    }
}

fn made(settings: kube::Config) -> anyhow::Result<Client> {
    let client = ClientBuilder::try_from((settings, Home(Handle::current())));
    Ok(clock::listening(client.context("failed to make a client from the kubeconfig")?))
}

/// Refused, and not merely out of reach: trying again would not help.
fn is_an_answer(error: &anyhow::Error) -> bool {
    let status = |error: &kube::Error| matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403));
    error.chain().filter_map(|cause| cause.downcast_ref()).any(status)
}

async fn settings(config: &Config) -> anyhow::Result<kube::Config> {
    Ok(match &config.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path);
            let file = file.with_context(|| format!("failed to read the kubeconfig {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default()).await?
        }
        None => kube::Config::infer().await.context(
            "failed to find a cluster: not in a pod, and neither --kubeconfig, KUBECONFIG nor ~/.kube/config is there",
        )?,
    })
}

/// Connects, waiting for an API server that is not there yet; `None` when asked to stop meanwhile.
pub(super) async fn cluster(client: &Client, metrics: &Metrics, shutdown: &Shutdown) -> Option<Cluster> {
    loop {
        match Cluster::connect(client.clone(), metrics.clone()).await {
            Ok(cluster) => return Some(cluster),
            Err(error) => tracing::warn!(%error, "the API server does not answer; trying again"),
        }
        tokio::select! {
            () = shutdown.requested() => return None,
            () = tokio::time::sleep(PATIENCE) => {}
        }
    }
}
