//! A webhook to ask: what `reviews/desired.yaml` declares, a fixed clock, and an API server that answers what a test says.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use futures::FutureExt;
use futures::future::BoxFuture;
use holdfast::api::{DriftPolicy, DriftPolicySpec, Policy};
use holdfast::core::breakglass::{Glass, Limits};
use holdfast::core::declaration::Declaration;
use holdfast::core::exclude::{Exclusions, Surroundings};
use holdfast::core::guard::Guard;
use holdfast::core::snapshot::{Managed, Mode, Snapshot, Sync, Undeclared};
use holdfast::core::who::{INTERACTIVE, Identities};
use holdfast::evidence::metrics::encode;
use holdfast::evidence::{Evidence, Metrics, Output};
use holdfast::git::RenderOptions;
use holdfast::git::documents;
use holdfast::git::render::render;
use holdfast::webhook::upstream::{Kept, Place, Requester, Right, Unanswered, Upstream};
use holdfast::webhook::{Rules, Webhook, router};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

/// The recorded `kubectl edit` of replicas 3 → 5 by alice.
pub const EDIT_REPLICAS: &str = include_str!("../reviews/edit_replicas.json");

/// The moment at which everything here happens.
pub const NOW: &str = "2026-11-21T10:00:00Z";

/// Where records are written.
const RECORDS: &str = "records.jsonl";

/// A webhook and all that it leaves behind.
pub struct Desk {
    pub router: Router,
    pub cluster: Arc<Cluster>,
    pub snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    registry: prometheus_client::registry::Registry,
    policy: watch::Sender<Arc<Rules>>,
    around: watch::Sender<Arc<Surroundings>>,
    evidence: Evidence,
    folder: tempfile::TempDir,
}

/// The API server's answers.
#[derive(Default)]
pub struct Cluster {
    /// Who has the right; `None` does not answer at all.
    pub right: Mutex<Option<Vec<&'static str>>>,
    /// The break-glass of the parent of a scale.
    pub glass: Mutex<Option<Glass>>,
    /// The parent of a scale.
    pub object: Mutex<Option<Value>>,
    /// The GitSyncs in any namespace.
    pub syncs: Mutex<Vec<String>>,
    /// Questions asked, but for what GitSyncs there are.
    pub asked: AtomicUsize,
    /// Questions for those.
    pub listed: AtomicUsize,
}

/// What a review was answered with.
pub struct Answered {
    pub status: StatusCode,
    pub body: Vec<u8>,
}

// === impl Desk ===

impl Desk {
    /// A webhook for a sync in this mode.
    pub fn new(mode: Mode) -> Self {
        Self::with(Sync { mode, ..sync() })
    }

    /// A webhook for this sync.
    pub fn with(sync: Sync) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (metrics, registry) = Metrics::new();
        let out = Output::to(File::create(folder.path().join(RECORDS)).expect("a file"));
        let evidence = Evidence::start(out, folder.path(), metrics.clone()).expect("a thread");
        let cluster = Arc::new(Cluster { right: Mutex::new(Some(vec!["oncall"])), ..Cluster::default() });
        let snapshot = Snapshot::new([Arc::new(managed(sync))]);
        let (snapshots, receiver) = watch::channel(Some(Arc::new(snapshot)));
        let (policy, rules) = watch::channel(Arc::new(rules()));
        let (around, surroundings) = watch::channel(Arc::default());
        let webhook = Webhook {
            snapshots: receiver,
            rules,
            around: surroundings,
            upstream: cluster.clone(),
            emergencies: tokio::sync::mpsc::unbounded_channel().0,
            evidence: evidence.clone(),
            metrics,
            clock: || NOW.parse().expect("a time"),
        };
        Self { router: router(webhook), cluster, snapshots, policy, around, registry, evidence, folder }
    }

    /// The sync is this from now on.
    pub fn becomes(&self, sync: Sync) {
        self.snapshots.send_replace(Some(Arc::new(Snapshot::new([Arc::new(managed(sync))]))));
    }

    /// The policy only observes from now on, or does more.
    pub fn observe(&self, only: bool) {
        self.policy.send_modify(|rules| Arc::make_mut(rules).observe_only = only);
    }

    /// The policy has these guards from now on.
    pub fn guard(&self, guards: &Value) {
        let spec = json!({"guards": guards});
        let spec: DriftPolicySpec = serde_json::from_value(spec).expect("a spec");
        let policy = Policy::try_from(&DriftPolicy::new("default", spec)).expect("guards that can be used");
        self.policy.send_modify(|rules| Arc::make_mut(rules).guards = policy.guards);
    }

    /// The policy tells teams like this from now on, and these are the labels of namespaces and GitSyncs.
    pub fn teams(&self, teams: &Value, namespaces: &Value, syncs: &Value) {
        let spec: DriftPolicySpec = serde_json::from_value(json!({"teams": teams})).expect("a spec");
        let Policy { teams, .. } =
            Policy::try_from(&DriftPolicy::new("default", spec)).expect("teams that can be told");
        let labels = |value: &Value| serde_json::from_value(value.clone()).expect("labels by name");
        let around =
            Surroundings { teams, namespaces: labels(namespaces), syncs: labels(syncs), ..Surroundings::default() };
        self.around.send_replace(Arc::new(around));
    }

    /// Posts a body.
    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answered {
        let request = Request::post(path).body(body.into()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("the router always answers");
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body").to_vec();
        Answered { status, body }
    }

    /// The response to a review.
    pub async fn ask(&self, path: &str, review: &Value) -> Value {
        let answered = self.post(path, review.to_string()).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answered.body));
        let mut answer: Value = serde_json::from_slice(&answered.body).expect("JSON");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        answer["response"].take()
    }

    /// As an API server would: first `/mutate`, its patch applied, then `/validate`.
    pub async fn admit(&self, review: &Value) -> (Value, Value) {
        self.admit_by("", review).await
    }

    /// The same by a guard, whose part of the path this is.
    pub async fn admit_by(&self, guard: &str, review: &Value) -> (Value, Value) {
        let mut review = review.clone();
        let mutated = self.ask(&format!("/mutate{guard}"), &review).await;
        if let Some(patch) = patch_of(&mutated) {
            json_patch::patch(&mut review["request"]["object"], &patch).expect("the patch applies");
        }
        let validate = format!("/validate{guard}");
        let validated = if mutated["allowed"] == true { self.ask(&validate, &review).await } else { mutated };
        (validated, review["request"]["object"].take())
    }

    /// The records so far. Stops recording.
    pub async fn records(&self) -> Vec<Value> {
        self.evidence.close().await;
        let written = std::fs::read_to_string(self.folder.path().join(RECORDS)).expect("text");
        written.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The metrics page.
    pub fn metrics(&self) -> String {
        encode(&self.registry).expect("a page")
    }
}

/// The patch of a response.
pub fn patch_of(response: &Value) -> Option<json_patch::Patch> {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(response.get("patch")?.clone()).expect("base64");
    Some(serde_json::from_slice(&bytes.0).expect("a JSON patch"))
}

/// The recorded review, changed.
pub fn review(change: impl FnOnce(&mut Value)) -> Value {
    let mut review: Value = serde_json::from_str(EDIT_REPLICAS).expect("JSON");
    change(&mut review["request"]);
    review
}

/// The recorded review of an edit that changes nothing, changed.
pub fn no_edit(change: impl FnOnce(&mut Value)) -> Value {
    review(|request| {
        request["object"] = request["oldObject"].clone();
        change(request);
    })
}

/// Like [`no_edit`], by the person with the right.
pub fn by_oncall(change: impl FnOnce(&mut Value)) -> Value {
    no_edit(|request| {
        request["userInfo"]["username"] = json!("oncall");
        change(request);
    })
}

pub fn sync() -> Sync {
    Sync {
        name: "holdfast-system/shop".to_owned(),
        repository: "https://git.example.com/infra.git".to_owned(),
        target: "main".to_owned(),
        revision: "4f1c0de4f1c0de4f1c0de4f1c0de4f1c0de4f1c0".to_owned(),
        mode: Mode::Deny,
        undeclared: Undeclared::Deny,
        self_heal: true,
        suspension: None,
        rollback: None,
        tool: None,
    }
}

fn rules() -> Rules {
    Rules {
        identities: Identities {
            ourselves: ("holdfast-system".to_owned(), "holdfast".to_owned()),
            controllers: Vec::new(),
            interactive: INTERACTIVE.map(str::to_owned).to_vec(),
        },
        limits: Limits { default: SignedDuration::from_mins(30), max: SignedDuration::from_hours(4) },
        observe_only: false,
        guards: Arc::default(),
    }
}

fn managed(sync: Sync) -> Managed {
    let file = Arc::from("apps/shop/checkout.yaml");
    let (documents, _) = documents::read(&file, include_bytes!("../reviews/desired.yaml"));
    let namespaced = |_: &str, _: &str| Some(false);
    let options = RenderOptions { default_namespace: None, sync: &sync.name, cluster_scoped: &namespaced };
    let (mut manifests, problems) = render(documents, &options);
    assert!(problems.is_empty(), "{problems:?}");
    let manifest = manifests.remove(0);
    let declaration = Declaration::read(&manifest, &applied(&manifest.value)).expect("we own it");
    Managed {
        sync: Arc::new(sync),
        manifest: Arc::new(manifest.into()),
        declaration,
        exclusions: Exclusions::default(),
        resource: "deployments".into(),
    }
}

/// The API server's answer to an apply of this manifest, without defaults: our entry owns each of its leaves.
fn applied(manifest: &Value) -> Value {
    let mut owned = owned("", manifest);
    for identity in ["apiVersion", "kind"] {
        owned.as_object_mut().expect("a map").remove(&format!("f:{identity}"));
    }
    for identity in ["f:name", "f:namespace"] {
        owned["f:metadata"].as_object_mut().expect("a map").remove(identity);
    }
    let mut answer = manifest.clone();
    for container in answer["spec"]["template"]["spec"]["containers"].as_array_mut().expect("a list") {
        for port in container["ports"].as_array_mut().expect("a list") {
            port["protocol"] = json!("TCP");
        }
    }
    answer["metadata"]["managedFields"] = json!([{"manager": "holdfast", "operation": "Apply", "fieldsV1": owned}]);
    answer
}

fn owned(field: &str, value: &Value) -> Value {
    match (field, value) {
        ("selector", _) => json!({}),
        (_, Value::Object(fields)) => {
            Value::Object(fields.iter().map(|(name, value)| (format!("f:{name}"), owned(name, value))).collect())
        }
        (list, Value::Array(elements)) => {
            let keyed = elements.iter().filter_map(|element| Some((key(list, element)?, owned("", element))));
            Value::Object(keyed.collect())
        }
        _ => json!({}),
    }
}

fn key(list: &str, element: &Value) -> Option<String> {
    let key = match list {
        "ports" => json!({"containerPort": element["containerPort"], "protocol": "TCP"}),
        "volumeMounts" => json!({"mountPath": element["mountPath"]}),
        "containers" | "env" | "volumes" => json!({"name": element["name"]}),
        _ => return None,
    };
    Some(format!("k:{key}"))
}

/// Sets an annotation.
pub fn annotate(object: &mut Value, name: &str, value: &str) {
    let annotations = object["metadata"]["annotations"].as_object_mut().map(std::mem::take);
    let mut annotations: Map<_, _> = annotations.unwrap_or_default();
    annotations.insert(name.to_owned(), json!(value));
    object["metadata"]["annotations"] = Value::Object(annotations);
}

// === impl Cluster ===

impl Upstream for Cluster {
    fn may<'a>(&'a self, who: &'a Requester, right: &'a Right) -> BoxFuture<'a, Result<bool, Unanswered>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (user, asked) = (who.user.name.clone(), right.clone());
        let right = self.right.lock().expect("no panic").clone();
        let answer = match right {
            Some(people) => Ok(people.contains(&user.as_str())),
            None => Err(Unanswered::Right { user, right: asked, source: "connection refused".into() }),
        };
        async { answer }.boxed()
    }

    fn glass<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Glass>, Unanswered>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert!(["deployments", "pods"].contains(&&*place.resource), "{place:?}");
        let glass = self.glass.lock().expect("no panic").clone();
        async { Ok(glass) }.boxed()
    }

    fn pristine<'a>(&'a self, _: &'a Place, manifest: &'a Value) -> BoxFuture<'a, Result<Option<Value>, Unanswered>> {
        async { Ok(Some(applied(manifest))) }.boxed()
    }

    fn replicas_path<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Vec<String>>, Unanswered>> {
        async { panic!("{} has no definition", place.resource) }.boxed()
    }

    fn object<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Value>, Unanswered>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let object = self.object.lock().expect("no panic").clone();
        let (resource, name) = (place.resource.clone(), place.name.clone());
        let answer = match *self.right.lock().expect("no panic") {
            Some(_) => Ok(object),
            None => Err(Unanswered::Parent { resource, name, source: "connection refused".into() }),
        };
        async { answer }.boxed()
    }

    fn kept<'a>(&'a self, guard: &'a Guard, namespace: &'a str) -> BoxFuture<'a, Result<Option<Kept>, Unanswered>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let object = self.object.lock().expect("no panic").clone().filter(|object| guard.keeps(object));
        let (namespace, guard) = (namespace.to_owned(), guard.name.to_string());
        let answer = match *self.right.lock().expect("no panic") {
            Some(_) => Ok(object.map(|object| Kept { plural: "deployments".to_owned(), object })),
            None => Err(Unanswered::Namespace { namespace, guard, source: "connection refused".into() }),
        };
        async { answer }.boxed()
    }

    fn syncs_in<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unanswered>> {
        self.listed.fetch_add(1, Ordering::SeqCst);
        let syncs = self.syncs.lock().expect("no panic").clone();
        let namespace = namespace.to_owned();
        let answer = match *self.right.lock().expect("no panic") {
            Some(_) => Ok(syncs),
            None => Err(Unanswered::Syncs { namespace, source: "connection refused".into() }),
        };
        async { answer }.boxed()
    }
}

/// The fixed moment.
pub fn now() -> Timestamp {
    NOW.parse().expect("a time")
}
