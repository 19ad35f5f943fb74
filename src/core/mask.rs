//! Secrets never leave the module unmasked, and masking happens on output only.
//!
//! Values are compared as they are (a masked object could be neither compared nor dry-run); what a person gets to see of a
//! Secret is whether two values are equal, never what they are.

use serde_json::Value;

use super::compare::{Deviation, Kind};
use super::object::ObjectKey;
use super::path::Path;

/// One deviation as people may see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Shown {
    /// The readable path.
    pub path: String,
    /// In which way it deviates.
    pub kind: Kind,
    /// Git's value as JSON, cut to a readable length, masked in Secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// The cluster's, or the one an edit asked for; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// Line in Git.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// Longest value shown, in characters: with its label and its place in Git it fits two lines of a terminal.
const LONGEST: usize = 100;

/// A deviation of this object, fit to be shown, logged or recorded.
pub fn show(object: &ObjectKey, deviation: &Deviation) -> Shown {
    let Deviation { path, kind, git, live, line } = deviation;
    let secret = is_secret(object, path);
    let text = |value: &Option<Value>, name: &str| {
        value.as_ref().map(|value| if secret { format!("<hidden {name}>") } else { shorten(&value.to_string()) })
    };
    Shown { path: path.to_string(), kind: *kind, git: text(git, "Git's"), live: text(live, "other"), line: *line }
}

/// Does this path of this object hold, or contain, secret values? All content of a Secret does, and so do its annotations: a
/// client-side apply copies the whole object into one of them.
fn is_secret(object: &ObjectKey, path: &Path) -> bool {
    let open = path.starts_with_fields(&["metadata", "labels"]) || path.starts_with_fields(&["type"]);
    object.kind == "Secret" && object.group.is_empty() && !open && !super::judge::is_mark(path)
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
