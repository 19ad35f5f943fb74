//! Processes that outlive the program that starts them, and are found again by the next one.
//!
//! A process is remembered by its id **and** the moment it started: the kernel hands ids out again, and `down` must
//! never end somebody else's process. One file for each, written right after the start, is all the state there is.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::layout::{Layout, write_atomically};
use super::wait::wait_until;

const PATIENCE_AT_START: Duration = Duration::from_secs(90);
const PATIENCE_AFTER_TERM: Duration = Duration::from_secs(10);
const PATIENCE_AFTER_KILL: Duration = Duration::from_secs(5);

/// One long-running process of a world, running or not.
#[derive(Clone, Debug)]
pub struct Process {
    name: &'static str,
    record: PathBuf,
    log: PathBuf,
    output: PathBuf,
}

impl Process {
    /// The process called `name` in this world.
    pub fn new(layout: &Layout, name: &'static str) -> Self {
        let log = layout.logs().join(format!("{name}.log"));
        // Holdfast's standard output is its evidence, and is kept apart from what it says about itself.
        let is_holdfast = name == super::HOLDFAST || super::REPLICAS.contains(&name);
        let output = if is_holdfast { layout.records_of(name) } else { log.clone() };
        Self { name, record: layout.run().join(name), log, output }
    }

    /// The id of the process, if it is the one that was started and is still alive.
    pub fn running(&self) -> Option<Pid> {
        let record = std::fs::read_to_string(&self.record).ok()?;
        let (id, started) = record.split_once(' ')?;
        let pid = Pid::from_raw(id.parse().ok()?);
        (start_of(pid)? == started).then_some(pid)
    }

    /// Starts it in a process group of its own, so that Ctrl-C in the terminal of `up` does not reach it.
    pub fn spawn(&self, command: &mut Command) -> Result<()> {
        let log = append_to(&self.log)?;
        let output = append_to(&self.output)?;
        // Everything here is on loopback; a proxy set in the environment has no business in between.
        command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(log).process_group(0).spawn();
        let child = child.with_context(|| format!("failed to start {}", self.name))?;
        let pid = Pid::from_raw(i32::try_from(child.id()).context("a process id beyond any kernel's")?);
        let started = start_of(pid).unwrap_or_default();
        write_atomically(&self.record, format!("{pid} {started}"))
    }

    /// Waits until `probe` succeeds; a process that ends meanwhile is an error at once, with the end of its log.
    pub async fn ready<Probe>(&self, mut probe: impl FnMut() -> Probe) -> Result<()>
    where
        Probe: Future<Output = Result<()>>,
    {
        wait_until(&format!("{} is ready", self.name), PATIENCE_AT_START, || {
            let alive = self.running().is_some();
            let probe = probe();
            async move { if alive { probe.await.map(Ok) } else { Ok(Err(self.obituary())) } }
        })
        .await
        .map_err(|waited| waited.context(self.obituary()))?
    }

    /// Sends it a signal, if it runs.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.running().map_or(Ok(()), |pid| signal_group(pid, signal))
    }

    /// Asks it to end, then makes it. Fine when it does not run.
    pub async fn stop(&self) -> Result<()> {
        for (signal, patience) in [(Signal::SIGTERM, PATIENCE_AFTER_TERM), (Signal::SIGKILL, PATIENCE_AFTER_KILL)] {
            if let Some(pid) = self.running() {
                signal_group(pid, signal)?;
                let _ = wait_until("it has ended", patience, || async {
                    self.running().map_or(Ok(()), |_| Err(anyhow!("it has not")))
                })
                .await;
            }
        }
        anyhow::ensure!(self.running().is_none(), "{} survived SIGKILL", self.name);
        match std::fs::remove_file(&self.record) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("failed to forget a process")
            }
            _ => Ok(()),
        }
    }

    fn obituary(&self) -> anyhow::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(12)..].join("\n    ");
        let state = if self.running().is_some() { "is not ready" } else { "has ended" };
        anyhow!("{} {state}; the end of {}:\n    {tail}", self.name, self.log.display())
    }
}

fn append_to(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path);
    file.with_context(|| format!("failed to open {}", path.display()))
}

/// The group: what the process itself started goes with it. A process that ends in between is no error.
fn signal_group(leader: Pid, signal: Signal) -> Result<()> {
    match kill(Pid::from_raw(-leader.as_raw()), signal) {
        Err(error) if error != nix::errno::Errno::ESRCH => Err(error).context("failed to signal a process"),
        _ => Ok(()),
    }
}

/// When the process started, in whatever words this system has for it; `None` when it does not live.
fn start_of(pid: Pid) -> Option<String> {
    // If it was our own child and has ended, this lets the kernel forget it.
    let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
    if !Path::new("/proc/self/stat").exists() {
        return start_according_to_ps(pid);
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything; what follows is plain.
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    let (state, started) = (fields.first()?, fields.get(19)?);
    (*state != "Z").then(|| (*started).to_owned())
}

fn start_according_to_ps(pid: Pid) -> Option<String> {
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    let (state, started) = line.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> (tempfile::TempDir, Process) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let layout = Layout::create(folder.path()).expect("a fresh folder can be laid out");
        let process = Process::new(&layout, "sleeper");
        (folder, process)
    }

    #[tokio::test]
    async fn what_was_started_is_found_and_ended() {
        let (_folder, process) = process();
        assert_eq!(process.running(), None);
        process.spawn(Command::new("sleep").arg("600")).expect("sleep can be started");
        assert!(process.running().is_some());
        process.stop().await.expect("sleep ends when asked");
        assert_eq!(process.running(), None);
        process.stop().await.expect("ending it twice is fine");
    }

    #[tokio::test]
    async fn a_process_that_took_over_the_id_is_left_alone() {
        let (_folder, process) = process();
        let mut stranger = Command::new("sleep").arg("600").spawn().expect("sleep can be started");
        std::fs::write(&process.record, format!("{} 1", stranger.id())).expect("the record can be written");
        process.stop().await.expect("there is nothing to end");
        assert!(stranger.try_wait().expect("it can be asked after").is_none(), "the stranger was ended");
        stranger.kill().expect("our own child can be ended");
        stranger.wait().expect("our own child can be waited for");
    }

    #[tokio::test]
    async fn a_death_before_readiness_is_told_with_the_log() {
        let (_folder, process) = process();
        process.spawn(Command::new("sh").args(["-c", "echo the disk is full; exit 1"])).expect("sh starts");
        let error = process.ready(|| async { Err(anyhow!("not yet")) }).await.expect_err("it has ended");
        assert!(format!("{error:#}").contains("the disk is full"), "{error:#}");
    }
}
