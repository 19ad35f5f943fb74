//! Scenes: an object with a past, what Git declares for it, and an edit.
//!
//! A name tells what stands under it (`common::kinds`), so that two generated objects always fit each other, and an edit can
//! be made by blending them: some fields of the one, some of the other.

use holdfast::core::exclude::{Rule, Selector};
use holdfast::core::names::{FIELD_MANAGER, MANAGED_LABEL, TRACKING_ID};
use holdfast::core::snapshot::Managed;
use holdfast::core::who::User;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::common::api_server::{apply, inject, update};
use crate::common::desired::{managed, manifest};
use crate::common::kinds::{Merge, merge_of};

/// An object with a past, what Git declares for it, and an edit.
#[derive(Clone)]
pub struct Scene {
    /// What Git says.
    pub declared: Value,
    /// What the API server answered when that was applied.
    pub answer: Value,
    /// The object before the edit.
    pub old: Value,
    /// The object after it.
    pub new: Value,
    /// Who edits.
    pub who: Who,
    /// What is excluded.
    pub rules: Vec<Rule>,
    /// Is it known what the API server makes of the manifest alone?
    pub knows_defaults: bool,
}

/// Who edits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A person with kubectl.
    Person,
    /// A service account with a manager of its own.
    Automation,
}

/// Something that happens to the object.
#[derive(Debug, Clone)]
struct Event {
    by: By,
    other: Value,
    choices: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum By {
    Updates(Who),
    Applies(Who),
    /// A mutating webhook, whose additions nobody owns.
    Injects,
}

// === impl Scene ===

impl std::fmt::Debug for Scene {
    /// Each object on one line of JSON, without identity: a failing scene is to be read by a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { declared, answer, old, new, who, rules, knows_defaults } = self;
        for (name, object) in [("declared", declared), ("answer", answer), ("old", old), ("new", new)] {
            write!(f, "\n{name}: {}", Value::Object(content(object)))?;
            for entry in object["metadata"]["managedFields"].as_array().into_iter().flatten() {
                let owned = Value::Object(content(&entry["fieldsV1"]));
                write!(f, "\n    {} {}: {owned}", entry["manager"], entry["operation"])?;
            }
        }
        write!(f, "\nby {who:?}, knows defaults {knows_defaults}, rules {rules:?}")
    }
}

impl Scene {
    /// What Git declares, with the exclusions resolved.
    pub fn managed(&self) -> Managed {
        let mut managed = managed(manifest(&self.declared), &self.answer, &self.rules);
        let pristine = apply(None, &self.declared, FIELD_MANAGER);
        managed.declaration.pristine = self.knows_defaults.then(|| pristine.into());
        managed
    }
}

// === impl Who ===

impl Who {
    /// The field manager they use.
    pub fn manager(self) -> &'static str {
        match self {
            Self::Person => "kubectl-edit",
            Self::Automation => "operator",
        }
    }

    /// Who they are to the API server.
    pub fn user(self) -> User {
        let groups: &[&str] = match self {
            Self::Person => &["system:authenticated", "dev"],
            Self::Automation => &["system:serviceaccounts", "system:serviceaccounts:ci"],
        };
        let name = match self {
            Self::Person => "alice",
            Self::Automation => "system:serviceaccount:ci:operator",
        };
        User { name: name.to_owned(), groups: groups.iter().map(|group| (*group).to_owned()).collect() }
    }
}

/// Any scene: perhaps an earlier commit, a past with several hands in it, what Git says now (written already, or only declared
/// by a dry run), and what happened since.
pub fn scene() -> impl Strategy<Value = Scene> {
    let past = (proptest::option::of(object()), vec(event(), 0..3));
    let present = (object(), vec(event(), 0..3), edit());
    (past, present, vec(rule(), 0..3), any::<[bool; 2]>()).prop_map(
        |((earlier, before), present, rules, [written, knows_defaults])| {
            let (declared, since, edit) = present;
            let applied = apply(None, &earlier.unwrap_or_else(|| declared.clone()), FIELD_MANAGER);
            let live = before.iter().fold(applied, |live, event| event.happen(&live));
            let answer = apply(Some(&live), &declared, FIELD_MANAGER);
            let start = if written { answer.clone() } else { live };
            let old = since.iter().fold(start, |live, event| event.happen(&live));
            let new = edit.happen(&old);
            let By::Updates(who) = edit.by else { unreachable!("edits are updates") };
            Scene { declared, answer, old, new, who, rules, knows_defaults }
        },
    )
}

fn edit() -> impl Strategy<Value = Event> {
    event().prop_map(|event| match event.by {
        By::Updates(_) => event,
        By::Applies(who) => Event { by: By::Updates(who), ..event },
        By::Injects => Event { by: By::Updates(Who::Person), ..event },
    })
}

fn event() -> impl Strategy<Value = Event> {
    let who = || prop_oneof![Just(Who::Person), Just(Who::Automation)];
    let by = prop_oneof![
        4 => who().prop_map(By::Updates),
        1 => who().prop_map(By::Applies),
        1 => Just(By::Injects),
    ];
    (by, object(), vec(any::<u8>(), 0..12)).prop_map(|(by, other, choices)| Event { by, other, choices })
}

// === impl Event ===

impl Event {
    fn happen(&self, live: &Value) -> Value {
        let mut choices = self.choices.iter().copied();
        let spec = |object: &Value| Value::Object(content(object));
        let mut blended = blend("", &spec(live), &spec(&self.other), &mut choices);
        if !blended["spec"].is_object() {
            blended["spec"] = json!({}); // a struct of which typed objects always have one
        }
        match self.by {
            By::Updates(who) => update(live, &with_content(live, blended), who.manager(), ""),
            By::Injects => inject(live, &with_content(live, spec(&self.other))),
            By::Applies(who) => {
                let identity = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "thing"}});
                apply(Some(live), &with_content(&identity, spec(&self.other)), who.manager())
            }
        }
    }
}

/// What an edit may touch: everything but metadata.
fn content(object: &Value) -> Map<String, Value> {
    let sections = object.as_object().into_iter().flatten();
    let content =
        sections.filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "f:metadata"));
    content.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn with_content(object: &Value, content: Value) -> Value {
    let mut whole = object.clone();
    let fields = whole.as_object_mut().expect("objects are maps");
    fields.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata"));
    if let Value::Object(content) = content {
        fields.extend(content);
    }
    whole
}

/// Some of the one, some of the other; when the choices run out, all the rest stays.
fn blend(name: &str, stays: &Value, other: &Value, choices: &mut impl Iterator<Item = u8>) -> Value {
    match (merge_of(name, stays), stays, other) {
        (Merge::Granular, Value::Object(stays), Value::Object(other)) => {
            Value::Object(blend_fields(stays, other, choices))
        }
        (Merge::Keyed(keys), Value::Array(stays), Value::Array(other)) => {
            let named = |elements: &[Value]| -> Map<String, Value> {
                elements.iter().map(|element| (key(keys, element), element.clone())).collect()
            };
            let blended = blend_fields(&named(stays), &named(other), choices);
            blended.into_iter().map(|(_, element)| element).filter(Value::is_object).collect()
        }
        (Merge::Set, Value::Array(stays), Value::Array(other)) => {
            let mut members = stays.clone();
            members.retain(|_| choices.next().unwrap_or_default() % 4 != 3);
            members.extend(other.iter().filter(|member| !stays.contains(member)).cloned());
            Value::Array(members)
        }
        _ => other.clone(),
    }
}

fn key(keys: &[&str], element: &Value) -> String {
    keys.iter().map(|key| element.get(*key).map_or_else(|| "\"TCP\"".to_owned(), Value::to_string)).collect()
}

fn blend_fields(
    stays: &Map<String, Value>,
    other: &Map<String, Value>,
    choices: &mut impl Iterator<Item = u8>,
) -> Map<String, Value> {
    let mut blended = stays.clone();
    let names: std::collections::BTreeSet<_> = stays.keys().chain(other.keys()).collect();
    for name in names.into_iter().filter(|name| !matches!(name.as_str(), "name" | "containerPort" | "protocol")) {
        match (choices.next().unwrap_or_default() % 8, stays.get(name), other.get(name)) {
            (3, Some(_), _) => {
                blended.remove(name);
            }
            (4 | 5, _, Some(other)) => {
                blended.insert(name.clone(), other.clone());
            }
            (6, Some(_), _) => {
                blended.insert(name.clone(), Value::Null);
            }
            (1 | 2 | 7, Some(stays), Some(other)) => {
                blended.insert(name.clone(), blend(name, stays, other, choices));
            }
            _ => {}
        }
    }
    blended
}

// --- what an object holds ---

fn object() -> impl Strategy<Value = Value> {
    (spec(2), proptest::option::of(scalars()), template()).prop_map(|(mut spec, data, template)| {
        let id = "holdfast-system/shop:example.com/Thing:prod/thing";
        if let (Some(spec), Some(template)) = (spec.as_object_mut(), template) {
            spec.insert("template".to_owned(), template);
        }
        let mut object = json!({
            "apiVersion": "example.com/v1", "kind": "Thing",
            "metadata": {
                "name": "thing", "namespace": "prod",
                "labels": {MANAGED_LABEL: "true"}, "annotations": {TRACKING_ID: id},
            },
            "spec": spec,
        });
        if let Some(data) = data {
            object["data"] = data;
        }
        object
    })
}

fn template() -> impl Strategy<Value = Option<Value>> {
    let names = prop_oneof![Just("kubectl.kubernetes.io/restartedAt".to_owned()), Just("note".to_owned())];
    let annotations = btree_map(names, text(), 0..3).prop_map(|fields| json!({"metadata": {"annotations": fields}}));
    proptest::option::of(annotations)
}

/// Fields of every kind; below `depth` levels only scalars.
fn spec(depth: u32) -> BoxedStrategy<Value> {
    if depth == 0 {
        return scalars().boxed();
    }
    let field = prop_oneof![
        3 => (prop_oneof![Just("replicas"), Just("limit"), Just("a"), Just("b/ü~")], scalar()),
        1 => (Just("m"), scalars()),
        1 => (Just("nest"), spec(depth - 1)),
        2 => (Just("keyed"), keyed(depth)),
        1 => (Just("ports"), ports()),
        1 => (Just("set"), members()),
        1 => (Just("atomic"), vec(scalar(), 0..3).prop_map(Value::from)),
        1 => (Just("selector"), scalars()),
    ];
    vec(field, 0..6)
        .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        .boxed()
}

fn keyed(depth: u32) -> impl Strategy<Value = Value> {
    btree_map(text(), spec(depth - 1), 0..3).prop_map(|elements| {
        let named = elements.into_iter().map(|(name, mut element)| {
            element["name"] = json!(name);
            element
        });
        named.collect()
    })
}

/// The protocol may be left to its default.
fn ports() -> impl Strategy<Value = Value> {
    let key = (prop_oneof![Just(53), Just(80)], any::<bool>());
    btree_map(key, (any::<bool>(), proptest::option::of(text())), 0..3).prop_map(|ports| {
        let port = |((port, udp), (spelled, label)): ((i32, bool), (bool, Option<String>))| {
            let mut element = json!({"containerPort": port});
            if udp || spelled {
                element["protocol"] = json!(if udp { "UDP" } else { "TCP" });
            }
            if let Some(label) = label {
                element["label"] = json!(label);
            }
            element
        };
        ports.into_iter().map(port).collect()
    })
}

fn members() -> impl Strategy<Value = Value> {
    btree_set(text(), 0..3).prop_map(|members| members.into_iter().map(Value::from).collect())
}

fn scalars() -> impl Strategy<Value = Value> {
    btree_map(prop_oneof![Just("a"), Just("b/ü~"), Just("c.d")], scalar(), 0..3)
        .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0..3i64).prop_map(Value::from),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX)].prop_map(Value::from),
        1 => prop_oneof![Just(json!(0.5)), Just(json!(1e300)), Just(json!(f64::MIN_POSITIVE))],
        // Beyond 2^53 two integers can be one floating-point number.
        1 => prop_oneof![Just(json!(9_007_199_254_740_992_u64)), Just(json!(9_007_199_254_740_993_u64))],
        1 => any::<bool>().prop_map(Value::from),
        2 => text().prop_map(Value::from),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("x"), Just("y"), Just(""), Just("é]=,\"/~"), Just("1")].prop_map(str::to_owned)
}

/// A rule about this object, or everything.
pub fn rule() -> impl Strategy<Value = Rule> {
    let pointer = prop::sample::select(
        &[
            "/spec/replicas",
            "/spec/limit",
            "/spec/a",
            "/spec/b~1ü~0",
            "/spec/m",
            "/spec/m/a",
            "/spec/*/a",
            "/spec/nest",
            "/spec/nest/m/a",
            "/spec/nest/keyed/*",
            "/spec/keyed",
            "/spec/keyed/0",
            "/spec/keyed/1",
            "/spec/keyed/*/a",
            "/spec/keyed/0/a",
            "/spec/keyed/*/set/0",
            "/spec/keyed/*/ports/0/label",
            "/spec/ports/1",
            "/spec/ports/*/label",
            "/spec/set/0",
            "/spec/set",
            "/spec/atomic",
            "/spec/atomic/0",
            "/spec/selector",
            "/spec/selector/a",
            "/spec/template/metadata/annotations",
            "/spec/template/metadata/annotations/note",
            "/data",
            "/data/a",
            "/spec",
            "/*",
        ][..],
    );
    let manager = prop::sample::select(&["operator", "kubectl*"][..]);
    (vec(pointer, 0..3), vec(field_path(), 0..2), vec(jq(), 0..2), vec(manager, 0..2)).prop_map(|said| {
        let (pointers, paths, jq, managers) = said;
        Rule {
            objects: Selector { kind: Some("Thing".to_owned()), ..Selector::default() },
            pointers: pointers.iter().map(|text| text.parse().expect("the list above holds pointers")).collect(),
            paths: paths.iter().map(|text| text.parse().expect("the list above holds field paths")).collect(),
            jq: jq.iter().map(|text| text.parse().expect("the list above holds expressions")).collect(),
            managers: managers.into_iter().map(str::to_owned).collect(),
            ..Rule::default()
        }
    })
}

fn field_path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[".spec.keyed[name=x]", ".spec.keyed[*].a", ".spec.ports[containerPort=53].label", ".spec.set[=x]", ".data.a"]
            [..],
    )
}

fn jq() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            ".spec.keyed[]? | select(.name == \"x\") | .a",
            ".. | objects | select(has(\"limit\")) | .limit",
            ".spec.ports[]? | select(.protocol == \"UDP\")",
            ".spec.atomic[0]?",
            ".data",
        ][..],
    )
}
