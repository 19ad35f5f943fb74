//! The composition root: builds every part, connects them, and waits. The only module that sees all edges.
//!
//! ```text
//!               ┌────────── DriftPolicy ──────────┐
//! GitSyncs ─► reconcile ─► Snapshot ─► webhook ◄──┴ rules
//!                 │            └─────► registrar ─► webhook configurations
//!                 │                        ▲ authorities ─ certificate ─► Secret
//!                 └─────────► evidence ◄── webhook
//! ```
//! A part that ends before it was asked to takes the process with it: half a guard that looks like a whole one is worse than a
//! restart.

mod certificate;
mod connect;
mod identity;
mod policy;
mod registrar;

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::admin::{Admin, Pending, Readiness};
use crate::cluster::Cluster;
use crate::cluster::events::Events;
use crate::cluster::rights::Rights;
use crate::config::Config;
use crate::core::judge::Rules;
use crate::evidence::{Evidence, Metrics};
use crate::reconcile::{self, Desired, Publisher, Tally};
use crate::shutdown::Shutdown;
use crate::webhook::serve::Server;
use crate::webhook::tls::{self, Serving};
use crate::webhook::{Webhook, router};
use certificate::{Certificate, Shared};
use registrar::{Registrar, Voice, Which, Wish};

/// Runs Holdfast until `shutdown`.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let (metrics, registry) = Metrics::new();
    let readiness = Readiness::new();
    let waiting = ["the API server", "the first snapshot", "a serving certificate"].map(|what| readiness.expect(what));
    let admin = Admin { readiness: readiness.clone(), registry: Arc::new(registry) };
    let probes = bind(config.admin_listen, "--admin-listen")?;
    let answered = CancellationToken::new();
    let probing =
        tokio::spawn(admin.run(tokio::net::TcpListener::from_std(probes)?, answered.clone().cancelled_owned()));
    let evidence = Evidence::start(std::io::stdout(), &config.cache_dir, metrics.clone())
        .with_context(|| format!("failed to use the cache directory {}", config.cache_dir.display()))?;

    let parts = Parts { config, metrics, evidence: evidence.clone(), readiness, shutdown };
    let ended = parts.run(waiting).await;

    evidence.close().await;
    answered.cancel();
    probing.await.context("the admin server broke")??;
    ended
}

/// What every part is built from.
struct Parts {
    config: Config,
    metrics: Metrics,
    evidence: Evidence,
    readiness: Readiness,
    shutdown: Shutdown,
}

/// What the webhook is built from.
struct Guard {
    cluster: Arc<Cluster>,
    desired: Desired,
    rules: watch::Receiver<Arc<Rules>>,
    client: Client,
}

/// Parts that run until they are asked to stop.
type Ends = tokio::task::JoinSet<anyhow::Result<()>>;

// === impl Parts ===

impl Parts {
    async fn run(self, waiting: [Pending; 3]) -> anyhow::Result<()> {
        let [connected, published, serving] = waiting;
        let ourselves = policy::ourselves(&self.config.namespace);
        let Some((client, bare)) = connect::client(&self.config, &ourselves, &self.shutdown).await? else {
            return Ok(());
        };
        let Some(cluster) = connect::cluster(&client, &self.metrics, &self.shutdown).await else { return Ok(()) };
        let cluster = Arc::new(cluster.impersonating_by(bare));
        connected.ready();

        let policy::Followed { rules, exempt } =
            policy::follow(client.clone(), ourselves, self.metrics.clone(), &self.shutdown);
        let (publisher, desired) = Publisher::new();
        self.announce(desired.clone(), published);
        let mut ends = tokio::task::JoinSet::new();
        if self.config.webhook.on {
            let guard = Guard { cluster: cluster.clone(), desired: desired.clone(), rules: rules.clone(), client };
            self.guard(guard, serving, &mut ends).await?;
        } else {
            registrar::withdraw(&cluster).await.context("failed to take the webhook configurations away")?;
            serving.ready();
        }
        let context = self.reconciler(cluster, publisher, &rules, exempt);
        let stop = CancellationToken::new();
        ends.spawn(reconcile_until(context, desired, stop.clone()));
        self.wait(ends, stop).await
    }

    /// The webhook, its certificate, and its configurations.
    async fn guard(&self, guard: Guard, serving: Pending, ends: &mut Ends) -> anyhow::Result<()> {
        let Guard { cluster, desired, rules, client } = guard;
        let listener = bind(self.config.webhook.listen, "--webhook-listen")?;
        let bound = listener.local_addr()?;
        let webhook = self.webhook(desired.clone(), rules, client);
        let mut server = Server::new(Serving::nothing(), self.metrics.clone());
        server.clients = self.client_authorities().await?;

        let (validating, on_validating) = watch::channel(None);
        let (mutating, on_mutating) = watch::channel(None);
        let (trusting, trust) = watch::channel(None);
        let registered = [on_validating, on_mutating];
        let certificate = Certificate::new(server.serving.clone(), trusting, registered, self.metrics.clone(), serving);
        let (files, names) = (self.config.webhook.certificate.clone(), self.config.webhook.names(bound));
        let secret = Shared::new(cluster.clone(), &self.config.namespace, names, self.evidence.clone());
        ends.spawn(certificate.keep(files, secret, self.shutdown.clone()));

        let shutdown = self.shutdown.clone();
        ends.spawn(
            async move { server.run(listener, router(webhook), shutdown).await.context("the webhook server broke") },
        );
        let (evidence, events) = (self.evidence.clone(), Events::new(&cluster));
        let voice = Voice { evidence, events, metrics: self.metrics.clone() };
        let wish = Wish { registration: certificate::registration(&self.config, bound), desired, trust };
        for (which, registered) in [(Which::Validating, validating), (Which::Mutating, mutating)] {
            let registrar = Registrar::new(cluster.clone(), which, voice.clone(), registered).await?;
            ends.spawn(registrar.keep(wish.clone(), self.shutdown.clone()));
        }
        Ok(())
    }

    async fn client_authorities(&self) -> anyhow::Result<Option<rustls::RootCertStore>> {
        let Some(file) = &self.config.webhook.client_ca else { return Ok(None) };
        let pem = tokio::fs::read(file).await;
        let pem = pem.with_context(|| format!("failed to read {}; check --client-ca-file", file.display()))?;
        let authorities = tls::authorities(&pem);
        authorities.map(Some).with_context(|| format!("failed to use {}; check --client-ca-file", file.display()))
    }

    fn webhook(&self, snapshots: Desired, rules: watch::Receiver<Arc<Rules>>, client: Client) -> Webhook {
        Webhook {
            snapshots,
            rules,
            upstream: Arc::new(Rights::new(client, self.metrics.clone())),
            evidence: self.evidence.clone(),
            metrics: self.metrics.clone(),
            clock: Timestamp::now,
        }
    }

    fn reconciler(
        &self,
        cluster: Arc<Cluster>,
        publisher: Publisher,
        rules: &watch::Receiver<Arc<Rules>>,
        exempt: watch::Receiver<Option<reconcile::Exempt>>,
    ) -> reconcile::Context {
        reconcile::Context {
            events: Events::new(&cluster),
            cluster,
            evidence: self.evidence.clone(),
            metrics: self.metrics.clone(),
            publisher: Arc::new(publisher),
            rules: rules.clone(),
            exempt,
            account: self.config.default_service_account.clone(),
            tally: Tally::new(self.metrics.clone()),
            cache: self.config.cache_dir.clone(),
        }
    }

    /// Readiness and the snapshot's age follow the snapshot.
    fn announce(&self, mut desired: Desired, published: Pending) {
        let metrics = self.metrics.clone();
        self.shutdown.spawn_watcher(async move {
            let mut published = Some(published);
            while desired.wait_for(Option::is_some).await.is_ok() {
                metrics.snapshot_built(Timestamp::now());
                if let Some(published) = published.take() {
                    published.ready();
                }
                if desired.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// Waits for the request to stop, or for the first part that ends without one; then for everybody to finish.
    async fn wait(&self, mut ends: Ends, stop: CancellationToken) -> anyhow::Result<()> {
        let unasked = tokio::select! {
            biased; // whoever was asked to stop may have done so before this is looked at
            () = self.shutdown.requested() => None,
            ended = ends.join_next() => ended,
        };
        self.readiness.stop();
        self.shutdown.request();
        stop.cancel();
        let mut outcome = match unasked {
            Some(ended) => ended
                .context("a part of Holdfast panicked")?
                .and_then(|()| anyhow::bail!("a part of Holdfast ended unasked")),
            None => Ok(()),
        };
        let everybody = async {
            while let Some(ended) = ends.join_next().await {
                if let (Ok(Err(error)), Ok(())) = (ended, &outcome) {
                    outcome = Err(error);
                }
            }
        };
        self.shutdown.patiently(everybody).await;
        outcome
    }
}

async fn reconcile_until(context: reconcile::Context, desired: Desired, stop: CancellationToken) -> anyhow::Result<()> {
    reconcile::run(context, desired, stop).await;
    Ok(())
}

/// Binds early, so that a port that is taken is the first thing said.
fn bind(address: std::net::SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address);
    let listener =
        listener.with_context(|| format!("failed to listen on {address}; choose another address with {flag}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
