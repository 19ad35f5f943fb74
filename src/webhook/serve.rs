//! Serving the webhook over TLS, and leaving without losing a request.
//!
//! The API server keeps up to 25 idle connections to us for 90 s and finds out about our end only by trying. So we close idle
//! connections later than it does, and leave in three steps: keep serving while endpoints forget us, telling each HTTP/1
//! connection that is used to close afterwards (lame duck); stop accepting and finish what has begun (drain); end.
//!
//! Whoever else can reach the port must not be able to take it from the API server: connections are counted, those that say nothing make room (`door`), and a
//! handshake, a head and a body each have their time. To the API server a connection that is closed on it is a failed call, so
//! `failurePolicy` decides, as it does whenever there is no decision.

mod door;
mod hurried;
mod prompt;
mod watched;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header::CONNECTION};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use rustls::RootCertStore;
use tokio::runtime::{self, Runtime};
use tokio::time::sleep;

use super::tls::Serving;
use crate::evidence::Metrics;
use crate::shutdown::Shutdown;
use door::Door;
use hurried::Hurried;
use prompt::Prompt;

/// How the webhook is served.
pub struct Server {
    /// With which certificate.
    pub serving: Arc<Serving>,
    /// Who signs the certificates of clients; `None` asks for none.
    pub clients: Option<RootCertStore>,
    /// How much at once, and for how long.
    pub limits: Limits,
    /// How it ends.
    pub leave: Leave,
    /// What is counted.
    pub metrics: Metrics,
}

/// How much at once, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections that may be open.
    pub connections: usize,
    /// Whoever says nothing for so long has to go when all places are taken and somebody else comes. Longer than any review takes.
    pub patience: Duration,
    /// A client that does not finish its handshake by then never will; likewise one that says nothing for so long after it.
    pub handshake: Duration,
    /// How long a connection may idle. To hyper, waiting for the next request's head and waiting for the rest of it is one time.
    pub idle: Duration,
    /// How long a request's body may take.
    pub body: Duration,
}

/// How long leaving takes at most.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// How long requests are still accepted after the end was asked for.
    pub lame_duck: Duration,
    /// How long those that have begun may take after that.
    pub drain: Duration,
}

/// What a connection has to pass, inside out.
type Acceptor = Prompt<RustlsAcceptor<Door>>;

/// How often a silent HTTP/2 connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// A runtime that ends with whoever waits for it, who cannot wait for its threads.
struct Alone(Option<Runtime>);

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

// === impl Limits ===

impl Default for Limits {
    /// Three API servers with 250 requests each fit in, and all of it into the 1024 file descriptors a process usually gets. The
    /// API server gives idle connections up after 90 s; closing before it does makes for sporadic `EOF`s. It waits for an answer
    /// 30 s at most, so a body that takes longer than 10 s is of a client that is not it.
    fn default() -> Self {
        Self {
            connections: 768,
            patience: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            idle: Duration::from_mins(2),
            body: Duration::from_secs(10),
        }
    }
}

// === impl Leave ===

impl Default for Leave {
    /// Together within the 30 s that Kubernetes grants.
    fn default() -> Self {
        Self { lame_duck: Duration::from_secs(5), drain: Duration::from_secs(20) }
    }
}

// === impl Server ===

impl Server {
    /// With everything as it usually is.
    pub fn new(serving: Arc<Serving>, metrics: Metrics) -> Self {
        Self { serving, clients: None, limits: Limits::default(), leave: Leave::default(), metrics }
    }

    /// Serves `router` until the shutdown, then leaves. The caller owns the socket.
    pub async fn run(self, listener: TcpListener, router: Router, shutdown: Shutdown) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let (handle, Limits { body, .. }, leave) = (Handle::new(), self.limits, self.leave);
        let server = self.on(listener)?.handle(handle.clone());
        let leaving = shutdown.clone();
        let router = router.layer(from_fn(move |request, next| hurry(body, leaving.clone(), request, next)));
        tokio::select! {
            ended = server.serve(router.into_make_service()) => ended,
            () = go(handle, shutdown, leave) => Ok(()),
        }
    }

    /// The same on a thread of its own.
    ///
    /// No sync of ten thousand objects then comes between a question and its answer, and there is nobody to hand connections over to:
    /// with several threads, a quarter of the CPU time of a review that is not even read went into waking the other ones. One thread
    /// answers thousands of reviews a second, many times what an API server can write.
    ///
    /// # Errors
    /// As [`run`](Self::run), and if no thread can be had.
    pub async fn run_alone(self, listener: TcpListener, router: Router, shutdown: Shutdown) -> io::Result<()> {
        let mut builder = runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("webhook").enable_all().build()?;
        let served = runtime.spawn(self.run(listener, router, shutdown));
        let _alone = Alone(Some(runtime));
        served.await.map_err(io::Error::other)?
    }

    fn on(self, listener: TcpListener) -> io::Result<axum_server::Server<SocketAddr, Acceptor>> {
        let Self { serving, clients, limits, leave: _, metrics } = self;
        let config = serving.config(clients).map_err(io::Error::other)?;
        let tls = RustlsAcceptor::new(RustlsConfig::from_config(Arc::new(config))).handshake_timeout(limits.handshake);
        let door = Door::new(limits.connections, limits.patience, metrics);
        let acceptor = Prompt::new(tls.acceptor(door), limits.handshake);
        let mut server = axum_server::from_tcp(listener)?.acceptor(acceptor);
        let http = server.http_builder();
        http.http1().timer(TokioTimer::new()).header_read_timeout(limits.idle);
        http.http2().timer(TokioTimer::new()).keep_alive_interval(PING);
        Ok(server)
    }
}

/// Leaves when asked to. Never returns: the server does, when its last connection is done.
async fn go(handle: Handle<SocketAddr>, shutdown: Shutdown, leave: Leave) {
    shutdown.requested().await;
    sleep(leave.lame_duck).await;
    handle.graceful_shutdown(Some(leave.drain));
    std::future::pending::<()>().await;
}

/// Gives the body its time, and says goodbye when leaving: HTTP/2 has a frame for that, which draining sends; HTTP/1 has only
/// the answer to the next request.
async fn hurry(time: Duration, shutdown: Shutdown, request: Request, next: Next) -> Response {
    let is_http1 = request.version() < Version::HTTP_2;
    let mut response = next.run(request.map(|body| Body::new(Hurried::new(body, time)))).await;
    if is_http1 && shutdown.is_requested() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
