//! Rotations under load: a client that trusts what is registered at the moment never fails a handshake.
//!
//! Time is said, so that three months pass at once; connections and handshakes are real.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast::certs::rotation::{Kept, LIFE, SETTLE, Step};
use holdfast::core::snapshot::Mode;
use holdfast::webhook::serve::Leave;
use holdfast::webhook::tls::{Serving, pair};
use jiff::Timestamp;
use reqwest::{Certificate, Client};
use tokio::time::timeout;

use crate::desk::Desk;
use crate::tls::{LONG, Running, post};

/// Handshakes before the next step is taken.
const BETWEEN: usize = 150;
/// API servers, each reading the configuration at a time of its own.
const CLIENTS: usize = 4;

/// What is registered, and how it goes.
struct Registered {
    trust: Mutex<String>,
    done: AtomicUsize,
    stop: AtomicBool,
}

/// Each request is a handshake of its own, by what is registered when it begins.
async fn api_server(registered: Arc<Registered>, url: String) {
    let (mut known, mut client) = (String::new(), None::<Client>);
    while !registered.stop.load(Ordering::SeqCst) {
        let trust = registered.trust.lock().expect("nobody panics with it").clone();
        if trust != known {
            let roots = Certificate::from_pem_bundle(trust.as_bytes()).expect("PEM");
            let builder = Client::builder().tls_certs_only(roots).no_proxy().http1_only().pool_max_idle_per_host(0);
            (known, client) = (trust, Some(builder.build().expect("a client")));
        }
        post(client.as_ref().expect("just made"), &url).await.expect("no handshake fails");
        registered.done.fetch_add(1, Ordering::SeqCst);
    }
}

async fn some_handshakes(registered: &Registered) {
    let enough = registered.done.load(Ordering::SeqCst) + BETWEEN;
    let reached = async {
        while registered.done.load(Ordering::SeqCst) < enough {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, reached).await.expect("requests are answered");
}

fn serve(serving: &Serving, kept: &Kept) {
    serving.set(pair(kept.serving.chain.as_bytes(), kept.serving.key.as_bytes()).expect("a pair"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_handshake_fails_across_rotations() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let names = ["127.0.0.1".to_owned()];
    let mut now = Timestamp::now();
    let mut kept = Kept::fresh(&names, now).expect("made");
    let (serving, desk) = (Serving::nothing(), Desk::new(Mode::Deny));
    serve(&serving, &kept);
    let server = Running::start(serving.clone(), desk.router.clone(), Leave::default());
    let registered = Arc::new(Registered {
        trust: Mutex::new(kept.trust.clone()),
        done: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    });
    let clients: Vec<_> = (0..CLIENTS).map(|_| tokio::spawn(api_server(registered.clone(), server.url()))).collect();

    let (mut steps, mut promoted) = (Vec::new(), 0);
    while promoted < 3 {
        let published = *registered.trust.lock().expect("nobody panics with it") == kept.trust;
        let step = kept.step(published, now);
        match step {
            Step::Rest(then) => now = then,
            Step::Prepare => kept = aged(kept.prepared(&names, Timestamp::now()).expect("made"), now),
            Step::Publish => registered.trust.lock().expect("nobody panics with it").clone_from(&kept.trust),
            Step::Promote => {
                kept = kept.promoted();
                serve(&serving, &kept);
                promoted += 1;
            }
        }
        steps.push(step);
        some_handshakes(&registered).await;
    }
    registered.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("no handshake failed");
    }
    let promotions = steps.iter().filter(|step| **step == Step::Promote).count();
    let publications = steps.iter().filter(|step| **step == Step::Publish).count();
    assert_eq!((promotions, publications), (3, 3), "{steps:?}");
    assert!(registered.done.load(Ordering::SeqCst) > 2000);
}

/// As if its next pair were made at `now`; it is made today, and so good for clients whose clock is not the one that is said.
fn aged(mut kept: Kept, now: Timestamp) -> Kept {
    if let Some(next) = &mut kept.next {
        next.validity.from = now;
        next.validity.until = now + LIFE;
    }
    kept
}

#[test]
fn an_authority_settles_for_less_than_a_life() {
    assert!(SETTLE < LIFE / 6 && SETTLE >= Duration::from_mins(10));
}
