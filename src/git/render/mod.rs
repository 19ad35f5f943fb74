//! Documents to manifests: in a namespace, without claims nobody meant, marked as ours.
//!
//! Applying a manifest claims every field it contains, so what is harmless to `kubectl apply` (nulls that Helm renders, a
//! `status` copied from the cluster) would become a declaration to be defended. All of that goes here, once, before anything
//! is declared; the API server does the rest of the normalising (see the design: a declaration is its answer).

mod mark;
mod normalise;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::documents::Document;
use super::problem::Problem;
use crate::core::manifest::{Lines, Manifest, Origin};
use crate::core::object::{ObjectKey, group_of};

/// What rendering needs to know besides the documents.
#[derive(Clone, Copy)]
pub struct RenderOptions<'a> {
    /// Namespace of namespaced objects that do not name one.
    pub default_namespace: Option<&'a str>,
    /// The sync the objects belong to, as `namespace/name`.
    pub sync: &'a str,
    /// Whether a group's kind is cluster-scoped; `None` if the cluster does not know the kind (yet).
    pub cluster_scoped: &'a dyn Fn(&str, &str) -> Option<bool>,
}

/// What is wrong with a document, and the line to show.
struct Complaint {
    line: u32,
    reason: String,
}

/// The outcome so far.
#[derive(Default)]
struct Rendered {
    manifests: Vec<Manifest>,
    problems: Vec<Problem>,
    /// Where each object is described first.
    first: HashMap<ObjectKey, String>,
}

/// Turns documents into manifests. A document that cannot be one becomes a problem; so does the second of two documents that
/// describe one object, while the first stays guarded and healed.
///
/// An object of a kind the cluster does not know keeps the namespace it names, or gets the default one. That is a guess: its
/// definition may be part of the same commit, so the caller renders again once the kind is known.
pub fn render(documents: Vec<Document>, options: &RenderOptions<'_>) -> (Vec<Manifest>, Vec<Problem>) {
    let mut rendered = Rendered::default();
    for Document { value, origin: Origin { file, lines } } in documents {
        match manifest(value, lines, options) {
            Ok((key, value, lines)) => rendered.manifest(Manifest { key, value, origin: Origin { file, lines } }),
            Err(complaints) => rendered.complaints(&file, complaints),
        }
    }
    (rendered.manifests, rendered.problems)
}

/// One document; all that is wrong with it is told at once.
fn manifest(
    mut value: Value,
    mut lines: Lines,
    options: &RenderOptions<'_>,
) -> Result<(ObjectKey, Value, Lines), Vec<Complaint>> {
    let mut complaints = Vec::new();
    normalise::drop_nulls(&mut value);
    normalise::drop_server_fields(&mut value);
    complaints.extend(normalise::secret(&mut value, &mut lines));
    normalise::aggregated_rules(&mut value);
    complaints.extend(place(&mut value, &lines, options));
    complaints.extend(mark::check(&value, &lines));
    let key = ObjectKey::of(&value);
    let key = key.ok_or_else(|| Complaint::at(&lines, &[], "this does not say which object it is"));
    match key {
        Ok(key) if complaints.is_empty() => {
            mark::apply(&mut value, options.sync, &key);
            Ok((key, value, lines))
        }
        Ok(_) => Err(complaints),
        Err(complaint) => Err(complaints.into_iter().chain([complaint]).collect()),
    }
}

/// Settles `metadata.namespace` by the scope of the kind.
fn place(value: &mut Value, lines: &Lines, options: &RenderOptions<'_>) -> Option<Complaint> {
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let scope = (options.cluster_scoped)(group_of(text("/apiVersion")), text("/kind"));
    let written = value.pointer("/metadata/namespace").cloned();
    let metadata = value.get_mut("metadata").and_then(Value::as_object_mut)?;
    if scope == Some(true) {
        metadata.remove("namespace");
        return None;
    }
    match (written, options.default_namespace) {
        (Some(Value::String(namespace)), _) if !namespace.is_empty() => None,
        (None | Some(Value::String(_)), Some(namespace)) => {
            metadata.insert("namespace".to_owned(), namespace.into());
            None
        }
        (None | Some(Value::String(_)), None) if scope.is_none() => None,
        (None | Some(Value::String(_)), None) => Some(Complaint::at(
            lines,
            &["metadata"],
            "metadata.namespace is missing, and the sync has no destination namespace to put the object in",
        )),
        (Some(_), _) => {
            Some(Complaint::at(lines, &["metadata", "namespace"], "metadata.namespace is not text; quote it"))
        }
    }
}

// === impl Rendered ===

impl Rendered {
    fn manifest(&mut self, manifest: Manifest) {
        let Manifest { key, origin: Origin { file, lines }, .. } = &manifest;
        if let Some(first) = self.first.get(key) {
            let reason = format!("{key} is already described in {first}; that one counts, remove one of the two");
            return self.problems.push(Problem::at(file, lines.line, reason));
        }
        self.first.insert(key.clone(), format!("{file}:{}", lines.line));
        self.manifests.push(manifest);
    }

    fn complaints(&mut self, file: &Arc<str>, complaints: Vec<Complaint>) {
        self.problems.extend(complaints.into_iter().map(|Complaint { line, reason }| Problem::at(file, line, reason)));
    }
}

// === impl RenderOptions ===

impl fmt::Debug for RenderOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { default_namespace, sync, cluster_scoped: _ } = self;
        f.debug_struct("RenderOptions").field("default_namespace", default_namespace).field("sync", sync).finish()
    }
}

// === impl Complaint ===

impl Complaint {
    /// At the node under `path`, or its closest ancestor that is written.
    fn at(lines: &Lines, path: &[&str], reason: impl Into<String>) -> Self {
        Self { line: lines.nearest(path).line, reason: reason.into() }
    }
}
