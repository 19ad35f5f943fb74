//! A kind whose conversion webhook is away: what Git declares in one version is stored in another, and without the webhook nobody can
//! read it. Everything else goes on, nothing of the kind is lost, and when the webhook is back so does that.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use k8s_openapi::ByteString;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

use crate::away::others_are_kept;
use crate::manifests::{SETTINGS, config, definition};
use crate::place::Place;
use crate::stage::{PATIENCE, Stage, fragile, tests};
use crate::who::Who;
use crate::world::wait_until;

const FILES: [&str; 4] = ["settings.yaml", "gone.yaml", "io.yaml", "leda.yaml"];

pub fn trials() -> Vec<Trial> {
    tests![
        a_kind_that_cannot_be_converted_stops_nothing_else,
        everybody_starts_while_a_kind_cannot_be_converted,
        an_end_waits_for_what_cannot_be_converted,
    ]
}

/// The conversion webhook.
struct Converter {
    address: SocketAddr,
    certificate: String,
    key: String,
    serving: Option<(Handle<SocketAddr>, JoinHandle<std::io::Result<()>>)>,
    /// Never listens, so that whoever calls meanwhile is refused; and while it is bound, nobody else gets the port.
    _place: TcpSocket,
}

impl Drop for Converter {
    fn drop(&mut self) {
        self.serving.take().into_iter().for_each(|(handle, _)| handle.shutdown());
    }
}

// === impl Converter ===

impl Converter {
    async fn new() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let place = shared(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = place.local_addr()?;
        let mut converter = Self { address, certificate, key, serving: None, _place: place };
        converter.come().await?;
        Ok(converter)
    }

    /// Serves, where it did before.
    async fn come(&mut self) -> Result<()> {
        let listener = shared(self.address)?.listen(1024)?.into_std()?;
        let (certificate, key) = (self.certificate.clone().into_bytes(), self.key.clone().into_bytes());
        let tls = RustlsConfig::from_pem(certificate, key).await?;
        let router = Router::new().route("/", post(|review: Bytes| async move { convert(&review).to_string() }));
        let handle = Handle::new();
        let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
        let task = tokio::spawn(server.serve(router.into_make_service()));
        self.serving = Some((handle, task));
        Ok(())
    }

    /// Leaves, and every connection with it.
    async fn leave(&mut self) -> Result<()> {
        let Some((handle, task)) = self.serving.take() else { return Ok(()) };
        handle.shutdown();
        Ok(task.await??)
    }
}

/// A socket for a port that others of ours may be bound to as well.
fn shared(address: SocketAddr) -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Only the version is another.
fn convert(review: &[u8]) -> Value {
    let review: Value = serde_json::from_slice(review).unwrap_or_default();
    let (request, mut objects) = (&review["request"], review["request"]["objects"].clone());
    for object in objects.as_array_mut().into_iter().flatten() {
        object["apiVersion"] = request["desiredAPIVersion"].clone();
    }
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "response": {"uid": request["uid"], "convertedObjects": objects, "result": {"status": "Success"}},
    })
}

fn moon(name: &str, size: u8) -> String {
    json!({"apiVersion": "deep.example.com/v1", "kind": "Moon", "metadata": {"name": name}, "spec": {"size": size}})
        .to_string()
}

async fn kubectl(stage: &Stage, line: &[&str]) -> Result<String> {
    stage.world.kubectl(Who::Administrator.person(), line).await?.success()
}

/// Stored in one version, and declared in the other.
async fn is_served(stage: &Stage, converter: &Converter) -> Result<()> {
    let mut moons = definition("Moon", "moons");
    moons["metadata"]["name"] = json!("moons.deep.example.com");
    let bundle = serde_json::to_value(ByteString(converter.certificate.clone().into_bytes()))?;
    let client = json!({"url": format!("https://{}/", converter.address), "caBundle": bundle});
    let mut stored = moons["spec"]["versions"][0].clone();
    stored["name"] = json!("v2");
    moons["spec"]["group"] = json!("deep.example.com");
    moons["spec"]["versions"][0]["storage"] = json!(false);
    let versions = json!([moons["spec"]["versions"][0], stored]);
    moons["spec"]["versions"] = versions;
    moons["spec"]["conversion"] = json!({
        "strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]},
    });
    stage.world.apply(&moons).await?;
    is_back(stage).await
}

async fn is_back(stage: &Stage) -> Result<()> {
    wait_until("moons are served", PATIENCE, || kubectl(stage, &["get", "moons.v1.deep.example.com", "-A"]))
        .await
        .map(drop)
}

async fn is_away(place: &Place<'_>) -> Result<()> {
    wait_until("moons cannot be read", PATIENCE, || async {
        let raw = format!("/apis/deep.example.com/v1/namespaces/{}/moons/io", place.name);
        let said = place.stage.world.kubectl(Who::Administrator.person(), &["get", "--raw", &raw]).await?;
        ensure!(
            !said.status.success() && said.stderr.contains("conversion webhook"),
            "{} {}",
            said.stdout,
            said.stderr
        );
        Ok(())
    })
    .await
}

async fn sky<'s>(stage: &'s Stage, converter: &Converter, name: &str) -> Result<Place<'s>> {
    sky_with(stage, converter, name, |_| {}).await
}

async fn sky_with<'s>(
    stage: &'s Stage,
    converter: &Converter,
    name: &str,
    change: impl FnOnce(&mut Value),
) -> Result<Place<'s>> {
    is_served(stage, converter).await?;
    let texts = [SETTINGS.to_owned(), config("gone", "a", "b"), moon("io", 1), moon("leda", 1)];
    let files: Vec<_> = FILES.into_iter().zip(texts.iter().map(String::as_str)).collect();
    Place::at(stage, name, &files, |spec| {
        spec["syncPolicy"]["retry"] = json!({"backoff": {"duration": "2s", "maxDuration": "4s"}});
        change(spec);
    })
    .await
}

async fn everything_else_goes_on(place: &Place<'_>) -> Result<String> {
    let edit = [("settings.yaml", &*SETTINGS.replace("fast", "faster")), ("io.yaml", &*moon("io", 2))];
    place.write(&edit).await?;
    let commit = place.remove(&["gone.yaml", "leda.yaml"]).await?;
    others_are_kept(place, &["Moon.deep.example.com", "served again", "conversion webhook"]).await?;
    Ok(commit)
}

/// Nobody commits anything now, and nobody has lost anything.
async fn heals_itself(place: &Place<'_>, meanwhile: Result<String>, uids: [Value; 2]) -> Result<()> {
    let commit = &meanwhile?;
    let [io, leda] = uids;
    let kept = place.live("Moon/leda").await?;
    ensure!(kept.is_null() || kept["metadata"]["uid"] == leda, "it was made anew: {kept}");
    place.is_synced(commit).await?;
    place.is("Moon/io", "/metadata/uid", io).await?;
    place.is("Moon/io", "/spec/size", json!(2)).await?;
    place.becomes("Moon/leda", "", &Value::Null).await?;
    place.condition("Ready", true, &[]).await
}

/// Others play in this world, too, and the converter goes.
async fn tidy(stage: &Stage, place: &Place<'_>) -> Result<()> {
    let sync = ["delete", "gitsync", &place.name, "--namespace", "holdfast-system", "--ignore-not-found"];
    kubectl(stage, &sync).await?;
    let definition = ["delete", "crd", "moons.deep.example.com", "--ignore-not-found"];
    wait_until("nothing declares moons", PATIENCE, || kubectl(stage, &definition)).await.map(drop)
}

async fn uids(place: &Place<'_>) -> Result<[Value; 2]> {
    let uid = async |name| anyhow::Ok(place.live(name).await?["metadata"]["uid"].clone());
    Ok([uid("Moon/io").await?, uid("Moon/leda").await?])
}

async fn a_kind_that_cannot_be_converted_stops_nothing_else() -> Result<()> {
    others_go_on("unconverted", false).await
}

/// The API server has nothing converted from before, and Holdfast no declaration.
async fn everybody_starts_while_a_kind_cannot_be_converted() -> Result<()> {
    others_go_on("unconverted-start", true).await
}

async fn others_go_on(name: &str, everybody_starts: bool) -> Result<()> {
    let stage = fragile().await?;
    let mut converter = Converter::new().await?;
    let place = sky(&stage, &converter, name).await?;
    let uids = uids(&place).await?;
    converter.leave().await?;
    let meanwhile = async {
        if everybody_starts {
            stage.world.stop_holdfast().await?;
            stage.world.restart_api_server().await?;
        }
        is_away(&place).await?;
        if everybody_starts {
            stage.world.start_holdfast().await?;
        }
        everything_else_goes_on(&place).await
    };
    let meanwhile = meanwhile.await;
    converter.come().await?;
    is_back(&stage).await?;
    let healed = heals_itself(&place, meanwhile, uids).await;
    tidy(&stage, &place).await?;
    healed
}

/// What cannot be looked at may be just what is to be deleted: the end waits, says why, and comes by itself.
async fn an_end_waits_for_what_cannot_be_converted() -> Result<()> {
    let stage = fragile().await?;
    let mut converter = Converter::new().await?;
    let place =
        sky_with(&stage, &converter, "unconverted-end", |spec| spec["deletionPolicy"] = json!("Delete")).await?;
    converter.leave().await?;
    let meanwhile = async {
        // Until then the API server goes by what it converted before, and can delete by that as well.
        stage.world.restart_api_server().await?;
        is_away(&place).await?;
        let delete = ["delete", "gitsync", &place.name, "--namespace", "holdfast-system", "--wait=false"];
        kubectl(&stage, &delete).await?;
        place.condition("Ready", false, &["conversion webhook"]).await
    };
    let meanwhile = meanwhile.await;
    converter.come().await?;
    is_back(&stage).await?;
    let ended = has_ended(&place, meanwhile).await;
    tidy(&stage, &place).await?;
    ended
}

async fn has_ended(place: &Place<'_>, meanwhile: Result<()>) -> Result<()> {
    meanwhile?;
    for object in ["Moon/io", "Moon/leda", "ConfigMap/settings", "ConfigMap/gone"] {
        place.becomes(object, "", &Value::Null).await?;
    }
    wait_until("the GitSync is gone", PATIENCE, async || {
        ensure!(place.git_sync().await.is_err(), "it is still there");
        Ok(())
    })
    .await
}
