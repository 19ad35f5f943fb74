//! `holdfast rollback`: pins an older commit of a GitSync with a reason and an end, written as whoever calls.

use std::process::ExitCode;

use crate::cluster::clock;
use clap::Args;
use serde_json::json;

use super::access::block_on;
use super::pause::{Why, finish};
use super::target::Target;
use crate::api::meaning::{TELLING, is_commit_id};
use crate::api::{CommitOutcome, GitSyncStatus, Rollback};

const NOTES: &str = "\
The cluster is made equal to that commit and kept so: edits are judged by it, drift from it is
healed, and newer commits wait. At the end the newest one is rolled out by itself. It takes the
verbs patch and suspend on the GitSync; who rolled back is stamped and recorded.

The commit must be in the history of what the GitSync follows, or `holdfast history` must list it
as synced. Whether it is, Holdfast finds out: the conditions Ready and RolledBack say so.

Exit code: 0 it is asked for, 2 it is not.

Examples:
  Back to the commit before, for two hours:
    holdfast history shop
    holdfast rollback shop 7987395d0c1f --reason \"INC-4211: 1.15 loses orders\" --for 2h

  To a release, until a moment:
    holdfast rollback shop v1.14.2 --reason CHG-7 --until 2026-12-01T10:00:00Z

  Sooner than that:
    holdfast resume shop";

/// What to roll back, to what, why, and for how long.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Commit id, 7 digits of it or more, or a tag
    #[arg(value_name = "REVISION")]
    revision: String,
    #[command(flatten)]
    why: Why,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn execute(self) -> ExitCode {
        finish(block_on(self.roll_back()))
    }

    async fn roll_back(&self) -> anyhow::Result<()> {
        let found = self.target.find().await?;
        let until = self.why.until(clock::now())?;
        let revision = whole(&self.revision, found.sync.status.as_ref());
        let (name, reason) = (&found.name, self.why.reason().to_owned());
        let rollback = Rollback { revision, reason, until: until.to_string() };
        found.merge(&json!({"spec": {"rollback": rollback}})).await?;
        let Rollback { revision, reason, until } = &rollback;
        self.target.access().print(&format!(
            "{name} is rolled back to {revision} until {until}: {reason}\n\
             Until then it is kept equal to that commit, and newer ones wait; then the newest is rolled out.\n\
             Its conditions RolledBack and Ready show that to everybody, with your name, and whether there is such a commit.\n\
             Sooner: holdfast resume {name}\n"
        ))
    }
}

/// The whole id of a commit that is listed as synced, where the digits mean only one; else what was typed. So nobody has to
/// search the history of the repository for what `holdfast history` has just shown.
fn whole(typed: &str, status: Option<&GitSyncStatus>) -> String {
    let digits = typed.to_ascii_lowercase();
    let is_meant = is_commit_id(typed) && typed.len() >= TELLING;
    let entries =
        status.iter().flat_map(|status| &status.history).filter(|entry| entry.outcome != CommitOutcome::Refused);
    let mut meant = entries.map(|entry| &entry.revision).filter(|known| is_meant && known.starts_with(&digits));
    match meant.next() {
        Some(first) if meant.all(|other| other == first) => first.clone(),
        _ => typed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(entries: &[(&str, &str)]) -> GitSyncStatus {
        let entry = |(revision, outcome): &(&str, &str)| json!({"revision": revision, "outcome": outcome, "at": "2026-11-22T10:00:00Z"});
        let history: Vec<_> = entries.iter().map(entry).collect();
        serde_json::from_value(json!({"history": history})).expect("a status")
    }

    #[test]
    fn digits_of_what_was_synced_are_enough() {
        let [one, two, bad] = ["1234567a00", "1234567b00", "abcdefa000"];
        let status = status(&[(bad, "Refused"), (two, "Synced"), (one, "RolledBack"), (two, "Synced")]);
        for (typed, meant) in [
            ("1234567A", one),
            ("1234567b", two),
            ("1234567", "1234567"),
            ("12345", "12345"),
            ("abcdefa", "abcdefa"),
            ("v1.2", "v1.2"),
            ("fffffff", "fffffff"),
        ] {
            assert_eq!(whole(typed, Some(&status)), meant, "{typed}");
            assert_eq!(whole(typed, None), typed);
        }
    }
}
