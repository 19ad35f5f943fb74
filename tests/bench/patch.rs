//! `patch`: what a `PATCH` costs whoever makes it, through a real API server, three ways by turns in one run: of an object no webhook
//! is interested in, of one that goes to a webhook which parses nothing and is registered exactly as we are, and of one we guard.
//!
//! The edit is one that passes (a person's annotation), on three copies of the same Deployment.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::material;
use super::measure::{Samples, machine, micros};
use super::results::{self, Figure, Results};
use super::review::server::{Running, Which};
use super::world::{Options, Person, World};

const NAMESPACE: &str = "bench-patch";
const SYNC: &str = "bench-patch";
const FOLDER: &str = "bench-patch";

/// The name of our configurations.
const OURS: &str = holdfast::webhook::register::NAME;

/// The copies, and what is said of each.
const COPIES: [(&str, &str, &str); 3] = [
    ("guarded", "patch_p50_us", "guarded by Holdfast, which lets it pass"),
    ("floor", "patch_floor_p50_us", "by way of a webhook that looks for the uid and allows, registered as Holdfast is"),
    ("bare", "patch_bare_p50_us", "no webhook is interested"),
];

/// Patches of each copy, and those before, which count for nothing.
const PATCHES: usize = 600;
const WARM_UP: usize = 100;

/// Measures, in a fresh world that ends with it.
pub fn run(results: &mut Results) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(results))
}

async fn measure(results: &mut Results) -> Result<()> {
    let options = Options { quiet: false, ..Options::for_tests() };
    let world = World::start(&results::folder().join("world-patch"), options).await?;
    let measured = in_world(&world, results).await;
    world.stop().await?;
    measured
}

async fn in_world(world: &World, results: &mut Results) -> Result<()> {
    world.namespace(NAMESPACE).await?;
    let commit = world.commit("What is guarded", |files| write(files, &copy("guarded")?)).await?;
    world.apply(&world.git_sync(SYNC, FOLDER, NAMESPACE)?).await?;
    world.synced(SYNC, &commit).await?;
    for name in ["floor", "bare"] {
        world.apply(&copy(name)?).await?;
    }
    let client = world.client(Person::Administrator).await?;
    let floor = Running::start(Which::Echo)?;
    register_floor::<ValidatingWebhookConfiguration>(&client, &floor).await?;
    register_floor::<MutatingWebhookConfiguration>(&client, &floor).await?;

    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment"));
    let api: Api<DynamicObject> = Api::namespaced_with(client, NAMESPACE, &kind);
    let mut times = [const { Vec::new() }; COPIES.len()];
    for round in 0..WARM_UP + PATCHES {
        for ((name, ..), times) in COPIES.iter().zip(&mut times) {
            let patch = json!({"metadata": {"annotations": {"example.com/round": round.to_string()}}});
            let started = Instant::now();
            api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
            times.push(micros(started.elapsed()));
        }
    }
    for ((_, figure, what), times) in COPIES.iter().zip(times) {
        let times: Samples = times.into_iter().skip(WARM_UP).collect();
        let how = format!(
            "merge patch of an annotation by a person, {what}; wall time, three ways by turns, median of {times} us"
        );
        results.set(figure, Figure::new(times.median(), "us", format!("{how}; etcd without fsync; {}", machine())));
    }
    Ok(())
}

/// The Deployment every part is measured on, under another name.
fn copy(name: &str) -> Result<Value> {
    let mut object: Value = serde_json::from_slice(&material::bytes("desired.json")?)?;
    object["metadata"]["name"] = name.into();
    object["metadata"]["namespace"] = NAMESPACE.into();
    object["metadata"]["labels"]["bench"] = name.into();
    object["spec"]["replicas"] = 0.into(); // nobody waits for Pods
    Ok(object)
}

fn write(files: &Path, object: &Value) -> Result<()> {
    let folder = files.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join("guarded.json"), serde_json::to_vec_pretty(object)?)?)
}

/// Registers the floor for its copy as we are for what is managed: the same rules, conditions, policies and time limit.
async fn register_floor<K>(client: &kube::Client, floor: &Running) -> Result<()>
where
    K: kube::Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + DeserializeOwned
        + serde::Serialize
        + Clone
        + std::fmt::Debug,
{
    let api: Api<K> = Api::all(client.clone());
    let ours = serde_json::to_value(api.get(OURS).await?)?;
    let managed = ours["webhooks"].as_array().into_iter().flatten();
    let managed = managed.into_iter().find(|entry| entry["name"] == "managed.holdfast.dev");
    let mut entry = managed.context("Holdfast has no entry for what is managed")?.clone();
    let path = entry["clientConfig"]["url"].as_str().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
    let url = format!("https://127.0.0.1:{}/{path}", floor.port);
    entry["clientConfig"] = json!({"url": url, "caBundle": k8s_openapi::ByteString(floor.ca.clone().into_bytes())});
    entry["objectSelector"] = json!({"matchLabels": {"bench": "floor"}});
    entry["name"] = "floor.example.com".into();
    let floor = json!({"metadata": {"name": "floor"}, "webhooks": [entry]});
    api.create(&PostParams::default(), &serde_json::from_value(floor)?).await?;
    Ok(())
}
