//! What must hold for any bytes at all.

use holdfast::api::{DriftPolicy, GitSync, IgnoreRule, Policy, SyncPlan, ignore};
use holdfast::core::compare::{Scope, compare};
use holdfast::core::declaration::{Declaration, Node, Shape};
use holdfast::core::drift::drift;
use holdfast::core::exclude::{Exclusions, FieldPath, Pointer, Rule, Surroundings};
use holdfast::core::heal::{before_apply, to_apply};
use holdfast::core::manifest::Manifest;
use holdfast::core::names::{MANAGED_LABEL, TRACKING_ID};
use holdfast::core::path::{Path, Step};
use holdfast::core::snapshot::{Managed, Mode};
use holdfast::core::state::State;
use holdfast::git::RenderOptions;
use holdfast::git::documents::{self, Document};
use holdfast::git::render::render;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::common::api_server::apply;
use crate::common::desired::{managed, manifest as manifest_of};
use crate::desk::Desk;

/// An API server's answer, ownership included: read, compared, explained, healed; and each place in it has a spelling that can be
/// read back and means the same.
pub fn fields(input: &[u8]) -> String {
    let Some(answer) = json_of(input).filter(Value::is_object) else { return "no object".to_owned() };
    let named = manifest_of(&config());
    let Ok(declaration) = Declaration::read(&named, &answer) else { return "not ours".to_owned() };
    let mut places = Vec::new();
    for (name, node) in &declaration.sections {
        each_place(vec![Step::Field(name.clone())], node, &mut places);
    }
    for path in &places {
        spelled_back(path, &named, &declaration);
    }
    let deviations = compare(&declaration, &State::whole(&answer), Scope::Whole);
    let recognised = Declaration::recognise(&named, &answer).is_some();
    let managed = managed(named, &answer, &[]);
    let healed = heal(&managed, &answer);
    format!("{} places, {} deviations, {recognised}, {healed}", log(places.len()), log(deviations.len()))
}

/// A field path.
pub fn field_path(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    match text.parse::<FieldPath>() {
        Ok(path) => {
            assert_eq!(path.to_string(), text, "it is shown as it was written");
            excluding(&json!([{"fieldPaths": [text]}]))
        }
        Err(bad) => {
            assert!(bad.at >= 1 && bad.at <= text.chars().count() + 1, "{bad}");
            bad.reason.to_owned()
        }
    }
}

/// A JSON pointer.
pub fn pointer(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    match text.parse::<Pointer>() {
        Ok(pointer) => {
            assert_eq!(pointer.to_string().parse(), Ok(pointer), "it means what it says");
            excluding(&json!([{"jsonPointers": [text]}]))
        }
        Err(bad) => shape(&bad.to_string()),
    }
}

/// A jq expression.
pub fn jq(input: &[u8]) -> String {
    excluding(&json!([{"jqPathExpressions": [String::from_utf8_lossy(input)]}]))
}

/// A `GitSync`, a `DriftPolicy`, or a list of rules: what is accepted can be run.
pub fn kinds(input: &[u8]) -> String {
    let Some(typed) = json_of(input) else { return "no JSON".to_owned() };
    if typed.is_array() {
        return excluding(&typed);
    }
    let sync = serde_json::from_value::<GitSync>(typed.clone()).map(|sync| match SyncPlan::try_from(&sync) {
        Ok(plan) => {
            let waits = [0, 1, 5, u32::MAX].map(|failures| plan.retry.wait(failures));
            assert!(waits.is_sorted(), "it waits longer each time: {waits:?}");
            applying(&plan.ignore)
        }
        Err(faults) => faults.iter().map(|fault| shape(&fault.to_string())).collect(),
    });
    let policy = serde_json::from_value::<DriftPolicy>(typed).map(|policy| match Policy::try_from(&policy) {
        Ok(policy) => {
            assert!(policy.break_glass_usual <= policy.break_glass_longest);
            applying(&policy.ignore)
        }
        Err(faults) => faults.iter().map(|fault| shape(&fault.to_string())).collect(),
    });
    let said = |outcome: Result<String, serde_json::Error>| outcome.unwrap_or_else(|error| shape(&error.to_string()));
    format!("{}; {}", said(sync), said(policy))
}

/// A file in Git. What could be read is the same when it is read again.
pub fn manifest(input: &[u8]) -> String {
    let (documents, problems) = documents::read(&"a.yaml".into(), input);
    assert!(problems.iter().all(|problem| problem.line != Some(0)), "lines are counted from 1");
    let (manifests, complaints) = rendered(documents);
    for Manifest { key, value, origin } in &manifests {
        let (again, complaints) = rendered(vec![Document { value: unmarked(value), origin: origin.clone() }]);
        assert!(complaints.is_empty(), "it was good the first time: {complaints:?}");
        assert_eq!((&again[0].key, &again[0].value), (key, value), "it was something else the first time");
        let answer = apply(None, value, "holdfast");
        assert!(Declaration::read(&again[0], &answer).is_ok());
    }
    let said = problems.iter().map(|problem| &problem.reason).chain(&complaints).map(|reason| shape(reason));
    format!("{} manifests, {}", log(manifests.len()), said.collect::<String>())
}

/// A webhook to ask.
pub struct Webhook {
    runtime: Runtime,
    desk: Desk,
}

// === impl Webhook ===

impl Webhook {
    /// For a sync that denies.
    pub fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime starts");
        let desk = runtime.block_on(async { Desk::new(Mode::Deny) });
        Self { runtime, desk }
    }

    /// An admission review, to both endpoints: an answer to this question, or an error status, and never a bug.
    pub fn review(&self, input: &[u8]) -> String {
        let asked = serde_json::from_slice::<Asked>(input).ok().map(|asked| asked.request.uid);
        ["/validate", "/mutate"].map(|path| self.ask(path, input, asked.as_deref())).concat()
    }

    fn ask(&self, path: &str, input: &[u8], uid: Option<&str>) -> String {
        let answered = self.runtime.block_on(self.desk.post(path, input.to_vec()));
        let text = String::from_utf8(answered.body).expect("an answer is text");
        if !answered.status.is_success() {
            assert_ne!(answered.status, 500, "{text}");
            assert!(answered.status.is_client_error() || answered.status.is_server_error(), "{text}");
            return shape(&text);
        }
        let answer: Value = serde_json::from_str(&text).expect("an answer is JSON");
        let response = &answer["response"];
        assert_eq!(
            (&answer["apiVersion"], &answer["kind"]),
            (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
        );
        let answered = response["uid"].as_str().expect("an answer says to what");
        assert!(uid.is_none_or(|uid| uid == answered), "it answers another question: {answered}");
        assert!(response["allowed"].is_boolean(), "{text}");
        assert!(response["patch"].is_null() || response["patchType"] == "JSONPatch", "{text}");
        shape(&format!("{} {}", response["allowed"], response["status"]["message"]))
    }
}

/// Who asked. Other places of a review may hold what no JSON value can: nobody reads them, and where that is not even JSON, serde
/// reads nothing of it.
#[derive(serde::Deserialize)]
struct Asked {
    request: Question,
}

#[derive(serde::Deserialize)]
struct Question {
    uid: String,
}

fn json_of(input: &[u8]) -> Option<Value> {
    serde_json::from_slice(input).ok()
}

/// The order of magnitude: more of the same is nothing new.
fn log(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}

/// A complaint without what it quotes: of its words, those that have been heard before. Few are learned in a run; all others
/// are one.
fn shape(text: &str) -> String {
    let is_word = |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase());
    text.split(' ').filter(is_word).filter(|word| COMMON.contains(word)).collect::<Vec<_>>().join(" ")
}

/// Words of complaints; what is quoted in them may hold others.
const COMMON: [&str; 48] = [
    "is",
    "not",
    "no",
    "must",
    "start",
    "with",
    "missing",
    "empty",
    "at",
    "expected",
    "invalid",
    "unknown",
    "field",
    "value",
    "type",
    "twice",
    "deep",
    "deeper",
    "long",
    "longer",
    "ends",
    "early",
    "read",
    "key",
    "large",
    "quote",
    "mapping",
    "text",
    "name",
    "brackets",
    "step",
    "string",
    "position",
    "places",
    "steps",
    "contain",
    "duration",
    "between",
    "repository",
    "written",
    "snapshot",
    "uid",
    "object",
    "review",
    "drift",
    "Git",
    "edit",
    "refused",
];

fn rendered(documents: Vec<Document>) -> (Vec<Manifest>, Vec<String>) {
    let cluster_scoped = |_: &str, kind: &str| (!kind.starts_with('X')).then_some(kind.starts_with("Cluster"));
    let options = RenderOptions {
        default_namespace: Some("prod"),
        sync: "holdfast-system/shop",
        cluster_scoped: &cluster_scoped,
    };
    let (manifests, problems) = render(documents, &options);
    (manifests, problems.iter().map(ToString::to_string).collect())
}

/// A manifest without our marks, which nobody may write.
fn unmarked(value: &Value) -> Value {
    let mut value = value.clone();
    for (field, name) in [("labels", MANAGED_LABEL), ("annotations", TRACKING_ID)] {
        value["metadata"][field].as_object_mut().map(|entries| entries.remove(name));
    }
    value
}

/// Every place that is declared.
fn each_place(steps: Vec<Step>, node: &Node, found: &mut Vec<Path>) {
    let below = |step: Step| [steps.as_slice(), &[step]].concat();
    match &node.shape {
        Shape::Fields(fields) => {
            fields.iter().for_each(|(name, node)| each_place(below(Step::Field(name.clone())), node, found));
        }
        Shape::Elements(elements) => {
            elements.iter().for_each(|(key, node)| each_place(below(Step::Key(key.clone())), node, found));
        }
        Shape::Members(members) => {
            found.extend(members.iter().map(|member| Path::new(below(Step::Value(member.clone())))));
        }
        Shape::Leaf(_) | Shape::Open(_) | Shape::Nothing => {}
    }
    found.push(Path::new(steps));
}

/// What a message names can be pasted into a rule, and then excludes just that. Fractions aside: no list of Kubernetes is told
/// apart by them, and reading one back may miss it by its last bit.
fn spelled_back(path: &Path, manifest: &Manifest, declaration: &Declaration) {
    let spelled = path.to_string();
    if path.steps().iter().any(names_a_fraction) {
        return;
    }
    let rules = rules(&json!([{"fieldPaths": [spelled]}])).unwrap_or_else(|bad| panic!("{spelled}: {bad}"));
    let exclusions = Exclusions::resolve(rules.into(), manifest, declaration, &Surroundings::default());
    assert!(exclusions.cover(path), "{spelled} does not mean {path:?}");
}

fn names_a_fraction(step: &Step) -> bool {
    match step {
        Step::Field(_) => false,
        Step::Key(key) => key.fields().any(|(_, value)| holds_a_fraction(value)),
        Step::Value(value) => holds_a_fraction(value),
    }
}

fn holds_a_fraction(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.values().any(holds_a_fraction),
        Value::Array(elements) => elements.iter().any(holds_a_fraction),
        value => value.is_f64(),
    }
}

fn rules(typed: &Value) -> Result<Vec<Rule>, String> {
    let typed: Vec<IgnoreRule> = serde_json::from_value(typed.clone()).map_err(|error| error.to_string())?;
    ignore::rules(&typed).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn excluding(typed: &Value) -> String {
    match rules(typed) {
        Ok(rules) => applying(&rules),
        Err(refused) => shape(&refused),
    }
}

/// Rules that were accepted, at work on objects that drifted: what is left of the drift, and of the object once it is healed.
fn applying(rules: &[Rule]) -> String {
    let saw = [config(), workload()].map(|git| {
        let answer = apply(None, &git, "holdfast");
        let managed = managed(manifest_of(&git), &answer, rules);
        let mut live = answer.clone();
        scramble(&mut live["spec"]);
        scramble(&mut live["data"]);
        let failed = managed.excluded(&State::whole(&live)).failed().len();
        format!("{failed} failed, {}", heal(&managed, &live))
    });
    saw.concat()
}

fn heal(managed: &Managed, live: &Value) -> String {
    let state = State::whole(live);
    let is_person = |entry: &holdfast::core::fields::Entry<'_>| entry.manager.starts_with("kubectl");
    let drift = drift(managed, &state, &is_person);
    for deviation in &drift {
        assert!(!deviation.path.to_string().is_empty());
    }
    let patch = before_apply(managed, &state, &drift, &is_person, &["note"]);
    let body = to_apply(managed, Some(&state));
    format!("{} drift, {}, {}", log(drift.len()), patch.is_some(), body == managed.manifest.value())
}

fn scramble(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(scramble),
        Value::Array(elements) => elements.iter_mut().for_each(scramble),
        Value::Number(number) => *value = json!(number.as_i64().unwrap_or_default() + 1),
        Value::String(text) if text.contains('/') || text.len() < 3 => text.push('x'),
        _ => {}
    }
}

fn config() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}, "data": {"k": "v", "a/b.c": "w", "ü": "x"}})
}

fn workload() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "b", "labels": {"x/y": "z"}},
        "spec": {
            "replicas": 3, "selector": {"matchLabels": {"app": "a"}},
            "template": {"spec": {"containers": [
                {"name": "api", "image": "r/a:1", "args": ["-a", "/b"], "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                 "ports": [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}], "resources": {}},
                {"name": "log", "image": "r/l:1"},
            ]}},
        },
    })
}
