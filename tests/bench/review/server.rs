//! A server in a process of its own: this very program with the hidden argument `serve`.
//!
//! All of them are served by the product's own server, so that they differ in nothing but what they do with a review.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use futures::future::BoxFuture;
use holdfast::certs;
use holdfast::core::breakglass::{Glass, Limits};
use holdfast::core::guard::Guard;
use holdfast::core::judge::Rules;
use holdfast::core::snapshot::Snapshot;
use holdfast::evidence::{Evidence, Metrics, Output};
use holdfast::shutdown::Shutdown;
use holdfast::telemetry;
use holdfast::webhook::register::{MUTATE_PATH, VALIDATE_PATH};
use holdfast::webhook::serve::Server;
use holdfast::webhook::tls::{Serving, pair};
use holdfast::webhook::upstream::{Kept, Place, Requester, Right, Unanswered, Upstream};
use holdfast::webhook::{Webhook, router};
use jiff::{SignedDuration, Timestamp};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::material::{Material, identities};
use crate::results;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// Holdfast's webhook.
    Product,
    /// Takes the body and answers.
    Raw,
    /// Looks for the uid in the text of the body and answers with it, as an API server wants it.
    Echo,
    /// Parses the body into a document and answers.
    Parse,
}

/// A server that runs. It ends with this, or with the process that holds it.
pub struct Running {
    /// Where it listens, on loopback.
    pub port: u16,
    /// Who signed its certificate, as PEM.
    pub ca: String,
    child: Child,
    _lifeline: ChildStdin,
}

/// What a server says when it is ready.
#[derive(serde::Serialize, serde::Deserialize)]
struct Ready {
    port: u16,
    ca: String,
}

/// The hidden argument.
pub const SERVE: &str = "serve";

// === impl Running ===

impl Running {
    /// Starts a server of ours and waits until it listens.
    pub fn start(which: Which) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        Self::program(command.arg(SERVE).arg(serde_json::to_string(&which)?))
    }

    /// Starts somebody else's, which says in the same way where it listens.
    pub fn program(command: &mut Command) -> Result<Self> {
        // Logs are written as they would be, to where nobody reads them.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let lifeline = child.stdin.take().context("standard input was asked to be a pipe")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("standard output was asked to be a pipe")?).read_line(&mut line)?;
        let Ready { port, ca } = serde_json::from_str(&line).with_context(|| format!("{command:?} did not start"))?;
        Ok(Self { port, ca, child, _lifeline: lifeline })
    }

    /// CPU time of all its threads so far.
    pub fn cpu(&self) -> Result<Duration> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?);
        Ok(clock_gettime(clock_getcpuclockid(pid)?)?.into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its own child, so the id cannot be anybody else's. An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The child's side: serves until standard input closes.
pub fn main(which: &str) -> Result<()> {
    telemetry::start(telemetry::Format::Text, telemetry::filter("info")?, None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let certificate = certs::issue(&["127.0.0.1".to_owned()], Duration::from_hours(1), Timestamp::now())?;
    let serving = Serving::new(pair(certificate.chain.as_bytes(), certificate.key.as_bytes())?);
    let ready = Ready { port: listener.local_addr()?.port(), ca: certificate.ca };
    let shutdown = Shutdown::new(Duration::ZERO);
    let server = Server::new(serving, Metrics::new().0);
    runtime.spawn(server.run_alone(listener, routes(serde_json::from_str(which)?)?, shutdown));
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&ready)?)?;
    match std::io::stdin().read(&mut [0])? {
        0 => Ok(()),
        _ => bail!("nothing is said to a server but that it is over"),
    }
}

fn routes(which: Which) -> Result<Router> {
    Ok(match which {
        Which::Product => router(product()?),
        Which::Raw => Router::new().route(VALIDATE_PATH, post(async |_: Bytes| json(ALLOWED))),
        Which::Echo => Router::new().route(VALIDATE_PATH, post(echo)).route(MUTATE_PATH, post(echo)),
        Which::Parse => Router::new().route(VALIDATE_PATH, post(parse)),
    })
}

const ALLOWED: &str =
    r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"any","allowed":true}}"#;

/// The API server writes the uid of the request before everything else that is called so.
async fn echo(body: Bytes) -> Result<impl IntoResponse, StatusCode> {
    let text = std::str::from_utf8(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let (_, rest) = text.split_once(r#""uid":""#).ok_or(StatusCode::BAD_REQUEST)?;
    let uid = rest.split('"').next().unwrap_or_default();
    Ok(json(ALLOWED.replace(r#""any""#, &format!("{uid:?}"))))
}

async fn parse(body: Bytes) -> impl IntoResponse {
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let response = json!({"uid": review["request"]["uid"], "allowed": true});
    json(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).to_string())
}

fn json(body: impl IntoResponse) -> impl IntoResponse {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], body)
}

/// The product as it runs in a cluster, but for the cluster.
fn product() -> Result<Webhook> {
    let (metrics, _) = Metrics::new();
    let limits = Limits { default: SignedDuration::from_mins(30), max: SignedDuration::from_hours(4) };
    let rules = Rules { identities: identities(), limits, observe_only: false, guards: Arc::default() };
    let records = std::fs::File::options().write(true).open("/dev/null")?;
    let spill = results::folder().join("spill");
    std::fs::create_dir_all(&spill)?;
    Ok(Webhook {
        snapshots: watch::channel(Some(Arc::new(Snapshot::new([Material::read()?.managed])))).1,
        rules: watch::channel(Arc::new(rules)).1,
        around: watch::channel(Arc::default()).1,
        upstream: Arc::new(Nobody),
        emergencies: tokio::sync::mpsc::unbounded_channel().0,
        evidence: Evidence::start(Output::to(records), &spill, metrics.clone())?,
        metrics,
        clock: Timestamp::now,
    })
}

/// Nobody may break glass. The review that is measured does not depend on it.
struct Nobody;

// === impl Nobody ===

impl Upstream for Nobody {
    fn may<'a>(&'a self, _: &'a Requester, _: &'a Right) -> BoxFuture<'a, Result<bool, Unanswered>> {
        Box::pin(async { Ok(false) })
    }

    fn glass<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Option<Glass>, Unanswered>> {
        Box::pin(async { Ok(None) })
    }

    fn pristine<'a>(&'a self, _: &'a Place, _: &'a Value) -> BoxFuture<'a, Result<Option<Value>, Unanswered>> {
        Box::pin(async { Ok(None) })
    }

    fn replicas_path<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Option<Vec<String>>, Unanswered>> {
        Box::pin(async { Ok(None) })
    }

    fn object<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Option<Value>, Unanswered>> {
        Box::pin(async { Ok(None) })
    }

    fn kept<'a>(&'a self, _: &'a Guard, _: &'a str) -> BoxFuture<'a, Result<Option<Kept>, Unanswered>> {
        Box::pin(async { Ok(None) })
    }

    fn syncs_in<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unanswered>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
