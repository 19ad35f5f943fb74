//! `holdfast history`: what became of the last commits, as the GitSync's status has it.

use std::process::ExitCode;

use clap::Args;

use super::access::{Format, block_on};
use super::pause::finish;
use super::target::Target;
use crate::inspect::history_table;

const NOTES: &str = "\
The last ten commits that were made real, rolled back to, or refused before anything of them was
written; the newest first. Records keep more, and more of each.

Examples:
  holdfast history shop
  holdfast history shop -o json | jq -r '.[0].revision'";

/// Which GitSync, and how to print.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print for programs instead of people
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    output: Option<Format>,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn execute(self) -> ExitCode {
        finish(block_on(self.show()))
    }

    async fn show(&self) -> anyhow::Result<()> {
        let found = self.target.find().await?;
        let entries = found.sync.status.map(|status| status.history).unwrap_or_default();
        let access = self.target.access();
        match self.output {
            Some(format) => return access.print(&format.write(&entries)?),
            None if entries.is_empty() => {
                access.say(&format!("nothing has become of any commit of {} yet", found.name));
            }
            None => access.print(&history_table(&entries))?,
        }
        Ok(())
    }
}
