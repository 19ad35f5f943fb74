//! Repositories that are private, that push, that many follow, and that hang: with Git servers of the tests' own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header::AUTHORIZATION};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit as _, Mac as _};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::manifests::{SETTINGS, config};
use crate::place::Place;
use crate::secrets::holdfast;
use crate::stage::{PATIENCE, Stage, fragile, shared, tests};
use crate::who::Who;
use crate::world::{HOLDFAST_NAMESPACE, git_server, wait_until};

/// Requests that six syncs make in a second, if each asks for itself, and in six seconds or so if they ask together.
const ENOUGH: usize = 24;
const SLOW: &str = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#;
/// `ann:first-s3cret`
const FIRST: &str = "Basic YW5uOmZpcnN0LXMzY3JldA==";
/// `ann:second-s3cret`
const SECOND: &str = "Basic YW5uOnNlY29uZC1zM2NyZXQ=";

pub fn trials() -> Vec<Trial> {
    tests![
        a_server_that_hangs_keeps_neither_others_nor_the_end_waiting,
        a_rotated_secret_is_used_without_a_restart,
        a_push_is_synced_long_before_the_next_interval,
        many_syncs_of_one_repository_ask_its_server_once,
    ]
}

/// The world's repository behind a door of the test's own.
#[derive(Clone, Default)]
struct Door {
    /// The header that opens it; none leaves it open.
    wanted: Arc<Mutex<Option<&'static str>>>,
    requests: Arc<AtomicUsize>,
}

impl Door {
    /// Serves, and answers with the repository's URL.
    async fn open(&self, stage: &Stage) -> Result<String> {
        let router: Router = git_server::router(stage.world.git_root());
        let router = router.layer(from_fn_with_state(self.clone(), enter));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        let path = stage.world.git_url()?;
        let path = path.rsplit('/').next().context("it has a path")?.to_owned();
        Ok(format!("http://{address}/{path}"))
    }

    fn wants(&self, header: &'static str) {
        *self.wanted.lock().expect("unpoisoned") = Some(header);
    }
}

async fn enter(State(door): State<Door>, request: Request, next: Next) -> Response {
    door.requests.fetch_add(1, Ordering::SeqCst);
    let wanted = *door.wanted.lock().expect("unpoisoned");
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if wanted.is_some() && given != wanted {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic realm=x")]).into_response();
    }
    next.run(request).await
}

fn secret(name: &str, data: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": HOLDFAST_NAMESPACE});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
}

async fn a_rotated_secret_is_used_without_a_restart() -> Result<()> {
    let stage = shared().await?;
    let door = Door::default();
    door.wants(FIRST);
    let url = door.open(stage).await?;
    let place = Place::empty(stage, "private").await?;
    let commit = place.write(&[("settings.yaml", SETTINGS)]).await?;
    place
        .sync(|spec| {
            spec["source"]["repoURL"] = json!(url);
            spec["source"]["secretRef"] = json!({"name": "private-repo"});
        })
        .await?;
    let name = format!("{HOLDFAST_NAMESPACE}/private-repo");
    place.condition("Ready", false, &[&name, "there is no such Secret", "create it"]).await?;
    stage.world.apply(&secret("private-repo", &json!({"password": "first-s3cret"}))).await?;
    place.condition("Ready", false, &[&name, "key password is there without username"]).await?;
    stage.world.apply(&secret("private-repo", &json!({"username": "ann", "password": "first-s3cret"}))).await?;
    place.is_synced(&commit).await?;
    let (code, said) = holdfast(&place, &["diff", &place.name]).await?;
    ensure!(code == Some(0), "diff of a private repository: {said}");

    door.wants(SECOND);
    place.condition("Ready", false, &["needs other credentials"]).await?;
    place.refuses(Who::Alice, SLOW).await?;
    let commit = place.write(&[("settings.yaml", &SETTINGS.replace("fast", "faster"))]).await?;
    stage.world.apply(&secret("private-repo", &json!({"username": "ann", "password": "second-s3cret"}))).await?;
    place.is_synced(&commit).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await?;

    // Deleting it stops the reading, and what was read stays.
    place
        .run(Who::Administrator, &["delete", "secret", "private-repo", "-n", HOLDFAST_NAMESPACE], "")
        .await?
        .success()?;
    place.condition("Ready", false, &[&name, "there is no such Secret"]).await?;
    place.refuses(Who::Alice, SLOW).await?;
    let told = format!("{} {}", place.git_sync().await?, serde_json::to_string(&stage.world.records()?)?);
    ensure!(!told.contains("s3cret"), "a password was told");
    Ok(())
}

async fn deliver(stage: &Stage, body: &str, secret: &[u8]) -> Result<u16> {
    let code = Hmac::<Sha256>::new_from_slice(secret)?.chain_update(body).finalize().into_bytes();
    let code = code.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.post(format!("{}/hooks/github", stage.world.receiver_url()?));
    let request = request.header("X-Hub-Signature-256", format!("sha256={code}")).header("X-GitHub-Event", "push");
    Ok(request.body(body.to_owned()).send().await?.status().as_u16())
}

async fn a_push_is_synced_long_before_the_next_interval() -> Result<()> {
    let stage = shared().await?;
    let url = Door::default().open(stage).await?;
    let place = Place::empty(stage, "pushed").await?;
    let commit = place.write(&[("settings.yaml", SETTINGS)]).await?;
    stage.world.apply(&secret("pushed-repo", &json!({"webhookSecret": "h00k"}))).await?;
    place
        .sync(|spec| {
            spec["source"]["repoURL"] = json!(url);
            spec["source"]["secretRef"] = json!({"name": "pushed-repo"});
            spec["source"]["interval"] = json!("24h");
        })
        .await?;
    place.is_synced(&commit).await?;
    let commit = place.write(&[("settings.yaml", &SETTINGS.replace("fast", "faster"))]).await?;
    let body =
        json!({"ref": "refs/heads/main", "after": commit, "repository": {"clone_url": url, "default_branch": "main"}});
    let body = body.to_string();
    ensure!(deliver(stage, &body, b"guessed").await? == 401, "taken without the secret");
    place.is("ConfigMap/settings", "/data/mode", json!("fast")).await?;
    let start = Instant::now();
    ensure!(deliver(stage, &body, b"h00k").await? == 202, "not taken");
    place.is_synced(&commit).await?;
    println!("synced {:?} after the push", start.elapsed());
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await?;
    ensure!(deliver(stage, &body, b"h00k").await? == 409, "taken twice");
    Ok(())
}

async fn many_syncs_of_one_repository_ask_its_server_once() -> Result<()> {
    let stage = shared().await?;
    let door = Door::default();
    let url = door.open(stage).await?;
    let mut places = Vec::new();
    for at in 0..6 {
        let name = format!("many-{at}");
        let one = Place::empty(stage, &name).await?;
        let commit = one.write(&[("one.yaml", &config("one", "a", "b"))]).await?;
        one.sync(|spec| spec["source"]["repoURL"] = json!(url)).await?;
        places.push((one, commit));
    }
    for (place, commit) in &places {
        place.is_synced(commit).await?;
    }
    // Other tests commit meanwhile, and a fetch is two requests more: together at most four a beat, not four a sync.
    let (before, start) = (door.requests.load(Ordering::SeqCst), Instant::now());
    wait_until("they have asked", PATIENCE, || async {
        let asked = door.requests.load(Ordering::SeqCst) - before;
        ensure!(asked >= ENOUGH, "{asked} times");
        Ok(())
    })
    .await?;
    let elapsed = start.elapsed();
    ensure!(elapsed > Duration::from_secs(4), "{ENOUGH} requests in {elapsed:?}: everybody asked");
    Ok(())
}

async fn a_server_that_hangs_keeps_neither_others_nor_the_end_waiting() -> Result<()> {
    let stage = fragile().await?;
    let mute = TcpListener::bind("127.0.0.1:0").await?;
    let address = mute.local_addr()?;
    let hanging = Place::empty(&stage, "hanging").await?;
    let url = format!("http://{address}/m.git");
    hanging.sync(|spec| spec["source"]["repoURL"] = json!(url)).await?;
    // Accepted and never answered.
    let (_held, _) = tokio::time::timeout(PATIENCE, mute.accept()).await.context("nobody asks")??;
    let place = Place::at(&stage, "beside-hanging", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    place.refuses(Who::Alice, SLOW).await?;
    let start = Instant::now();
    stage.world.stop_holdfast().await?;
    let took = start.elapsed();
    stage.world.start_holdfast().await?;
    // The silence is borne for 30 s; leaving takes five.
    ensure!(took < Duration::from_secs(15), "it took {took:?} to end");
    Ok(())
}
