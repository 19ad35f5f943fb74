//! Somebody else's mutating webhook, as registries' mirrors and meshes bring one.

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

/// What it writes: the operations of a JSON patch of a Deployment. What it has written already it leaves alone.
pub type Rewrite = fn(&Value) -> Vec<Value>;

/// Rewrites every Deployment written in the namespace of `place`; `sign` is what tells that it does.
pub async fn serve(place: &Place<'_>, sign: &str, rewrite: Rewrite) -> Result<Rewriter> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let url = format!("https://{}/", listener.local_addr()?);
    let tls = RustlsConfig::from_pem(certificate.clone().into_bytes(), key.into_bytes()).await?;
    let router =
        Router::new().route("/", post(move |review: Bytes| async move { answer(&review, rewrite).to_string() }));
    let server = axum_server::from_tcp_rustls(listener, tls)?.serve(router.into_make_service());
    let rewriter = Rewriter(tokio::spawn(server).abort_handle());
    place.stage.world.apply(&configuration(&place.name, &url, certificate)?).await?;
    is_in_force(place, sign).await?;
    Ok(rewriter)
}

/// Puts a mirror before images.
pub fn mirror(deployment: &Value) -> Vec<Value> {
    let prefix = "mirror.example/";
    let containers = deployment.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let images = containers.into_iter().flatten().enumerate();
    let images = images.filter_map(|(index, container)| Some((index, container["image"].as_str()?)));
    images
        .filter(|(_, image)| !image.starts_with(prefix))
        .map(|(index, image)| {
            json!({"op": "replace", "path": format!("/spec/template/spec/containers/{index}/image"), "value": format!("{prefix}{image}")})
        })
        .collect()
}

/// The API server notices a new configuration when it gets to it.
async fn is_in_force(place: &Place<'_>, sign: &str) -> Result<()> {
    let create = ["create", "deployment", "probe", "--image=probe", "--dry-run=server", "--output=json"];
    wait_until("the other webhook is in force", PATIENCE, || async {
        let made = place.run(Who::Administrator, &create, "").await?.success()?;
        ensure!(made.contains(sign), "it does nothing: {made}");
        Ok(())
    })
    .await
}

fn answer(review: &[u8], rewrite: Rewrite) -> Value {
    let review: Value = serde_json::from_slice(review).unwrap_or_default();
    let patch = ByteString(Value::Array(rewrite(&review["request"]["object"])).to_string().into_bytes());
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
