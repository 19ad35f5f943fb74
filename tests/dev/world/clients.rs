//! The two ways to talk to the API server: kubectl, as people do, and a client, as programs do.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What a command came to.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained of; denials and warnings are here.
    pub stderr: String,
}

impl Output {
    /// What it printed, if it succeeded; its complaint as the error, if not.
    pub fn success(self) -> Result<String> {
        ensure!(self.status.success(), "{}", self.stderr.trim());
        Ok(self.stdout)
    }

    /// What it complained of, if it failed; an error, if it did not.
    pub fn refusal(self) -> Result<String> {
        ensure!(!self.status.success(), "expected a refusal, but it went through: {}", self.stdout.trim());
        Ok(self.stderr)
    }
}

/// Runs a command to its end, with `input` on its standard input.
pub async fn run(command: &mut Command, input: &str) -> Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child =
        command.spawn().with_context(|| format!("failed to start {}", command.as_std().get_program().display()))?;
    let mut stdin = child.stdin.take().context("standard input was asked to be a pipe")?;
    let feed = async move {
        // A command may end without reading all of it, and its own words about that are better than "broken pipe".
        let _ = stdin.write_all(input.as_bytes()).await;
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    let output = output.context("failed to read a command's output")?;
    Ok(Output {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// kubectl with a kubeconfig, untouched by the settings and caches of whoever runs this: worlds come back on ports that
/// other worlds had, and a cached discovery of another cluster would be wrong.
pub fn kubectl(program: &Path, kubeconfig: &Path) -> Command {
    let mut command = Command::new(program);
    let cache = kubeconfig.with_file_name("kubectl-cache");
    command.env("KUBECONFIG", kubeconfig).env("KUBECACHEDIR", cache).env("KUBERC", "off").env("NO_PROXY", "127.0.0.1");
    command
}

/// A client with a kubeconfig. Made anew for each caller, because it lives on the runtime it was made on.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    // Fails only when one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("failed to read a kubeconfig")?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("failed to make a client")
}

/// Whether the API server says it is ready.
pub async fn is_ready(client: &Client) -> Result<()> {
    let request = axum::http::Request::get("/readyz").body(Vec::new()).context("a request without a body is valid")?;
    client.request_text(request).await.context("the API server is not ready")?;
    Ok(())
}
