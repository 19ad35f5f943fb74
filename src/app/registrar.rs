//! Keeps the webhook configurations in the cluster as this process serves them and Git declares them.
//!
//! They are written when the first snapshot is there, not before: a webhook that answers "not ready" only slows people down. They
//! are written again when Git declares a kind it did not declare before, when the certificate's authority changes, and whenever
//! somebody else has changed or deleted them: admission cannot refuse that, so it is undone, and left on record. What is due when
//! is [`upkeep`](crate::webhook::register::upkeep)'s to say.
//!
//! Only the leader does any of this: replicas of two versions would correct each other. The others watch, to know when what they
//! serve is trusted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use crate::admin::Pending;
use crate::cluster::events::{Events, Note, reference};
use crate::cluster::objects::PropagationPolicy;
use crate::cluster::watch::follow;
use crate::cluster::{Cluster, Error, Kind, clock};
use crate::core::judge::Rules;
use crate::core::object::ObjectKey;
use crate::evidence::metrics::Outcome;
use crate::evidence::record::{Actor, Field};
use crate::evidence::{Evidence, Metrics, Record};
use crate::reconcile::Desired;
use crate::shutdown::Shutdown;
use crate::webhook::register::upkeep::{Step, Tampering, Upkeep};
use crate::webhook::register::{Change, NAME, Registration, configurations};

/// Group and version of both configurations.
const VERSION: &str = "admissionregistration.k8s.io/v1";
/// So often the same edit in a row is no accident any more.
const QUARREL: u32 = 5;
/// Between two attempts to take the configurations away.
const AGAIN: Duration = Duration::from_secs(2);

/// What is to be registered: changes with what Git declares and with what is served.
#[derive(Clone)]
pub(super) struct Wish {
    /// All of it but what is below.
    pub(super) registration: Registration,
    /// What Git declares.
    pub(super) desired: Desired,
    /// What is guarded for other tools.
    pub(super) rules: watch::Receiver<Arc<Rules>>,
    /// PEM certificates to trust; `None` while there are none.
    pub(super) trust: watch::Receiver<Option<Vec<u8>>>,
}

/// Which of the two configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that refuses.
    Validating,
    /// The one that stamps and marks.
    Mutating,
}

/// Where to tell.
#[derive(Clone)]
pub(super) struct Voice {
    /// The record.
    pub(super) evidence: Evidence,
    /// What `kubectl describe` shows.
    pub(super) events: Events,
    /// The numbers.
    pub(super) metrics: Metrics,
}

/// Keeps one configuration.
pub(super) struct Registrar {
    cluster: Arc<Cluster>,
    kind: Kind,
    key: ObjectKey,
    which: Which,
    upkeep: Upkeep,
    voice: Voice,
    /// The certificates that are registered.
    registered: watch::Sender<Option<Vec<u8>>>,
    trust: Vec<u8>,
}

// === impl Wish ===

impl Wish {
    /// `None` until it is known what Git declares and what is served.
    fn now(&self) -> Option<Registration> {
        let declared = self.desired.borrow().as_ref()?.resources();
        let ca_bundle = self.trust.borrow().clone()?;
        let guards = self.rules.borrow().guards.clone();
        Some(Registration { ca_bundle, declared, guards, ..self.registration.clone() })
    }

    /// Resolves when it may be another; to `false` when it never will be again.
    async fn changed(&mut self) -> bool {
        tokio::select! {
            changed = self.desired.changed() => changed.is_ok(),
            changed = self.trust.changed() => changed.is_ok(),
            changed = self.rules.changed() => changed.is_ok(),
        }
    }
}

// === impl Which ===

impl Which {
    fn kind(self) -> &'static str {
        match self {
            Self::Validating => "ValidatingWebhookConfiguration",
            Self::Mutating => "MutatingWebhookConfiguration",
        }
    }

    fn document(self, registration: &Registration) -> Value {
        let (validating, mutating) = configurations(registration);
        let document = match self {
            Self::Validating => serde_json::to_value(validating),
            Self::Mutating => serde_json::to_value(mutating),
        };
        document.expect("a typed object is plain data")
    }

    async fn find(self, cluster: &Cluster) -> anyhow::Result<(Kind, ObjectKey)> {
        let kind = cluster.kind(VERSION, self.kind()).await?.with_context(|| format!("{VERSION} is not served"))?;
        let group = kind.resource.group.clone();
        let key = ObjectKey { group, kind: self.kind().to_owned(), namespace: None, name: NAME.to_owned() };
        Ok((kind, key))
    }
}

/// Takes both configurations away whenever this replica comes to lead, until `shutdown`; ready when that is done, or another leads.
pub(super) async fn stay_away(cluster: Arc<Cluster>, ready: Pending, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut role = cluster.fence().role();
    let mut ready = Some(ready);
    loop {
        let leads = role.borrow_and_update().leads();
        let failed = if leads { withdraw(&cluster).await.err() } else { None };
        if let Some(error) = &failed {
            tracing::error!("failed to take the webhook configurations away: {error:#}; trying again");
        } else if let Some(ready) = ready.take() {
            ready.ready();
        }
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            changed = role.changed() => changed.or_else(|_| Ok::<_, anyhow::Error>(()))?,
            () = sleep(AGAIN), if failed.is_some() => {}
        }
    }
}

/// Takes both configurations away: without a webhook, they would hand every edit to their `failurePolicy`.
async fn withdraw(cluster: &Cluster) -> anyhow::Result<()> {
    for which in [Which::Validating, Which::Mutating] {
        let (kind, key) = which.find(cluster).await?;
        let found = cluster.get(&kind, &key).await?;
        if let Some(uid) = found.as_ref().and_then(|found| found.pointer("/metadata/uid")).and_then(Value::as_str) {
            cluster.delete(&kind, &key, uid, PropagationPolicy::Background).await?;
            tracing::warn!(object = %key, "the webhook is switched off: nothing is refused, drift is healed");
        }
    }
    Ok(())
}

// === impl Registrar ===

impl Registrar {
    /// For one of the two; `registered` is told which certificates the API server trusts.
    pub(super) async fn new(
        cluster: Arc<Cluster>,
        which: Which,
        voice: Voice,
        registered: watch::Sender<Option<Vec<u8>>>,
    ) -> anyhow::Result<Self> {
        let (kind, key) = which.find(&cluster).await?;
        Ok(Self { cluster, kind, key, which, upkeep: Upkeep::default(), voice, registered, trust: Vec::new() })
    }

    /// Registers, and keeps it so, until `shutdown`.
    pub(super) async fn keep(mut self, mut wish: Wish, shutdown: Shutdown) -> anyhow::Result<()> {
        let mut sights = follow(&self.cluster, &self.kind, None, NAME);
        let mut role = self.cluster.fence().role();
        loop {
            let leads = role.borrow_and_update().leads();
            if let Some(registration) = wish.now() {
                self.trust.clone_from(&registration.ca_bundle);
                self.upkeep.want(self.which.document(&registration));
            }
            let wake = if leads { self.settle().await } else { None };
            self.publish(leads);
            let waking = sleep_until(wake.unwrap_or_else(Instant::now).into());
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                Some(found) = sights.next() => self.upkeep.saw(found, Instant::now()),
                changed = wish.changed() => if !changed { return Ok(()) },
                changed = role.changed() => match changed {
                    // Whoever leads in between may have had another idea of it, and that was no tampering.
                    Ok(()) => self.upkeep.start_over(),
                    Err(_) => return Ok(()),
                },
                () = waking, if wake.is_some() => {}
            }
        }
    }

    /// Writes what is due; answers with when to look again if nobody says anything until then.
    async fn settle(&mut self) -> Option<Instant> {
        loop {
            let written = match self.upkeep.step(Instant::now()) {
                Step::Rest => return None,
                Step::Wait(then) => return Some(then),
                Step::Create(body) => self.cluster.create(&self.kind, &self.key, &body).await,
                Step::Replace(body) => self.cluster.replace(&self.kind, &self.key, &body).await,
            };
            match written {
                Ok(answer) => self.wrote(answer),
                Err(error) if error.is_conflict() || error.is_not_found() => self.look_again().await,
                Err(error) if error.is_not_leading() => return None,
                Err(error) => self.failed(&error),
            }
        }
    }

    fn wrote(&mut self, answer: Value) {
        let uid = answer.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
        if let Some(tampering) = self.upkeep.wrote(answer) {
            self.tell(&tampering, uid.as_deref());
        } else {
            tracing::info!(object = %self.key, "registered the webhook");
        }
    }

    /// Somebody was faster: what is there now?
    async fn look_again(&mut self) {
        match self.cluster.get(&self.kind, &self.key).await {
            Ok(found) => self.upkeep.saw(found, Instant::now()),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &Error) {
        self.voice.metrics.webhook_restored(Outcome::Failure);
        tracing::error!(object = %self.key, %error, "failed to register the webhook; trying again");
        self.upkeep.failed(Instant::now());
    }

    /// Says which certificates are registered, if the configuration is as it should be.
    fn publish(&self, leads: bool) {
        let is_right = if leads { self.upkeep.registered().is_some() } else { self.upkeep.is_trusted() };
        let registered = is_right.then(|| self.trust.clone());
        self.registered.send_if_modified(|before| {
            let (was, is) = (before.is_some(), registered.is_some());
            let gauge = &self.voice.metrics.webhooks_registered;
            let differs = *before != registered;
            *before = registered;
            _ = match (was, is) {
                (false, true) => gauge.inc(),
                (true, false) => gauge.dec(),
                _ => gauge.get(),
            };
            differs
        });
    }

    fn tell(&self, tampering: &Tampering, uid: Option<&str>) {
        let Tampering { changes, deleted, manager, seen, times } = tampering;
        let (took, by) = (seen.elapsed(), manager.as_deref().unwrap_or("unknown"));
        let what = if *deleted { "deleted" } else { "changed" };
        let paths: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
        let text = format!("somebody {what} it; it was put back");
        if *times > QUARREL {
            tracing::error!(object = %self.key, by, ?paths, times, "somebody keeps changing the webhook configuration; \
                every time it is put back later: find out who, and make them stop");
        } else {
            tracing::warn!(object = %self.key, by, ?paths, ?took, "{text}");
        }
        self.voice.metrics.webhook_restored(Outcome::Success);
        let note = Note { reason: "WebhookRestored".to_owned(), text: text.clone(), warning: true };
        self.voice.events.publish(reference(&self.key, VERSION, uid), note);
        self.voice.evidence.record(Record {
            object: Some(self.key.clone()),
            by: manager.clone().map(|manager| Actor { manager: Some(manager), ..Actor::default() }),
            verb: Some(if *deleted { "DELETE" } else { "UPDATE" }.to_owned()),
            fields: changes.iter().map(field).collect(),
            reason: Some(text),
            remediation: Some(took),
            ..Record::new(crate::evidence::Kind::WebhookRestored, clock::now())
        });
    }
}

fn field(change: &Change) -> Field {
    let Change { path, registered, found } = change.clone();
    let why = match (&registered, &found) {
        (None, None) => "missing",
        (None, Some(_)) => "added",
        (Some(_), None) => "removed",
        (Some(_), Some(_)) => "changed",
    };
    Field { path, git: registered, live: found, why: Some(why.to_owned()) }
}
