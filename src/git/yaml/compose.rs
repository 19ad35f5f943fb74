//! Events to nodes.
//!
//! Everything here refuses rather than guesses: what cannot be read for certain must not be declared, and the author is there
//! to say what was meant.

use serde_json::Value;
use serde_saphyr::granit_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::anchors::Anchors;
use super::mapping::Mapping;
use super::scalar::Scalar;
use super::{DEPTH, Fault, Node, line, too_deep};
use crate::core::manifest::{Below, Lines};

/// What `!!` stands for.
const CORE: &str = "tag:yaml.org,2002:";

/// Builds the one document the parser has just started.
pub(super) struct Composer<'p, 'input> {
    parser: &'p mut Parser<'input, StrInput<'input>>,
    text: &'input str,
    anchors: Anchors,
    depth: usize,
}

enum Key {
    Merge,
    Named(String),
}

// === impl Composer ===

impl<'p, 'input> Composer<'p, 'input> {
    pub(super) fn new(parser: &'p mut Parser<'input, StrInput<'input>>, text: &'input str) -> Self {
        Self { parser, text, anchors: Anchors::default(), depth: 0 }
    }

    /// The document's node. On an error the parser is left in the middle of the document.
    pub(super) fn document(mut self) -> Result<Node, Fault> {
        let (event, span) = self.next()?;
        let node = self.node(event, span)?;
        match self.next()? {
            (Event::DocumentEnd, _) => Ok(node),
            (_, span) => Err(Fault::at(span.start, "the document continues after its end")),
        }
    }

    fn next(&mut self) -> Result<(Event<'input>, Span), Fault> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(error.into()),
            None => Err(Fault { line: 1, reason: "the document ends too early".to_owned() }),
        }
    }

    fn node(&mut self, event: Event<'input>, span: Span) -> Result<Node, Fault> {
        let (anchor, at) = (event.anchor_id(), span.start);
        let node = match event {
            Event::Scalar(text, style, _, tag) => {
                let value = scalar(&text, style, tag.as_deref()).and_then(Scalar::into_value);
                Node { value: value.map_err(|reason| Fault::at(at, reason))?, lines: Lines::leaf(line(at)) }
            }
            Event::SequenceStart(..) => self.nested(at, |this| this.sequence(at))?,
            Event::MappingStart(..) => self.nested(at, |this| this.mapping(at))?,
            Event::Alias(id) => return self.anchors.copy(id, self.depth, at),
            _ => return Err(Fault::at(at, "a value is missing")),
        };
        if let Some(id) = anchor {
            self.anchors.remember(id, node.clone());
        }
        Ok(node)
    }

    fn nested(&mut self, at: Marker, read: impl FnOnce(&mut Self) -> Result<Node, Fault>) -> Result<Node, Fault> {
        if self.depth == DEPTH {
            return Err(too_deep(at));
        }
        self.depth += 1;
        let node = read(self);
        self.depth -= 1;
        node
    }

    fn sequence(&mut self, start: Marker) -> Result<Node, Fault> {
        let (mut values, mut lines) = (Vec::new(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let lines = Lines { line: line(start), below: Below::List(lines) };
                return Ok(Node { value: Value::Array(values), lines });
            }
            let node = self.node(event, span)?;
            values.push(node.value);
            // An alias' children stand at the anchor; the element itself stands here.
            lines.push(Lines { line: dash(self.text, span.start), ..node.lines });
        }
    }

    fn mapping(&mut self, start: Marker) -> Result<Node, Fault> {
        let mut mapping = Mapping::default();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(mapping.into_node(line(start)));
            }
            let (key, at) = (self.key(event, span)?, span.start);
            let (event, span) = self.next()?;
            let sequence = matches!(event, Event::SequenceStart(..));
            let node = self.node(event, span)?;
            match key {
                Key::Merge => mapping.merge(node, sequence, at)?,
                Key::Named(key) => mapping.insert(key, node, at)?,
            }
        }
    }

    fn key(&mut self, event: Event<'input>, span: Span) -> Result<Key, Fault> {
        if is_merge(&event) {
            return Ok(Key::Merge);
        }
        let at = span.start;
        let scalar = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let key = scalar(&text, style, tag.as_deref()).map_err(|reason| Fault::at(at, reason))?;
                self.remember_key(anchor, &key, at);
                key
            }
            Event::Alias(id) => match self.anchors.copy(id, self.depth, at)?.value {
                Value::String(text) => Scalar::Text(text),
                _ => return Err(Fault::at(at, "a mapping key may not be an alias of anything but text")),
            },
            _ => return Err(Fault::at(at, "a mapping key may not be a list or a mapping")),
        };
        scalar.into_key().map(Key::Named).map_err(|reason| Fault::at(at, reason))
    }

    fn remember_key(&mut self, anchor: usize, key: &Scalar, at: Marker) {
        if let (true, Ok(value)) = (anchor > 0, key.clone().into_value()) {
            self.anchors.remember(anchor, Node { value, lines: Lines::leaf(line(at)) });
        }
    }
}

/// Quoted is always text; a tag of YAML's own schema decides; an application's `!tag` means nothing to Kubernetes.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Scalar, String> {
    match tag {
        None if style == ScalarStyle::Plain => Ok(Scalar::plain(text)),
        None => Ok(Scalar::Text(text.to_owned())),
        Some(tag) => match tag.suffix_in_namespace(CORE) {
            Some(suffix) => Scalar::tagged(text, &suffix),
            None => Ok(Scalar::Text(text.to_owned())),
        },
    }
}

/// The line of the dash before an element, which may stand alone. The parser does not say, so the text is asked.
fn dash(text: &str, element: Marker) -> u32 {
    let before = element.byte_offset().and_then(|offset| text.get(..offset)).unwrap_or_default();
    let kept = before.trim_end();
    let breaks = before[kept.len()..].matches('\n').count();
    if kept.ends_with('-') {
        line(element).saturating_sub(u32::try_from(breaks).unwrap_or(0)).max(1)
    } else {
        line(element)
    }
}

fn is_merge(event: &Event<'_>) -> bool {
    match event {
        Event::Scalar(text, ScalarStyle::Plain, _, None) => text == "<<",
        Event::Scalar(text, _, _, Some(tag)) => {
            text == "<<" && tag.suffix_in_namespace(CORE).as_deref() == Some("merge")
        }
        _ => false,
    }
}
