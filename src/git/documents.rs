//! The bytes of one file to the objects it describes.
//!
//! Never fails as a whole: what can be read is returned, and everything else becomes a [`Problem`] with its line. Whether an
//! object makes sense to the API server is not judged here, only whether it can be told *which* object it is.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use super::problem::Problem;
use super::yaml::{self, Fault, Node};
use crate::core::manifest::{Lines, Origin};

/// One object as it is written: it has an `apiVersion`, a `kind` and a `metadata.name`, and nothing else is known of it.
#[derive(Debug, Clone)]
pub struct Document {
    /// The object.
    pub value: Value,
    /// Where it stands.
    pub origin: Origin,
}

/// Collects what a file yields.
struct Reader<'a> {
    file: &'a Arc<str>,
    documents: Vec<Document>,
    problems: Vec<Problem>,
}

/// Every object in a file, lists taken apart, and every reason why there are not more.
pub fn read(file: &Arc<str>, bytes: &[u8]) -> (Vec<Document>, Vec<Problem>) {
    let mut reader = Reader { file, documents: Vec::new(), problems: Vec::new() };
    match std::str::from_utf8(bytes) {
        Ok(text) => reader.text(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => reader.not_utf8(bytes, error.valid_up_to()),
    }
    (reader.documents, reader.problems)
}

// === impl Reader ===

impl Reader<'_> {
    fn text(&mut self, text: &str) {
        for document in yaml::documents(text) {
            match document {
                Ok(Node { value: Value::Null, .. }) => {} // only comments, or nothing at all
                Ok(node) => self.object(node),
                Err(fault) => self.fault(fault, text),
            }
        }
    }

    fn object(&mut self, Node { value, lines }: Node) {
        if is_list(&value) {
            return self.list(value, &lines);
        }
        match identify(&value) {
            Ok(()) => self.documents.push(Document { value, origin: Origin { file: Arc::clone(self.file), lines } }),
            Err((path, reason)) => self.problem(lines.nearest(path).line, reason),
        }
    }

    /// `kind: List`, or a typed list whose elements need not repeat their kind.
    fn list(&mut self, mut list: Value, lines: &Lines) {
        let items = list.get_mut("items").map(Value::take);
        let Some(Value::Array(items)) = items else { return };
        for (index, mut value) in items.into_iter().enumerate() {
            let lines = lines.field("items").and_then(|items| items.element(index)).unwrap_or(lines).clone();
            inherit_kind(&list, &mut value);
            self.object(Node { value, lines });
        }
    }

    fn fault(&mut self, Fault { line, mut reason }: Fault, text: &str) {
        if text.contains("{{") {
            reason.push_str(
                "; this looks like a template (`{{`): Holdfast applies plain manifests, so render Helm charts and the like \
                 before committing them",
            );
        }
        self.problem(line, reason);
    }

    fn not_utf8(&mut self, bytes: &[u8], valid_up_to: usize) {
        let line = bytes[..valid_up_to].split(|byte| *byte == b'\n').count();
        self.problem(u32::try_from(line).unwrap_or(u32::MAX), "the file is not UTF-8 text from here on");
    }

    fn problem(&mut self, line: u32, reason: impl Into<String>) {
        self.problems.push(Problem::at(self.file, line, reason));
    }
}

/// A kind that merely ends in `List` is an ordinary object unless it has items.
fn is_list(value: &Value) -> bool {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    let items = value.get("items");
    kind.ends_with("List") && items.is_some_and(|items| items.is_array() || (kind == "List" && items.is_null()))
}

fn inherit_kind(list: &Value, item: &mut Value) {
    let kind = list.get("kind").and_then(Value::as_str).and_then(|kind| kind.strip_suffix("List")).unwrap_or_default();
    let Value::Object(item) = item else { return };
    if kind.is_empty() || item.contains_key("kind") {
        return;
    }
    item.insert("kind".to_owned(), kind.into());
    if let (false, Some(version)) = (item.contains_key("apiVersion"), list.get("apiVersion")) {
        item.insert("apiVersion".to_owned(), version.clone());
    }
}

/// Whether it can be told which object this is; if not, what is missing and the path nearest to the place.
fn identify(value: &Value) -> Result<(), (&'static [&'static str], String)> {
    if !value.is_object() {
        return Err((
            &[],
            "this is not a Kubernetes object: a mapping with apiVersion, kind and metadata is".to_owned(),
        ));
    }
    text(value, "/apiVersion", &["apiVersion"])?;
    text(value, "/kind", &["kind"])?;
    if value.get("metadata").is_some_and(|metadata| !metadata.is_object()) {
        return Err((&["metadata"], "metadata is not a mapping".to_owned()));
    }
    named(value)
}

fn named(value: &Value) -> Result<(), (&'static [&'static str], String)> {
    const NAME: &[&str] = &["metadata", "name"];
    if value.pointer("/metadata/name").is_none_or(Value::is_null) && value.pointer("/metadata/generateName").is_some() {
        let reason = "metadata.generateName makes a new object each time it is applied, so it cannot be kept equal to Git; \
                      give it a metadata.name";
        return Err((&["metadata", "generateName"], reason.to_owned()));
    }
    let name = text(value, "/metadata/name", NAME)?;
    if name.contains("{{") {
        return Err((NAME, format!("metadata.name `{name}` is a template, not a name; render it before committing")));
    }
    Ok(())
}

fn text<'v>(
    value: &'v Value,
    pointer: &str,
    path: &'static [&'static str],
) -> Result<&'v str, (&'static [&'static str], String)> {
    let name = path.join(".");
    match value.pointer(pointer) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        None | Some(Value::Null | Value::String(_)) => Err((path, format!("{name} is missing"))),
        Some(_) => Err((path, format!("{name} is not text; quote it"))),
    }
}
