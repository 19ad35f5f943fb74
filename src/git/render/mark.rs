//! Labels and annotations: what a manifest may say there, and what we add.
//!
//! Values must be text. The API server refuses anything else with a message that names neither file nor line, and
//! `enabled: yes` under annotations is one of the most common mistakes there is.

use serde_json::{Map, Value};

use super::Complaint;
use crate::core::manifest::Lines;
use crate::core::names::{self, FORCE_CONFLICTS, IGNORE, MANAGED_LABEL, PREFIX, PRUNE, REPLACE, TRACKING_ID, WAVE};
use crate::core::object::ObjectKey;
use crate::core::options;

/// The annotations of ours that Git may write: options of the one object.
const OPTIONS: [&str; 5] = [WAVE, IGNORE, PRUNE, REPLACE, FORCE_CONFLICTS];

/// Everything wrong with labels and annotations.
pub(super) fn check(value: &Value, lines: &Lines) -> Vec<Complaint> {
    ["labels", "annotations"].into_iter().flat_map(|field| check_field(value, lines, field)).collect()
}

/// Marks the object as managed, by this sync. Expects [`check`] to have found nothing.
pub(super) fn apply(value: &mut Value, sync: &str, key: &ObjectKey) {
    set(value, "labels", MANAGED_LABEL, "true".to_owned());
    set(value, "annotations", TRACKING_ID, names::tracking_id(sync, key));
}

fn check_field(value: &Value, lines: &Lines, field: &'static str) -> Vec<Complaint> {
    match value.get("metadata").and_then(|metadata| metadata.get(field)) {
        None => Vec::new(),
        Some(Value::Object(entries)) => {
            entries.iter().filter_map(|(name, entry)| check_entry(value, field, name, entry, lines)).collect()
        }
        Some(_) => vec![Complaint::at(lines, &["metadata", field], format!("metadata.{field} is not a mapping"))],
    }
}

fn check_entry(whole: &Value, field: &'static str, name: &str, value: &Value, lines: &Lines) -> Option<Complaint> {
    let complain = |reason| Some(Complaint::at(lines, &["metadata", field, name], reason));
    if name.starts_with(PREFIX) && !(field == "annotations" && OPTIONS.contains(&name)) {
        return complain(format!("{name} is written by Holdfast only; remove it from metadata.{field}"));
    }
    if !value.is_string() {
        return complain(format!("the value of {name} in metadata.{field} is not text; quote it"));
    }
    let text = value.as_str().filter(|_| field == "annotations")?;
    complain(options::fault(whole, name, text)?)
}

fn set(value: &mut Value, field: &str, name: &str, text: String) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let entries = metadata.entry(field).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(entries) = entries {
        entries.insert(name.to_owned(), text.into());
    }
}
