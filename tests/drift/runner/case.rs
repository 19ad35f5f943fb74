//! A case as it stands in its folder: which files it may have, and what each may say.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdfast::api::IgnoreRule;
use holdfast::core::exclude::{Rule, Scaler, Surroundings, annotation};
use holdfast::core::manifest::Manifest;
use holdfast::core::object::ObjectKey;
use holdfast::core::snapshot::{Managed, Mode, Suspension, Undeclared};
use holdfast::git::RenderOptions;
use holdfast::git::documents;
use holdfast::git::render::render;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::merge_patch;
use crate::common::api_server::{apply, inject, rewrite, update};
use crate::common::desired::manifest;

/// The files a case may have.
const FILES: [&str; 11] = [
    "manifest.yaml",
    "git.yaml",
    "answer.yaml",
    "earlier.yaml",
    "live.yaml",
    "live.patch.yaml",
    "rules.yaml",
    "around.yaml",
    "policy.yaml",
    "edit.yaml",
    "expect.yaml",
];

/// One case.
pub struct Case {
    /// Its folder's name.
    pub name: String,
    /// The folder itself.
    pub folder: PathBuf,
    /// What Git says.
    pub manifest: Manifest,
    /// What the API server answered to it, if the model is not to be asked.
    pub answer: Option<Value>,
    /// What an earlier commit said; it was applied, and `manifest` is only declared.
    pub earlier: Option<Manifest>,
    /// What is live, if not the answer.
    pub live: Option<Value>,
    /// What happened to it since.
    pub past: Vec<Event>,
    pub rules: Vec<Rule>,
    /// Who else is at work on it.
    pub around: Surroundings,
    pub policy: Policy,
    pub edit: Option<Edit>,
    pub expect: Expect,
}

/// What is expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The drift of the live object, in any order.
    pub drift: Vec<Found>,
    pub verdict: Option<String>,
    pub why: Option<String>,
    /// What the edit brings in; not compared when absent.
    pub introduced: Option<Vec<Found>>,
    /// Sections of the object after healing, each compared as a whole.
    pub healed: Option<BTreeMap<String, Value>>,
    /// Is healing asked of the model? It does not normalise quantities, for one.
    #[serde(default = "yes")]
    pub heals: bool,
    /// The heal changes nothing but ownership.
    #[serde(default)]
    pub touches_nothing: bool,
    /// Words that must stand in what is shown.
    #[serde(default)]
    pub says: Vec<String>,
    /// Words that must not.
    #[serde(default)]
    pub hides: Vec<String>,
    /// Where alone the case can be played, and why.
    pub only: Option<Only>,
}

/// Where alone a case can be played, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Only {
    /// Against the model: no API server would let it come to this.
    Model(String),
    /// Against a real API server: the model does not know this.
    Real(String),
}

/// A deviation in short.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    pub kind: String,
    pub path: String,
}

/// Something that happened to the live object.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The field manager.
    pub by: String,
    #[serde(default)]
    pub subresource: String,
    /// The `apiVersion` it was written in, if not the manifest's. To the model all versions are one.
    pub version: Option<String>,
    #[serde(default)]
    pub how: How,
    pub patch: Option<Value>,
    pub json: Option<Value>,
    pub object: Option<Value>,
}

/// How it was written.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub enum How {
    #[default]
    Update,
    Apply,
    /// By a mutating webhook: nobody owns it.
    Inject,
    /// By a mutating webhook that changes what is there: who owned it still does.
    Rewrite,
}

/// A JSON merge patch, a JSON patch, or all of it.
pub struct What<'a> {
    patch: Option<&'a Value>,
    json: Option<&'a Value>,
    pub object: Option<&'a Value>,
}

/// The edit to judge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Edit {
    #[serde(default)]
    pub action: Action,
    pub user: String,
    #[serde(default)]
    pub groups: Vec<String>,
    pub manager: Option<String>,
    #[serde(default)]
    pub break_glass_right: bool,
    /// Did `/mutate` see the request and stamp it?
    #[serde(default = "yes")]
    pub stamped: bool,
    /// For `scale`.
    pub replicas: Option<u64>,
    pub patch: Option<Value>,
    pub json: Option<Value>,
    pub object: Option<Value>,
}

/// What the edit does.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Create,
    #[default]
    Update,
    Scale,
    Delete,
}

/// What the sync says about edits.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Policy {
    mode: Option<String>,
    undeclared: Option<String>,
    suspended_until: Option<jiff::Timestamp>,
}

fn yes() -> bool {
    true
}

// === impl Case ===

impl Case {
    /// Reads a case; the error names the file and what is wrong with it.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let entries = std::fs::read_dir(folder).map_err(|error| format!("{name}: {error}"))?;
        for entry in entries.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            if !FILES.contains(&file.as_str()) {
                return Err(format!("{name}/{file}: a case has no such file; it may have {}", FILES.join(", ")));
            }
        }
        let policy: Policy = read(folder, "policy.yaml")?.unwrap_or_default();
        let manifest = git(folder)?;
        let written: Vec<Value> = read(folder, "rules.yaml")?.unwrap_or_default();
        let rules = rules(&written, &manifest.value);
        let around: Vec<Value> = read(folder, "around.yaml")?.unwrap_or_default();
        let case = Self {
            folder: folder.to_owned(),
            manifest,
            around: surroundings(&around),
            answer: read(folder, "answer.yaml")?,
            earlier: earlier(folder)?,
            live: read(folder, "live.yaml")?,
            past: read_events(folder)?,
            rules: rules.map_err(|error| format!("{name}/rules.yaml: {error}"))?,
            policy: policy.checked().map_err(|error| format!("{name}/policy.yaml: {error}"))?,
            edit: read(folder, "edit.yaml")?,
            expect: needed(folder, "expect.yaml")?,
            name,
        };
        case.past.iter().try_for_each(|event| event.what().checked()).map_err(|error| case.error(&error))?;
        Ok(case)
    }

    /// Why no API server can play this case.
    pub fn only_the_model(&self) -> Option<&str> {
        match &self.expect.only {
            Some(Only::Model(why)) => Some(why),
            _ if self.live.is_some() => Some("what is live is given by hand"),
            _ if self.past.iter().any(|event| matches!(event.how, How::Inject | How::Rewrite)) => {
                Some("a mutating webhook writes")
            }
            _ => None,
        }
    }

    /// Why the model cannot play it.
    pub fn only_really(&self) -> Option<&str> {
        if let Some(Only::Real(why)) = &self.expect.only { Some(why) } else { None }
    }

    /// A complaint about this case.
    pub fn error(&self, error: &str) -> String {
        format!("{}: {error}", self.name)
    }
}

/// `git.yaml` is read and rendered as the product does; `manifest.yaml` is what rendering leads to.
fn git(folder: &Path) -> Result<Manifest, String> {
    if folder.join("git.yaml").exists() {
        return rendered(folder, "git.yaml");
    }
    needed(folder, "manifest.yaml").map(|value| manifest(&value))
}

fn earlier(folder: &Path) -> Result<Option<Manifest>, String> {
    if folder.join("git.yaml").exists() && folder.join("earlier.yaml").exists() {
        return rendered(folder, "earlier.yaml").map(Some);
    }
    Ok(read(folder, "earlier.yaml")?.map(|value: Value| manifest(&value)))
}

fn rendered(folder: &Path, file: &str) -> Result<Manifest, String> {
    let path = folder.join(file);
    let complaint = |said: &dyn fmt::Display| format!("{}: {said}", path.display());
    let bytes = std::fs::read(&path).map_err(|error| complaint(&error))?;
    let (documents, faults) = documents::read(&"app.yaml".into(), &bytes);
    let options = RenderOptions {
        default_namespace: Some("prod"),
        sync: "holdfast-system/shop",
        cluster_scoped: &is_cluster_scoped,
    };
    let (mut manifests, complaints) = render(documents, &options);
    match (manifests.pop(), faults.into_iter().chain(complaints).next()) {
        (Some(manifest), None) if manifests.is_empty() => Ok(manifest),
        (_, Some(problem)) => Err(complaint(&problem)),
        _ => Err(complaint(&"a case is about one object")),
    }
}

#[allow(clippy::unnecessary_wraps)] // the cluster may not know a kind; here all are known
fn is_cluster_scoped(_: &str, kind: &str) -> Option<bool> {
    Some(matches!(
        kind,
        "ClusterRole" | "CustomResourceDefinition" | "ValidatingWebhookConfiguration" | "PriorityClass"
    ))
}

fn needed<T: DeserializeOwned>(folder: &Path, file: &str) -> Result<T, String> {
    read(folder, file)?.ok_or_else(|| format!("{}: {file} is missing", folder.display()))
}

fn read<T: DeserializeOwned>(folder: &Path, file: &str) -> Result<Option<T>, String> {
    let path = folder.join(file);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_saphyr::from_str(&text).map(Some).map_err(|error| format!("{}: {error}", path.display()))
}

/// `live.patch.yaml` holds one event or a list of them. Which of the two is decided first, so that a misspelt key is named.
fn read_events(folder: &Path) -> Result<Vec<Event>, String> {
    let Some(value) = read::<Value>(folder, "live.patch.yaml")? else { return Ok(Vec::new()) };
    let list = if value.is_array() { value } else { Value::Array(vec![value]) };
    serde_json::from_value(list).map_err(|error| format!("{}/live.patch.yaml: {error}", folder.display()))
}

/// The rules, the annotation's among them, as the runtime reads them. A key that is none would be ignored there, and is
/// refused here.
fn rules(written: &[Value], manifest: &Value) -> Result<Vec<Rule>, String> {
    const KEYS: [&str; 10] = [
        "group",
        "kind",
        "name",
        "namespace",
        "labelSelector",
        "namespaceSelector",
        "jsonPointers",
        "fieldPaths",
        "jqPathExpressions",
        "managedFieldsManagers",
    ];
    let keys = written.iter().filter_map(Value::as_object).flat_map(|rule| rule.keys());
    if let Some(unknown) = keys.into_iter().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("unknown field {unknown}"));
    }
    let typed = written.iter().map(|rule| serde_json::from_value(rule.clone()));
    let typed: Vec<IgnoreRule> = typed.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let read = holdfast::api::ignore::rules(&typed);
    let read = read.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    Ok(read.into_iter().chain(annotation::rule(manifest)?).collect())
}

/// Live objects around the one of the case: autoscalers, and namespaces for their labels.
fn surroundings(objects: &[Value]) -> Surroundings {
    let mut around = Surroundings::default();
    for object in objects {
        let key = ObjectKey::of(object).expect("what is around has an identity");
        if let Some((target, scaler)) = Scaler::read(&key, object) {
            around.add(target, scaler);
        } else if key.kind == "Namespace" {
            let labels = serde_json::from_value(object["metadata"]["labels"].clone()).expect("labels are text");
            around.add_namespace(&key.name, &labels);
        }
    }
    around
}

// === impl Policy ===

impl Policy {
    fn checked(self) -> Result<Self, String> {
        self.mode()?;
        self.undeclared()?;
        Ok(self)
    }

    fn mode(&self) -> Result<Mode, String> {
        match self.mode.as_deref() {
            None | Some("Deny") => Ok(Mode::Deny),
            Some("Warn") => Ok(Mode::Warn),
            Some("Annotate") => Ok(Mode::Annotate),
            Some("Off") => Ok(Mode::Off),
            Some(other) => Err(format!("mode: {other} is none of Deny, Warn, Annotate, Off")),
        }
    }

    fn undeclared(&self) -> Result<Undeclared, String> {
        match self.undeclared.as_deref() {
            None | Some("Deny") => Ok(Undeclared::Deny),
            Some("Warn") => Ok(Undeclared::Warn),
            Some("Allow") => Ok(Undeclared::Allow),
            Some(other) => Err(format!("undeclared: {other} is none of Deny, Warn, Allow")),
        }
    }

    /// Makes the sync of a declared object follow this policy.
    pub fn set(&self, managed: &mut Managed) {
        let sync = Arc::make_mut(&mut managed.sync);
        sync.mode = self.mode().expect("checked when it was read");
        sync.undeclared = self.undeclared().expect("checked when it was read");
        sync.suspension = self.suspended_until.map(|until| Suspension { reason: "INC-1".to_owned(), until });
    }
}

// === impl Event ===

impl Event {
    /// What it writes.
    pub fn what(&self) -> What<'_> {
        What { patch: self.patch.as_ref(), json: self.json.as_ref(), object: self.object.as_ref() }
    }

    /// The object after it happened.
    pub fn happen(&self, live: &Value) -> Result<Value, String> {
        let Self { by, subresource, how, .. } = self;
        let what = self.what();
        Ok(match how {
            How::Update => update(live, &what.wanted(live)?, by, subresource),
            How::Apply => apply(Some(live), what.object.ok_or("how: Apply needs `object`")?, by),
            How::Inject => inject(live, &what.wanted(live)?),
            How::Rewrite => rewrite(live, &what.wanted(live)?),
        })
    }
}

// === impl What ===

impl What<'_> {
    fn checked(&self) -> Result<(), String> {
        let given = [self.patch, self.json, self.object].into_iter().flatten().count();
        if given == 1 { Ok(()) } else { Err("it needs one of `patch`, `json` or `object`".to_owned()) }
    }

    /// What the object shall be.
    pub fn wanted(&self, live: &Value) -> Result<Value, String> {
        self.checked()?;
        let mut wanted = self.object.cloned().unwrap_or_else(|| live.clone());
        if let Some(patch) = self.patch {
            merge_patch(&mut wanted, patch);
        }
        if let Some(json) = self.json {
            let patch: json_patch::Patch =
                serde_json::from_value(json.clone()).map_err(|error| format!("json: {error}"))?;
            json_patch::patch(&mut wanted, &patch).map_err(|error| format!("json: {error}"))?;
        }
        Ok(wanted)
    }
}

// === impl Edit ===

impl Edit {
    /// What the edit writes.
    pub fn what(&self) -> What<'_> {
        What { patch: self.patch.as_ref(), json: self.json.as_ref(), object: self.object.as_ref() }
    }
}

// === impl Found ===

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.path)
    }
}
