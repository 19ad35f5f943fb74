//! Who edited what last, as admission saw it: names for the reconciler, which itself sees only field managers.
//!
//! A few of the latest, in memory. Whoever is not among them is not named by it, and nothing depends on that.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::record::{Kind, Record};
use crate::core::object::ObjectKey;

/// Edits remembered.
const KEPT: usize = 256;

/// The latest edits that passed.
#[derive(Debug, Default)]
pub(super) struct Editors(Mutex<VecDeque<(ObjectKey, String)>>);

// === impl Editors ===

impl Editors {
    /// Remembers who made an edit that passed.
    pub(super) fn note(&self, record: &Record) {
        let passed = matches!(record.kind, Kind::Edited | Kind::Warned | Kind::Marked | Kind::WouldDeny);
        let user = record.by.as_ref().and_then(|by| by.user.clone()).filter(|_| passed);
        let Some((key, user)) = record.object.clone().zip(user) else { return };
        // A panic elsewhere leaves a whole list behind.
        let mut edits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        edits.retain(|(known, _)| *known != key);
        edits.push_back((key, user));
        if edits.len() > KEPT {
            edits.pop_front();
        }
    }

    /// Who edited this object last.
    pub(super) fn last(&self, key: &ObjectKey) -> Option<String> {
        let edits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        edits.iter().find(|(known, _)| known == key).map(|(_, user)| user.clone())
    }
}
