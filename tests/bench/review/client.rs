//! The API server's side: HTTP/1.1 with keep-alive over TLS, and nothing else on the connection.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Request, StatusCode};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::server::Running;

/// One connection, kept alive.
pub struct Connection(SendRequest<Body>);

/// Answers are a few kilobytes.
const LARGEST_ANSWER: usize = 1 << 20;

// === impl Connection ===

impl Connection {
    /// Connects to a server on loopback.
    pub async fn open(server: &Running) -> Result<Self> {
        let tcp = TcpStream::connect(("127.0.0.1", server.port)).await?;
        tcp.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::new(config(&server.ca)?));
        let tls = connector.connect(ServerName::try_from("127.0.0.1")?, tcp).await?;
        let (sender, connection) = handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a review and waits for the answer.
    pub async fn ask(&mut self, review: &Bytes) -> Result<Bytes> {
        let request = Request::post("/validate").header(HOST, "127.0.0.1").header(CONTENT_TYPE, "application/json");
        self.0.ready().await.context("the server closed a connection that it should keep")?;
        let response = self.0.send_request(request.body(Body::from(review.clone()))?).await?;
        let status = response.status();
        let answer = to_bytes(Body::new(response.into_body()), LARGEST_ANSWER).await?;
        ensure!(status == StatusCode::OK, "the server answered {status}: {}", String::from_utf8_lossy(&answer));
        Ok(answer)
    }
}

fn config(ca: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
