//! YAML and JSON text to JSON values with a line number for every node.
//!
//! A `serde` reader would lose what is needed here: where a node stands, whether a scalar was quoted, which key was written
//! twice. So this works on the parser's events (`granit_parser`, which `serde-saphyr` is built on and re-exports). JSON needs
//! no reader of its own: to this parser, and to kubectl, it is YAML in flow style.

mod anchors;
pub(crate) mod base64;
mod compose;
mod mapping;
mod scalar;
#[cfg(test)]
mod tests;

use serde_json::Value;
use serde_saphyr::granit_parser::{Event, Marker, Parser, ScanError, options};

use crate::core::manifest::Lines;
use compose::Composer;

/// Deeper than any sane manifest, shallow enough that nobody can exhaust the stack.
const DEPTH: usize = 100;

/// One node: what it says and where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) lines: Lines,
}

/// Why a document could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: u32,
    pub(super) reason: String,
}

/// Every document of `text`, readable or not. A broken one does not take the others with it.
pub(super) fn documents(text: &str) -> Vec<Result<Node, Fault>> {
    let options = options! {
        emit_comments: false,
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
        simple_key_max_lookahead: 64 * 1024,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut documents = Vec::new();
    loop {
        match parser.next() {
            None | Some(Ok((Event::StreamEnd, _))) => return documents,
            Some(Ok((Event::DocumentStart(..), _))) => documents.push(Composer::new(&mut parser, text).document()),
            Some(Ok(_)) => continue,
            Some(Err(error)) => documents.push(Err(error.into())),
        }
        if matches!(documents.last(), Some(Err(_))) && !matches!(parser.proceed_next_document(), Ok(true)) {
            return documents;
        }
    }
}

// === impl Fault ===

impl Fault {
    fn at(mark: Marker, reason: impl Into<String>) -> Self {
        Self { line: line(mark), reason: reason.into() }
    }
}

impl From<ScanError> for Fault {
    fn from(error: ScanError) -> Self {
        Self::at(*error.marker(), error.info())
    }
}

fn line(mark: Marker) -> u32 {
    u32::try_from(mark.line()).unwrap_or(u32::MAX).max(1)
}

fn too_deep(at: Marker) -> Fault {
    Fault::at(at, format!("nested more than {DEPTH} levels deep"))
}
