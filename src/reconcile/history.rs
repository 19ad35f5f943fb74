//! What became of the last commits, for `status.history`. It is bounded: a status is no archive, and records are.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::keeper::Keeper;
use crate::api::{CommitOutcome, HistoryEntry};
use crate::cluster::clock;
use crate::git::{self, Commit};

/// Entries kept.
const KEPT: usize = 10;
/// Characters of what anybody may write at any length.
const LONGEST: usize = 256;

/// The last commits, the newest first.
#[derive(Debug, Default)]
pub struct History {
    entries: Vec<HistoryEntry>,
    /// The commit that was read last, and the name of who wrote it.
    author: Option<(String, String)>,
}

// === impl History ===

impl History {
    /// The entries, the newest first.
    pub(super) fn entries(&self) -> Vec<HistoryEntry> {
        self.entries.clone()
    }

    /// What the leader has written down is as good as if this replica had.
    pub(super) fn follow(&mut self, entries: &[HistoryEntry]) {
        self.entries = entries.to_vec();
    }

    /// This commit is read now.
    pub(super) fn reads(&mut self, commit: &Commit) {
        // The address is no business of whoever may look at a status.
        let name = commit.author.split(" <").next().unwrap_or_default();
        self.author = Some((commit.sha.clone(), shortened(name)));
    }

    /// This became of a commit. The same again, while it is tried again, is no news.
    pub(super) fn add(&mut self, revision: &str, outcome: CommitOutcome, message: Option<&str>, now: Timestamp) {
        let message = message.map(shortened);
        if let Some(newest) = self.entries.first_mut()
            && newest.revision == revision
            && newest.outcome == outcome
        {
            newest.message = message;
            return;
        }
        let author = self.author.as_ref().filter(|(sha, name)| sha == revision && !name.is_empty());
        let author = author.map(|(_, name)| name.clone());
        let entry = HistoryEntry { revision: revision.to_owned(), at: Time(now), outcome, author, message };
        self.entries.insert(0, entry);
        self.entries.truncate(KEPT);
    }
}

// === impl Keeper ===

impl Keeper {
    /// Git could not be read. A commit that nobody who may has signed is refused, as one that is invalid is.
    pub(super) fn fail_to_look(&mut self, error: &git::Error) {
        let message = error.full();
        if let Some(refused) = error.unverified() {
            self.context.metrics.unverified.inc();
            if self.leads() {
                self.history.add(refused, CommitOutcome::Refused, Some(&message), clock::now());
            }
        }
        self.fail(error.condition(), message);
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn commit(sha: &str, author: &str) -> Commit {
        Commit { sha: sha.to_owned(), author: author.to_owned(), time: at(0), subject: String::new() }
    }

    #[test]
    fn the_newest_is_first_and_there_are_ten_at_most() {
        let mut history = History::default();
        for number in 0..25 {
            let sha = format!("{number:040}");
            history.reads(&commit(&sha, "Ada Lovelace <ada@example.com>"));
            history.add(&sha, CommitOutcome::Synced, None, at(number));
        }
        let entries = history.entries();
        assert_eq!(entries.len(), 10);
        assert_eq!((&*entries[0].revision, entries[0].at.0), (&*format!("{:040}", 24), at(24)));
        assert_eq!(entries[9].author.as_deref(), Some("Ada Lovelace"));
    }

    #[test]
    fn a_refusal_that_repeats_is_one_entry_with_the_latest_words() {
        let mut history = History::default();
        history.reads(&commit("b", ""));
        history.add("b", CommitOutcome::Refused, Some("first"), at(1));
        history.add("b", CommitOutcome::Refused, Some(&"x".repeat(9000)), at(2));
        history.add("b", CommitOutcome::Synced, None, at(3));
        let entries = history.entries();
        assert_eq!(entries.iter().map(|entry| entry.at.0).collect::<Vec<_>>(), [at(3), at(1)]);
        assert_eq!(entries[1].message.as_ref().map(|message| message.chars().count()), Some(LONGEST + 1));
        assert_eq!(entries[0].author, None);
    }

    #[test]
    fn nobody_is_named_for_a_commit_that_was_not_read_last() {
        let mut history = History::default();
        history.reads(&commit("b", "Ada <ada@example.com>"));
        history.add("a", CommitOutcome::Synced, None, at(1));
        assert_eq!(history.entries()[0].author, None);
    }
}
