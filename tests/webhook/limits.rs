//! Those who take more than their share of a server: too many connections, too little hurry, no certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use futures::future::join_all;
use holdfast::certs::Bundle;
use holdfast::core::snapshot::Mode;
use holdfast::evidence::Metrics;
use holdfast::webhook::serve::{Leave, Limits, Server};
use holdfast::webhook::tls::authorities;
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use reqwest::Identity;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::desk::{Desk, EDIT_REPLICAS};
use crate::tls::{LONG, Running, bundle, client, post, serving};

const BRIEF: Duration = Duration::from_millis(200);

fn server(bundle: &Bundle, limits: Limits) -> (Running, Metrics) {
    let (metrics, desk) = (Metrics::new().0, Desk::new(Mode::Deny));
    let server = Server { limits, ..Server::new(serving(bundle), metrics.clone()) };
    (Running::with(server, desk.router.clone()), metrics)
}

/// Everything the other side still says, until it closes: whether politely or not.
async fn rest(mut stream: impl AsyncRead + Unpin) -> String {
    let mut said = Vec::new();
    timeout(LONG, stream.read_to_end(&mut said)).await.expect("it is closed").ok();
    String::from_utf8_lossy(&said).into_owned()
}

async fn handshaken(address: SocketAddr, bundle: &Bundle) -> TlsStream<TcpStream> {
    shaken(address, bundle).await.expect("a handshake")
}

async fn shaken(address: SocketAddr, bundle: &Bundle) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let roots = authorities(bundle.ca.as_bytes()).expect("PEM");
    let config = versions.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn head(length: usize) -> String {
    format!("POST /validate HTTP/1.1\r\nhost: holdfast\r\ncontent-length: {length}\r\n\r\n")
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let bundle = bundle();
    let (server, metrics) = server(&bundle, Limits { connections: 3, ..Limits::default() });
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(handshaken(server.address, &bundle).await);
    }
    for refused in 1..=5 {
        assert_eq!(rest(TcpStream::connect(server.address).await.expect("a connection")).await, "");
        assert_eq!((metrics.connections.get(), metrics.connections_refused.get()), (3, refused));
    }
    let mut one = held.pop().expect("three of them");
    one.write_all(format!("{}{EDIT_REPLICAS}", head(EDIT_REPLICAS.len())).as_bytes()).await.expect("sent");
    let mut answer = [0; 15];
    one.read_exact(&mut answer).await.expect("those that are in are served");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    drop(one);
    let client = client(&[&bundle]).build().expect("a client");
    let let_in = async { while post(&client, &server.url()).await.is_err() {} };
    timeout(LONG, let_in).await.expect("a place that is left is free");
}

/// Every place is held by somebody who says nothing, and who comes back as soon as it is cut: reviews get through all the same.
#[tokio::test]
async fn idle_strangers_make_room() {
    let bundle = bundle();
    let (server, metrics) = server(&bundle, Limits { connections: 3, patience: BRIEF, ..Limits::default() });
    let (address, held) = (server.address, &bundle);
    let strangers = join_all((0..3).map(|_| async move {
        loop {
            // A request of theirs is no review, and does not make them anybody.
            let Ok(mut stream) = shaken(address, held).await else { continue };
            stream.write_all(b"GET / HTTP/1.1\r\nhost: holdfast\r\n\r\n").await.ok();
            stream.read_to_end(&mut Vec::new()).await.ok();
        }
    }));
    let full = async {
        while metrics.connections.get() < 3 {
            tokio::task::yield_now().await;
        }
    };
    let reviews = async {
        timeout(LONG, full).await.expect("every place is taken");
        // Whoever was answered keeps its connection: a place that it gave back would be taken without anybody making room.
        let mut answered = Vec::new();
        for _ in 0..5 {
            let client = client(&[&bundle]).build().expect("a client");
            let asking = async { while post(&client, &server.url()).await.is_err() {} };
            timeout(LONG, asking).await.expect("somebody makes room");
            answered.push(client);
        }
    };
    tokio::select! {
        _ = strangers => unreachable!("they come back for ever"),
        () = reviews => {}
    }
    assert!(metrics.connections_evicted.get() >= 5 && metrics.connections.get() <= 4, "{metrics:?}");
}

/// Each holds its connection as long as it can; the server goes on answering others meanwhile.
#[tokio::test]
async fn whoever_does_not_hurry_is_cut() {
    let bundle = bundle();
    let limits = Limits { handshake: BRIEF, idle: BRIEF, body: BRIEF, ..Limits::default() };
    let (server, metrics) = server(&bundle, limits);
    let (address, url, client) = (server.address, server.url(), client(&[&bundle]).build().expect("a client"));
    let silent = async { rest(TcpStream::connect(address).await.expect("a connection")).await };
    let said_first = |text: String| {
        let bundle = &bundle;
        async move {
            let mut stream = handshaken(address, bundle).await;
            stream.write_all(text.as_bytes()).await.expect("sent");
            rest(stream).await
        }
    };
    let whole = format!("{}{EDIT_REPLICAS}", head(EDIT_REPLICAS.len()));
    let (no_handshake, no_request, less_than_a_preface, half_a_head, half_a_body, idle, meanwhile) = tokio::join!(
        silent,
        said_first(String::new()),
        said_first("PRI * HTTP".to_owned()),
        said_first("POST /validate HTTP/1.1\r\nhost: hold".to_owned()),
        said_first(format!("{}{{", head(EDIT_REPLICAS.len()))),
        said_first(whole),
        join_all((0..20).map(|_| post(&client, &url))),
    );
    assert_eq!([no_handshake, no_request, less_than_a_preface], ["", "", ""]);
    assert!(half_a_head.is_empty() || half_a_head.starts_with("HTTP/1.1 408"), "{half_a_head}");
    assert!(half_a_body.starts_with("HTTP/1.1 400"), "{half_a_body}");
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
    assert!(meanwhile.into_iter().all(|answer| answer.expect("an answer").0 == StatusCode::OK));
    let pooled = 1;
    let gone = async {
        while metrics.connections.get() > pooled {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, gone).await.expect("their places are free");
}

/// Bodies that never come, and may be of any length, take all places that large ones have. Whoever waits too long for one is told,
/// and it counts as an error; a review of the usual size does not wait for them.
#[tokio::test]
async fn too_many_reviews_at_once_are_no_decision() {
    let desk = Desk::new(Mode::Deny);
    let never = || Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let stuck = join_all((0..3).map(|_| desk.post("/validate", never())));
    let others = async {
        let (turned_away, usual) = tokio::join!(desk.post("/validate", never()), desk.post("/validate", EDIT_REPLICAS));
        assert_eq!((turned_away.status, usual.status), (StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK));
    };
    tokio::select! {
        biased;
        _ = stuck => panic!("bodies that never come are read"),
        () = others => {}
    }
    assert!(desk.metrics().contains(r#"holdfast_review_errors_total{kind="busy"} 1"#), "{}", desk.metrics());
}

/// Both objects as large as etcd stores them, and all of it in the longest spelling there is.
#[tokio::test]
async fn the_largest_review_there_can_be_is_read() {
    let mut review: serde_json::Value = serde_json::from_str(EDIT_REPLICAS).expect("JSON");
    let longest = "<".repeat(1_500_000);
    for object in ["object", "oldObject"] {
        review["request"][object]["metadata"]["annotations"]["padding"] = longest.clone().into();
    }
    let spelled = review.to_string().replace('<', r"\u003c");
    assert!(spelled.len() > 18_000_000);
    let desk = Desk::new(Mode::Deny);
    let answered = desk.post("/validate", spelled.clone()).await;
    assert_eq!(answered.status, StatusCode::OK);
    assert!(String::from_utf8_lossy(&answered.body).contains(r#""allowed":false"#), "it is judged as any other");
    let larger = desk.post("/validate", spelled + &" ".repeat(3_000_000)).await;
    assert_eq!(larger.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// A review has its place by the length it says it has. Many that never come whole leave places for those that do.
#[tokio::test]
async fn reviews_of_the_usual_size_do_not_wait_for_places_of_large_ones() {
    let (bundle, desk) = (bundle(), Desk::new(Mode::Deny));
    let server = Running::start(serving(&bundle), desk.router.clone(), Leave::default());
    let half = format!("{}{{", head(EDIT_REPLICAS.len()));
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let mut stream = handshaken(server.address, &bundle).await;
        stream.write_all(half.as_bytes()).await.expect("sent");
        stuck.push(stream);
    }
    let all = async {
        while !desk.metrics().contains("holdfast_reviews_in_flight 20\n") {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, all).await.expect("each of them has a place");
    let client = client(&[&bundle]).http1_only().build().expect("a client");
    let answered = timeout(LONG, post(&client, &server.url())).await.expect("no wait").expect("an answer");
    assert_eq!(answered.0, StatusCode::OK);
}

/// One thread answers everybody, also while the body of a large one takes its time; and that one is judged by the same rules.
#[tokio::test]
async fn a_large_review_keeps_nobody_waiting() {
    let bundle = bundle();
    let (server, _) = server(&bundle, Limits::default());
    let client = client(&[&bundle]).http1_only().build().expect("a client");
    let mut review: serde_json::Value = serde_json::from_str(EDIT_REPLICAS).expect("JSON");
    review["request"]["object"]["metadata"]["annotations"]["padding"] = "x".repeat(3_000_000).into();
    let review = review.to_string();
    let (begin, rest) = review.split_at(1_000_000);
    let mut large = handshaken(server.address, &bundle).await;
    large.write_all(format!("{}{begin}", head(review.len())).as_bytes()).await.expect("sent");
    assert_eq!(
        timeout(LONG, post(&client, &server.url())).await.expect("meanwhile").expect("an answer").0,
        StatusCode::OK
    );
    large.write_all(rest.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(r#""allowed":false"#) {
        let read = timeout(LONG, large.read_buf(&mut answer)).await.expect("an answer").expect("it goes on");
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// A CA for API servers, and what one of them presents.
fn api_server() -> (String, Identity) {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key")).expect("a CA");
    let mut params = CertificateParams::new(vec!["kube-apiserver".to_owned()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, &ca).expect("a leaf");
    let identity = Identity::from_pem((leaf.pem() + &key.serialize_pem()).as_bytes()).expect("a pair");
    (ca.pem(), identity)
}

#[tokio::test]
async fn with_a_client_ca_only_its_clients_are_heard() {
    let (bundle, desk) = (bundle(), Desk::new(Mode::Deny));
    let ((ca, trusted), (_, stranger)) = (api_server(), api_server());
    let clients = Some(authorities(ca.as_bytes()).expect("PEM"));
    let server = Server { clients, ..Server::new(serving(&bundle), Metrics::new().0) };
    let server = Running::with(server, desk.router.clone());
    let client = || client(&[&bundle]);
    let trusted = client().identity(trusted).build().expect("a client");
    assert_eq!(post(&trusted, &server.url()).await.expect("heard").0, StatusCode::OK);
    for unheard in [client(), client().identity(stranger)] {
        assert!(post(&unheard.build().expect("a client"), &server.url()).await.is_err());
    }
}

#[test]
fn a_client_ca_without_a_certificate_is_refused() {
    assert!(authorities(b"").is_err() && authorities(b"nonsense").is_err());
}
