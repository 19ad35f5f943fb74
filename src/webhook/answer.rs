//! The answer to a review, written straight to bytes.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde::Serialize;
use serde_json::{Value, json};

use crate::core::stamp::Write;

/// What is answered, short of the envelope.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Why the request is refused; `None` lets it pass.
    pub refusal: Option<Refusal>,
    /// Lines kubectl prints.
    pub warnings: Vec<String>,
    /// What the API server's audit log keeps beside the request.
    pub audit: BTreeMap<&'static str, String>,
    /// Annotations to change on the object.
    pub writes: Vec<Write>,
}

/// A refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What kind.
    pub reason: Reason,
    /// What the person reads.
    pub message: String,
}

/// The reasons of a refusal, as the API server names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Git says otherwise.
    Forbidden,
    /// The object makes no sense.
    Invalid,
}

/// The body of an answer is mostly no longer than this and what it says to people.
const BODY: usize = 512;

/// Longest warning line: what API server and kubectl promise not to cut.
const LINE: usize = 120;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<ByteString>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'a BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    reason: &'static str,
    message: &'a str,
}

// === impl Answer ===

impl Answer {
    /// The body of the response to the review `uid`. `annotated` says whether the object has any annotations to write beside.
    pub(super) fn to_bytes(&self, uid: &str, annotated: bool) -> Vec<u8> {
        let Self { refusal, warnings, audit, writes } = self;
        let patch = (!writes.is_empty()).then(|| patch(writes, annotated));
        let response = Response {
            uid,
            allowed: refusal.is_none(),
            status: refusal.as_ref().map(Refusal::status),
            patch_type: patch.as_ref().map(|_| "JSONPatch"),
            patch,
            warnings,
            audit_annotations: audit,
        };
        let envelope = Envelope { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response };
        let said = envelope.response.status.as_ref().map_or(0, |status| status.message.len());
        let mut body = Vec::with_capacity(BODY + said);
        serde_json::to_writer(&mut body, &envelope).expect("strings and lists of strings always serialise");
        body
    }

    /// Warns with a message of several lines.
    pub(super) fn warn(&mut self, message: &str) {
        let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
        self.warnings.extend(lines.flat_map(wrapped));
    }
}

// === impl Refusal ===

impl Refusal {
    fn status(&self) -> Status<'_> {
        let (code, reason) = match self.reason {
            Reason::Forbidden => (403, "Forbidden"),
            Reason::Invalid => (422, "Invalid"),
        };
        Status { code, reason, message: &self.message }
    }
}

/// A JSON patch of annotations. `add` also replaces, so it does not matter what was there.
fn patch(writes: &[Write], annotated: bool) -> ByteString {
    let annotations = (!annotated).then(|| json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    let operations: Vec<_> = annotations.into_iter().chain(writes.iter().map(operation)).collect();
    ByteString(Value::Array(operations).to_string().into_bytes())
}

fn operation(write: &Write) -> Value {
    let path = |name: &str| format!("/metadata/annotations/{}", name.replace('~', "~0").replace('/', "~1"));
    match write {
        Write::Set(name, value) => json!({"op": "add", "path": path(name), "value": value}),
        Write::Remove(name) => json!({"op": "remove", "path": path(name)}),
    }
}

/// Breaks a line between words.
fn wrapped(line: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split_whitespace() {
        let last = lines.last_mut().expect("it starts with one line and only grows");
        if last.is_empty() || last.chars().count() + 1 + word.chars().count() <= LINE {
            let space = if last.is_empty() { "" } else { " " };
            *last += space;
            *last += word;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowed_request_is_answered_briefly() {
        let body = String::from_utf8(Answer::default().to_bytes("a\"b", true)).expect("UTF-8");
        insta::assert_snapshot!(body, @r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"a\"b","allowed":true}}"#);
    }

    #[test]
    fn annotations_are_created_before_they_are_written() {
        let writes = [Write::Set("holdfast.dev/break-glass-by", "al~ice".to_owned()), Write::Remove("holdfast.dev/x")];
        let text = |annotated| String::from_utf8(patch(&writes, annotated).0).expect("UTF-8");
        insta::assert_snapshot!(text(true), @r#"[{"op":"add","path":"/metadata/annotations/holdfast.dev~1break-glass-by","value":"al~ice"},{"op":"remove","path":"/metadata/annotations/holdfast.dev~1x"}]"#);
        insta::assert_snapshot!(text(false), @r#"[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/holdfast.dev~1break-glass-by","value":"al~ice"},{"op":"remove","path":"/metadata/annotations/holdfast.dev~1x"}]"#);
    }

    #[test]
    fn warnings_are_wrapped_between_words() {
        let mut answer = Answer::default();
        answer.warn(&format!("{}\n\n   short", "word ".repeat(50)));
        let lengths: Vec<_> = answer.warnings.iter().map(String::len).collect();
        assert_eq!(lengths, [119, 119, 9, 5]);
    }
}
