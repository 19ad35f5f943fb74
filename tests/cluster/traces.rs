//! What a collector of traces gets to see: one span for each review, in the request's own trace, with its verdict.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use libtest_mimic::Trial;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::manifests::SETTINGS;
use crate::place::Place;
use crate::stage::{fragile, tests};
use crate::who::Who;

pub fn trials() -> Vec<Trial> {
    tests![a_collector_gets_a_span_for_each_review, a_collector_that_is_away_holds_nobody_up]
}

/// The last are sent when Holdfast leaves, so there is nothing to wait for after that.
async fn a_collector_gets_a_span_for_each_review() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "traced", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    let collector = Collector::start().await?;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast_with(&["--otlp-endpoint", &collector.url]).await?;
    place.refuses(Who::Alice, "delete configmap/settings").await?;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await?;

    let spans = collector.spans()?;
    ensure!(spans.iter().all(|span| span.name == "review"), "ours alone are sent: {spans:#?}");
    let is_hers =
        |span: &&Span| text(&span.attributes, "operation") == "Delete" && text(&span.attributes, "name") == "settings";
    let hers = spans.iter().find(is_hers).with_context(|| format!("no span of her deletion: {spans:#?}"))?;
    let said = ["hook", "user", "kind", "namespace", "verdict"].map(|name| text(&hers.attributes, name));
    ensure!(said == ["validate", "alice", "ConfigMap", "traced", "Deny"], "{hers:#?}");
    Ok(())
}

async fn a_collector_that_is_away_holds_nobody_up() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "untraced", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    stage.world.stop_holdfast().await?;
    // Discard: a port nobody listens on.
    stage.world.start_holdfast_with(&["--otlp-endpoint", "http://127.0.0.1:9"]).await?;
    place.refuses(Who::Alice, "delete configmap/settings").await?;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await
}

/// A collector on loopback that keeps what it is sent.
struct Collector {
    url: String,
    received: Arc<Mutex<Vec<Bytes>>>,
}

// === impl Collector ===

impl Collector {
    async fn start() -> Result<Self> {
        let received = Arc::<Mutex<Vec<Bytes>>>::default();
        let kept = received.clone();
        let keep = move |body: Bytes| {
            kept.lock().expect("nobody panics while holding it").push(body);
            async { StatusCode::OK }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().route("/v1/traces", post(keep));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, received })
    }

    fn spans(&self) -> Result<Vec<Span>> {
        let received = self.received.lock().expect("nobody panics while holding it");
        let mut spans = Vec::new();
        for body in received.iter() {
            let request = ExportTraceServiceRequest::decode(body.clone())?;
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            spans.extend(scopes.flat_map(|scope| scope.spans));
        }
        Ok(spans)
    }
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let value = attributes.iter().find(|attribute| attribute.key == name).and_then(|attribute| attribute.value.clone());
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}
