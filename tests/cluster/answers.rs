//! Answers that do not come: what was asked for is done, and the connection breaks before anybody says so.
//!
//! Holdfast talks to the API server through a line that passes everything on, and can be told to cut off one answer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{AUTHORIZATION, HOST};
use kube::Client;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::manifests::{SETTINGS, SLOW, WEB, config};
use crate::place::Place;
use crate::stage::{PATIENCE, Stage, folder, fragile, tests};
use crate::who::Who;
use crate::world::{Person, wait_until};

const UNKNOWN: &str = "whether it was done is not known";
const FOUND: &str = "the next look shows that it was done";

pub fn trials() -> Vec<Trial> {
    tests![a_write_without_an_answer_is_told_as_what_it_is]
}

/// A line to the API server.
#[derive(Clone)]
struct Line {
    client: Client,
    /// The next answer that is cut off: to this method, where the path ends like this.
    cut: Arc<Mutex<Option<(&'static str, &'static str)>>>,
}

// === impl Line ===

impl Line {
    /// From here on Holdfast is led over it.
    async fn lay(stage: &Stage) -> Result<Self> {
        let line = Self { client: stage.world.client(Person::Holdfast).await?, cut: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(pass).with_state(line.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        stage.world.stop_holdfast().await?;
        let direct = std::fs::read_to_string(kubeconfig())?;
        let mut led: Value = serde_json::from_str(&direct)?;
        led["clusters"][0]["cluster"] = json!({ "server": server });
        std::fs::write(kubeconfig(), led.to_string())?;
        let started = stage.world.start_holdfast().await;
        // It was read, and others use it.
        std::fs::write(kubeconfig(), direct)?;
        started.map(|()| line)
    }

    fn cuts(&self, method: &'static str, path: &'static str) {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some((method, path));
    }

    fn is_cut(&self, request: &Request) -> bool {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let is_dry = request.uri().query().is_some_and(|query| query.contains("dryRun"));
        let is_it =
            |(method, path): &mut (&str, &str)| request.method() == *method && request.uri().path().ends_with(*path);
        cut.take_if(|cut| !is_dry && is_it(cut)).is_some()
    }
}

fn kubeconfig() -> PathBuf {
    folder("cluster-fragile").join("holdfast.kubeconfig")
}

async fn pass(State(line): State<Line>, request: Request) -> Response {
    let is_cut = line.is_cut(&request);
    let (mut head, body) = request.into_parts();
    // The client has its own.
    head.headers.remove(AUTHORIZATION);
    head.headers.remove(HOST);
    head.uri = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default().parse().expect("it was one");
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    match line.client.send(http::Request::from_parts(head, kube::client::Body::from(body))).await {
        Ok(answer) if !is_cut => answer.map(Body::new),
        _ => {
            let broken = futures::stream::iter([Err::<Vec<u8>, _>(std::io::Error::other("cut off"))]);
            Response::new(Body::from_stream(broken))
        }
    }
}

fn told(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["reason"].as_str().unwrap_or_default()).collect()
}

async fn a_write_without_an_answer_is_told_as_what_it_is() -> Result<()> {
    let stage = fragile().await?;
    let files = [("settings.yaml", SETTINGS), ("web.yaml", WEB), ("gone.yaml", &config("gone", "a", "b"))];
    let place = Place::at(&stage, "unanswered", &files, |_| {}).await?;
    let line = Line::lay(&stage).await?;
    let told = tells(&place, &line).await;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await?;
    told
}

async fn tells(place: &Place<'_>, line: &Line) -> Result<()> {
    place.looks_again().await?;
    line.cuts("PATCH", "/unanswered/configmaps/settings");
    place.accepts(Who::Collector, SLOW).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    let healed = wait_until("what is known of the heal is told", PATIENCE, || async {
        let healed = place.records("Healed", "ConfigMap/settings")?;
        ensure!(healed.len() >= 2, "{healed:?}");
        Ok(healed)
    })
    .await?;
    let said = told(&healed);
    ensure!(said.len() == 2 && said[0].contains(UNKNOWN) && said[1].contains(FOUND), "{said:?}");
    ensure!(healed[0]["fields"][0]["path"] == ".data.mode" && healed[1]["remediationMs"].is_u64(), "{healed:?}");
    let failed = place.records("HealFailed", "ConfigMap/settings")?;
    ensure!(failed.is_empty(), "{failed:?}");

    line.cuts("DELETE", "/unanswered/configmaps/gone");
    let commit = place.remove(&["gone.yaml"]).await?;
    place.is_synced(&commit).await?;
    let pruned = place.records("Pruned", "ConfigMap/gone")?;
    let said = told(&pruned);
    ensure!(said.len() == 2 && said[0].contains(UNKNOWN) && said[1].contains(FOUND), "{said:?}");
    place.live("ConfigMap/gone").await?.is_null().then_some(()).context("it is still there")
}
