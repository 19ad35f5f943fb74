//! What Git says, and what the next commit makes of it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::chance::Chance;

/// Where everything is, in the cluster and in Git.
pub const NAMESPACE: &str = "faults";

/// Objects that are never removed, so that a commit can remove others without removing most.
const ANCHORS: usize = 12;
/// At most so many others: what is removed next is among the first.
const MANY: usize = 24;

/// Who an object is, in the words of the audit log: `resource/namespace/name`.
pub type Id = String;

/// What Git says.
#[derive(Clone, Default)]
pub struct Repository {
    objects: BTreeMap<Id, Value>,
    /// What left Git and is to stay.
    pub spared: BTreeMap<Id, Value>,
    serial: usize,
}

/// What a commit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Adds,
    Changes,
    Removes,
    Everything,
    Defines,
    Founds,
    Replaces,
    Spares,
    /// Cannot be made real: it is refused as a whole.
    Nonsense,
    /// Cannot be made real: an object would have to be made anew, and may not.
    Stuck,
}

const SHAPES: [Shape; 10] = [
    Shape::Adds,
    Shape::Changes,
    Shape::Removes,
    Shape::Everything,
    Shape::Defines,
    Shape::Founds,
    Shape::Replaces,
    Shape::Spares,
    Shape::Nonsense,
    Shape::Stuck,
];

// === impl Repository ===

impl Repository {
    /// The first commit.
    pub fn first() -> Self {
        let mut first = Self::default();
        (0..ANCHORS).for_each(|number| first.put(config(&format!("anchor-{number:02}"), "0")));
        first.put(stone("0"));
        first.put(rock("0"));
        first.put(role("0"));
        first
    }

    /// What is declared.
    pub fn objects(&self) -> &BTreeMap<Id, Value> {
        &self.objects
    }

    /// The anchors, beginning with another one each time.
    pub fn anchors(&self) -> impl Iterator<Item = String> + use<> {
        let first = self.serial * 5;
        (0..ANCHORS).map(move |number| format!("anchor-{:02}", (first + number) % ANCHORS))
    }

    /// Changes something.
    pub fn change(&mut self, chance: &mut Chance) -> Shape {
        self.serial += 1;
        let shape = *chance.pick(&SHAPES).unwrap_or(&Shape::Everything);
        let text = self.serial.to_string();
        match shape {
            Shape::Adds => self.add(2 + chance.below(6), chance),
            Shape::Changes => self.alter(2 + chance.below(6)),
            Shape::Removes => self.remove(1 + chance.below(5)),
            Shape::Everything => {
                self.add(1 + chance.below(4), chance);
                self.alter(1 + chance.below(4));
                self.remove(1 + chance.below(3));
                self.put(role(&text));
            }
            Shape::Defines => self.define(),
            Shape::Founds => self.found(),
            Shape::Replaces => self.put(stone(&text)),
            Shape::Spares => self.spare(),
            Shape::Nonsense => {
                self.add(1 + chance.below(4), chance);
                let mut nonsense = config("nonsense", &text);
                nonsense["dataa"] = json!({"mistyped": "yes"});
                self.put(nonsense);
            }
            Shape::Stuck => {
                self.alter(1 + chance.below(4));
                self.put(rock(&text));
            }
        }
        shape
    }

    /// Takes back what cannot be made real; `true` if there was anything.
    pub fn mend(&mut self) -> bool {
        let nonsense = self.objects.remove(&format!("configmaps/{NAMESPACE}/nonsense")).is_some();
        let before = self.objects.insert(format!("configmaps/{NAMESPACE}/rock"), rock("0"));
        nonsense || before != Some(rock("0"))
    }

    /// Writes all of it, and nothing else, below `root`.
    pub fn write(&self, root: &Path) -> Result<()> {
        let folder = root.join(NAMESPACE);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).context("failed to empty the folder")?;
        }
        std::fs::create_dir_all(&folder)?;
        self.objects.iter().try_for_each(|(id, object)| {
            std::fs::write(folder.join(format!("{}.json", id.replace('/', "_"))), format!("{object:#}\n"))
                .with_context(|| format!("failed to write {id}"))
        })
    }

    fn put(&mut self, object: Value) {
        self.objects.insert(id(&object), object);
    }

    fn add(&mut self, count: usize, chance: &mut Chance) {
        for number in 0..count {
            let mut object = config(&format!("z{:04}-{number}", self.serial), "0");
            if chance.percent(50) {
                object["metadata"]["annotations"] = json!({"holdfast.dev/wave": (chance.below(3)).to_string()});
            }
            self.put(object);
        }
        if self.passing().len() > MANY {
            self.remove(6);
        }
    }

    fn alter(&mut self, count: usize) {
        let text = self.serial.to_string();
        let names: Vec<_> = self.anchors().take(count).collect();
        names.iter().for_each(|name| self.put(config(name, &text)));
    }

    fn remove(&mut self, count: usize) {
        for id in self.passing().into_iter().take(count) {
            self.objects.remove(&id);
        }
    }

    fn passing(&self) -> Vec<Id> {
        let passing = self.objects.keys().filter(|id| id.starts_with(&format!("configmaps/{NAMESPACE}/z")));
        passing.cloned().collect()
    }

    /// A kind and resources of it come in one commit, and go in one.
    fn define(&mut self) {
        let definition = definition();
        if self.objects.remove(&id(&definition)).is_some() {
            self.objects.retain(|id, _| !id.starts_with("relics/"));
            return;
        }
        self.put(definition);
        (0..3).for_each(|number| self.put(relic(number, self.serial)));
    }

    /// A namespace and what is in it come in one commit, and go in one.
    fn found(&mut self) {
        let founded: Vec<_> = self.objects.keys().filter(|id| id.starts_with("namespaces/")).cloned().collect();
        let name = format!("{NAMESPACE}-{}", self.serial);
        if founded.is_empty() {
            self.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
            for number in 0..2 {
                let mut inside = config(&format!("inside-{number}"), "0");
                inside["metadata"]["namespace"] = json!(name);
                self.put(inside);
            }
        } else {
            let inside = format!("configmaps/{NAMESPACE}-");
            self.objects.retain(|id, _| !id.starts_with("namespaces/") && !id.starts_with(&inside));
        }
    }

    /// What may not be pruned leaves Git, or comes into it.
    fn spare(&mut self) {
        let name = format!("spared-{:04}", self.serial);
        let spared = self.objects.keys().find(|id| id.contains("/spared-")).cloned();
        if let Some((id, object)) = spared.and_then(|id| self.objects.remove_entry(&id)) {
            self.spared.insert(id, object);
            return;
        }
        let mut object = config(&name, "0");
        object["metadata"]["annotations"] = json!({"holdfast.dev/prune": "disabled"});
        self.put(object);
    }
}

/// Who this is.
pub fn id(object: &Value) -> Id {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (resource, is_global) = match text("/kind") {
        "Namespace" => ("namespaces", true),
        "CustomResourceDefinition" => ("customresourcedefinitions", true),
        "Relic" => ("relics", false),
        "Role" => ("roles", false),
        _ => ("configmaps", false),
    };
    let namespace = if is_global { "" } else { text("/metadata/namespace") };
    let namespace = if namespace.is_empty() && !is_global { NAMESPACE } else { namespace };
    format!("{resource}/{namespace}/{}", text("/metadata/name"))
}

/// With another value, another key goes and comes as well.
pub fn config(name: &str, value: &str) -> Value {
    let data = json!({"value": value, format!("only-{value}"): "here"});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn rock(value: &str) -> Value {
    let mut rock = config("rock", value);
    rock["immutable"] = json!(true);
    rock
}

fn stone(value: &str) -> Value {
    let mut stone = config("stone", value);
    stone["immutable"] = json!(true);
    stone["metadata"]["annotations"] = json!({"holdfast.dev/replace": "true"});
    stone
}

fn role(value: &str) -> Value {
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [value], "verbs": ["get"]}]);
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": rules})
}

fn relic(number: usize, serial: usize) -> Value {
    let metadata = json!({"name": format!("relic-{number}")});
    json!({"apiVersion": "faults.example.com/v1", "kind": "Relic", "metadata": metadata, "spec": {"size": serial}})
}

fn definition() -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {
        "type": "object", "properties": {"size": {"type": "integer"}},
    }}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "relics.faults.example.com"},
        "spec": {
            "group": "faults.example.com", "scope": "Namespaced", "names": {"kind": "Relic", "plural": "relics"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    })
}
