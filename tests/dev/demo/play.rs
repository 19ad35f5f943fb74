//! What a scene can do: let somebody type a command, look at the cluster, look at the records.
//!
//! A command is shown exactly as a shell gets it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::stage::Stage;
use crate::world::{HOLDFAST_NAMESPACE, Person, SAMPLE, World, wait_until};

/// Longer than anything here takes, shorter than a reader's patience.
pub const SOON: Duration = Duration::from_secs(15);

/// Somebody at a shell.
#[derive(Clone, Copy, Debug)]
pub struct Somebody {
    name: &'static str,
    person: Person,
}

/// A developer; may edit everything in her namespaces.
pub const ALICE: Somebody = Somebody { name: "alice", person: Person::Alice };
/// May break glass besides.
pub const ONCALL: Somebody = Somebody { name: "oncall", person: Person::Oncall };
/// A cluster administrator.
pub const ADMIN: Somebody = Somebody { name: "admin", person: Person::Administrator };
/// Works in the clone of the repository.
pub const DANA: Somebody = Somebody { name: "dana", person: Person::Alice };

/// The world, and where the story is told.
#[derive(Debug)]
pub struct Play {
    pub world: World,
    pub stage: Stage,
}

// === impl Play ===

impl Play {
    pub fn new(world: World, stage: Stage) -> Self {
        Self { world, stage }
    }

    /// Types a command that must succeed; its output is shown and returned.
    pub async fn types(&self, who: Somebody, command: &str) -> Result<String> {
        let (done, text) = self.run(who, command).await?;
        self.stage.output(&text, !done, usize::MAX)?;
        ensure!(done, "`{command}` failed");
        Ok(text)
    }

    /// Types a command that Holdfast must refuse; the first lines of the message are shown, all of it is returned.
    pub async fn is_refused(&self, who: Somebody, command: &str, shown: usize) -> Result<String> {
        let (done, text) = self.run(who, command).await?;
        self.stage.output(&text, !done, shown)?;
        ensure!(!done, "`{command}` was meant to be refused, and went through");
        ensure!(text.contains(r#".holdfast.dev" denied the request"#), "`{command}` failed for another reason");
        Ok(text)
    }

    async fn run(&self, who: Somebody, command: &str) -> Result<(bool, String)> {
        self.stage.prompt(who.name, command)?;
        let output = self.shell(who.person, command)?.output().await.context("failed to start sh")?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
    }

    /// A shell in the working clone, whose kubectl is this person's.
    fn shell(&self, person: Person, line: &str) -> Result<Command> {
        let kubectl = self.world.command(person);
        let kubectl = kubectl.as_std();
        let programs = std::path::Path::new(kubectl.get_program()).parent().context("kubectl lies in a folder")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path));
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.worktree()?).kill_on_drop(true);
        shell.envs(kubectl.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.env("PATH", std::env::join_paths(path)?).env("TMPDIR", self.worktree()?.join(".git"));
        shell.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        Ok(shell)
    }

    /// The clone dana works in.
    pub fn worktree(&self) -> Result<std::path::PathBuf> {
        let variables = self.world.environment()?;
        let found = variables.into_iter().find(|(name, _)| *name == "GIT_WORKTREE");
        Ok(found.context("the environment names GIT_WORKTREE")?.1.into())
    }

    /// An object of the shop as it is now; `kind/name`.
    pub async fn object(&self, object: &str) -> Result<Value> {
        let get = ["get", object, "--namespace", SAMPLE, "--output", "json"];
        Ok(serde_json::from_str(&self.world.kubectl(Person::Administrator, &get).await?.success()?)?)
    }

    /// The status of the shop's `GitSync`.
    pub async fn status(&self) -> Result<Value> {
        let get = ["get", "gitsync", SAMPLE, "--namespace", HOLDFAST_NAMESPACE, "--output", "jsonpath={.status}"];
        Ok(serde_json::from_str(&self.world.kubectl(Person::Administrator, &get).await?.success()?)?)
    }

    /// Waits until the sync has a status that `holds`.
    pub async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<()> {
        wait_until(what, SOON, || async {
            let status = self.status().await?;
            ensure!(holds(&status), "its status is {status}");
            Ok(())
        })
        .await
    }

    /// Records of a kind about an object of the shop, oldest first, once there are `least`.
    pub async fn records(&self, kind: &str, name: &str, least: usize) -> Result<Vec<Value>> {
        wait_until(&format!("{least} records of kind {kind} about {name}"), SOON, || async {
            let found = self.records_now(kind, name)?;
            ensure!(found.len() >= least, "there are {}", found.len());
            Ok(found)
        })
        .await
    }

    /// The same, as they are now.
    pub fn records_now(&self, kind: &str, name: &str) -> Result<Vec<Value>> {
        let mut records = self.world.records()?;
        records.retain(|record| record["kind"] == kind && record["object"]["name"] == name);
        Ok(records)
    }
}
