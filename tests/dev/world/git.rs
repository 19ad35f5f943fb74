//! The repository Holdfast follows: bare, served over HTTP, and a working clone to commit from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use super::clients::run;
use super::layout::Layout;
use super::ports;
use super::server::{self, Start};

/// The name under which the server is recorded and logged.
pub const GIT_SERVER: &str = "git-server";

const REPOSITORY: &str = "infra-manifests.git";

/// What hosts of repositories allow, and a plain repository does not.
const SERVED: [(&str, &str); 3] =
    [("http.receivepack", "true"), ("uploadpack.allowFilter", "true"), ("uploadpack.allowAnySHA1InWant", "true")];

/// The clone works the same whatever the user's own configuration says.
const OURS: [(&str, &str); 5] = [
    ("user.name", "Dana Developer"),
    ("user.email", "dana@example.com"),
    ("commit.gpgsign", "false"),
    ("core.hooksPath", ""),
    ("http.proxy", ""),
];

/// The Git side of one world.
#[derive(Clone, Debug)]
pub struct Git {
    layout: Layout,
    dev: PathBuf,
}

impl Git {
    /// `dev` is the program whose `git-server` command serves the repository.
    pub fn new(layout: &Layout, dev: PathBuf) -> Self {
        Self { layout: layout.clone(), dev }
    }

    /// The repository's address.
    pub fn url(&self) -> Result<String> {
        Ok(format!("http://127.0.0.1:{}/{REPOSITORY}", ports::port(&self.layout, GIT_SERVER)?))
    }

    /// Starts the server unless it runs.
    pub async fn start(&self) -> Result<Start> {
        let command = |[port]: [u16; 1]| {
            let mut command = std::process::Command::new(&self.dev);
            command.args(["git-server", "--port", &port.to_string(), "--root"]).arg(self.layout.git_root());
            Ok(command)
        };
        server::start(&self.layout, GIT_SERVER, [GIT_SERVER], command, server::answers).await
    }

    /// Makes the repository and its clone unless they exist; the first commit is what `content` holds.
    pub async fn prepare(&self, content: &Path) -> Result<()> {
        let bare = self.layout.git_root().join(REPOSITORY);
        std::fs::create_dir_all(&bare).context("failed to make the repository's folder")?;
        git(&bare, &["init", "--quiet", "--bare", "--initial-branch=main"]).await?;
        configure(&bare, &SERVED).await?;
        if !self.layout.worktree().exists() {
            self.first_commit(content).await?;
        }
        let worktree = self.layout.worktree();
        configure(&worktree, &[("remote.origin.url", &self.url()?)]).await?;
        if git(&worktree, &["ls-remote", "--heads", "origin", "main"]).await?.is_empty() {
            git(&worktree, &["push", "--quiet", "--set-upstream", "origin", "main"]).await?;
        }
        Ok(())
    }

    /// Lets `edit` change files of the clone, commits whatever it changed, pushes, and answers with the commit's full id.
    pub async fn commit(&self, message: &str, edit: impl FnOnce(&Path) -> Result<()>) -> Result<String> {
        let worktree = self.layout.worktree();
        edit(&worktree)?;
        git(&worktree, &["add", "--all"]).await?;
        git(&worktree, &["commit", "--quiet", "--allow-empty", "--message", message]).await?;
        git(&worktree, &["push", "--quiet", "origin", "HEAD:main"]).await?;
        Ok(git(&worktree, &["rev-parse", "HEAD"]).await?.trim().to_owned())
    }

    /// Built beside and moved into place, so that a clone which exists is a whole one.
    async fn first_commit(&self, content: &Path) -> Result<()> {
        let unfinished = self.layout.root().join("worktree.new");
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).context("failed to remove a half-made clone")?;
        }
        copy(content, &unfinished)?;
        git(&unfinished, &["init", "--quiet", "--initial-branch=main"]).await?;
        configure(&unfinished, &OURS).await?;
        git(&unfinished, &["remote", "add", "origin", &self.url()?]).await?;
        git(&unfinished, &["add", "--all"]).await?;
        git(&unfinished, &["commit", "--quiet", "--message", "The shop, as it runs in production"]).await?;
        std::fs::rename(&unfinished, self.layout.worktree()).context("failed to move the clone into place")
    }
}

async fn configure(repository: &Path, settings: &[(&str, &str)]) -> Result<()> {
    for (key, value) in settings {
        git(repository, &["config", key, value]).await?;
    }
    Ok(())
}

/// Runs git in a folder, deaf to the user's and the system's configuration.
async fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    for inherited in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        // Set when this runs from a hook, and they would beat `-C`.
        command.env_remove(inherited);
    }
    run(&mut command, "").await?.success().with_context(|| format!("git {} failed", arguments.join(" ")))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("failed to create {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("failed to read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| format!("failed to write {}", target.display()))?;
        }
    }
    Ok(())
}
