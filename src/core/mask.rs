//! Secrets never leave the module unmasked, and masking happens on output only.
//!
//! Values are compared as they are (a masked object could be neither compared nor dry-run); what a person gets to see of a
//! Secret is whether two values are equal, never what they are.

mod scrub;

use serde_json::Value;

use super::compare::{Deviation, Kind};
use super::names::LAST_APPLIED;
use super::object::ObjectKey;
use super::path::{Path, Step};

pub use scrub::scrub;

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

/// Makes the values of one object fit to be shown, structure and all: what is secret gets a stand-in, equal values equal ones and
/// different values different ones, for as long as the mask lives.
#[derive(Debug)]
pub struct Mask<'a> {
    object: &'a ObjectKey,
    hidden: Vec<Value>,
}

/// Longest value shown, in characters: with its label and its place in Git it fits two lines of a terminal.
const LONGEST: usize = 100;

/// Deviations of this object, fit to be shown, logged or recorded: under one mask, so that they can be compared.
pub fn show(object: &ObjectKey, deviations: &[Deviation]) -> Vec<Shown> {
    let mut mask = Mask::new(object);
    deviations.iter().map(|deviation| mask.show(deviation)).collect()
}

/// Is this what a Secret is? A custom resource may be called so too; it is not ours to hide.
pub(super) fn is_secret(object: &ObjectKey) -> bool {
    object.kind == "Secret" && object.group.is_empty()
}

/// Does this place of a Secret hold secret values? All content does, and so do annotations: whoever copies Secrets about
/// writes them there.
fn is_secret_place(path: &Path) -> bool {
    let open = path.starts_with_fields(&["metadata", "labels"]) || path.starts_with_fields(&["type"]);
    !open && !names_the_object(path) && !super::judge::is_mark(path)
}

/// The copy a client-side apply keeps. Whatever object it is on, nobody has checked of what it is a copy, or that it is one.
fn is_copy(path: &Path) -> bool {
    path.steps().last().is_some_and(|step| step.is_field(LAST_APPLIED))
}

/// Which object it is, and what the API server keeps about it, is no secret; annotations may be.
fn names_the_object(path: &Path) -> bool {
    let named = ["apiVersion", "kind", "immutable"].iter().any(|field| path.starts_with_fields(&[field]));
    named || (path.starts_with_fields(&["metadata"]) && !path.starts_with_fields(&["metadata", "annotations"]))
}

// === impl Mask ===

impl<'a> Mask<'a> {
    /// A mask for values of this object.
    pub fn new(object: &'a ObjectKey) -> Self {
        Self { object, hidden: Vec::new() }
    }

    /// The value at `path`, fit to be shown. Names of fields stay, and so does what says which object it is.
    pub fn value(&mut self, path: &Path, value: &Value) -> Value {
        self.below(&mut path.steps().to_vec(), value)
    }

    fn show(&mut self, deviation: &Deviation) -> Shown {
        let Deviation { path, kind, git, live, line } = deviation;
        let mut text =
            |value: &Option<Value>| value.as_ref().map(|value| shorten(&self.value(path, value).to_string()));
        Shown { path: path.to_string(), kind: *kind, git: text(git), live: text(live), line: *line }
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
        let hidden = is_copy(path) || (is_secret(self.object) && is_secret_place(path));
        if hidden { self.stand_in(value) } else { value.clone() }
    }

    fn stand_in(&mut self, value: &Value) -> Value {
        let number = self.hidden.iter().position(|hidden| hidden == value).unwrap_or_else(|| {
            self.hidden.push(value.clone());
            self.hidden.len() - 1
        });
        format!("<hidden {}>", number + 1).into()
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
