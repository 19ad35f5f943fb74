//! Runs a case: lets its past happen, asks the core, and compares with what is expected.

pub mod case;
mod edit;

use std::path::Path;

use holdfast::core::compare::Deviation;
use holdfast::core::mask::show;
use holdfast::core::names::FIELD_MANAGER;
use holdfast::core::snapshot::Managed;
use serde_json::{Map, Value};

use crate::common::api_server::apply;
use crate::common::desired::{heal, managed_over, manifest, seen};
use case::{Case, Expect, Found};

/// Every case in a folder, by name.
pub fn cases_in(folder: &Path) -> Vec<Case> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    folders.retain(|path| path.is_dir() && path.file_name().is_some_and(|name| name != "runner"));
    folders.sort();
    folders.iter().map(|path| Case::read(path).unwrap_or_else(|error| panic!("\n{error}\n"))).collect()
}

/// Runs one case; the error is a readable difference that names it.
pub fn run(case: &Case) -> Result<(), String> {
    let scene = Scene::of(case)?;
    let mut report = Report { case: &case.name, said: Vec::new() };
    let drift = seen(&scene.managed, &scene.live);
    let Expect { drift: expected, verdict, why, introduced, hides, says, heals, .. } = &case.expect;
    report.lines("drift", expected, &drift.iter().map(found).collect::<Vec<_>>());
    let mut texts: Vec<_> = drift.iter().map(|deviation| shown(&scene.managed, deviation)).collect();
    if let Some(edit) = &case.edit {
        let (judgement, message) = edit::judged(edit, &scene)?;
        report.text("verdict", verdict.as_deref(), &format!("{:?}", judgement.verdict).to_lowercase());
        report.text("why", why.as_deref(), &edit::reason(&judgement.why));
        if let Some(expected) = introduced {
            report.lines("introduced", expected, &judgement.introduced.iter().map(found).collect::<Vec<_>>());
        }
        texts.extend(judgement.introduced.iter().map(|deviation| shown(&scene.managed, deviation)));
        texts.push(message);
    }
    if *heals {
        healing(&mut report, &scene, &case.expect);
    }
    report.words(&texts.join("\n"), says, hides);
    report.end()
}

fn healing(report: &mut Report<'_>, scene: &Scene, expect: &Expect) {
    let after = heal(&scene.managed, &scene.live);
    report.lines("drift after healing", &[], &seen(&scene.managed, &after).iter().map(found).collect::<Vec<_>>());
    for (section, expected) in expect.healed.iter().flatten() {
        report.value(&format!("healed.{section}"), expected, after.get(section).unwrap_or(&Value::Null));
    }
    if expect.touches_nothing {
        report.value("healed", &without_owners(&scene.live), &without_owners(&after));
    }
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
        let before = earlier.as_ref().map(|earlier| apply(None, earlier, FIELD_MANAGER));
        let answer = answer.clone().unwrap_or_else(|| apply(before.as_ref(), declared, FIELD_MANAGER));
        let mut managed = managed_over(manifest(declared), &answer, before.as_ref(), rules, around);
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
    serde_json::to_string(&show(&managed.manifest.key, deviation)).expect("what is shown is plain text")
}

fn without_owners(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    object
}

/// What differs, in lines: `-` expected, `+` found.
struct Report<'a> {
    case: &'a str,
    said: Vec<String>,
}

// === impl Report ===

impl Report<'_> {
    fn lines(&mut self, what: &str, expected: &[Found], found: &[Found]) {
        let missing = expected.iter().filter(|line| !found.contains(line)).map(|line| format!("    - {line}"));
        let surplus = found.iter().filter(|line| !expected.contains(line)).map(|line| format!("    + {line}"));
        let lines: Vec<_> = missing.chain(surplus).collect();
        if !lines.is_empty() {
            self.said.push(format!("{}: {what}\n{}", self.case, lines.join("\n")));
        }
    }

    fn text(&mut self, what: &str, expected: Option<&str>, found: &str) {
        if expected != Some(found) {
            self.said.push(format!("{}: {what}\n    - {}\n    + {found}", self.case, expected.unwrap_or("(nothing)")));
        }
    }

    fn value(&mut self, what: &str, expected: &Value, found: &Value) {
        if expected != found {
            self.said.push(format!("{}: {what}\n    - {expected}\n    + {found}", self.case));
        }
    }

    fn words(&mut self, text: &str, says: &[String], hides: &[String]) {
        for word in says.iter().filter(|word| !text.contains(*word)) {
            self.said.push(format!("{}: says\n    - {word}\n    + {text}", self.case));
        }
        for word in hides.iter().filter(|word| text.contains(*word)) {
            self.said.push(format!("{}: hides {word}, and yet\n    + {text}", self.case));
        }
    }

    fn end(self) -> Result<(), String> {
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
