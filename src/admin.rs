//! The plain-HTTP side door: is it alive, is it ready, what are its numbers.
//!
//! Plain HTTP on a port of its own, so that probes and scrapes neither need the webhook's CA nor wait in its queue.

pub mod readiness;

use std::{io, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::evidence::metrics;
pub use readiness::{Pending, Readiness};

/// What the side door shows.
#[derive(Debug, Clone)]
pub struct Admin {
    /// What is still being waited for.
    pub readiness: Readiness,
    /// The numbers.
    pub registry: Arc<Registry>,
}

// === impl Admin ===

impl Admin {
    /// Serves on `listener` until `shutdown` resolves. Let that be late: while draining, `/readyz` must still say no.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        axum::serve(listener, self.router()).with_graceful_shutdown(shutdown).await
    }

    /// `/livez`, `/readyz`, `/metrics`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics_page))
            .with_state(self)
    }
}

/// Lists what is missing: the first question of whoever finds a pod that is not ready.
async fn readyz(State(Admin { readiness, .. }): State<Admin>) -> (StatusCode, String) {
    let obstacles = readiness.obstacles();
    if obstacles.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        obstacles.iter().map(|what| format!("waiting for {what}\n")).collect::<Vec<_>>().concat(),
    )
}

async fn metrics_page(State(Admin { registry, .. }): State<Admin>) -> Response {
    match metrics::encode(&registry) {
        Ok(page) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{body, http::Request};
    use tower::ServiceExt;

    use super::*;
    use crate::evidence::Metrics;

    async fn ask(admin: &Admin, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(body::Body::empty()).expect("a request");
        let response = admin.clone().router().oneshot(request).await.expect("infallible");
        let status = response.status();
        let bytes = body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    fn admin() -> Admin {
        Admin { readiness: Readiness::new(), registry: Arc::new(Metrics::new().1) }
    }

    #[tokio::test]
    async fn ready_says_what_is_missing() {
        let admin = admin();
        let snapshot = admin.readiness.expect("the first snapshot");
        let (status, body) = ask(&admin, "/readyz").await;
        assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "waiting for the first snapshot\n"));
        snapshot.ready();
        assert_eq!(ask(&admin, "/readyz").await, (StatusCode::OK, "ok\n".to_owned()));
        assert_eq!(ask(&admin, "/livez").await, (StatusCode::OK, "ok\n".to_owned()));
    }

    #[tokio::test]
    async fn metrics_are_printed() {
        let (status, page) = ask(&admin(), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("holdfast_reviews_total") && page.ends_with("# EOF\n"));
    }

    #[tokio::test]
    async fn it_serves_until_told_to_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let served = tokio::spawn(admin().run(listener, async { stopped.await.unwrap_or_default() }));
        drop(stop);
        served.await.expect("no panic").expect("a clean end");
    }
}
