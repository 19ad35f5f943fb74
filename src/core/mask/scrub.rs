//! What API servers and webhooks say about a Secret, without its values: they repeat in their complaints what was sent to them.
//!
//! Two nets, because neither is fine enough. Every value that was sent is looked for in each form it may be repeated in; and
//! whatever follows the words that introduce a repeated value is taken out unseen.

use std::collections::BTreeSet;

use serde_json::Value;

use super::is_secret;
use crate::core::object::ObjectKey;

/// Stands for what must not be shown.
const HIDDEN: &str = "<hidden>";
/// Shorter values are looked for in quotes only: an `a` is in every sentence.
const TELLING: usize = 4;
/// After these words the API server repeats a value.
const INTRODUCTIONS: [&str; 4] =
    ["Invalid value: ", "Unsupported value: ", "Duplicate value: ", "invalid type: string "];
/// As base64 writes six bits.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// After these words somebody's webhook or policy says what it likes.
const DENIALS: [&str; 2] = ["denied the request: ", "denied request: "];

/// `text` about `object` without what must not be shown of it. `sent` is what was sent; where that is not the object, nobody
/// knows its values here, and what a webhook says of it is not repeated at all.
pub fn scrub(object: &ObjectKey, sent: Option<&Value>, text: &str) -> String {
    if !is_secret(object) {
        return text.to_owned();
    }
    let Some(sent) = sent else { return without_denial(text) };
    let mut forms = BTreeSet::new();
    for field in ["data", "stringData"].iter().filter_map(|field| sent.get(field)) {
        each_text(field, &mut |value| add_forms(value, &mut forms));
    }
    if let Some(annotations) = sent.pointer("/metadata/annotations") {
        each_text(annotations, &mut |value| add_forms(value, &mut forms));
    }
    let mut forms: Vec<_> = forms.into_iter().collect();
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    let known = forms.iter().fold(text.to_owned(), |text, form| without(&text, form));
    without_repeated(&known)
}

fn each_text(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(fields) => fields.values().for_each(|value| each_text(value, visit)),
        Value::Array(elements) => elements.iter().for_each(|value| each_text(value, visit)),
        Value::String(text) => visit(text),
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => visit(&number.to_string()),
    }
}

/// A value as it may be repeated: encoded and decoded, in the alphabet of URLs, without padding, percent-encoded, its lines one
/// by one, and each as it stands in quotes, and in quotes within quotes.
fn add_forms(value: &str, forms: &mut BTreeSet<String>) {
    let decoded = decode(value).and_then(|bytes| String::from_utf8(bytes).ok());
    let encoded = encode(value.as_bytes());
    for text in [Some(value.to_owned()), Some(encoded), decoded].into_iter().flatten() {
        let lines = text.lines().map(str::trim).filter(|line| line.len() >= TELLING).map(str::to_owned);
        for form in lines.chain([text.trim().to_owned(), text.clone()]) {
            let url_safe = form.replace('+', "-").replace('/', "_");
            let quoted = in_quotes(&form);
            let spelled = [in_quotes(&quoted), quoted, percent_encoded(&form), url_safe, form];
            let unpadded = spelled.each_ref().map(|form| form.trim_end_matches('=').to_owned());
            forms.extend(spelled.into_iter().chain(unpadded).filter(|form| !form.is_empty()));
        }
    }
}

fn in_quotes(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn percent_encoded(text: &str) -> String {
    let spell = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(spell).collect()
}

fn without(text: &str, form: &str) -> String {
    if form.len() >= TELLING {
        return text.replace(form, HIDDEN);
    }
    let quotes = ["\"", "'", "`", "\\\""];
    quotes.iter().fold(text.to_owned(), |text, quote| {
        text.replace(&format!("{quote}{form}{quote}"), &format!("{quote}{HIDDEN}{quote}"))
    })
}

fn without_denial(text: &str) -> String {
    let said = DENIALS.iter().find_map(|words| Some(text.find(words)? + words.len()));
    said.map_or_else(|| without_repeated(text), |said| format!("{}{HIDDEN}", &text[..said]))
}

/// Takes out what follows an introduction: a text in quotes, or else all up to the next colon and space.
fn without_repeated(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(end) = INTRODUCTIONS.iter().filter_map(|words| Some(rest.find(words)? + words.len())).min() {
        let (before, after) = rest.split_at(end);
        kept.extend([before, HIDDEN]);
        rest = &after[repeated(after)..];
    }
    kept + rest
}

/// How long the value is that a text begins with.
fn repeated(text: &str) -> usize {
    let Some(inside) = text.strip_prefix('"') else { return text.find(": ").unwrap_or(text.len()) };
    let mut escaped = false;
    let closing = inside.char_indices().find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    closing.map_or(text.len(), |(at, _)| at + 2)
}

/// The bytes behind base64 of either alphabet, padded or not.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        DIGITS.iter().position(|digit| {
            *digit
                == if byte == b'-' {
                    b'+'
                } else if byte == b'_' {
                    b'/'
                } else {
                    byte
                }
        })
    };
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        bits = (bits << 6 | u32::try_from(digit(byte)?).ok()?) & 0xFFF_FFFF;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

fn encode(bytes: &[u8]) -> String {
    let digit = |three: u32, at: u32| char::from(DIGITS[(three >> (18 - 6 * at) & 0x3F) as usize]);
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let three = (0..3).fold(0_u32, |three, at| three << 8 | u32::from(chunk.get(at).copied().unwrap_or_default()));
        let digits = u32::try_from(chunk.len()).unwrap_or_default() + 1;
        text.extend((0..4).map(|at| if at < digits { digit(three, at) } else { '=' }));
    }
    text
}

#[cfg(test)]
mod tests;
