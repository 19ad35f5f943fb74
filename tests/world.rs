//! The ground the other tests stand on: a world does what it says, and goes when it should.
//!
//! Holdfast itself is left out: here it is the control plane, Git, and the processes that are tried.

#[path = "dev/world/mod.rs"]
mod world;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::{Value, json};
use world::{Options, Person, World, wait_until};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn without_holdfast() -> Options {
    Options { without_holdfast: true, ..Options::for_tests() }
}

#[tokio::test]
async fn a_world_holds_together() -> Result<()> {
    let world = World::start(&folder("world"), Options { audit: true, ..without_holdfast() }).await?;
    alice_edits_only_her_own(&world).await?;
    data_outlives_the_api_server(&world).await?;
    git_goes_and_comes_back(&world).await?;
    a_second_start_is_the_same_world(&world).await?;
    world.stop().await
}

#[tokio::test]
async fn a_world_ends_with_its_tests() -> Result<()> {
    let folder = folder("forsaken");
    let world = World::start(&folder, without_holdfast()).await?;
    let (etcd, env) = (folder.join("run/etcd"), folder.join("env"));
    ensure!(etcd.exists() && env.exists(), "the world has not started");
    drop(world);
    wait_until("the guard has ended the world", Duration::from_secs(30), || async {
        ensure!(!etcd.exists() && !env.exists(), "it still runs");
        Ok(())
    })
    .await
}

async fn alice_edits_only_her_own(world: &World) -> Result<()> {
    world.namespace("hers").await?;
    let create = |namespace| ["create", "configmap", "note", "--from-literal=by=alice", "--namespace", namespace];
    world.kubectl(Person::Alice, &create("hers")).await?.success()?;
    let refusal = world.kubectl(Person::Alice, &create("default")).await?.refusal()?;
    ensure!(refusal.contains("alice"), "the refusal does not name her: {refusal}");

    let may = ["auth", "can-i", "break-glass", "gitsyncs.holdfast.dev", "--namespace", "hers"];
    world.kubectl(Person::Alice, &may).await?.refusal()?;
    world.kubectl(Person::Oncall, &may).await?.success()?;

    let created = |request: &Value| request["user"]["username"] == "alice" && request["objectRef"]["name"] == "note";
    ensure!(world.audit()?.iter().any(created), "the audit log does not know of her note");
    Ok(())
}

async fn data_outlives_the_api_server(world: &World) -> Result<()> {
    world.restart_api_server().await?;
    let notes: Api<ConfigMap> = Api::namespaced(world.client(Person::Alice).await?, "hers");
    let note = notes.get("note").await?;
    ensure!(note.data.context("the note is empty")?["by"] == "alice", "the note changed");
    Ok(())
}

async fn git_goes_and_comes_back(world: &World) -> Result<()> {
    let url = world.git_url()?;
    world.stop_git().await?;
    let write = |files: &Path| std::fs::write(files.join("a.yaml"), "a: 1\n").context("failed to write");
    ensure!(world.commit("Into the void", write).await.is_err(), "a push went through without a server");
    world.start_git().await?;
    ensure!(url == world.git_url()?, "the repository moved");
    let commit = world.commit("And here it is", |_| Ok(())).await?;
    ensure!(commit.len() == 40, "{commit} is no full id");
    Ok(())
}

async fn a_second_start_is_the_same_world(world: &World) -> Result<()> {
    let again = Options { fresh: false, audit: true, ..without_holdfast() };
    let same = World::start(&folder("world"), again).await?;
    ensure!(same.environment()? == world.environment()?, "it is another world");
    same.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "hers"}})).await
}
