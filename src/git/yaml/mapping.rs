//! A mapping while it is read: keys written twice, and merge keys.
//!
//! A key written twice means that one of two edits is lost, so it is refused. Merge keys (`<<`) are applied in the order they
//! are written, so that, as with kubectl and against the letter of the merge specification, a merge *after* a key wins over it.

use std::collections::HashMap;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::Marker;

use super::{Fault, Node, line};
use crate::core::manifest::{Below, Lines};

/// A mapping under construction. `written` are the keys that stand in this mapping itself, merged ones excluded.
#[derive(Default)]
pub(super) struct Mapping {
    values: Map<String, Value>,
    lines: Vec<(String, Lines)>,
    written: HashMap<String, u32>,
}

// === impl Mapping ===

impl Mapping {
    pub(super) fn insert(&mut self, key: String, node: Node, at: Marker) -> Result<(), Fault> {
        if let Some(first) = self.written.insert(key.clone(), line(at)) {
            return Err(Fault::at(at, format!("the key `{key}` is written twice; the first is on line {first}")));
        }
        self.set(key, node.value, Lines { line: line(at), ..node.lines });
        Ok(())
    }

    pub(super) fn merge(&mut self, node: Node, sequence: bool, at: Marker) -> Result<(), Fault> {
        match node.value {
            Value::Array(elements) if sequence => {
                // The first of several wins, so it is merged last.
                for (index, value) in elements.into_iter().enumerate().rev() {
                    let lines = node.lines.element(index).cloned().unwrap_or_else(|| Lines::leaf(line(at)));
                    self.merge(Node { value, lines }, false, at)?;
                }
                Ok(())
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    let lines = node.lines.field(&key).cloned().unwrap_or_else(|| Lines::leaf(line(at)));
                    self.set(key, value, lines);
                }
                Ok(())
            }
            _ => Err(Fault::at(at, "`<<` merges a mapping or a list of mappings, nothing else")),
        }
    }

    fn set(&mut self, key: String, value: Value, lines: Lines) {
        if self.values.insert(key.clone(), value).is_some() {
            self.lines.retain(|(name, _)| *name != key);
        }
        self.lines.push((key, lines));
    }

    pub(super) fn into_node(self, line: u32) -> Node {
        Node { value: Value::Object(self.values), lines: Lines { line, below: Below::Map(self.lines) } }
    }
}
