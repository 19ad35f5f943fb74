//! Runs a case: lets its past happen, asks the core, and compares with what is expected.

#![allow(dead_code)] // the model and a real API server each use their part of this

pub mod case;
mod edit;

use std::fmt::Display;
use std::path::Path;

use holdfast::core::compare::Deviation;
use holdfast::core::mask::show;
use holdfast::core::names::FIELD_MANAGER;
use holdfast::core::snapshot::Managed;
use serde_json::{Map, Value};

use crate::common::api_server::apply;
use crate::common::desired::{heal, managed_over, seen};
pub use case::Case;
use case::{Expect, Found};

/// Every case in a folder, by name.
pub fn cases_in(folder: &Path) -> Vec<Case> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    folders.retain(|path| path.is_dir() && path.file_name().is_some_and(|name| name != "runner"));
    folders.sort();
    folders.iter().map(|path| Case::read(path).unwrap_or_else(|error| panic!("\n{error}\n"))).collect()
}

/// Runs one case against the model; the error is a readable difference that names it.
pub fn run(case: &Case) -> Result<(), String> {
    if case.only_really().is_some() {
        return Ok(());
    }
    let scene = Scene::of(case)?;
    let written = case.edit.as_ref().map(|edit| edit::written(edit, &scene)).transpose()?;
    let mut report = Report::about(case);
    report.judged(&scene, written.as_ref());
    if case.expect.heals {
        report.healed(&scene, &heal(&scene.managed, &scene.live), |_, expected, found| expected == found);
    }
    report.end()
}

/// A case after its past.
pub struct Scene {
    pub managed: Managed,
    pub live: Value,
}

// === impl Scene ===

impl Scene {
    fn of(case: &Case) -> Result<Self, String> {
        let Case { manifest: declared, answer, earlier, live, past, rules, around, policy, .. } = case;
        let before = earlier.as_ref().map(|earlier| apply(None, &earlier.value, FIELD_MANAGER));
        let answer = answer.clone().unwrap_or_else(|| apply(before.as_ref(), &declared.value, FIELD_MANAGER));
        let mut managed = managed_over(declared.clone(), &answer, before.as_ref(), rules, around);
        policy.set(&mut managed);
        let start = live.clone().or(before).unwrap_or(answer);
        let live =
            past.iter().try_fold(start, |live, event| event.happen(&live).map_err(|error| case.error(&error)))?;
        Ok(Self { managed, live })
    }
}

fn found(deviation: &Deviation) -> Found {
    Found { kind: format!("{:?}", deviation.kind), path: deviation.path.to_string() }
}

fn shown(managed: &Managed, deviation: &Deviation) -> String {
    serde_json::to_string(&show(&managed.manifest.key, std::slice::from_ref(deviation)))
        .expect("what is shown is plain text")
}

/// An object without what the API server keeps about it by itself.
fn written(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    object
}

/// What differs from what is expected, in lines: `-` expected, `+` found.
pub struct Report<'a> {
    case: &'a Case,
    said: Vec<String>,
}

// === impl Report ===

impl<'a> Report<'a> {
    /// Nothing said yet.
    pub fn about(case: &'a Case) -> Self {
        Self { case, said: Vec::new() }
    }

    /// Compares the drift of what is live, and the verdict on the edit: what is judged, and what is shown of it.
    pub fn judged(&mut self, scene: &Scene, written: Option<&Value>) {
        let Expect { verdict, why, introduced, hides, says, .. } = &self.case.expect;
        let mut texts = self.drift("drift", scene);
        if let (Some(edit), Some(written)) = (&self.case.edit, written) {
            let (judgement, message) = edit::judged(edit, scene, written);
            self.text("verdict", verdict.as_deref(), &format!("{:?}", judgement.verdict).to_lowercase());
            self.text("why", why.as_deref(), &edit::reason(&judgement.why));
            if let Some(expected) = introduced {
                self.lines("introduced", expected, &judgement.introduced.iter().map(found).collect::<Vec<_>>());
            }
            texts.extend(judgement.introduced.iter().map(|deviation| shown(&scene.managed, deviation)));
            texts.push(message);
        }
        self.words(&texts.join("\n"), says, hides);
    }

    /// Compares the drift alone; answers with what is shown of it.
    pub fn drift(&mut self, what: &str, scene: &Scene) -> Vec<String> {
        let drift = seen(&scene.managed, &scene.live);
        self.lines(what, &self.case.expect.drift, &drift.iter().map(found).collect::<Vec<_>>());
        drift.iter().map(|deviation| shown(&scene.managed, deviation)).collect()
    }

    /// Compares what is there after healing. `is_it` says whether what was found in a section is what was expected.
    pub fn healed(&mut self, scene: &Scene, after: &Value, is_it: impl Fn(&str, &Value, &Value) -> bool) {
        let expect = &self.case.expect;
        self.lines("drift after healing", &[], &seen(&scene.managed, after).iter().map(found).collect::<Vec<_>>());
        for (section, expected) in expect.healed.iter().flatten() {
            let found = after.get(section).unwrap_or(&Value::Null);
            if !is_it(section, expected, found) {
                self.differs(&format!("healed.{section}"), expected, found);
            }
        }
        let (before, after) = (self::written(&scene.live), self::written(after));
        if expect.touches_nothing && before != after {
            self.differs("healed", &before, &after);
        }
    }

    fn lines(&mut self, what: &str, expected: &[Found], found: &[Found]) {
        let missing = expected.iter().filter(|line| !found.contains(line)).map(|line| format!("    - {line}"));
        let surplus = found.iter().filter(|line| !expected.contains(line)).map(|line| format!("    + {line}"));
        let lines: Vec<_> = missing.chain(surplus).collect();
        if !lines.is_empty() {
            self.said.push(format!("{}: {what}\n{}", self.case.name, lines.join("\n")));
        }
    }

    fn text(&mut self, what: &str, expected: Option<&str>, found: &str) {
        if expected != Some(found) {
            self.differs(what, &expected.unwrap_or("(nothing)"), &found);
        }
    }

    fn differs(&mut self, what: &str, expected: &dyn Display, found: &dyn Display) {
        self.said.push(format!("{}: {what}\n    - {expected}\n    + {found}", self.case.name));
    }

    fn words(&mut self, text: &str, says: &[String], hides: &[String]) {
        let name = &self.case.name;
        let unsaid = says.iter().filter(|word| !text.contains(*word));
        let shown = hides.iter().filter(|word| text.contains(*word));
        self.said.extend(unsaid.map(|word| format!("{name}: says\n    - {word}\n    + {text}")));
        self.said.extend(shown.map(|word| format!("{name}: hides {word}, and yet\n    + {text}")));
    }

    /// What was found wrong, if anything was.
    pub fn end(self) -> Result<(), String> {
        if self.said.is_empty() { Ok(()) } else { Err(self.said.join("\n")) }
    }
}

/// A JSON merge patch (RFC 7396).
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let fields = target.as_object_mut().expect("made one just above");
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge_patch(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}
