//! A rolling update: one server leaves under load while another takes over, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use holdfast::core::snapshot::Mode;
use holdfast::webhook::serve::Leave;
use reqwest::{Client, StatusCode};
use tokio::time::timeout;

use crate::desk::Desk;
use crate::tls::{LONG, Running, bundle, client, post, serving};

/// Clients at once.
const CLIENTS: usize = 8;
/// Requests before the first server begins to leave, and again after it is gone.
const REQUESTS: usize = 200;

/// What the clients share: where to send to, how far they are, and when to stop.
#[derive(Default)]
struct Load {
    second: AtomicBool,
    done: AtomicUsize,
    stop: AtomicBool,
}

async fn load(load: Arc<Load>, client: Client, urls: [String; 2]) {
    while !load.stop.load(Ordering::SeqCst) {
        let url = &urls[usize::from(load.second.load(Ordering::SeqCst))];
        let (status, _) = post(&client, url).await.expect("no request is lost");
        assert_eq!(status, StatusCode::OK);
        load.done.fetch_add(1, Ordering::SeqCst);
    }
}

async fn reached(load: &Load, count: usize) {
    while load.done.load(Ordering::SeqCst) < count {
        tokio::task::yield_now().await;
    }
}

async fn roll(client: Client, servers: [Running; 2]) {
    let state = Arc::new(Load::default());
    let urls = [servers[0].url(), servers[1].url()];
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(load(state.clone(), client.clone(), urls.clone()))).collect();
    let [first, _second] = servers;
    timeout(LONG, reached(&state, REQUESTS)).await.expect("requests are answered");
    first.shutdown.request();
    let meanwhile = state.done.load(Ordering::SeqCst);
    timeout(LONG, reached(&state, meanwhile + 2 * CLIENTS)).await.expect("a lame duck still answers");
    state.second.store(true, Ordering::SeqCst);
    timeout(LONG, first.served).await.expect("it ends").expect("no panic").expect("no error");
    let meanwhile = state.done.load(Ordering::SeqCst);
    timeout(LONG, reached(&state, meanwhile + REQUESTS)).await.expect("the second one answers");
    state.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("no request was lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_under_load_loses_no_request() {
    let (bundle, desk) = (bundle(), Desk::new(Mode::Deny));
    let leave = Leave { lame_duck: Duration::from_secs(2), drain: Duration::from_secs(10) };
    let start = || Running::start(serving(&bundle), desk.router.clone(), leave);
    let one = client(&[&bundle]).http1_only().build().expect("a client");
    let two = client(&[&bundle]).http2_prior_knowledge().build().expect("a client");
    tokio::join!(roll(one, [start(), start()]), roll(two, [start(), start()]));
}
