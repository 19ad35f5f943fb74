//! What Git says, before the API server has read it: one document with the place it came from.
//!
//! Positions travel beside the value instead of inside it, so that everything downstream works on plain JSON and only a
//! message that needs a line asks for one.
//!
//! A [`Manifest`] lives while a commit is read. What stays of it, in every replica for as long as the process lives, is
//! [`Kept`]: the document as text. Parsed, it would take five times as much, and nobody looks into it but a heal, a question by
//! a person, or rules that are resolved anew.

use std::sync::Arc;

use serde_json::Value;

use super::object::ObjectKey;
use super::options;

/// One object as written in Git, namespaced and ready to be applied.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Which object it describes.
    pub key: ObjectKey,
    /// The document. `status`, nulls and other claims nobody meant are already gone (see `git::render`).
    pub value: Value,
    /// Where it stands in the repository.
    pub origin: Origin,
}

/// A manifest as it is kept: the document as text, and of its lines the first. (Those of its fields are in the declaration.)
#[derive(Debug, Clone)]
pub struct Kept {
    /// Which object it describes.
    pub key: ObjectKey,
    /// Where it stands in the repository.
    pub origin: Origin,
    /// Its `apiVersion`, which is asked for at every sight of the object.
    pub api_version: Box<str>,
    /// Does it leave alone what another field manager has taken? Asked again and again while it is healed.
    pub yields: bool,
    text: Box<str>,
}

/// File and line of a document, and the lines of every node below it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Path inside the repository, `/`-separated.
    pub file: Arc<str>,
    /// Lines of the document's nodes.
    pub lines: Lines,
}

/// Line numbers (1-based) in the shape of the document they describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// Line on which this node's key (in a mapping), dash (in a sequence) or first token stands.
    pub line: u32,
    /// Lines of the children.
    pub below: Below,
}

/// The children of a [`Lines`] node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Below {
    /// A scalar has none.
    Nothing,
    /// A mapping's values, in document order.
    Map(Vec<(String, Lines)>),
    /// A sequence's elements.
    List(Vec<Lines>),
}

// === impl Manifest ===

impl Manifest {
    /// Its `apiVersion`; empty if it says none, which no document does that became a manifest.
    pub fn api_version(&self) -> &str {
        self.value.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
    }

    /// The document as it is kept.
    pub fn text(&self) -> String {
        self.value.to_string()
    }
}

// === impl Kept ===

impl From<Manifest> for Kept {
    fn from(manifest: Manifest) -> Self {
        let (api_version, text) = (manifest.api_version().into(), manifest.text().into());
        let yields = options::yields(&manifest.value);
        let Manifest { key, origin: Origin { file, lines }, .. } = manifest;
        Self { key, origin: Origin { file, lines: Lines::leaf(lines.line) }, api_version, yields, text }
    }
}

impl Kept {
    /// The document as text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The document.
    ///
    /// # Panics
    /// Never: the text was written from a value.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).expect("it was written from a value")
    }

    /// The manifest again; of its lines, the first.
    pub fn unpacked(&self) -> Manifest {
        Manifest { key: self.key.clone(), value: self.value(), origin: self.origin.clone() }
    }
}

// === impl Lines ===

impl Lines {
    /// A node without children.
    pub fn leaf(line: u32) -> Self {
        Self { line, below: Below::Nothing }
    }

    /// The node under `key`, if this is a mapping that has it.
    pub fn field(&self, key: &str) -> Option<&Self> {
        match &self.below {
            Below::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, lines)| lines),
            Below::List(_) | Below::Nothing => None,
        }
    }

    /// The element at `index`, if this is a sequence that has it.
    pub fn element(&self, index: usize) -> Option<&Self> {
        match &self.below {
            Below::List(elements) => elements.get(index),
            Below::Map(_) | Below::Nothing => None,
        }
    }

    /// The node at `path` through mappings, or its closest ancestor that is written: the line to show for something missing.
    pub fn nearest(&self, path: &[&str]) -> &Self {
        match path.split_first().and_then(|(key, rest)| Some((self.field(key)?, rest))) {
            Some((below, rest)) => below.nearest(rest),
            None => self,
        }
    }
}
