//! The composition root: builds every part, connects them, and waits. The only module that sees all edges.
//!
//! ```text
//!               ┌────────── DriftPolicy ──────────┐
//! GitSyncs ─► reconcile ─► Snapshot ─► webhook ◄──┴ rules
//!                 │            └─────► registrar ─► webhook configurations
//!                 │                        ▲ authorities ─ certificate ─► Secret
//!                 └─────────► evidence ◄── webhook
//! ```
//! What only the leader writes goes through a cluster behind a fence, which the `election` opens and closes; one for each shard.
//!
//! A part that ends before it was asked to takes the process with it: half a guard that looks like a whole one is worse than a
//! restart.

mod announce;
mod certificate;
mod connect;
mod election;
mod identity;
mod policy;
mod registrar;

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::Context as _;
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin::{Admin, Pending, Readiness};
use crate::api::{BreakGlasses, Emergency, ScopedWindow};
use crate::cluster::events::Events;
use crate::cluster::fence::{self, Fence, Role};
use crate::cluster::rights::Rights;
use crate::cluster::secrets::Secrets;
use crate::cluster::{Cluster, clock};
use crate::config::{self, Config};
use crate::core::exclude::Surroundings;
use crate::core::judge::Rules;
use crate::evidence::{Evidence, Metrics, Output};
use crate::git::WEBHOOK_SECRET;
use crate::receiver::{self, Receiver};
use crate::reconcile::{self, Desired, Publisher, Share, Tally};
use crate::shutdown::Shutdown;
use crate::webhook::serve::Server;
use crate::webhook::tls::{self, Serving};
use crate::webhook::{Webhook, router};
use certificate::{Certificate, Shared};
use election::{Elections, Gate};
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
    let out = Output::stdout().context("failed to use standard output")?;
    let evidence = Evidence::start(out, &config.cache_dir, metrics.clone())
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
    /// For what only the leader writes.
    cluster: Arc<Cluster>,
    /// For what whoever is first writes.
    everybody: Arc<Cluster>,
    desired: Desired,
    rules: watch::Receiver<Arc<Rules>>,
    around: watch::Receiver<Arc<Surroundings>>,
    client: Client,
}

/// What the reconciler is told by the `DriftPolicy` besides the rules.
type Policies =
    (watch::Receiver<Option<reconcile::Exempt>>, watch::Receiver<Arc<[ScopedWindow]>>, watch::Receiver<BreakGlasses>);

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
        let everybody = Arc::new(cluster.impersonating_by(bare));
        let (keepers, fences): (Vec<_>, Vec<_>) = (0..self.config.replica.shards).map(|_| Fence::new()).unzip();
        let cluster = Arc::new(everybody.behind(fences[0].clone()));
        connected.ready();
        let mut ends = tokio::task::JoinSet::new();
        let over = self.elect(&cluster, keepers.into_iter().zip(&fences), &mut ends);
        if !self.knows_its_role(&fences[0]).await {
            return Ok(());
        }

        let policy::Followed { rules, exempt, windows, emergencies } =
            policy::follow(client.clone(), ourselves, self.metrics.clone(), &self.shutdown);
        let (publisher, desired) = Publisher::new();
        self.shutdown.spawn_watcher(announce::announce(desired.clone(), published, self.metrics.clone()));
        if self.config.webhook.on {
            let (desired, rules, around) = (desired.clone(), rules.clone(), publisher.around());
            let guard = Guard { cluster: cluster.clone(), everybody, desired, rules, around, client };
            self.guard(guard, serving, &mut ends).await?;
        } else {
            ends.spawn(registrar::stay_away(cluster.clone(), serving, self.shutdown.clone()));
        }
        let context = self.reconciler(cluster, publisher, &rules, (exempt, windows, emergencies));
        let context = reconcile::Context { fences, ..context };
        self.receive(&context, &mut ends)?;
        let stop = CancellationToken::new();
        ends.spawn(reconcile_until(context, desired, stop.clone(), over));
        self.wait(ends, stop).await
    }

    /// Takes part in the elections, one for each shard. Whoever gets the guard drops it when nothing is written any more.
    fn elect<'f>(
        &self,
        cluster: &Arc<Cluster>,
        fences: impl Iterator<Item = (fence::Keeper, &'f Fence)>,
        ends: &mut Ends,
    ) -> DropGuard {
        let over = CancellationToken::new();
        let events = |open: &Fence| Events::new(&Arc::new(cluster.behind(open.clone())));
        let gates = fences.map(|(fence, open)| Gate { fence, events: events(open) }).collect();
        let Config { namespace, replica, .. } = &self.config;
        let elections = Elections::new(cluster, namespace, replica, gates, self.metrics.clone());
        let stop = over.clone();
        ends.spawn(async move {
            elections.run(stop).await;
            Ok(())
        });
        over.drop_guard()
    }

    /// A start as the leader is no change of leaders: it is waited for. `false` when asked to stop meanwhile.
    async fn knows_its_role(&self, fence: &Fence) -> bool {
        let mut role = fence.role();
        tokio::select! {
            () = self.shutdown.requested() => false,
            known = role.wait_for(|role| *role != Role::Unknown) => known.is_ok(),
        }
    }

    /// The webhook, its certificate, and its configurations.
    async fn guard(&self, guard: Guard, serving: Pending, ends: &mut Ends) -> anyhow::Result<()> {
        let Guard { cluster, everybody, desired, rules, around, client } = guard;
        let listener = bind(self.config.webhook.listen, "--webhook-listen")?;
        let bound = listener.local_addr()?;
        let rights = self.rights(client, everybody.clone());
        let (emergencies, told) = mpsc::unbounded_channel();
        let noting = reconcile::emergencies::note(everybody.clone(), told);
        ends.spawn(async {
            noting.await;
            Ok(())
        });
        let webhook = self.webhook(desired.clone(), rules.clone(), around, (rights, emergencies));
        let mut server = Server::new(Serving::nothing(), self.metrics.clone());
        server.clients = self.client_authorities().await?;

        let (validating, on_validating) = watch::channel(None);
        let (mutating, on_mutating) = watch::channel(None);
        let (trusting, trust) = watch::channel(None);
        let registered = [on_validating, on_mutating];
        let certificate = Certificate::new(server.serving.clone(), trusting, registered, self.metrics.clone(), serving);
        let (files, names) = (self.config.webhook.certificate.clone(), self.config.webhook.names(bound));
        let secret = Shared::new(everybody, &self.config.namespace, names, self.evidence.clone());
        ends.spawn(certificate.keep(files, secret, self.shutdown.clone()));

        let shutdown = self.shutdown.clone();
        ends.spawn(async move {
            server.run_alone(listener, router(webhook), shutdown).await.context("the webhook server broke")
        });
        let (evidence, events) = (self.evidence.clone(), Events::new(&cluster));
        let voice = Voice { evidence, events, metrics: self.metrics.clone() };
        let wish = Wish { registration: certificate::registration(&self.config, bound), desired, rules, trust };
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

    /// Whoever asks us is gone a moment later than this: then there is still time to say that there is no answer.
    fn rights(&self, client: Client, cluster: Arc<Cluster>) -> Rights {
        Rights::new(client, cluster, self.config.webhook.timeout * 4 / 5, self.metrics.clone())
    }

    fn webhook(
        &self,
        snapshots: Desired,
        rules: watch::Receiver<Arc<Rules>>,
        around: watch::Receiver<Arc<Surroundings>>,
        (rights, emergencies): (Rights, mpsc::UnboundedSender<Emergency>),
    ) -> Webhook {
        Webhook {
            snapshots,
            rules,
            around,
            upstream: Arc::new(rights),
            emergencies,
            evidence: self.evidence.clone(),
            metrics: self.metrics.clone(),
            clock: clock::now,
        }
    }

    /// Takes push webhooks, if anywhere.
    fn receive(&self, context: &reconcile::Context, ends: &mut Ends) -> anyhow::Result<()> {
        let Some(config::Receiver { listen, secret }) = self.config.receiver.clone() else { return Ok(()) };
        let listener = bind(listen, "--receiver-listen")?;
        let secrets = context.secrets.clone();
        let secret_of: receiver::SecretOf = Arc::new(move |namespace, name| {
            let secrets = secrets.clone();
            Box::pin(async move { secrets.read(&namespace, &name).await.ok()??.data.get(WEBHOOK_SECRET).cloned() })
        });
        let receiver = Receiver::new(context.subscriptions.clone(), secret_of, secret, self.metrics.clone());
        let shutdown = self.shutdown.clone();
        ends.spawn(
            async move { receiver.run(listener, shutdown).await.context("the receiver of push webhooks broke") },
        );
        Ok(())
    }

    fn reconciler(
        &self,
        cluster: Arc<Cluster>,
        publisher: Publisher,
        rules: &watch::Receiver<Arc<Rules>>,
        (exempt, windows, emergencies): Policies,
    ) -> reconcile::Context {
        reconcile::Context {
            events: Events::new(&cluster),
            secrets: Secrets::new(cluster.clone()),
            cluster,
            evidence: self.evidence.clone(),
            metrics: self.metrics.clone(),
            publisher: Arc::new(publisher),
            rules: rules.clone(),
            exempt,
            windows,
            emergencies,
            account: self.config.default_service_account.clone(),
            fences: Vec::new(),
            tally: Arc::new(Tally::new(self.metrics.clone())),
            census: Arc::default(),
            turns: Arc::new(tokio::sync::Semaphore::new(reconcile::TURNS)),
            cache: self.config.cache_dir.clone(),
            share: Arc::new(Share::default()),
            subscriptions: Arc::default(),
        }
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

async fn reconcile_until(
    context: reconcile::Context,
    desired: Desired,
    stop: CancellationToken,
    over: DropGuard,
) -> anyhow::Result<()> {
    reconcile::run(context, desired, stop).await;
    drop(over);
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
