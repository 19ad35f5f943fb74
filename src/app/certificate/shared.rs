//! A certificate that Holdfast makes, kept in a Secret that all replicas share.
//!
//! Everybody reads the Secret, whoever finds that a step is due writes it over what was read, and of two with the same idea the
//! API server takes one: the other reads what that one wrote. Which step is due is [`rotation`](crate::certs::rotation)'s to say.
//!
//! Time is the API server's ([`clock`]), because it is that one which takes a certificate or does not: a replica whose own clock is days
//! ahead would renew too early, serve what nobody takes yet, and throw away what all others serve.
//!
//! A Secret that is gone, or holds nonsense, while this process still has a good certificate gets that one back: it is the one
//! the API server trusts. There is no way to lose the guard by breaking a Secret, short of restarting every replica.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Certificate, HOURLY, warn_if_near};
use crate::certs::rotation::{Data, Garbage, Kept, Step};
use crate::cluster::watch::follow;
use crate::cluster::{Cluster, Error, Kind, clock};
use crate::core::object::ObjectKey;
use crate::evidence::{self, Evidence, Record};
use crate::webhook::register::CERTIFICATE_SECRET;
use crate::webhook::tls::pair;

/// Between two attempts while the API server refuses.
const AGAIN: Duration = Duration::from_secs(5);

/// The Secret, and who shares it.
pub(crate) struct Shared {
    cluster: Arc<Cluster>,
    key: ObjectKey,
    names: Vec<String>,
    evidence: Evidence,
}

/// The Secret, being kept.
struct Keeper {
    certificate: Certificate,
    secret: Shared,
    kind: Kind,
    kept: Option<Kept>,
}

/// Why the certificate is to be another.
enum Due {
    /// Nothing is due for this long, unless something changes.
    Nothing(Duration),
    /// This is to be written, and why.
    Write(Kept, String),
}

// === impl Shared ===

impl Shared {
    /// The Secret in this namespace, with a certificate for `names`.
    pub(crate) fn new(cluster: Arc<Cluster>, namespace: &str, names: Vec<String>, evidence: Evidence) -> Self {
        let (kind, name) = ("Secret".to_owned(), CERTIFICATE_SECRET.to_owned());
        let key = ObjectKey { group: String::new(), kind, namespace: Some(namespace.to_owned()), name };
        Self { cluster, key, names, evidence }
    }

    /// Serves what the Secret holds, for as long as the process lives.
    pub(super) async fn keep(self, certificate: Certificate) -> anyhow::Result<()> {
        let kind = self.cluster.kind("v1", "Secret").await?.context("v1 is not served")?;
        let mut sights = follow(&self.cluster, &kind, self.key.namespace.as_deref(), CERTIFICATE_SECRET);
        let mut keeper = Keeper { certificate, secret: self, kind, kept: None };
        loop {
            let rest = keeper.look().await?;
            tokio::select! {
                _ = sights.next() => {}
                changed = keeper.certificate.published_otherwise() => changed?,
                () = sleep(rest) => {}
            }
        }
    }
}

// === impl Keeper ===

impl Keeper {
    /// Does what is due; answers with when to look again if nothing changes until then.
    async fn look(&mut self) -> anyhow::Result<Duration> {
        match self.settle().await? {
            Ok((rest, now)) => {
                if let Some(kept) = &self.kept {
                    warn_if_near(kept.serving.validity, now, "its Secret cannot be renewed; the log says why");
                }
                Ok(rest.min(HOURLY))
            }
            Err(error) => {
                self.complain(&error);
                Ok(AGAIN)
            }
        }
    }

    /// Until nothing is due; answers for how long nothing is, and the time. What was read last is what is written over.
    async fn settle(&mut self) -> anyhow::Result<Result<(Duration, Timestamp), Error>> {
        let mut found = match self.find().await {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let now = clock::now();
        loop {
            let (kept, why) = match self.due(found.as_ref(), now)? {
                Due::Nothing(rest) => return Ok(Ok((rest, now))),
                Due::Write(kept, why) => (kept, why),
            };
            let written = match self.write(&kept, found.as_ref()).await {
                Ok(answer) => {
                    self.tell(&why);
                    Ok(Some(answer))
                }
                Err(error) if error.is_conflict() || error.is_not_found() => self.find().await,
                Err(error) => Err(error),
            };
            found = match written {
                Ok(found) => found,
                Err(error) => return Ok(Err(error)),
            };
        }
    }

    async fn find(&self) -> Result<Option<Value>, Error> {
        self.secret.cluster.get(&self.kind, &self.secret.key).await
    }

    fn due(&mut self, found: Option<&Value>, now: Timestamp) -> anyhow::Result<Due> {
        let read = found.map(|secret| Kept::read(&data(secret), &self.secret.names, now));
        let kept = match read {
            Some(Ok(kept)) => kept,
            Some(Err(garbage)) => return self.replacement(now, &in_words(&garbage)),
            None => return self.replacement(now, "there was no Secret"),
        };
        let step = {
            self.take(&kept)?;
            kept.step(self.certificate.is_published(), now)
        };
        Ok(match step {
            Step::Rest(then) => Due::Nothing(Duration::try_from(then.duration_since(now)).unwrap_or_default()),
            Step::Publish => Due::Nothing(HOURLY),
            Step::Prepare => Due::Write(
                kept.prepared(&self.secret.names, now)?,
                "the next one was made, and is served once it is trusted".to_owned(),
            ),
            Step::Promote => {
                Due::Write(kept.promoted(), "two thirds of its life were over; the next one is served".to_owned())
            }
        })
    }

    /// What to put in the place of nothing, or of nonsense: what is served and trusted, if it is still good.
    fn replacement(&self, now: Timestamp, why: &str) -> anyhow::Result<Due> {
        let ours = self.kept.clone().filter(|kept| kept.holds(&self.secret.names, now));
        Ok(match ours {
            Some(kept) => Due::Write(kept, format!("{why}: the one in use was written back")),
            None => Due::Write(Kept::fresh(&self.secret.names, now)?, format!("{why}: a new one was made")),
        })
    }

    fn take(&mut self, kept: &Kept) -> anyhow::Result<()> {
        self.certificate.trust(kept.trust.as_bytes());
        if self.kept.as_ref().is_none_or(|before| before.serving != kept.serving) {
            let pair = pair(kept.serving.chain.as_bytes(), kept.serving.key.as_bytes())?;
            self.certificate.serve(pair, kept.serving.validity);
        }
        self.kept = Some(kept.clone());
        Ok(())
    }

    async fn write(&self, kept: &Kept, over: Option<&Value>) -> Result<Value, Error> {
        let data = json!(kept.data());
        match over {
            None => {
                let ObjectKey { name, namespace, .. } = &self.secret.key;
                let labels = json!({"app.kubernetes.io/name": "holdfast"});
                let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
                let body =
                    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data});
                self.secret.cluster.create(&self.kind, &self.secret.key, &body).await
            }
            Some(found) => {
                let mut body = found.clone();
                body["data"] = data;
                self.secret.cluster.replace(&self.kind, &self.secret.key, &body).await
            }
        }
    }

    fn tell(&self, why: &str) {
        tracing::warn!(secret = %self.secret.key, why, "wrote the serving certificate");
        self.secret.evidence.record(Record {
            object: Some(self.secret.key.clone()),
            reason: Some(why.to_owned()),
            ..Record::new(evidence::Kind::CertificateRenewed, clock::now())
        });
    }

    /// Without the Secret nothing is served: see [`super`] for why there is no way around it.
    fn complain(&self, error: &Error) {
        self.certificate.metrics.certificate_failures.inc();
        if error.is_refused() {
            tracing::error!(%error, secret = %self.secret.key, "failed to keep the serving certificate; grant get, list, watch, create and \
                update on that Secret (the Role holdfast of `holdfast render --only rbac` does), or bring a certificate with --cert-file");
        } else {
            tracing::error!(%error, "failed to keep the serving certificate; trying again");
        }
    }
}

fn data(secret: &Value) -> Data {
    serde_json::from_value(secret["data"].clone()).unwrap_or_default()
}

/// The error and what caused it.
fn in_words(garbage: &Garbage) -> String {
    let cause = std::error::Error::source(garbage).map(|cause| format!(": {cause}"));
    format!("{garbage}{}", cause.unwrap_or_default())
}
