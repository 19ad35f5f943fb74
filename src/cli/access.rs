//! What `diff` and `explain` share: which cluster, as kubectl would choose it, and how the terminal is treated.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use kube::Config;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Serialize;

use crate::cluster::{Cluster, clock};
use crate::evidence::Metrics;

/// Which cluster, and how to print.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// Kubeconfig to use [default: as kubectl: KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    kubeconfig: Option<PathBuf>,
    /// Context in it
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    context: Option<String>,
    /// Folder for clones of repositories [default: the user's cache folder]
    #[arg(long, value_name = "DIR", env = "HOLDFAST_CACHE_DIR", help_heading = "Cluster")]
    cache_dir: Option<PathBuf>,
    /// Print for programs instead of people
    #[arg(long, short, value_name = "FORMAT", value_enum, help_heading = "Output")]
    pub(super) output: Option<Format>,
    /// When to use colour; auto is on a terminal only, and never with `NO_COLOR` set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = "Output")]
    color: Color,
}

/// For programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One JSON document
    Json,
    /// The same as YAML
    Yaml,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Also in a pipe
    Always,
    /// Not at all
    Never,
}

// === impl Access ===

impl Access {
    /// The cluster a kubeconfig and a context lead to, for those with output formats of their own.
    pub(super) fn to(kubeconfig: Option<PathBuf>, context: Option<String>) -> Self {
        Self { kubeconfig, context, cache_dir: None, output: None, color: Color::Auto }
    }

    /// Connects; also says which namespace the context is about.
    pub(super) async fn cluster(&self) -> anyhow::Result<(Cluster, String)> {
        let config = self.config().await?;
        let (namespace, url) = (config.default_namespace.clone(), config.cluster_url.clone());
        let client = ClientBuilder::try_from(config).context("failed to make a client from the kubeconfig")?;
        // Nobody scrapes a command; the cluster counts its requests regardless.
        let (metrics, _) = Metrics::new();
        let cluster = Cluster::connect(clock::listening(client), metrics).await;
        Ok((cluster.with_context(|| format!("failed to look into the cluster at {url}"))?, namespace))
    }

    async fn config(&self) -> anyhow::Result<Config> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let file = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path)
                .with_context(|| format!("failed to read the kubeconfig {}; check --kubeconfig", path.display()))?,
            None if self.context.is_some() => Kubeconfig::read().context("failed to read the kubeconfig")?,
            None => return Config::infer().await.map_err(|error| anyhow!("failed to find a cluster: {error}")),
        };
        let config = Config::from_custom_kubeconfig(file, &options).await;
        config.context("failed to use the kubeconfig; `kubectl config get-contexts` lists its contexts")
    }

    /// Where clones of repositories are kept.
    pub(super) fn cache(&self) -> PathBuf {
        self.cache_dir.clone().unwrap_or_else(user_cache)
    }

    /// Prints to standard output, in colour or not. A reader that has seen enough (`| head`) is not an error.
    pub(super) fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut stdout = AutoStream::new(io::stdout(), self.color.into());
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Says what whoever reads the answer should know besides.
    pub(super) fn notes(&self, notes: &[String]) {
        for note in notes {
            self.say(&format!("\x1b[33mnote:\x1b[0m {note}"));
        }
    }

    /// Says something besides, on standard error.
    pub(super) fn say(&self, text: &str) {
        // There is nobody left to tell that standard error is gone.
        let _ = writeln!(AutoStream::new(io::stderr(), self.color.into()), "{text}");
    }
}

// === impl Format ===

impl Format {
    pub(super) fn write(self, value: &impl Serialize) -> anyhow::Result<String> {
        // By way of a plain value, so that both formats say the same.
        let value = serde_json::to_value(value)?;
        Ok(match self {
            Self::Json => format!("{value:#}\n"),
            Self::Yaml => serde_saphyr::to_string(&value)?,
        })
    }
}

// === impl Color ===

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// Shows what is being done on one line that overwrites itself, where a person may be looking.
pub(super) fn progress(text: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[2K{text}").and_then(|()| stderr.flush());
    }
}

/// As the XDG base directories say; the system's temporary folder if there is no home.
pub(super) fn user_cache() -> PathBuf {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    caches.unwrap_or_else(env::temp_dir).join("holdfast")
}

/// Runs a question to its end.
pub(super) fn block_on<T>(question: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = runtime.context("failed to start the runtime")?.block_on(question);
    progress("");
    answer
}
