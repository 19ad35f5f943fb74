//! `holdfast run`: reads the settings, starts the runtime, hands over.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::access::user_cache;
use crate::{
    app,
    config::{Config, Settings},
    shutdown::{DRAIN, Shutdown},
    telemetry::{self, Traces},
};

const NOTES: &str = "\
Every setting can be given on the command line, in the environment, or in the file
named by --config, whose keys are the long flags without dashes before them. The
command line wins over the environment, the environment over the file.

Evidence (one JSON line per denial, drift, heal and emergency) goes to standard
output, the log to standard error. The first SIGINT or SIGTERM finishes what was
begun, the second stops at once.

Examples:
  Against the cluster kubectl uses, with the API server on the same machine:
    holdfast run

  In a cluster, behind a Service:
    holdfast run --webhook-listen 0.0.0.0:9443 \\
                 --webhook-service holdfast-system/holdfast

  With a file:
    echo 'webhook-failure-policy: Fail' > holdfast.yaml
    holdfast run --config holdfast.yaml";

/// How to run.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// File with further settings, as YAML
    #[arg(long, value_name = "FILE", env = "HOLDFAST_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let mut config = self.config()?;
        let traces = config.collector.as_ref().map(Traces::to).transpose();
        let traces =
            traces.context("failed to prepare the export of traces; check --otlp-endpoint and the OTEL_ variables")?;
        telemetry::start(config.log.format, std::mem::take(&mut config.log.filter), traces.as_ref())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let ended = runtime.context("failed to start the runtime")?.block_on(run(config));
        if let Some(traces) = traces {
            traces.close();
        }
        ended
    }

    fn config(self) -> anyhow::Result<Config> {
        let Self { config, settings } = self;
        let file = match &config {
            Some(path) => Some((path.as_path(), Settings::from_file(path)?)),
            None => None,
        };
        Ok(Config::read(settings.over(file), user_cache())?)
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals(DRAIN).context("failed to listen for signals")?;
    Box::pin(app::run(config, shutdown)).await
}
