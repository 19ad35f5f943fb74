//! `holdfast break-glass`: what is open for emergency edits.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cluster::clock;
use clap::{Args, Subcommand, ValueEnum};

use super::access::{Access, Format, block_on};
use crate::inspect::{OpenGlass, glasses_table, open_glasses};

const NOTES: &str = "\
Exit code: 0 none is open, 1 some are, 2 it could not be found out.

What guards of the DriftPolicy protect for other tools is listed, too. That takes the right to read the policy
and to list what they select; what may not be looked at is said.

Examples:
  Who holds what open, and for how long?
    holdfast break-glass list -o wide

  In one namespace, for programs:
    holdfast break-glass list -n shop -o json | jq '.[].by'

  To open one, to prolong it, and to close it:
    kubectl annotate -n shop deploy/api holdfast.dev/break-glass=\"INC-4211: failover\"
    kubectl annotate -n shop deploy/api holdfast.dev/break-glass-for=2h --overwrite
    kubectl annotate -n shop deploy/api holdfast.dev/break-glass-";

/// What to do.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the break-glasses that are open
    List(List),
}

/// Which, and how.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
struct List {
    /// Only on objects of this namespace [default: everywhere]
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Kubeconfig to use [default: as kubectl: KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context in it
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// How to print
    #[arg(long, short, value_name = "FORMAT", value_enum)]
    output: Option<Output>,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// With the time it ends and the GitSync
    Wide,
    /// One JSON document
    Json,
    /// The same as YAML
    Yaml,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn execute(self) -> ExitCode {
        let Action::List(list) = self.action;
        list.execute().unwrap_or_else(|error| {
            eprintln!("holdfast: {error:#}");
            ExitCode::from(2)
        })
    }
}

// === impl List ===

impl List {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let Self { namespace, kubeconfig, context, output } = self;
        let access = Access::to(kubeconfig, context);
        let (glasses, unseen) = block_on(async {
            let (cluster, _) = access.cluster().await?;
            Ok(open_glasses(&cluster, namespace.as_deref(), clock::now()).await?)
        })?;
        access.print(&text(&glasses, output)?)?;
        unseen.iter().for_each(|unseen| access.say(unseen));
        if glasses.is_empty() && !unseen.is_empty() {
            return Ok(ExitCode::from(2));
        }
        if glasses.is_empty() && !matches!(output, Some(Output::Json | Output::Yaml)) {
            access.say("no break-glass is open");
        }
        Ok(ExitCode::from(u8::from(!glasses.is_empty())))
    }
}

fn text(glasses: &[OpenGlass], output: Option<Output>) -> anyhow::Result<String> {
    match output {
        Some(Output::Json) => Format::Json.write(&glasses),
        Some(Output::Yaml) => Format::Yaml.write(&glasses),
        _ if glasses.is_empty() => Ok(String::new()),
        output => Ok(glasses_table(glasses, output == Some(Output::Wide))),
    }
}
