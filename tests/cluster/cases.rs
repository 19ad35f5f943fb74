//! The drift cases of `tests/drift` once more, against a real API server instead of the model of one.
//!
//! The manifest is declared and applied, the past happens by its field managers, and the object is healed, all by the code that
//! does so in the product; only Holdfast's processes are left out. An `answer.yaml` is not read here: what the API server
//! answers is what the case is about. (`UPDATE=1` writes what it answered into the case.)

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use anyhow::{Context, Result, anyhow, ensure};
use holdfast::cluster::objects::{PropagationPolicy, Write};
use holdfast::cluster::{Cluster, Kind};
use holdfast::core::exclude::Rule;
use holdfast::core::manifest::Manifest;
use holdfast::core::names::FIELD_MANAGER;
use holdfast::core::object::ObjectKey;
use holdfast::core::snapshot::{Managed, Sync};
use holdfast::evidence::Metrics;
use holdfast::reconcile::declare::{Declared, Declaring};
use holdfast::reconcile::heal::{End, Writing};
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::common::desired;
use crate::runner::case::{Action, Edit, Event, How};
use crate::runner::{Case, Report, Scene, cases_in};
use crate::stage::{self, test};
use crate::world::{Options, Person, World};

/// Fewer than this, and the model would be trusted with too much.
const AT_LEAST: usize = 200;

/// Sections without defaults: what was not expected there should not be there.
const AS_WRITTEN: [&str; 3] = ["data", "binaryData", "rules"];

static GROUND: OnceCell<Ground> = OnceCell::const_new();

pub fn trials() -> Vec<Trial> {
    let (model, real): (Vec<_>, Vec<_>) = cases().into_iter().partition(|case| case.only_the_model().is_some());
    let played = real.len();
    let count = test("cases::most_are_played_on_a_real_api_server", move || async move {
        for case in &model {
            println!("only the model plays {}: {}", case.name, case.only_the_model().unwrap_or_default());
        }
        println!("{played} cases are played on a real API server, {} are not", model.len());
        ensure!(played >= AT_LEAST, "{played} cases are played, not {AT_LEAST}");
        Ok(())
    });
    let real = real.into_iter().map(|case| test(format!("cases::{}", case.name), move || play(case)));
    real.chain([count]).collect()
}

fn cases() -> Vec<Case> {
    cases_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drift"))
}

/// Many cases are about an object of one name: they are played one after the other.
async fn play(case: Case) -> Result<()> {
    static TURNS: LazyLock<Mutex<HashMap<ObjectKey, Arc<tokio::sync::Mutex<()>>>>> = LazyLock::new(Mutex::default);
    let turn = TURNS.lock().expect("nobody panics with it").entry(case.manifest.key.clone()).or_default().clone();
    let _turn = turn.lock().await;
    let ground = GROUND.get_or_try_init(Ground::prepare).await?;
    let stand = ground.stand(&case).await?;
    let outcome = stand.play().await;
    stand.tidy_up().await?;
    outcome
}

/// A world without Holdfast and without controllers: an object changes only when the case says so.
struct Ground {
    _world: World, // it ends with whoever holds it
    cluster: Cluster,
}

/// A case in it.
struct Stand<'a> {
    ground: &'a Ground,
    case: &'a Case,
    kind: Kind,
    sync: Arc<Sync>,
    rules: Arc<[Rule]>,
}

// === impl Ground ===

impl Ground {
    async fn prepare() -> Result<Self> {
        let options = Options { without_holdfast: true, without_controllers: true, ..Options::for_tests() };
        let world = World::start(&stage::folder("cluster-cases"), options).await?;
        let kinds = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drift/kinds.yaml"))?;
        world.apply_yaml(&kinds).await?;
        for namespace in ["prod", "shop"] {
            world.namespace(namespace).await?;
        }
        let established = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=30s"];
        world.kubectl(Person::Administrator, &established).await?.success()?;
        let cluster = Cluster::connect(world.client(Person::Administrator).await?, Metrics::new().0).await?;
        Ok(Self { _world: world, cluster })
    }

    async fn stand<'a>(&'a self, case: &'a Case) -> Result<Stand<'a>> {
        let text = |name: &str| case.manifest.value[name].as_str().unwrap_or_default().to_owned();
        let kind = self.cluster.kind(&text("apiVersion"), &text("kind")).await?;
        let kind = kind.with_context(|| format!("the API server serves no {}", text("kind")))?;
        let sync = Arc::new(desired::sync());
        Ok(Stand { ground: self, case, kind, sync, rules: case.rules.clone().into() })
    }

    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<Value> {
        Ok(self.cluster.client().request(request).await?)
    }
}

// === impl Stand ===

impl Stand<'_> {
    async fn play(&self) -> Result<()> {
        let Case { manifest, earlier, past, edit, .. } = self.case;
        let created = match edit {
            Some(edit) if matches!(edit.action, Action::Create) => Some(self.create(edit).await?),
            _ => None,
        };
        if let Some(earlier) = earlier {
            self.settle(&self.declare(earlier, None).await?.managed, None).await?;
        }
        let Declared { managed, live, .. } = self.declare(manifest, None).await?;
        self.write_answer().await?;
        let mut live = match live {
            Some(live) => live,
            None => self.settle(&managed, None).await?,
        };
        for event in past {
            live = self.happen(event, &live).await.with_context(|| format!("{} cannot do that", event.by))?;
        }
        let scene = Scene { managed, live };
        let written = match edit {
            Some(edit) if matches!(edit.action, Action::Update) => Some(self.update(edit, &scene.live).await?),
            Some(_) => Some(created.unwrap_or_default()),
            None => None,
        };
        self.compare(scene, written).await
    }

    async fn compare(&self, scene: Scene, written: Option<Value>) -> Result<()> {
        let mut report = Report::about(self.case);
        report.judged(&scene, written.as_ref());
        // After a restart nothing is known but Git and what is live.
        let Declared { managed, .. } = self.declare(&self.case.manifest, Some(scene.live.clone())).await?;
        let restarted = Scene { managed, live: scene.live };
        report.drift("drift after a restart", &restarted);
        let after = self.settle(&restarted.managed, Some(restarted.live.clone())).await?;
        report.healed(&restarted, &after, is_it);
        let again = self.settle(&restarted.managed, Some(after.clone())).await?;
        report.healed(&Scene { live: after.clone(), ..restarted }, &again, is_it);
        report.end().map_err(|said| anyhow!("\n{said}"))?;
        let [once, twice] = [&after, &again].map(content);
        ensure!(once == twice, "healed again, {once} becomes {twice}");
        Ok(())
    }

    async fn declare(&self, manifest: &Manifest, known: Option<Value>) -> Result<Declared> {
        let (cluster, sync, rules) = (&self.ground.cluster, &self.sync, &self.rules);
        let declaring =
            Declaring { cluster, sync, rules, around: &self.case.around, identities: &desired::identities() };
        let declared = declaring.declare(manifest.clone(), known).await;
        let mut declared = declared.map_err(|refused| anyhow!("the manifest is not declared: {refused:?}"))?;
        self.case.policy.set(&mut declared.managed);
        Ok(declared)
    }

    async fn settle(&self, managed: &Managed, live: Option<Value>) -> Result<Value> {
        let (cluster, kind) = (&self.ground.cluster, &self.kind);
        match (Writing { cluster, identities: &desired::identities(), managed, kind, caught_up: false })
            .settle(live)
            .await?
        {
            End::Done(object) => Ok(*object),
            other => Err(anyhow!("it is not what Git says then: {other:?}")),
        }
    }

    async fn happen(&self, event: &Event, live: &Value) -> Result<Value> {
        let Event { by, subresource, version, how, patch, .. } = event;
        let ObjectKey { name, .. } = &self.case.manifest.key;
        let manager = PatchParams { field_manager: Some(by.clone()), ..PatchParams::default() };
        let request = Request::new(self.kind.path(&self.case.manifest.key));
        match (how, version) {
            (How::Apply, _) => {
                let object = event.what().object.context("what is applied is an object")?;
                self.ground.send(request.patch(name, &manager.force(), &Patch::Apply(object))?).await
            }
            _ if !subresource.is_empty() => {
                let patch = Patch::Merge(patch.as_ref().context("a subresource is patched")?);
                self.ground.send(request.patch_subresource(subresource, name, &manager, &patch)?).await?;
                self.live(&self.kind).await
            }
            (_, Some(version)) => {
                let other = self.ground.cluster.kind(version, &self.kind.resource.kind).await?;
                let other = other.with_context(|| format!("it is not served as {version}"))?;
                let wanted = event.what().wanted(&self.live(&other).await?).map_err(anyhow::Error::msg)?;
                self.replace(&other, &wanted, &by_manager(by)).await?;
                self.live(&self.kind).await
            }
            _ => {
                let wanted = event.what().wanted(live).map_err(anyhow::Error::msg)?;
                self.replace(&self.kind, &wanted, &by_manager(by)).await
            }
        }
    }

    async fn live(&self, kind: &Kind) -> Result<Value> {
        let live = self.ground.cluster.get(kind, &self.case.manifest.key).await?;
        live.context("it is gone")
    }

    async fn update(&self, edit: &Edit, live: &Value) -> Result<Value> {
        let wanted = edit.what().wanted(live).map_err(anyhow::Error::msg)?;
        self.replace(&self.kind, &wanted, &pretending(edit)).await.context("the API server refuses the edit itself")
    }

    async fn create(&self, edit: &Edit) -> Result<Value> {
        let wanted = edit.what().wanted(&self.case.manifest.value).map_err(anyhow::Error::msg)?;
        let path = self.kind.path(&self.case.manifest.key);
        self.ground.send(Request::new(path).create(&pretending(edit), wanted.to_string().into_bytes())?).await
    }

    async fn replace(&self, kind: &Kind, wanted: &Value, params: &PostParams) -> Result<Value> {
        let ObjectKey { name, .. } = &self.case.manifest.key;
        let request = Request::new(kind.path(&self.case.manifest.key));
        self.ground.send(request.replace(name, params, wanted.to_string().into_bytes())?).await
    }

    async fn write_answer(&self) -> Result<()> {
        let (file, key) = (self.case.folder.join("answer.yaml"), &self.case.manifest.key);
        if std::env::var_os("UPDATE").is_none() || !file.exists() {
            return Ok(());
        }
        let cluster = &self.ground.cluster;
        let mut answer = cluster.apply(&self.kind, key, &self.case.manifest.value, Write::DryRun).await?;
        answer["metadata"]["managedFields"].as_array_mut().context("it is owned")?.retain_mut(|entry| {
            entry.as_object_mut().map(|entry| entry.remove("time"));
            entry["manager"] == FIELD_MANAGER
        });
        for name in ["uid", "creationTimestamp", "generation"] {
            answer["metadata"].as_object_mut().map(|metadata| metadata.remove(name));
        }
        answer["metadata"]["resourceVersion"] = json!("1");
        Ok(std::fs::write(file, format!("{answer:#}\n"))?)
    }

    /// Takes it away, even if it has finalizers.
    async fn tidy_up(&self) -> Result<()> {
        let (cluster, key) = (&self.ground.cluster, &self.case.manifest.key);
        let Some(live) = cluster.get(&self.kind, key).await? else { return Ok(()) };
        if live.pointer("/metadata/finalizers").is_some() {
            let patch = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
            cluster.patch(&self.kind, key, serde_json::from_value(patch)?).await?;
        }
        let uid = live["metadata"]["uid"].as_str().unwrap_or_default();
        Ok(cluster.delete(&self.kind, key, uid, PropagationPolicy::Background).await?)
    }
}

/// An object without who wrote it when, and how often. (The API server takes an apply of what it does not store, such as
/// `ingress: []`, for a change each time.)
fn content(object: &Value) -> Value {
    let mut object = object.clone();
    for name in ["managedFields", "resourceVersion", "generation"] {
        object["metadata"].as_object_mut().map(|metadata| metadata.remove(name));
    }
    object
}

fn by_manager(manager: &str) -> PostParams {
    PostParams { dry_run: false, field_manager: Some(manager.to_owned()) }
}

/// As the edit's field manager, and without writing.
fn pretending(edit: &Edit) -> PostParams {
    PostParams { dry_run: true, field_manager: edit.manager.clone() }
}

/// A real API server fills in defaults around what was expected.
fn is_it(section: &str, expected: &Value, found: &Value) -> bool {
    if AS_WRITTEN.contains(&section) { holdfast::core::value::same(expected, found) } else { holds(found, expected) }
}

fn holds(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected.iter().all(|(name, value)| {
            let found = found.get(name).unwrap_or(&Value::Null);
            holdfast::core::value::is_nothing(Some(value)) && found.is_null() || holds(found, value)
        }),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| holds(found, expected))
        }
        _ => found == expected,
    }
}
