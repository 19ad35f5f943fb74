//! Push webhooks: a Git host says that something was pushed, and the syncs that follow it look at once.
//!
//! A delivery is a hint and never a source: what it makes happen is a look at Git, which would have happened at the next beat
//! anyway. Still nobody may cause it who does not know the secret, nobody can cause more than a look a second, and whoever asks
//! without the secret does not learn which repositories are followed.
//!
//! ```text
//! POST /hooks/github ─► read (bounded) ─► candidates ─► signature ─► seen before? ─► branch ─► syncs look
//! ```
//! Plain HTTP on a port of its own, which is closed unless asked for: what faces the world belongs behind an Ingress with TLS.

mod delivery;
mod seen;
mod signature;
#[cfg(test)]
mod tests;

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use futures::future::BoxFuture;
use hyper_util::rt::TokioTimer;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::evidence::Metrics;
use crate::evidence::metrics::Push;
use crate::reconcile::{Subscription, Subscriptions};
use crate::shutdown::Shutdown;
use delivery::Delivery;
use seen::Seen;
use signature::Signature;

/// Hosts cut their deliveries far below this.
const LARGEST: usize = 4 << 20;
/// Deliveries read at one time; each may hold one body.
const AT_ONCE: usize = 16;
/// How long a head or a body may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The `webhookSecret` in the Secret of this namespace and name, if there is one.
pub type SecretOf = Arc<dyn Fn(String, String) -> BoxFuture<'static, Option<Vec<u8>>> + Send + Sync>;

/// Takes deliveries.
#[derive(Clone)]
pub struct Receiver {
    subscriptions: Arc<Subscriptions>,
    secret_of: SecretOf,
    /// A secret that counts for every sync, read anew for each delivery.
    file: Option<PathBuf>,
    metrics: Metrics,
    seen: Arc<Seen>,
    places: Arc<Semaphore>,
}

/// What became of a delivery, for whoever sent it.
type Answer = (Push, StatusCode, String);

// === impl Receiver ===

impl Receiver {
    /// A receiver that has taken nothing yet.
    pub fn new(
        subscriptions: Arc<Subscriptions>,
        secret_of: SecretOf,
        file: Option<PathBuf>,
        metrics: Metrics,
    ) -> Self {
        let (seen, places) = (Arc::default(), Arc::new(Semaphore::new(AT_ONCE)));
        Self { subscriptions, secret_of, file, metrics, seen, places }
    }

    /// Serves until the shutdown. The caller owns the socket.
    pub async fn run(self, listener: TcpListener, shutdown: Shutdown) -> io::Result<()> {
        let mut server = axum_server::from_tcp(listener)?;
        server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        tokio::select! {
            ended = server.serve(self.router().into_make_service()) => ended,
            () = shutdown.requested() => Ok(()),
        }
    }

    /// `POST /hooks/{host}`.
    pub fn router(self) -> Router {
        Router::new().route("/hooks/{host}", post(deliver)).with_state(self)
    }

    async fn take(&self, host: &str, headers: &HeaderMap, request: Request) -> Answer {
        let Some(wanted) = Signature::of_host(host) else {
            let known = "there is no such receiver; use /hooks/github, /hooks/gitlab, /hooks/gitea or /hooks/generic";
            return (Push::Foreign, StatusCode::NOT_FOUND, known.to_owned());
        };
        let Some(signature) = wanted.read(headers) else { return unsigned(wanted) };
        let Ok(_place) = self.places.try_acquire() else {
            return (Push::Busy, StatusCode::SERVICE_UNAVAILABLE, "too many deliveries at once".to_owned());
        };
        let body = match timeout(PATIENCE, to_bytes(request.into_body(), LARGEST)).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => {
                let said = format!("the delivery has more than {LARGEST} bytes, or was cut short");
                return (Push::Unreadable, StatusCode::PAYLOAD_TOO_LARGE, said);
            }
            Err(_) => return (Push::Unreadable, StatusCode::REQUEST_TIMEOUT, "the delivery takes too long".to_owned()),
        };
        let delivery = Delivery::read(&body);
        let candidates = delivery.as_ref().map(|delivery| self.subscriptions.of(&delivery.repositories));
        let candidates = candidates.unwrap_or_default();
        let known = self.entitled(&signature, &body, candidates).await;
        let Some(entitled) = known else { return unsigned(wanted) };
        if !self.seen.is_new(&signature.digest(&body), Instant::now()) {
            return (Push::Replayed, StatusCode::CONFLICT, "this delivery was taken already".to_owned());
        }
        delivery.map_or_else(
            || (Push::Ignored, StatusCode::OK, "nothing was pushed".to_owned()),
            |delivery| wake(&delivery, &entitled),
        )
    }

    /// The syncs whose secret the sender knows; `None` if he knows none at all.
    async fn entitled(
        &self,
        signature: &Signature,
        body: &Bytes,
        candidates: Vec<Subscription>,
    ) -> Option<Vec<Subscription>> {
        if let Some(file) = &self.file
            && let Ok(secret) = tokio::fs::read(file).await
            && signature.is_of(&secret, body)
        {
            return Some(candidates);
        }
        let mut entitled = Vec::new();
        for candidate in candidates {
            let Some((namespace, name)) = candidate.secret.clone() else { continue };
            if let Some(secret) = (self.secret_of)(namespace, name).await
                && signature.is_of(&secret, body)
            {
                entitled.push(candidate);
            }
        }
        (!entitled.is_empty()).then_some(entitled)
    }
}

async fn deliver(State(receiver): State<Receiver>, Path(host): Path<String>, request: Request) -> (StatusCode, String) {
    let headers = request.headers().clone();
    let (outcome, status, said) = receiver.take(&host, &headers, request).await;
    receiver.metrics.pushed(outcome);
    tracing::debug!(?outcome, "push webhook");
    (status, said + "\n")
}

/// The same words whether the signature is missing or wrong, and whether or not the repository is followed.
fn unsigned(wanted: signature::Kind) -> Answer {
    let said = format!(
        "header {} is missing or does not fit; the secret is key webhookSecret of the Secret in source.secretRef, or what \
         --receiver-secret-file holds",
        wanted.header()
    );
    (Push::Unsigned, StatusCode::UNAUTHORIZED, said)
}

/// Lets those look that follow what was pushed.
fn wake(delivery: &Delivery, entitled: &[Subscription]) -> Answer {
    if entitled.is_empty() {
        return (Push::Foreign, StatusCode::NOT_FOUND, "no GitSync follows this repository".to_owned());
    }
    let following: Vec<_> = entitled.iter().filter(|one| delivery.concerns(&one.revision)).collect();
    following.iter().for_each(|one| one.wake.notify_one());
    match following.len() {
        0 => (Push::Ignored, StatusCode::OK, "no GitSync follows what was pushed".to_owned()),
        count => (Push::Taken, StatusCode::ACCEPTED, format!("{count} GitSync(s) look at Git now")),
    }
}
