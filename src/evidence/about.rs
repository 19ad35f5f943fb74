//! Records about managed objects: what both edges say of an object in the same words.

use jiff::Timestamp;
use serde_json::Value;

use super::record::{Field, Kind, Record};
use crate::core::compare::Deviation;
use crate::core::mask::{Shown, show};
use crate::core::object::ObjectKey;
use crate::core::snapshot::Managed;

// === impl Record ===

impl Record {
    /// An event about this object and these of its places; `managed` is what Git declares for it, if it does, or another tool. The
    /// line is that of the first place Git says something about, or else the object's.
    pub fn about(
        kind: Kind,
        key: &ObjectKey,
        managed: Option<&Managed>,
        deviations: &[Deviation],
        time: Timestamp,
    ) -> Self {
        let tool = managed.and_then(|managed| managed.sync.tool.as_deref());
        let managed = managed.filter(|_| tool.is_none());
        let line = managed.and_then(|_| deviations.iter().find_map(|deviation| deviation.line));
        Self {
            guard: tool.map(|tool| tool.guard.to_string()),
            sync: managed.map(|managed| managed.sync.name.clone()),
            object: Some(key.clone()),
            fields: show(key, deviations).into_iter().map(Field::from).collect(),
            revision: managed.map(|managed| managed.sync.revision.clone()),
            file: managed.map(|managed| managed.manifest.origin.file.to_string()),
            line: line.or(managed.map(|managed| managed.manifest.origin.lines.line)),
            ..Self::new(kind, time)
        }
    }
}

// === impl Field ===

impl From<Shown> for Field {
    /// Shown values are JSON unless they were masked or cut, and then they are text.
    fn from(Shown { path, kind, git, live, line: _ }: Shown) -> Self {
        let value = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { path, git: git.map(value), live: live.map(value), why: Some(format!("{kind:?}").to_lowercase()) }
    }
}
