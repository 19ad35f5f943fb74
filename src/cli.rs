//! The command line: what was typed, and nothing about what it means.
//!
//! One subcommand is one file. `run` hands over to [`crate::app`]; the others print or write something and end.

mod access;
mod break_glass;
mod certs;
mod diff;
mod explain;
mod history;
mod pause;
mod prune;
mod render;
mod rollback;
mod run;
mod sync;
mod target;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, builder::styling};
use clap_complete::Shell;

use crate::deploy::{self, Installation, Part};

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
\x1b[1;32mExamples:\x1b[0m
  Install into the current cluster:
    holdfast render --image IMAGE | kubectl apply --server-side -f -

  Run outside of a cluster, against the one kubectl uses:
    holdfast render --only namespace,crds,rbac | kubectl apply --server-side -f -
    holdfast run

  See what is managed, what differs from Git, and why:
    kubectl get gitsyncs --all-namespaces
    holdfast diff
    holdfast explain deployment/api -n shop
    kubectl explain gitsync.spec";

/// Keeps a Kubernetes cluster equal to Git: refuses manual edits at admission, heals what slipped through.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, styles = STYLES, after_help = EXAMPLES, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the webhook and the reconciler
    Run(Box<run::Arguments>),
    /// Show what differs between Git and the cluster
    Diff(Box<diff::Arguments>),
    /// Show why an object is, or is not, what Git says
    Explain(Box<explain::Arguments>),
    /// Ask for a sync now, and follow it
    Sync(Box<sync::Arguments>),
    /// Pause a GitSync for a while
    Pause(Box<pause::Pause>),
    /// Go back to an older commit for a while
    Rollback(Box<rollback::Arguments>),
    /// End a pause or a rollback
    Resume(Box<pause::Resume>),
    /// List what became of the last commits
    History(Box<history::Arguments>),
    /// List what is open for emergency edits
    BreakGlass(break_glass::Arguments),
    /// List what left Git and is still there, or confirm that it may be deleted
    Prune(Box<prune::Arguments>),
    /// Print the definitions of Holdfast's kinds (CRDs)
    Crds,
    /// Print everything a cluster needs, as YAML
    Render(render::Arguments),
    /// Write certificates for development
    Certs(certs::Arguments),
    /// Print completions for a shell
    #[command(after_help = "Example: holdfast completions bash > ~/.local/share/bash-completion/completions/holdfast")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

// === impl Cli ===

impl Cli {
    /// Does what was asked for.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Diff(arguments) => return Ok(arguments.execute()),
            Command::BreakGlass(arguments) => return Ok(arguments.execute()),
            Command::Sync(arguments) => return Ok(arguments.execute()),
            Command::Pause(arguments) => return Ok(arguments.execute()),
            Command::Rollback(arguments) => return Ok(arguments.execute()),
            Command::Resume(arguments) => return Ok(arguments.execute()),
            Command::History(arguments) => return Ok(arguments.execute()),
            Command::Prune(arguments) => return Ok(arguments.execute()),
            Command::Explain(arguments) => arguments.execute(),
            Command::Run(arguments) => arguments.execute(),
            Command::Crds => print(&deploy::render(&Installation::default(), &[Part::Crds])?),
            Command::Render(arguments) => print(&arguments.yaml()?),
            Command::Certs(arguments) => arguments.execute(),
            Command::Completions { shell } => print(&completions(shell)),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "holdfast", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// A reader that has seen enough (`| head`) is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
