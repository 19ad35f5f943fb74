//! Deliveries as hosts send them, and as others do.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::*;
use crate::evidence::metrics;

const SECRET: &[u8] = b"s3cret";
const GITHUB: &str = r#"{"ref": "refs/heads/main", "after": "x", "repository": {"id": 1, "full_name": "org/m", "default_branch": "main",
    "clone_url": "https://github.com/org/m.git", "ssh_url": "git@github.com:org/m.git", "html_url": "https://github.com/org/m",
    "url": "https://api.github.com/repos/org/m"}, "commits": [{"id": "x"}], "pusher": {"name": "ann"}}"#;
const GITLAB: &str = r#"{"object_kind": "push", "ref": "refs/heads/main", "project_id": 1,
    "project": {"name": "m", "web_url": "https://gitlab.com/org/m", "default_branch": "main",
    "git_ssh_url": "git@gitlab.com:org/m.git", "git_http_url": "https://gitlab.com/org/m.git"},
    "repository": {"name": "m", "url": "git@gitlab.com:org/m.git", "git_http_url": "https://gitlab.com/org/m.git"}}"#;

struct Desk {
    receiver: Receiver,
    registry: prometheus_client::registry::Registry,
    wakes: Vec<Arc<Notify>>,
    asked: Arc<AtomicUsize>,
}

/// A receiver for syncs of these URLs and revisions, all with the Secret `team/repo`.
fn desk(syncs: &[(&str, &str)]) -> Desk {
    let (metrics, registry) = Metrics::new();
    let subscriptions = Arc::new(Subscriptions::default());
    let asked = Arc::new(AtomicUsize::new(0));
    let mut wakes = Vec::new();
    for (at, (url, revision)) in syncs.iter().enumerate() {
        let wake = Arc::new(Notify::new());
        let secret = Some(("team".to_owned(), "repo".to_owned()));
        let one = Subscription { revision: (*revision).to_owned(), secret, wake: Arc::clone(&wake) };
        subscriptions.set(&format!("team/{at}"), url, one);
        wakes.push(wake);
    }
    let counted = Arc::clone(&asked);
    let secret_of: SecretOf = Arc::new(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Some(b"s3cret\n".to_vec()) })
    });
    Desk { receiver: Receiver::new(subscriptions, secret_of, None, metrics), registry, wakes, asked }
}

fn code(secret: &[u8], body: &str) -> String {
    let code = Hmac::<Sha256>::new_from_slice(secret).expect("any length").chain_update(body).finalize().into_bytes();
    code.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

impl Desk {
    async fn post(&self, path: &str, header: (&str, &str), body: impl Into<Body>) -> (u16, String) {
        let request = axum::http::Request::post(path).header(header.0, header.1).body(body.into()).expect("a request");
        let response = self.receiver.clone().router().oneshot(request).await.expect("infallible");
        let status = response.status().as_u16();
        let said = to_bytes(response.into_body(), 10_000).await.expect("a short body");
        (status, String::from_utf8_lossy(&said).into_owned())
    }

    async fn github(&self, body: &str) -> (u16, String) {
        let signature = format!("sha256={}", code(SECRET, body));
        self.post("/hooks/github", ("X-Hub-Signature-256", &signature), body.to_owned()).await
    }

    /// Which syncs were woken since this was last asked.
    fn woken(&self) -> Vec<usize> {
        let woken = |wake: &Notify| futures::FutureExt::now_or_never(wake.notified()).is_some();
        self.wakes.iter().enumerate().filter(|(_, wake)| woken(wake)).map(|(at, _)| at).collect()
    }

    fn count(&self, outcome: &str) -> bool {
        let page = metrics::encode(&self.registry).expect("text");
        page.contains(&format!("holdfast_pushes_total{{outcome=\"{outcome}\"}} 1\n"))
    }
}

#[tokio::test]
async fn a_push_wakes_who_follows_the_branch_however_the_repository_is_written() {
    let desk = desk(&[
        ("https://github.com/org/m.git", "main"),
        ("https://GitHub.com/org/m", "HEAD"),
        ("ssh://git@github.com:22/org/m.git", "refs/heads/main"),
        ("git@github.com:org/m", "main"),
        ("https://github.com/org/m.git", "release"),
        ("https://github.com/org/m.git", ">=1.0"),
        ("https://github.com/org/other.git", "main"),
        ("https://evil.example/github.com/org/m.git", "main"),
    ]);
    assert_eq!(desk.github(GITHUB).await, (202, "4 GitSync(s) look at Git now\n".to_owned()));
    assert_eq!(desk.woken(), [0, 1, 2, 3]);
    assert!(desk.count("taken"));
    assert_eq!(desk.github(&GITHUB.replace("refs/heads/main", "refs/tags/v1.2.0")).await.0, 202);
    assert_eq!(desk.woken(), [5]);
    assert_eq!(desk.github(&GITHUB.replace("refs/heads/main", "refs/heads/feature")).await.0, 200);
    assert_eq!(desk.woken(), [0; 0]);
    assert!(desk.count("ignored"));
}

#[tokio::test]
async fn every_host_proves_itself_in_its_own_way() {
    let desk = desk(&[("https://github.com/org/m.git", "main"), ("https://gitlab.com/org/m.git", "main")]);
    let gitea = GITHUB.replace("\"x\"", "\"y\"");
    assert_eq!(desk.post("/hooks/gitea", ("X-Gitea-Signature", &code(SECRET, &gitea)), gitea).await.0, 202);
    assert_eq!(desk.woken(), [0]);
    assert_eq!(desk.post("/hooks/gitlab", ("X-Gitlab-Token", "s3cret"), GITLAB).await.0, 202);
    assert_eq!(desk.woken(), [1]);
    let own = r#"{"repository": "git@github.com:org/m.git"}"#;
    let signature = format!("sha256={}", code(SECRET, own));
    assert_eq!(desk.post("/hooks/generic", ("X-Holdfast-Signature", &signature), own).await.0, 202);
    assert_eq!(desk.woken(), [0]);
}

#[tokio::test]
async fn whoever_does_not_know_the_secret_learns_and_causes_nothing() {
    let desk = desk(&[("https://github.com/org/m.git", "main")]);
    let good = format!("sha256={}", code(SECRET, GITHUB));
    let wrong = format!("sha256={}", code(b"another", GITHUB));
    let elsewhere = GITHUB.replace("org/m", "org/elsewhere");
    let foreign = format!("sha256={}", code(b"another", &elsewhere));
    let header = "X-Hub-Signature-256";
    let mut answers = Vec::new();
    for (name, value, body) in [
        (header, wrong.as_str(), GITHUB),
        (header, &foreign, &elsewhere),
        (header, &code(SECRET, &elsewhere), GITHUB),
        (header, "sha256=", GITHUB),
        (header, "sha256=zz", GITHUB),
        (header, &good[..20], GITHUB),
        ("X-Hub-Signature", &good, GITHUB),
        ("X-Gitlab-Token", "s3cret", GITHUB),
        (header, &wrong, "not json"),
        (header, &wrong, "[[[["),
    ] {
        answers.push(desk.post("/hooks/github", (name, value), body.to_owned()).await);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.0 == 401), "{answers:?}");
    for token in ["", "s3cre", "s3cret2", "S3CRET"] {
        assert_eq!(desk.post("/hooks/gitlab", ("X-Gitlab-Token", token), GITHUB).await.0, 401, "{token}");
    }
    assert_eq!(desk.woken(), [0; 0]);
    assert_eq!(desk.post("/hooks/bitbucket", (header, &good), GITHUB).await.0, 404);
    assert!(desk.count("foreign"));
}

#[tokio::test]
async fn what_was_overheard_is_of_no_use_a_second_time() {
    let desk = desk(&[("https://github.com/org/m.git", "main")]);
    assert_eq!(desk.github(GITHUB).await.0, 202);
    desk.woken();
    assert_eq!(desk.github(GITHUB).await, (409, "this delivery was taken already\n".to_owned()));
    assert_eq!(desk.woken(), [0; 0]);
    assert!(desk.count("replayed"));
}

#[tokio::test]
async fn a_flood_is_one_look_and_a_giant_is_not_read() {
    let desk = desk(&[("https://github.com/org/m.git", "main")]);
    for round in 0..50 {
        assert_eq!(desk.github(&GITHUB.replace("\"x\"", &format!("\"{round}\""))).await.0, 202);
    }
    assert_eq!(desk.woken(), [0]);
    assert_eq!(desk.woken(), [0; 0], "fifty pushes are one look");
    let before = desk.asked.load(Ordering::SeqCst);
    let giant = "x".repeat(LARGEST + 1);
    assert_eq!(desk.github(&giant).await.0, 413);
    assert!(desk.count("unreadable"));
    assert_eq!(desk.asked.load(Ordering::SeqCst), before, "nobody is asked for a secret");
}

#[tokio::test]
async fn a_file_holds_a_secret_for_all_and_an_empty_one_for_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    let mut desk = desk(&[("https://github.com/org/m.git", "main")]);
    desk.receiver.secret_of = Arc::new(|_, _| Box::pin(async { Some(Vec::new()) }));
    desk.receiver.file = Some(file.clone());
    assert_eq!(desk.github(GITHUB).await.0, 401, "no file yet");
    std::fs::write(&file, "\n").expect("written");
    let empty = format!("sha256={}", code(b"", GITHUB));
    assert_eq!(desk.post("/hooks/github", ("X-Hub-Signature-256", &empty), GITHUB).await.0, 401);
    assert_eq!(desk.post("/hooks/gitlab", ("X-Gitlab-Token", ""), GITHUB).await.0, 401);
    std::fs::write(&file, "s3cret\n").expect("written");
    assert_eq!(desk.github(GITHUB).await.0, 202);
    let elsewhere = GITHUB.replace("org/m", "org/elsewhere");
    assert_eq!(desk.github(&elsewhere).await.0, 404, "signed, and followed by nobody");
    let ping = r#"{"zen": "Keep it logically awesome."}"#;
    assert_eq!(desk.github(ping).await, (200, "nothing was pushed\n".to_owned()));
}
