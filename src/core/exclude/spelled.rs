//! Field paths: the spelling in which [`Path`](crate::core::path::Path) displays, read back.
//!
//! What a message names can be pasted into a rule. `[*]` and `.*` stand for any child, `[0]` for Git's element at that
//! position, and a key may be given in part: `.spec.ports[containerPort=53]` means TCP and UDP.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::pattern::Pattern;
use super::place::{DEEPEST, Ground, Segment, resolve};

/// A field path, such as `.spec.template.spec.containers[name=app].image`.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldPath {
    text: String,
    segments: Vec<Segment>,
}

/// A field path that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a field path: {reason} at character {at}")]
pub struct BadFieldPath {
    /// As it was written.
    pub text: String,
    /// What is wrong.
    pub reason: &'static str,
    /// Where, in characters from 1.
    pub at: usize,
}

// === impl FieldPath ===

impl FieldPath {
    /// The patterns it means.
    pub(super) fn resolve(&self, ground: Ground<'_>) -> Vec<Pattern> {
        resolve(&self.segments, ground)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for FieldPath {
    type Err = BadFieldPath;

    fn from_str(text: &str) -> Result<Self, BadFieldPath> {
        let mut reader = Reader { text, rest: text, begun: false };
        let mut segments = Vec::new();
        while !reader.rest.is_empty() {
            if segments.len() == DEEPEST {
                return Err(reader.bad("it leads deeper than any object goes"));
            }
            segments.push(reader.segment()?);
        }
        let found = Self { text: text.to_owned(), segments };
        if found.segments.is_empty() { Err(reader.bad("it is empty")) } else { Ok(found) }
    }
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
    begun: bool,
}

// === impl Reader ===

impl<'t> Reader<'t> {
    fn segment(&mut self) -> Result<Segment, BadFieldPath> {
        let segment = if self.take("[") {
            self.bracket()
        } else if self.take(".") {
            // `.["a.b/c"]` is what people write who come from jq.
            if !self.begun && self.take("[") { self.bracket() } else { self.name() }
        } else {
            Err(self.bad("a step begins with \".\" or \"[\""))
        };
        self.begun = true;
        segment
    }

    fn name(&mut self) -> Result<Segment, BadFieldPath> {
        if self.take("*") {
            return Ok(Segment::Any);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$');
        match self.run(plain) {
            "" => Err(self.bad("a field's name is missing; write one with other characters as [\"a.b/c\"]")),
            name => Ok(Segment::Named(name.to_owned())),
        }
    }

    fn bracket(&mut self) -> Result<Segment, BadFieldPath> {
        let segment = if self.take("*") {
            Segment::Any
        } else if self.take("=") {
            Segment::Member(self.value()?)
        } else if self.rest.starts_with('"') {
            match self.json()? {
                Value::String(name) => Segment::Named(name),
                _ => return Err(self.bad("a field's name is a string")),
            }
        } else if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            Segment::Named(self.run(|c| c.is_ascii_digit()).to_owned())
        } else {
            self.key()?
        };
        if self.take("]") { Ok(segment) } else { Err(self.bad("\"]\" is missing")) }
    }

    fn key(&mut self) -> Result<Segment, BadFieldPath> {
        let mut fields = Vec::new();
        loop {
            let name = self.run(|c| !matches!(c, '=' | ',' | ']' | '['));
            if name.is_empty() || !self.take("=") {
                return Err(self.bad("in brackets stand *, a position, a quoted name, or name=value"));
            }
            fields.push((name.to_owned(), self.value()?));
            if !self.take(",") {
                return Ok(Segment::Having(fields));
            }
        }
    }

    /// A word without quotes where it cannot be misread, else JSON.
    fn value(&mut self) -> Result<Value, BadFieldPath> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
        let end = self.rest.find(|c| !plain(c)).unwrap_or(self.rest.len());
        let (word, after) = self.rest.split_at(end);
        if word.is_empty() || !after.starts_with([',', ']']) {
            return self.json();
        }
        self.rest = after;
        Ok(serde_json::from_str(word).unwrap_or_else(|_| Value::from(word)))
    }

    fn json(&mut self) -> Result<Value, BadFieldPath> {
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = values.next().and_then(Result::ok).ok_or_else(|| self.bad("a value is missing"))?;
        self.rest = &self.rest[values.byte_offset()..];
        Ok(value)
    }

    fn take(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn run(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        run
    }

    fn bad(&self, reason: &'static str) -> BadFieldPath {
        let read = &self.text[..self.text.len() - self.rest.len()];
        BadFieldPath { text: self.text.to_owned(), reason, at: read.chars().count() + 1 }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Vec<Segment> {
        text.parse::<FieldPath>().unwrap_or_else(|error| panic!("{error}")).segments
    }

    #[test]
    fn keys_names_positions_and_stars_are_told_apart() {
        let named = |name: &str| Segment::Named(name.to_owned());
        let ports = vec![("containerPort".to_owned(), json!(53)), ("protocol".to_owned(), json!("UDP"))];
        assert_eq!(
            read(".spec.ports[containerPort=53,protocol=UDP].name"),
            [named("spec"), named("ports"), Segment::Having(ports), named("name")]
        );
        assert_eq!(read(".metadata.labels[\"a.b/c\"]"), [named("metadata"), named("labels"), named("a.b/c")]);
        assert_eq!(read(".[\"a.b/c\"]"), [named("a.b/c")]);
        assert_eq!(
            read(".args[0][*].*[=x]"),
            [named("args"), named("0"), Segment::Any, Segment::Any, Segment::Member(json!("x"))]
        );
    }

    #[test]
    fn a_value_keeps_its_type() {
        let having = |value: Value| [Segment::Having(vec![("a".to_owned(), value)])];
        assert_eq!(read("[a=5]"), having(json!(5)));
        assert_eq!(read("[a=\"5\"]"), having(json!("5")));
        assert_eq!(read("[a=10.0.0.1/8]"), having(json!("10.0.0.1/8")));
        assert_eq!(read("[a=\"x]y\"]"), having(json!("x]y")));
        assert_eq!(read("[a={\"b\":[1]}]"), having(json!({"b": [1]})));
    }

    #[test]
    fn what_cannot_be_read_is_pointed_at() {
        for (text, at) in
            [("", 1), ("spec.replicas", 1), (".spec..a", 7), (".a[b]", 5), (".a[b=1", 7), (".a[\"b]", 4), (".ü", 2)]
        {
            let bad = text.parse::<FieldPath>().expect_err(text);
            assert_eq!(bad.at, at, "{bad}");
        }
    }
}
