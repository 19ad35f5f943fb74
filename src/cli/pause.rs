//! `holdfast pause` and `holdfast resume`: a pause of a GitSync with a reason and an end, written as whoever calls. A rollback is a
//! pause with content, so resuming ends it, too.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::access::block_on;
use super::target::{Found, Target};
use crate::api::{Suspend, duration};
use crate::cluster::clock;

const PAUSE: &str = "\
While a GitSync is paused nothing is written, healed or pruned, and manual edits of its objects
are marked instead of refused. It takes the verbs patch and suspend on the GitSync; who paused
it is stamped and recorded. It goes on by itself at the end.

Exit code: 0 it is paused, 2 it is not.

Examples:
  For two hours:
    holdfast pause shop --reason \"INC-4211: failover\" --for 2h

  Until a moment:
    holdfast pause holdfast-system/shop --reason CHG-7 --until 2026-12-01T10:00:00Z";

const RESUME: &str = "\
What was edited meanwhile is undone, and what came into Git meanwhile is written.

Exit code: 0 it is neither paused nor rolled back (any more), 2 that could not be brought about.

Examples:
  holdfast resume shop";

/// What to pause, why, and for how long.
#[derive(Debug, Args)]
#[command(after_help = PAUSE)]
pub(super) struct Pause {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    why: Why,
}

/// Why something is not as Git says for a while, and when that is over.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Why, for whoever finds it later: a ticket and a few words
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    #[command(flatten)]
    end: End,
}

/// Exactly one of these: nothing is paused for ever.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct End {
    /// For how long, such as 30m, 2h or 1h30m
    #[arg(long = "for", value_name = "DURATION", value_parser = span)]
    span: Option<Duration>,
    /// Until when, such as 2026-12-01T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
}

/// What is to go on.
#[derive(Debug, Args)]
#[command(after_help = RESUME)]
pub(super) struct Resume {
    #[command(flatten)]
    target: Target,
}

// === impl Pause ===

impl Pause {
    pub(super) fn execute(self) -> ExitCode {
        finish(block_on(self.pause()))
    }

    async fn pause(&self) -> anyhow::Result<()> {
        let found = self.target.find().await?;
        let suspend = self.why.suspend(clock::now())?;
        found.merge(&json!({"spec": {"suspend": suspend}})).await?;
        let (name, Suspend { reason, until, .. }) = (&found.name, &suspend);
        self.target.access().print(&format!(
            "{name} is paused until {until}: {reason}\n\
             Until then nothing is written, and edits of its objects are marked, not refused; then Git wins again.\n\
             Its condition Suspended and `kubectl get gitsyncs -o wide` show that to everybody, with your name.\n\
             Sooner: holdfast resume {name}\n"
        ))
    }
}

// === impl Why ===

impl Why {
    /// Why.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// When it ends.
    pub(super) fn until(&self, now: Timestamp) -> anyhow::Result<Timestamp> {
        self.end.after(now)
    }

    /// The pause as it is written.
    pub(super) fn suspend(&self, now: Timestamp) -> anyhow::Result<Suspend> {
        let until = self.end.after(now)?;
        Ok(Suspend { reason: self.reason.clone(), until: until.to_string() })
    }
}

// === impl End ===

impl End {
    fn after(&self, now: Timestamp) -> anyhow::Result<Timestamp> {
        let until = match (self.until, self.span) {
            (Some(until), _) => until,
            (None, span) => {
                let span = SignedDuration::try_from(span.context("clap asks for one of both")?);
                let end = span.ok().and_then(|span| now.checked_add(span).ok());
                // Nobody reads fractions of a second.
                Timestamp::from_second(end.context("that is too long; write an end people live to see")?.as_second())?
            }
        };
        ensure!(until > now, "{until} is over already; write an end that is to come");
        Ok(until)
    }
}

// === impl Resume ===

impl Resume {
    pub(super) fn execute(self) -> ExitCode {
        finish(block_on(self.resume()))
    }

    async fn resume(&self) -> anyhow::Result<()> {
        let found = self.target.find().await?;
        let (Found { name, sync, .. }, access) = (&found, self.target.access());
        let (pause, rollback) = (&sync.spec.suspend, &sync.spec.rollback);
        if pause.is_none() && rollback.is_none() {
            return access.print(&format!("{name} is neither paused nor rolled back\n"));
        }
        found.merge(&json!({"spec": {"suspend": Value::Null, "rollback": Value::Null}})).await?;
        let ended = |was: &str, until: &str, reason: &str| {
            let is_over = until.parse::<Timestamp>().is_ok_and(|until| until <= clock::now());
            if is_over {
                format!("{name} was not {was} any more, since {until}; what was left of that in its spec is gone\n")
            } else {
                format!("{name} goes on, and was to be {was} until {until}: {reason}\n")
            }
        };
        let pause = pause.as_ref().map(|pause| ended("paused", &pause.until, &pause.reason));
        let rollback = rollback.as_ref().map(|rollback| ended("rolled back", &rollback.until, &rollback.reason));
        access.print(&pause.into_iter().chain(rollback).collect::<String>())
    }
}

/// Errors end with 2, as those of the other commands.
pub(super) fn finish(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("holdfast: {error:#}");
            ExitCode::from(2)
        }
    }
}

// === readers ===

fn reason(text: &str) -> Result<String, String> {
    let reason = text.trim();
    if reason.is_empty() {
        return Err("say why, for whoever finds it later: a ticket and a few words".to_owned());
    }
    Ok(reason.to_owned())
}

pub(super) fn span(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(Duration::ZERO) => Err("that is no time at all; write a duration such as 30m, 2h or 1h30m".to_owned()),
        read => read.map_err(|_| "write a duration such as 30m, 2h or 1h30m".to_owned()),
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "write an RFC 3339 time such as 2026-12-01T10:00:00Z".to_owned())
}
