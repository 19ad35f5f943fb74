//! `holdfast sync`: asks the running Holdfast for a look at Git now, and shows what becomes of it.
//!
//! The request is an annotation on the GitSync, the answer its status: whoever may patch the one and read the other may do this,
//! from anywhere.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::access::{Access, block_on};
use super::diff;
use super::pause::span;
use super::target::{Found, Target};
use crate::api::GitSyncStatus;
use crate::api::duration::display;
use crate::cluster::watch::follow;
use crate::core::names::{SYNC_NOW, SYNC_REQUESTED};
use crate::inspect::{Answer, answer, changes};

const NOTES: &str = "\
Git is asked at once, everything is judged anew, and what differs is written. With --revision
also in a window that is closed, if all that close it permit that (manualSync); Git still says
which commit is the newest. It takes the verb patch on the GitSync.

Exit code: 0 the cluster equals the newest commit; 1 it failed, or waits for a window, a wave, an
emergency edit or the end of a pause or rollback; 2 nobody answered, or it could not be asked for.

Examples:
  Now, not at the next interval:
    holdfast sync shop

  In a hurry, in a closed window:
    holdfast sync shop --revision 7987395d0c1f

  What would it do?
    holdfast sync shop --dry-run";

/// What to sync.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Only show what differs from Git, as `holdfast diff` does
    #[arg(long)]
    dry_run: bool,
    /// The commit meant, also in a closed window: its id, or the first 7 digits and more
    #[arg(long, value_name = "REVISION", value_parser = revision)]
    revision: Option<String>,
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = span)]
    timeout: Duration,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn execute(self) -> ExitCode {
        if self.dry_run {
            let Self { target, revision, .. } = self;
            return diff::Arguments::of(target, revision).execute();
        }
        block_on(self.sync()).unwrap_or_else(|error| {
            eprintln!("holdfast: {error:#}");
            ExitCode::from(2)
        })
    }

    async fn sync(&self) -> anyhow::Result<ExitCode> {
        let (found, access) = (self.target.find().await?, self.target.access());
        let request = Timestamp::now().to_string();
        let mut annotations = json!({SYNC_REQUESTED: request});
        if let Some(revision) = &self.revision {
            annotations[SYNC_NOW] = revision.clone().into();
        }
        let deadline = Instant::now() + self.timeout;
        found.merge(&json!({"metadata": {"annotations": annotations}})).await?;
        access.say(&format!("asked for a sync of {}", found.name));
        match self.follow(&found, &request, deadline, &access).await? {
            Answer::Synced(message) => {
                access.print(&format!("{message}\n"))?;
                Ok(ExitCode::SUCCESS)
            }
            Answer::Waiting(why) | Answer::Failed(why) => {
                access.say(&format!("\x1b[1;31mnot synced:\x1b[0m {why}"));
                Ok(ExitCode::from(1))
            }
            Answer::Unheard => bail!(
                "no Holdfast answered within {}; does one run, and lead? `kubectl -n holdfast-system get pods,leases`",
                display(self.timeout)
            ),
        }
    }

    /// Tells what happens, until there is an answer or no time left.
    async fn follow(&self, found: &Found, request: &str, end: Instant, access: &Access) -> anyhow::Result<Answer> {
        let Found { cluster, sync, name } = found;
        let kind = cluster.kind("holdfast.dev/v1alpha1", "GitSync").await?.context("Holdfast is not installed here")?;
        let (namespace, short) = name.split_once('/').context("a GitSync has a namespace")?;
        let mut states = follow(cluster, &kind, Some(namespace), short);
        let mut before = sync.status.clone().unwrap_or_default();
        loop {
            let Ok(state) = timeout_at(end, states.next()).await else {
                return Ok(answer(&before, request, self.revision.as_deref()));
            };
            let Some(object) = state.context("the watch ended")? else { bail!("{name} was deleted meanwhile") };
            let status = object.get("status").cloned().unwrap_or_else(|| json!({}));
            let status: GitSyncStatus = serde_json::from_value(status).context("its status makes no sense")?;
            for change in changes(&before, &status) {
                access.say(&change);
            }
            match answer(&status, request, self.revision.as_deref()) {
                Answer::Waiting(_) | Answer::Unheard => before = status,
                answer => return Ok(answer),
            }
        }
    }
}

fn revision(text: &str) -> Result<String, String> {
    let is_hash = (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase()).ok_or_else(|| "write 7 digits of a commit id or more".to_owned())
}
