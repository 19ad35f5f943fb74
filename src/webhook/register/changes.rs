//! What somebody did to a registered configuration.
//!
//! It is compared with what the API server answered to our own write, not with what we sent: that answer has every default in
//! it, also those of fields that this build has never heard of. Labels and annotations of others are nobody's business here.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::core::names::FIELD_MANAGER;

/// One place that is not as it was registered. An absent value is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Path inside the configuration; an entry is named by its name.
    pub path: String,
    /// As registered.
    pub registered: Option<Value>,
    /// As found.
    pub found: Option<Value>,
}

/// Values longer than this (certificates, expressions) are told by their digest.
const LONG: usize = 120;

/// Every place where `found` is not what was `registered`; `None` is a configuration that is gone.
pub fn changes(registered: &Value, found: Option<&Value>) -> Vec<Change> {
    let Some(found) = found else { return vec![Change { path: String::new(), registered: None, found: None }] };
    let mut changes = Vec::new();
    let labels = |object: &Value| object.pointer("/metadata/labels").and_then(Value::as_object).cloned();
    let (ours, theirs) = (labels(registered).unwrap_or_default(), labels(found).unwrap_or_default());
    for (label, value) in &ours {
        leaf(&format!(".metadata.labels[{label}]"), Some(value), theirs.get(label), &mut changes);
    }
    descend(".webhooks", Some(&entries(registered).into()), Some(&entries(found).into()), &mut changes);
    changes
}

/// The tool that last wrote what is found and is not ourselves, as far as ownership tells. Taking something out leaves no trace
/// of whoever did it, and neither does deleting.
pub fn manager(registered: &Value, found: &Value) -> Option<String> {
    let owners = |object: &Value| object.pointer("/metadata/managedFields").and_then(Value::as_array).cloned();
    let (known, now) = (owners(registered).unwrap_or_default(), owners(found)?);
    let news = now.into_iter().filter(|owner| !known.contains(owner) && owner["manager"] != FIELD_MANAGER);
    let newest = news.max_by_key(|owner| owner["time"].as_str().map(str::to_owned))?;
    newest["manager"].as_str().map(str::to_owned)
}

/// The entries by name: their order is the API server's business.
fn entries(configuration: &Value) -> Map<String, Value> {
    let entries = configuration["webhooks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = entries.iter().map(|entry| (entry["name"].as_str().unwrap_or_default().to_owned(), entry.clone()));
    named.collect()
}

fn descend(path: &str, registered: Option<&Value>, found: Option<&Value>, changes: &mut Vec<Change>) {
    let (Some(Value::Object(ours)), Some(Value::Object(theirs))) = (registered, found) else {
        return leaf(path, registered, found, changes);
    };
    let names = ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name)));
    for name in names {
        let step = if path == ".webhooks" { format!("[name={name}]") } else { format!(".{name}") };
        descend(&format!("{path}{step}"), ours.get(name), theirs.get(name), changes);
    }
}

fn leaf(path: &str, registered: Option<&Value>, found: Option<&Value>, changes: &mut Vec<Change>) {
    if registered != found {
        let told = |value: Option<&Value>| value.map(told);
        changes.push(Change { path: path.to_owned(), registered: told(registered), found: told(found) });
    }
}

fn told(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= LONG {
        return value.clone();
    }
    let digest = Sha256::digest(text.as_bytes());
    let digest = digest.iter().take(8).fold(0_u64, |digest, byte| digest << 8 | u64::from(*byte));
    format!("{} bytes, sha256:{digest:016x}…", text.len()).into()
}
