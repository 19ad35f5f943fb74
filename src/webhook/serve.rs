//! Serving the webhook over TLS, and leaving without losing a request.
//!
//! The API server keeps up to 25 idle connections to us for 90 s and finds out about our end only by trying. So we close idle
//! connections later than it does, and leave in three steps: keep serving while endpoints forget us, telling each HTTP/1
//! connection that is used to close afterwards (lame duck); stop accepting and finish what has begun (drain); end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header::CONNECTION};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::time::sleep;

use super::tls::Serving;
use crate::shutdown::Shutdown;

/// How long leaving takes at most.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// How long requests are still accepted after the end was asked for.
    pub lame_duck: Duration,
    /// How long those that have begun may take after that.
    pub drain: Duration,
}

/// How long a connection may idle. The API server gives up after 90 s; closing before it does makes for sporadic `EOF`s. To
/// hyper, waiting for the next request's headers and waiting for the rest of them is one time.
const IDLE: Duration = Duration::from_secs(120);

/// A client that does not finish its handshake by now never will.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often a silent HTTP/2 connection is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

// === impl Leave ===

impl Default for Leave {
    /// Together within the 30 s that Kubernetes grants.
    fn default() -> Self {
        Self { lame_duck: Duration::from_secs(5), drain: Duration::from_secs(20) }
    }
}

/// Serves `router` until the shutdown, then leaves. The caller owns the socket.
pub async fn serve(
    listener: TcpListener,
    serving: Arc<Serving>,
    router: Router,
    shutdown: Shutdown,
    leave: Leave,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let server = server(listener, serving)?.handle(handle.clone());
    let leaving = shutdown.clone();
    let router = router.layer(from_fn(move |request, next| close_when_leaving(leaving.clone(), request, next)));
    tokio::select! {
        ended = server.serve(router.into_make_service()) => ended,
        () = go(handle, shutdown, leave) => Ok(()),
    }
}

fn server(
    listener: TcpListener,
    serving: Arc<Serving>,
) -> io::Result<Server<SocketAddr, RustlsAcceptor<NoDelayAcceptor>>> {
    let config = serving.config().map_err(io::Error::other)?;
    let tls = RustlsAcceptor::new(RustlsConfig::from_config(Arc::new(config))).handshake_timeout(HANDSHAKE);
    let mut server = axum_server::from_tcp(listener)?.acceptor(tls.acceptor(NoDelayAcceptor::new()));
    let http = server.http_builder();
    http.http1().timer(TokioTimer::new()).header_read_timeout(IDLE);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(PING);
    Ok(server)
}

/// Leaves when asked to. Never returns: the server does, when its last connection is done.
async fn go(handle: Handle<SocketAddr>, shutdown: Shutdown, leave: Leave) {
    shutdown.requested().await;
    sleep(leave.lame_duck).await;
    handle.graceful_shutdown(Some(leave.drain));
    std::future::pending().await
}

/// HTTP/2 has a frame for this, which draining sends; HTTP/1 has only the answer to the next request.
async fn close_when_leaving(shutdown: Shutdown, request: Request, next: Next) -> Response {
    let is_http1 = request.version() < Version::HTTP_2;
    let mut response = next.run(request).await;
    if is_http1 && shutdown.is_requested() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
