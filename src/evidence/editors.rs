//! Who edited what last, as admission saw it: names for the reconciler, which itself sees only field managers.
//!
//! A few of the latest, in memory. Whoever is not among them is not named by it, and nothing depends on that.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::record::{Kind, Record};
use crate::core::object::ObjectKey;

/// Edits remembered.
const KEPT: usize = 256;

/// The latest edits that passed.
#[derive(Debug, Default)]
pub(super) struct Editors(Mutex<VecDeque<(ObjectKey, Timestamp, String)>>);

// === impl Editors ===

impl Editors {
    /// Remembers who made an edit that passed.
    pub(super) fn note(&self, record: &Record) {
        let passed = matches!(record.kind, Kind::Edited | Kind::Warned | Kind::Marked | Kind::WouldDeny);
        let user = record.by.as_ref().and_then(|by| by.user.clone()).filter(|_| passed);
        let Some((key, user)) = record.object.clone().zip(user) else { return };
        // A panic elsewhere leaves a whole list behind.
        let mut edits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        edits.retain(|(known, ..)| *known != key);
        edits.push_back((key, record.time, user));
        if edits.len() > KEPT {
            edits.pop_front();
        }
    }

    /// Who edited this object last, if it was after `since`.
    pub(super) fn last(&self, key: &ObjectKey, since: Timestamp) -> Option<String> {
        let edits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        edits.iter().find(|(known, at, _)| known == key && *at > since).map(|(.., user)| user.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::record::Actor;
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::of(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})).expect("a key")
    }

    fn edit(kind: Kind, name: &str, user: &str, second: i64) -> Record {
        let time = Timestamp::from_second(second).expect("a time");
        let by = Some(Actor { user: Some(user.to_owned()), ..Actor::default() });
        Record { object: Some(key(name)), by, ..Record::new(kind, time) }
    }

    #[test]
    fn the_last_who_passed_is_named_while_it_is_recent() {
        let editors = Editors::default();
        editors.note(&edit(Kind::Edited, "a", "alice", 10));
        editors.note(&edit(Kind::Warned, "a", "bob", 20));
        editors.note(&edit(Kind::Denied, "a", "mallory", 30));
        let last = |name, since| editors.last(&key(name), Timestamp::from_second(since).expect("a time"));
        assert_eq!(last("a", 19).as_deref(), Some("bob"));
        assert_eq!((last("a", 20), last("b", 0)), (None, None));
        (0..KEPT).for_each(|other| editors.note(&edit(Kind::Edited, &format!("other-{other}"), "carol", 40)));
        assert_eq!(last("a", 0), None, "it grows no further");
    }
}
