//! Real handshakes: both HTTP versions, and certificates that change under load.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use holdfast::certs::{Bundle, issue};
use holdfast::core::snapshot::Mode;
use holdfast::evidence::Metrics;
use holdfast::shutdown::{DRAIN, Shutdown};
use holdfast::webhook::serve::{Leave, Server};
use holdfast::webhook::tls::{Brought, Files, Serving, pair};
use reqwest::{Certificate, Client, ClientBuilder, StatusCode, Version};
use tokio::task::JoinHandle;

use crate::desk::{Desk, EDIT_REPLICAS};

/// Far more than anything here takes; only a hang gets this far.
pub const LONG: Duration = Duration::from_secs(30);

/// A server on a port of its own.
pub struct Running {
    pub address: SocketAddr,
    pub shutdown: Shutdown,
    pub served: JoinHandle<std::io::Result<()>>,
}

// === impl Running ===

impl Running {
    pub fn start(serving: Arc<Serving>, router: Router, leave: Leave) -> Self {
        Self::with(Server { leave, ..Server::new(serving, Metrics::new().0) }, router)
    }

    pub fn with(server: Server, router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let shutdown = Shutdown::new(DRAIN);
        let served = tokio::spawn(server.run_alone(listener, router, shutdown.clone()));
        Self { address, shutdown, served }
    }

    pub fn url(&self) -> String {
        format!("https://{}/validate", self.address)
    }
}

pub fn bundle() -> Bundle {
    let names = ["127.0.0.1".to_owned()];
    issue(&names, Duration::from_hours(24), jiff::Timestamp::now()).expect("a certificate")
}

pub fn serving(bundle: &Bundle) -> Arc<Serving> {
    Serving::new(pair(bundle.chain.as_bytes(), bundle.key.as_bytes()).expect("a pair"))
}

pub fn client(trusting: &[&Bundle]) -> ClientBuilder {
    // Whoever comes first; it is the same provider for all.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let authority = |bundle: &&Bundle| Certificate::from_pem(bundle.ca.as_bytes()).expect("a certificate");
    Client::builder().tls_certs_only(trusting.iter().map(authority)).no_proxy()
}

pub async fn post(client: &Client, url: &str) -> reqwest::Result<(StatusCode, Version)> {
    let response = client.post(url).body(EDIT_REPLICAS).send().await?;
    let (status, version) = (response.status(), response.version());
    response.bytes().await?;
    Ok((status, version))
}

#[tokio::test]
async fn both_http_versions_are_spoken() {
    let (bundle, desk) = (bundle(), Desk::new(Mode::Deny));
    let server = Running::start(serving(&bundle), desk.router.clone(), Leave::default());
    for (client, version) in [
        (client(&[&bundle]).http1_only(), Version::HTTP_11),
        (client(&[&bundle]).http2_prior_knowledge(), Version::HTTP_2),
        (client(&[&bundle]), Version::HTTP_2),
    ] {
        let client = client.build().expect("a client");
        assert_eq!(post(&client, &server.url()).await.expect("an answer"), (StatusCode::OK, version));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_handshake_fails_while_certificates_change() {
    let (old, new) = (bundle(), bundle());
    let (serving, desk) = (serving(&old), Desk::new(Mode::Deny));
    let server = Running::start(serving.clone(), desk.router.clone(), Leave::default());
    let stop = Arc::new(AtomicBool::new(false));
    let handshakes = tokio::spawn(handshakes(server.url(), both(&old, &new), stop.clone()));
    for bundle in [&new, &old].into_iter().cycle().take(20) {
        serving.set(pair(bundle.chain.as_bytes(), bundle.key.as_bytes()).expect("a pair"));
        post(&both(&old, &new), &server.url()).await.expect("a handshake");
    }
    stop.store(true, Ordering::SeqCst);
    assert!(handshakes.await.expect("no panic") > 0);
    let only_new = client(&[&new]).build().expect("a client");
    assert!(post(&only_new, &server.url()).await.is_err(), "the old certificate is served");
}

fn both(old: &Bundle, new: &Bundle) -> Client {
    client(&[old, new]).http1_only().pool_max_idle_per_host(0).build().expect("a client")
}

async fn handshakes(url: String, client: Client, stop: Arc<AtomicBool>) -> usize {
    let mut done = 0;
    while !stop.load(Ordering::SeqCst) {
        post(&client, &url).await.expect("a handshake");
        done += 1;
    }
    done
}

/// Writes a pair the way the kubelet does: into a new folder, which one renamed symlink then makes current.
fn mount(folder: &Path, version: &str, [ca, chain, key]: [&str; 3]) {
    let data = folder.join(format!("..{version}"));
    std::fs::create_dir(&data).expect("a folder");
    std::fs::write(data.join("tls.crt"), chain).expect("a file");
    std::fs::write(data.join("tls.key"), key).expect("a file");
    std::fs::write(data.join("ca.crt"), ca).expect("a file");
    let link = folder.join("..data_tmp");
    std::os::unix::fs::symlink(data.file_name().expect("a name"), &link).expect("a link");
    std::fs::rename(link, folder.join("..data")).expect("a rename");
}

fn mounted(folder: &Path, bundle: &Bundle) -> Files {
    mount(folder, "first", whole(bundle));
    let file = |name: &str| {
        std::os::unix::fs::symlink(Path::new("..data").join(name), folder.join(name)).expect("a link");
        folder.join(name)
    };
    Files { chain: file("tls.crt"), key: file("tls.key"), ca: file("ca.crt") }
}

fn whole(Bundle { ca, chain, key, .. }: &Bundle) -> [&str; 3] {
    [ca, chain, key]
}

#[tokio::test]
async fn half_a_pair_is_not_served() {
    let (folder, first, second) = (tempfile::tempdir().expect("a folder"), bundle(), bundle());
    let (mut brought, _) = Brought::read(mounted(folder.path(), &first)).await.expect("a pair");
    assert!(brought.changed().await.expect("readable").is_none());
    mount(folder.path(), "half", [&first.ca, &second.chain, &first.key]);
    let refused = brought.changed().await.expect_err("chain and key do not match");
    assert_eq!(refused.to_string(), "failed to use the certificate chain with the private key");
    assert!(brought.changed().await.expect("told once").is_none());
    mount(folder.path(), "whole", whole(&second));
    let found = brought.changed().await.expect("a pair").expect("a new one");
    assert_eq!(found.authorities, second.ca.as_bytes());
    assert_eq!(found.validity.until.as_second(), second.expires.as_second(), "read off the leaf");
    mount(folder.path(), "authority", [&first.ca, &second.chain, &second.key]);
    let found = brought.changed().await.expect("a pair").expect("the authority alone is news, too");
    assert_eq!(found.authorities, first.ca.as_bytes());
    mount(folder.path(), "nonsense", ["", "no certificate", ""]);
    brought.changed().await.expect_err("nothing in it");
}

#[tokio::test]
async fn a_mounted_secret_is_followed_through_its_symlink() {
    let (folder, first, second) = (tempfile::tempdir().expect("a folder"), bundle(), bundle());
    let (mut brought, found) = Brought::read(mounted(folder.path(), &first)).await.expect("a pair");
    let (serving, desk) = (Serving::new(found.pair), Desk::new(Mode::Deny));
    let server = Running::start(serving.clone(), desk.router.clone(), Leave::default());

    mount(folder.path(), "half", [&first.ca, &second.chain, &first.key]);
    brought.changed().await.expect_err("it is noticed");
    post(&client(&[&first]).build().expect("a client"), &server.url()).await.expect("the last good pair stays");

    mount(folder.path(), "whole", whole(&second));
    serving.set(brought.changed().await.expect("readable").expect("new").pair);
    let new_one = client(&[&second]).pool_max_idle_per_host(0).build().expect("a client");
    post(&new_one, &server.url()).await.expect("the new pair is served");
}

/// Whoever brings it is late. To the API server it is as good as none, and `failurePolicy` decides; but nothing stops, the end is told
/// (the metric and the log go by it), and the next handshake after the files have changed is good again.
#[tokio::test]
async fn what_has_run_out_is_served_and_told_until_its_successor_is_there() {
    let now = jiff::Timestamp::now();
    let expired = issue(&["127.0.0.1".to_owned()], Duration::from_hours(1), now - jiff::SignedDuration::from_hours(3));
    let (folder, expired, next) = (tempfile::tempdir().expect("a folder"), expired.expect("a certificate"), bundle());
    let (mut brought, found) = Brought::read(mounted(folder.path(), &expired)).await.expect("a pair is a pair");
    assert!(found.validity.until < now, "its end is known");
    let (serving, desk) = (Serving::new(found.pair), Desk::new(Mode::Deny));
    let server = Running::start(serving.clone(), desk.router.clone(), Leave::default());
    let client = client(&[&expired, &next]).pool_max_idle_per_host(0).build().expect("a client");
    post(&client, &server.url()).await.expect_err("nobody takes it");
    mount(folder.path(), "next", whole(&next));
    serving.set(brought.changed().await.expect("readable").expect("new").pair);
    assert_eq!(post(&client, &server.url()).await.expect("answered").0, StatusCode::OK);
}
