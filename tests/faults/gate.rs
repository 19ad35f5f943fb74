//! The Git server, behind a gate that can cut its answers short.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio::net::TcpListener;

use crate::world::{World, git_server};

/// How much of a pack comes through, in thousandths.
#[derive(Clone, Default)]
pub struct Gate {
    part: Arc<Mutex<Option<usize>>>,
    cut: Arc<AtomicUsize>,
}

// === impl Gate ===

impl Gate {
    /// Serves, and answers with the repository's URL.
    pub async fn open(&self, world: &World) -> Result<String> {
        let router: Router = git_server::router(world.git_root());
        let router = router.layer(from_fn_with_state(self.clone(), pass));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        let path = world.git_url()?;
        let path = path.rsplit('/').next().context("it has a path")?;
        Ok(format!("http://{address}/{path}"))
    }

    /// From now on only so many thousandths of each pack come through; or all.
    pub fn lets_through(&self, part: Option<usize>) {
        *self.part.lock().unwrap_or_else(PoisonError::into_inner) = part;
    }

    /// How many were cut.
    pub fn cut(&self) -> usize {
        self.cut.load(Ordering::SeqCst)
    }
}

async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let is_pack = request.uri().path().ends_with("/git-upload-pack");
    let answer = next.run(request).await;
    let part = *gate.part.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut head, body) = answer.into_parts();
    head.headers.remove("content-length");
    let Ok(whole) = to_bytes(body, usize::MAX).await else { return Response::new(Body::empty()) };
    // The listing of names comes by the same way, and begins otherwise.
    let has_pack = whole.windows(4).any(|window| window == b"PACK");
    match part.filter(|_| is_pack && has_pack) {
        Some(part) => {
            gate.cut.fetch_add(1, Ordering::SeqCst);
            Response::from_parts(head, Body::from(whole.slice(..whole.len() * part / 1000)))
        }
        None => Response::from_parts(head, Body::from(whole)),
    }
}
