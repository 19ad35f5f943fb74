//! Somebody else's mutating webhook, as registries' mirrors and meshes bring one: it puts a prefix before images.

use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use axum_server::tls_rustls::RustlsConfig;
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::place::Place;
use crate::stage::PATIENCE;
use crate::who::Who;
use crate::world::wait_until;

/// Serves until dropped.
pub struct Rewriter(AbortHandle);

impl Drop for Rewriter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Rewrites the images of every Deployment written in the namespace of `place`.
pub async fn serve(place: &Place<'_>, prefix: &'static str) -> Result<Rewriter> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("https://{}/", listener.local_addr()?);
    let tls = RustlsConfig::from_pem(certificate.clone().into_bytes(), key.into_bytes()).await?;
    let router =
        Router::new().route("/", post(move |review: Bytes| async move { answer(&review, prefix).to_string() }));
    let server = axum_server::from_tcp_rustls(listener, tls)?.serve(router.into_make_service());
    let rewriter = Rewriter(tokio::spawn(server).abort_handle());
    place.stage.world.apply(&configuration(&place.name, &url, certificate)?).await?;
    is_in_force(place, prefix).await?;
    Ok(rewriter)
}

/// The API server notices a new configuration when it gets to it.
async fn is_in_force(place: &Place<'_>, prefix: &str) -> Result<()> {
    let create = ["create", "deployment", "probe", "--image=probe", "--dry-run=server", "--output=json"];
    wait_until("the other webhook is in force", PATIENCE, || async {
        let made = place.run(Who::Administrator, &create, "").await?.success()?;
        ensure!(made.contains(prefix), "it leaves images alone: {made}");
        Ok(())
    })
    .await
}

fn answer(review: &[u8], prefix: &str) -> Value {
    let review: Value = serde_json::from_slice(review).unwrap_or_default();
    let containers = review.pointer("/request/object/spec/template/spec/containers").and_then(Value::as_array);
    let rewrites: Vec<_> = containers
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, container)| Some((index, container["image"].as_str()?)))
        .filter(|(_, image)| !image.starts_with(prefix))
        .map(|(index, image)| {
            json!({"op": "replace", "path": format!("/spec/template/spec/containers/{index}/image"), "value": format!("{prefix}{image}")})
        })
        .collect();
    let patch = ByteString(Value::Array(rewrites).to_string().into_bytes());
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch", "patch": patch},
    })
}

fn configuration(namespace: &str, url: &str, certificate: String) -> Result<Value> {
    let bundle = serde_json::to_value(ByteString(certificate.into_bytes())).context("bytes are plain data")?;
    Ok(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": format!("mirror-{namespace}")},
        "webhooks": [{
            "name": "mirror.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore",
            "clientConfig": {"url": url, "caBundle": bundle},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "rules": [{"operations": ["CREATE", "UPDATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}],
        }],
    }))
}
