//! `holdfast diff`: what differs between Git and the cluster, with an exit code that CI can go by.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::access::{Access, block_on, progress};
use super::target as one;
use crate::inspect::{Comparing, Outcome, Report, Target, Wanted, unified};

const NOTES: &str = "\
Judges every object by the rules the reconciler heals by; nothing is written, and Holdfast
need not be running. `-` is what Git says, `+` is what the cluster has. What rules exclude
is no difference; -o json lists it with the rule. Values of Secrets are never shown.

Exit code: 0 in sync, 1 drift, 2 when something could not be judged.

Examples:
  Everything Holdfast manages in this cluster:
    holdfast diff

  One GitSync:
    holdfast diff shop
    holdfast diff holdfast-system/shop

  What a commit that is not deployed would change, before merging it:
    holdfast diff shop --revision refs/heads/feature

  What the files in front of you would change, committed or not:
    holdfast diff shop --path ./apps/shop

  For programs:
    holdfast diff -o json | jq '.objects[] | select(.drift)'";

/// What to compare.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// GitSync to judge, as NAME or NAMESPACE/NAME [default: all of them]
    #[arg(value_name = "GITSYNC")]
    sync: Option<String>,
    /// Namespace of the GitSync [default: all of them]
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Judge another commit of the GitSync's repository: a branch, a tag or a commit id
    #[arg(long, value_name = "REVISION", conflicts_with = "path")]
    revision: Option<String>,
    /// Judge a folder of this machine in the place of the GitSync's folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    path: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
}

// === impl Arguments ===

impl Arguments {
    /// The question about one GitSync.
    pub(super) fn of(target: one::Target, revision: Option<String>) -> Self {
        let access = target.access();
        Self { sync: Some(target.sync), namespace: target.namespace, revision, path: None, access }
    }

    /// Errors end with 2 as well: 1 says "drift", and nothing else.
    pub(super) fn execute(self) -> ExitCode {
        block_on(self.compare()).and_then(|report| self.show(&report)).unwrap_or_else(|error| {
            eprintln!("holdfast: {error:#}");
            ExitCode::from(2)
        })
    }

    async fn compare(&self) -> anyhow::Result<Report> {
        let (cluster, _) = self.access.cluster().await?;
        let wanted = Wanted::typed(self.sync.as_deref(), self.namespace.as_deref());
        let cache = self.access.cache();
        let comparing = Comparing { cluster: &cluster, wanted, target: self.target(), cache, progress: &progress };
        Ok(comparing.compare().await?)
    }

    fn target(&self) -> Target {
        match (&self.revision, &self.path) {
            (Some(revision), _) => Target::Revision(revision.clone()),
            (None, Some(folder)) => Target::Folder(folder.clone()),
            (None, None) => Target::Followed,
        }
    }

    fn show(&self, report: &Report) -> anyhow::Result<ExitCode> {
        let text = match self.access.output {
            Some(format) => format.write(report)?,
            None => report.objects.iter().map(unified).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n"),
        };
        self.access.print(&text)?;
        self.access.notes(&report.notes);
        for problem in &report.problems {
            self.access.say(&format!("\x1b[1;31merror:\x1b[0m {problem}"));
        }
        self.access.say(&summary(report));
        Ok(ExitCode::from(match report.outcome() {
            Outcome::InSync => 0,
            Outcome::Drift => 1,
            Outcome::Incomplete => 2,
        }))
    }
}

fn summary(report: &Report) -> String {
    let count = |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
    let (judged, drifted) = (report.judged, report.drifted());
    let of = count(report.syncs.len(), "GitSync");
    let mut text = match drifted {
        0 => format!("no difference in {} of {of}", count(judged, "object")),
        1 => format!("1 object differs from Git; {judged} declared by {of}"),
        _ => format!("{drifted} objects differ from Git; {judged} declared by {of}"),
    };
    if report.excluded() > 0 {
        let _ = write!(text, "; {} excluded by rules", count(report.excluded(), "difference"));
    }
    if !report.problems.is_empty() {
        let _ = write!(text, "; {} could not be judged", count(report.problems.len(), "thing"));
    }
    text
}
