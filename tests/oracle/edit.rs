//! Edits nobody would think of, made from the object itself and from a richer one of its kind.
//!
//! Each change is a JSON patch of the body to be written, so that a disagreement can be told in full, and each change of
//! several can be tried alone.

use holdfast::core::names::FIELD_MANAGER;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::plausible::{equivalent, other_scalar};
use crate::richer::{Addition, additions, partial};

/// Who edits, as the core has to tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A person at a keyboard.
    Person,
    /// Any other program.
    Automation,
    /// We ourselves, from an earlier commit that declared more.
    Earlier,
}

/// How the edit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The whole object.
    Update,
    /// Server-side apply, forced.
    Apply,
}

/// An edit to be made.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Who edits.
    pub who: Who,
    /// Their field manager.
    pub manager: &'static str,
    /// How.
    pub way: Way,
    /// What is written.
    pub body: Value,
    /// How it came from the object, or from the manifest.
    pub changes: Vec<Change>,
}

/// One change of a body.
#[derive(Debug, Clone)]
pub struct Change {
    /// What kind of change.
    pub name: &'static str,
    /// The JSON patch.
    pub patch: Value,
}

/// What edits are made of.
pub struct Material<'a> {
    /// The object as it is, in the version that is edited.
    pub live: &'a Value,
    /// What Git declares, as it is sent.
    pub manifest: Value,
    /// A manifest of the same object that says more, or otherwise.
    pub richer: &'a Value,
}

const PEOPLE: [(&str, Way); 5] = [
    ("kubectl-edit", Way::Update),
    ("kubectl-client-side-apply", Way::Update),
    ("node-fetch", Way::Update),
    ("kubectl-patch", Way::Update),
    ("kubectl", Way::Apply),
];
const PROGRAMS: [(&str, Way); 3] =
    [("argo-workflows", Way::Update), ("some-operator", Way::Apply), ("some-operator", Way::Update)];

// === impl Edit ===

impl Edit {
    /// Any edit at all.
    pub fn any(chance: &mut Chance, material: &Material<'_>) -> Option<Self> {
        let (person, program) = (*chance.pick(&PEOPLE)?, *chance.pick(&PROGRAMS)?);
        match chance.below(20) {
            0..=11 => Self::by(chance, material, Who::Person, person),
            12..=16 => Self::by(chance, material, Who::Automation, program),
            _ => Self::by(chance, material, Who::Earlier, (FIELD_MANAGER, Way::Apply)),
        }
    }

    fn by(chance: &mut Chance, material: &Material<'_>, who: Who, (manager, way): (&'static str, Way)) -> Option<Self> {
        let start = match way {
            Way::Update => writable(material.live),
            Way::Apply => material.manifest.clone(),
        };
        if manager == "some-operator" && way == Way::Apply {
            return Self::partial(chance, material, &start, who, manager);
        }
        let mut body = start;
        let mut changes = Vec::new();
        let wanted = [1, 1, 1, 2, 3][chance.below(5)];
        while changes.len() < wanted {
            let change = match who {
                Who::Earlier => Change::add(chance, &body, material.richer)?,
                _ => Change::any(chance, &body, material)?,
            };
            if change.apply(&mut body).is_some() {
                changes.push(change);
            }
        }
        Some(Self { who, manager, way, body, changes })
    }

    /// A controller that applies the one thing it cares for.
    fn partial(
        chance: &mut Chance,
        material: &Material<'_>,
        manifest: &Value,
        who: Who,
        manager: &'static str,
    ) -> Option<Self> {
        let additions = additions(&json!({}), material.richer);
        let addition = chance.pick(&additions)?;
        let body = partial(manifest, material.richer, addition)?;
        let patch = json!([{"op": "add", "path": addition.pointer, "value": addition.value}]);
        Some(Self { who, manager, way: Way::Apply, body, changes: vec![Change { name: "applied alone", patch }] })
    }

    /// The same edit with one of its changes alone.
    pub fn alone(&self, material: &Material<'_>, change: &Change) -> Option<Self> {
        let mut body = match self.way {
            Way::Update => writable(material.live),
            Way::Apply => material.manifest.clone(),
        };
        change.apply(&mut body)?;
        Some(Self { body, changes: vec![change.clone()], ..self.clone() })
    }
}

// === impl Change ===

impl Change {
    fn any(chance: &mut Chance, body: &Value, material: &Material<'_>) -> Option<Self> {
        for _ in 0..40 {
            let change = match chance.below(20) {
                0..=3 => Self::scalar(chance, body),
                4..=6 => Self::remove(chance, body),
                7..=11 => Self::add(chance, body, material.richer),
                12 => Self::element_twice(chance, body),
                13..=14 => Self::reorder(chance, body),
                15..=16 => Self::otherwise(chance, body),
                17 => Self::empty(chance, body),
                18 => Self::empty_addition(chance, body, material.richer),
                _ => Self::note(chance, body),
            };
            if change.is_some() {
                return change;
            }
        }
        None
    }

    fn of(name: &'static str, op: &str, path: &str, value: &Value) -> Self {
        Self { name, patch: json!([{"op": op, "path": path, "value": value}]) }
    }

    fn apply(&self, body: &mut Value) -> Option<()> {
        let patch: json_patch::Patch = serde_json::from_value(self.patch.clone()).ok()?;
        json_patch::patch(body, &patch).ok()
    }

    fn scalar(chance: &mut Chance, body: &Value) -> Option<Self> {
        let scalars = pointers(body, &|value| !value.is_object() && !value.is_array());
        let pointer = chance.pick(&scalars)?;
        let value = other_scalar(chance, pointer, body.pointer(pointer)?)?;
        Some(Self::of("a scalar changed", "replace", pointer, &value))
    }

    fn remove(chance: &mut Chance, body: &Value) -> Option<Self> {
        let all = pointers(body, &|_| true);
        Some(Self::of("something removed", "remove", chance.pick(&all)?, &Value::Null))
    }

    fn add(chance: &mut Chance, body: &Value, richer: &Value) -> Option<Self> {
        let additions = additions(body, richer);
        let Addition { pointer, value, .. } = chance.pick(&additions)?;
        let first = pointer.strip_suffix("/-").filter(|_| chance.clone().percent(30)).map(|list| format!("{list}/0"));
        Some(Self::of("something added", "add", first.as_ref().unwrap_or(pointer), value))
    }

    fn element_twice(chance: &mut Chance, body: &Value) -> Option<Self> {
        let lists = pointers(body, &|value| value.as_array().is_some_and(|list| !list.is_empty()));
        let pointer = chance.pick(&lists)?;
        let element = chance.pick(body.pointer(pointer)?.as_array()?)?;
        Some(Self::of("an element twice", "add", &format!("{pointer}/-"), element))
    }

    fn reorder(chance: &mut Chance, body: &Value) -> Option<Self> {
        let lists = pointers(body, &|value| value.as_array().is_some_and(|list| list.len() > 1));
        let pointer = chance.pick(&lists)?;
        let mut list = body.pointer(pointer)?.as_array()?.clone();
        let by = 1 + chance.below(list.len() - 1);
        list.rotate_left(by);
        Some(Self::of("a list in another order", "replace", pointer, &Value::Array(list)))
    }

    fn otherwise(chance: &mut Chance, body: &Value) -> Option<Self> {
        let scalars = pointers(body, &|value| equivalent(value).is_some());
        let pointer = chance.pick(&scalars)?;
        Some(Self::of("another spelling", "replace", pointer, &equivalent(body.pointer(pointer)?)?))
    }

    fn empty(chance: &mut Chance, body: &Value) -> Option<Self> {
        let values = pointers(body, &|value| value.is_object() || value.is_array() || value.is_string());
        let pointer = chance.pick(&values)?;
        let empty = match body.pointer(pointer)? {
            _ if chance.percent(30) => Value::Null,
            Value::Object(_) => json!({}),
            Value::Array(_) => json!([]),
            _ => json!(""),
        };
        Some(Self::of("something emptied", "replace", pointer, &empty))
    }

    fn empty_addition(chance: &mut Chance, body: &Value, richer: &Value) -> Option<Self> {
        let additions: Vec<_> =
            additions(body, richer).into_iter().filter(|addition| !addition.pointer.ends_with("/-")).collect();
        let addition = chance.pick(&additions)?;
        let empty = match addition.value {
            _ if chance.percent(30) => Value::Null,
            Value::Object(_) => json!({}),
            Value::Array(_) => json!([]),
            Value::String(_) => json!(""),
            _ => Value::Null,
        };
        Some(Self::of("an empty added", "add", &addition.pointer, &empty))
    }

    fn note(chance: &mut Chance, body: &Value) -> Option<Self> {
        let (section, name) =
            (*chance.pick(&["labels", "annotations"])?, *chance.pick(&["team", "example.com~1who", "a.b_c"])?);
        body.pointer(&format!("/metadata/{section}"))?;
        Some(Self::of("a note", "add", &format!("/metadata/{section}/{name}"), &json!(format!("v{}", chance.below(9)))))
    }
}

/// An object as a person writes it back: whoever owns what is the server's to say.
fn writable(live: &Value) -> Value {
    let mut body = live.clone();
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    body
}

/// Pointers to everything that an edit of content may touch, and that is as `wanted` says.
fn pointers(body: &Value, wanted: &dyn Fn(&Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        match name.as_str() {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => {
                for section in ["labels", "annotations"] {
                    if let Some(value) = value.get(section) {
                        below(value, &format!("/metadata/{section}"), wanted, &mut found);
                    }
                }
            }
            _ => {
                let pointer = format!("/{name}");
                if wanted(value) {
                    found.push(pointer.clone());
                }
                below(value, &pointer, wanted, &mut found);
            }
        }
    }
    found
}

fn below(value: &Value, pointer: &str, wanted: &dyn Fn(&Value) -> bool, found: &mut Vec<String>) {
    let mut child = |step: String, value: &Value| {
        let pointer = format!("{pointer}/{}", step.replace('~', "~0").replace('/', "~1"));
        if wanted(value) {
            found.push(pointer.clone());
        }
        below(value, &pointer, wanted, found);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| child(name.clone(), value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(at, value)| child(at.to_string(), value)),
        _ => {}
    }
}
