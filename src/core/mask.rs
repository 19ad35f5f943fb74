//! Secrets never leave the module unmasked, and masking happens on output only.
//!
//! Values are compared as they are (a masked object could be neither compared nor dry-run); what a person gets to see of a
//! Secret is whether two values are equal, never what they are.

use serde_json::Value;

use super::compare::{Deviation, Kind};
use super::object::ObjectKey;
use super::path::{Path, Step};

/// One deviation as people may see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Shown {
    /// The readable path.
    pub path: String,
    /// In which way it deviates.
    pub kind: Kind,
    /// Git's value as JSON, cut to a readable length, masked in Secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// The cluster's, or the one an edit asked for; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// Line in Git.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// Makes the values of one object fit to be shown, structure and all: in a Secret, equal values get equal stand-ins and different
/// ones different stand-ins, for as long as the mask lives.
#[derive(Debug)]
pub struct Mask<'a> {
    object: &'a ObjectKey,
    hidden: Vec<Value>,
}

/// Longest value shown, in characters: with its label and its place in Git it fits two lines of a terminal.
const LONGEST: usize = 100;

/// A deviation of this object, fit to be shown, logged or recorded.
pub fn show(object: &ObjectKey, deviation: &Deviation) -> Shown {
    let Deviation { path, kind, git, live, line } = deviation;
    let secret = is_secret(object, path);
    let text = |value: &Option<Value>, name: &str| {
        value.as_ref().map(|value| if secret { format!("<hidden {name}>") } else { shorten(&value.to_string()) })
    };
    Shown { path: path.to_string(), kind: *kind, git: text(git, "Git's"), live: text(live, "other"), line: *line }
}

/// Does this path of this object hold, or contain, secret values? All content of a Secret does, and so do its annotations: a
/// client-side apply copies the whole object into one of them.
fn is_secret(object: &ObjectKey, path: &Path) -> bool {
    let open = path.starts_with_fields(&["metadata", "labels"]) || path.starts_with_fields(&["type"]);
    object.kind == "Secret" && object.group.is_empty() && !open && !super::judge::is_mark(path)
}

// === impl Mask ===

impl<'a> Mask<'a> {
    /// A mask for values of this object.
    pub fn new(object: &'a ObjectKey) -> Self {
        Self { object, hidden: Vec::new() }
    }

    /// The value at `path`, fit to be shown. Names of fields stay, and so does what says which object it is.
    pub fn value(&mut self, path: &Path, value: &Value) -> Value {
        if self.object.kind != "Secret" || !self.object.group.is_empty() {
            return value.clone();
        }
        self.below(&mut path.steps().to_vec(), value)
    }

    fn below(&mut self, steps: &mut Vec<Step>, value: &Value) -> Value {
        match value {
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| {
                    steps.push(Step::Field(name.as_str().into()));
                    let shown = self.below(steps, value);
                    steps.pop();
                    (name.clone(), shown)
                })
                .collect(),
            Value::Array(elements) => elements.iter().map(|element| self.below(steps, element)).collect(),
            Value::Null => Value::Null,
            scalar => self.scalar(&Path::new(steps.clone()), scalar),
        }
    }

    fn scalar(&mut self, path: &Path, value: &Value) -> Value {
        if names_the_object(path) || !is_secret(self.object, path) {
            return value.clone();
        }
        let number = self.hidden.iter().position(|hidden| hidden == value).unwrap_or_else(|| {
            self.hidden.push(value.clone());
            self.hidden.len() - 1
        });
        format!("<hidden {}>", number + 1).into()
    }
}

/// `text` about `manifest` without what must not be shown of it: API servers repeat in their complaints what was sent to them.
pub fn scrub(object: &ObjectKey, manifest: &Value, text: &str) -> String {
    let mut text = text.to_owned();
    if object.kind == "Secret" && object.group.is_empty() {
        for field in ["data", "stringData"] {
            let values = manifest.get(field).and_then(Value::as_object).into_iter().flatten();
            for value in values.filter_map(|(_, value)| value.as_str()).filter(|value| value.len() > 2) {
                text = text.replace(value, "<hidden>");
            }
        }
    }
    text
}

/// Which object it is, and what the API server keeps about it, is no secret; annotations may be.
fn names_the_object(path: &Path) -> bool {
    let named = ["apiVersion", "kind", "immutable"].iter().any(|field| path.starts_with_fields(&[field]));
    named || (path.starts_with_fields(&["metadata"]) && !path.starts_with_fields(&["metadata", "annotations"]))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
