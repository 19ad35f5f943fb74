//! `holdfast prune`: what left Git and is still there, and saying that it may go.
//!
//! Nothing is deleted here. A confirmation is an annotation on the `GitSync`, written as whoever calls this: admission asks for their
//! right and records it, and the running Holdfast deletes, by its own rules.

use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;
use serde_json::json;

use super::access::{Access, block_on, progress};
use super::target::merge;
use crate::core::compare::Kind;
use crate::core::names::CONFIRM_PRUNE;
use crate::core::object::ObjectKey;
use crate::inspect::{Comparing, Report, Target, Wanted};

const NOTES: &str = "\
Lists what carries the GitSync's marks and is not in Git any more; what is kept says why.
More than half of a GitSync's objects are deleted only when somebody confirms exactly the
commit that left them out, which takes the verbs patch and loosen on the GitSync.

Exit code: 0 nothing left Git, or it is confirmed; 1 something did; 2 it could not be found out.

Examples:
  What would be deleted?
    holdfast prune holdfast-system/shop

  It is meant to be:
    holdfast prune shop --confirm 7987395d0c1f";

/// Which GitSync, and whether it may.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// GitSync, as NAME or NAMESPACE/NAME
    #[arg(value_name = "GITSYNC")]
    sync: String,
    /// Namespace of the GitSync [default: all of them]
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Say that all of it may be deleted at this commit: its id, or the first 7 digits and more
    #[arg(long, value_name = "REVISION")]
    confirm: Option<String>,
    #[command(flatten)]
    access: Access,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn execute(self) -> ExitCode {
        block_on(self.list()).unwrap_or_else(|error| {
            eprintln!("holdfast: {error:#}");
            ExitCode::from(2)
        })
    }

    async fn list(&self) -> anyhow::Result<ExitCode> {
        let (cluster, _) = self.access.cluster().await?;
        let wanted = Wanted::typed(Some(&self.sync), self.namespace.as_deref());
        let cache = self.access.cache();
        let comparing = Comparing { cluster: &cluster, wanted, target: Target::Followed, cache, progress: &progress };
        let report = comparing.compare().await?;
        let left = self.show(&report)?;
        match &self.confirm {
            Some(revision) => {
                let [sync] = &*report.syncs else { anyhow::bail!("name one GitSync: {}", report.syncs.join(", ")) };
                confirm(&cluster, sync, revision).await?;
                self.access.say(&format!("confirmed: what {sync} does not declare at {revision} may be deleted"));
                Ok(ExitCode::SUCCESS)
            }
            None => Ok(ExitCode::from(u8::from(left > 0))),
        }
    }

    /// Prints what left Git; answers with how much would be deleted.
    fn show(&self, report: &Report) -> anyhow::Result<usize> {
        let unwanted = report.objects.iter().filter_map(|found| {
            let difference = found.deviations.iter().find(|difference| difference.kind == Kind::Unwanted)?;
            Some((&found.object, difference.excluded.as_ref()))
        });
        let unwanted: Vec<_> = unwanted.collect();
        let line = |(object, kept): &(&ObjectKey, Option<&String>)| match kept {
            Some(why) => format!("{object}  stays: {why}\n"),
            None => format!("{object}\n"),
        };
        self.access.print(&unwanted.iter().map(line).collect::<String>())?;
        self.access.notes(&report.notes);
        let goes = unwanted.iter().filter(|(_, kept)| kept.is_none()).count();
        self.access.say(&format!("{goes} object(s) left Git and would be deleted; {} stay", unwanted.len() - goes));
        Ok(goes)
    }
}

async fn confirm(cluster: &crate::cluster::Cluster, sync: &str, revision: &str) -> anyhow::Result<()> {
    let is_hash = revision.len() >= 7 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_hash, "{revision:?} is no commit id; write its first 7 digits or more");
    let patch = json!({"metadata": {"annotations": {CONFIRM_PRUNE: revision.to_ascii_lowercase()}}});
    merge(cluster, sync, &patch).await
}
