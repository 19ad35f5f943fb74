//! Git over HTTP: git's own `http-backend`, called as the CGI program it is. So what Holdfast fetches from here is
//! what it would fetch from any host, protocol negotiation, compression and all.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;

/// Serves every repository under `root` until the process ends.
pub async fn serve(listener: TcpListener, root: PathBuf) -> Result<()> {
    axum::serve(listener, router(root).layer(from_fn(log))).await.context("the Git server ended")
}

/// Every repository under `root`, for a server of one's own.
pub fn router(root: PathBuf) -> Router {
    Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(root)
}

async fn answer(
    State(root): State<PathBuf>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let mut command = backend(root, &method, &uri, &headers, body.len());
    match call(&mut command, &body).await {
        Ok(response) => response,
        Err(error) => failure(&error),
    }
}

async fn log(request: Request, next: Next) -> Response<Body> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    eprintln!("{method} {uri} {}", response.status());
    response
}

/// The request in the words of RFC 3875.
fn backend(root: PathBuf, method: &Method, uri: &Uri, headers: &HeaderMap, length: usize) -> Command {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", length.to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"));
    command
}

async fn call(command: &mut Command, body: &[u8]) -> Result<Response<Body>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut stdin = child.stdin.take().context("standard input was asked to be a pipe")?;
    // Written while the answer is read: each side's pipe is small, and a fetch would otherwise wait for itself.
    let sending = async move { stdin.write_all(body).await };
    let (sent, output) = tokio::join!(sending, child.wait_with_output());
    let output = output?;
    ensure!(output.status.success() || !output.stdout.is_empty(), "git http-backend failed: {sent:?}");
    parse(&output.stdout)
}

/// Splits a CGI answer into status, headers and content.
fn parse(answer: &[u8]) -> Result<Response<Body>> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("an answer without headers")?;
    let head = std::str::from_utf8(&answer[..end]).context("headers that are not text")?;
    let mut response = Response::builder();
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        response = if name.eq_ignore_ascii_case("status") {
            response.status(value.split(' ').next().unwrap_or_default())
        } else {
            response.header(name, value)
        };
    }
    response.body(Body::from(answer[end + 4..].to_vec())).context("an answer that is not HTTP")
}

fn failure(error: &anyhow::Error) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{error:#}\n")));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
