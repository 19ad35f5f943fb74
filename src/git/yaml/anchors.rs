//! Anchors, and how much their aliases may add: a few lines of YAML can describe more than any machine can hold.

use std::collections::HashMap;

use serde_json::Value;
use serde_saphyr::granit_parser::Marker;

use super::{DEPTH, Fault, Node, too_deep};

/// What aliases may add to one document, in nodes and bytes of text. The API server takes no object beyond 3 MiB.
const EXPANSION: usize = 1 << 20;

/// The anchors of one document.
#[derive(Default)]
pub(super) struct Anchors {
    known: HashMap<usize, Anchored>,
    expanded: usize,
}

struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

// === impl Anchors ===

impl Anchors {
    pub(super) fn remember(&mut self, id: usize, node: Node) {
        self.known.insert(id, Anchored { weight: weight(&node.value), height: height(&node.value), node });
    }

    /// An alias is read as a copy, and keeps the lines of what it copies: that is where an edit has to go.
    pub(super) fn copy(&mut self, id: usize, depth: usize, at: Marker) -> Result<Node, Fault> {
        let Some(Anchored { node, weight, height }) = self.known.get(&id) else {
            return Err(Fault::at(at, "an anchor contains itself"));
        };
        if depth + height > DEPTH {
            return Err(too_deep(at));
        }
        self.expanded = self.expanded.saturating_add(*weight);
        if self.expanded > EXPANSION {
            return Err(Fault::at(at, "aliases expand this document beyond any reasonable size; write it out"));
        }
        Ok(node.clone())
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(weight).sum::<usize>(),
        Value::Object(entries) => 1 + entries.iter().map(|(key, value)| key.len() + weight(value)).sum::<usize>(),
        Value::String(text) => 1 + text.len(),
        _ => 1,
    }
}

fn height(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(height).max().unwrap_or(0),
        Value::Object(entries) => 1 + entries.values().map(height).max().unwrap_or(0),
        _ => 0,
    }
}
