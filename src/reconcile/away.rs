//! Kinds that are away: the API server is there, but cannot serve them, because an aggregated API behind it or the conversion
//! webhook of a CRD does not answer.
//!
//! One such kind stops no sync. What of it was declared before stays declared, none of it is written, and none counts as gone or
//! as having left Git, because nobody can look. Everything else of the commit is applied, healed and pruned as usual, and the
//! commit is tried again, ever more seldom, until the kind is back. That holds with `Validate`, too: what cannot be tried out is
//! not known to be invalid, and a server that is away for days must not keep out the commit that mends something else. What
//! turns out to be invalid when it is back leaves the commit refused then, which is why it is not synced before.
//!
//! If no kind at all can be listed, it is the API server that is in trouble, and nothing is begun.

use std::collections::{BTreeMap, BTreeSet};

use super::keeper::Keeper;
use crate::cluster::Error;
use crate::core::object::ObjectKey;

/// Reason of the failure when all that failed is that a kind is away.
pub(super) const AWAY: &str = "KindUnavailable";

/// The kinds a pass found to be away.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// By group and kind: what the API server said.
    said: BTreeMap<(String, String), String>,
    /// Those that could not be listed, as statuses list them.
    unlisted: BTreeSet<String>,
}

// === impl Away ===

impl Away {
    /// The kind could not be listed.
    pub(super) fn unlisted(&mut self, api_version: &str, kind: &str, error: &Error) {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        self.said.insert((group.to_owned(), kind.to_owned()), error.to_string());
        self.unlisted.insert(format!("{api_version}/{kind}"));
    }

    /// An object of the kind could not be read, or tried out.
    pub(super) fn unread(&mut self, key: &ObjectKey, why: String) {
        self.said.entry((key.group.clone(), key.kind.clone())).or_insert(why);
    }

    /// Is the object of a kind that is away?
    pub(super) fn keeps(&self, key: &ObjectKey) -> bool {
        self.said.keys().any(|(group, kind)| (group, kind) == (&key.group, &key.kind))
    }

    /// Is none away?
    pub(super) fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// Those that could not be listed: objects that left Git are to be looked for among them later.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.unlisted.iter()
    }

    /// Which are away, and what the API server said.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        self.said.iter().map(|((group, kind), why)| {
            let dot = if group.is_empty() { "" } else { "." };
            format!("what is of kind {kind}{dot}{group} waits until that is served again: {why}")
        })
    }
}

// === impl Keeper ===

impl Keeper {
    /// Is nothing in the way of everything else?
    pub(super) fn is_unhindered(&self) -> bool {
        self.failure.as_ref().is_none_or(|failure| failure.reason == AWAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Cause;

    fn key(group: &str, kind: &str) -> ObjectKey {
        ObjectKey { group: group.to_owned(), kind: kind.to_owned(), namespace: None, name: "x".to_owned() }
    }

    #[test]
    fn a_kind_is_away_in_all_its_versions_and_no_other_is() {
        let mut away = Away::default();
        assert!(away.is_empty());
        let cause = Cause::Away("service unavailable".to_owned());
        away.unlisted("example.com/v1", "Gadget", &Error { doing: "list gadgets".to_owned(), cause });
        away.unread(&key("", "Node"), "failed to read Node x: gone".to_owned());
        away.unread(&key("example.com", "Gadget"), "less telling".to_owned());
        assert!(away.keeps(&key("example.com", "Gadget")) && away.keeps(&key("", "Node")));
        assert!(!away.keeps(&key("", "Gadget")) && !away.keeps(&key("example.com", "Widget")));
        assert_eq!(away.names().collect::<Vec<_>>(), ["example.com/v1/Gadget"]);
        let words: Vec<_> = away.words().collect();
        assert!(words[0].contains("kind Node waits"), "{words:?}");
        let said =
            "kind Gadget.example.com waits until that is served again: failed to list gadgets: service unavailable";
        assert!(words[1].contains(said), "{words:?}");
    }
}
