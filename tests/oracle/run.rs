//! A test for each kind: edits one object of it until enough edits were accepted, and tells what does not hold.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::exceptions;
use crate::specimen::{self, Specimen};
use crate::stage::{Stage, folder, play};
use crate::subject::{Made, Outcome, Subject};
use crate::versions;

/// Disagreements about one kind that are looked into; more of them say no more.
const ENOUGH: usize = 5;
/// Of so many attempts one has to be accepted, or the test is hollow.
const ATTEMPTS: usize = 8;

/// What was tried, and what came of it.
#[derive(Debug, Default)]
struct Tally {
    made: usize,
    refused: usize,
    nothing: usize,
    excused: usize,
}

/// The tests.
pub fn trials() -> Vec<Trial> {
    let names = specimen::names().expect("the kinds are part of the package");
    let each = from_env("ORACLE_EDITS", 3000).div_ceil(names.len());
    let trial = |name: String| Trial::test(name.clone(), move || play(|| agrees(name, each)));
    let kinds = names.into_iter().map(trial);
    kinds.chain(versions::trials()).chain(exceptions::trials()).collect()
}

fn from_env(name: &str, default: usize) -> usize {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("it is a number"))
}

async fn agrees(name: String, wanted: usize) -> Result<()> {
    let stage = Stage::shared().await?;
    let specimen = Specimen::read(&name, &stage.kinds)?;
    let mut subject = stage.subject(&specimen).await?;
    edits(&mut subject, &name, wanted).await
}

/// So many edits of the object, after each of which the laws hold.
pub async fn edits(subject: &mut Subject<'_>, name: &str, wanted: usize) -> Result<()> {
    let seed = from_env("ORACLE_SEED", 2026);
    let mut chance = Chance::new(seed as u64, name);
    let (mut tally, mut reports) = (Tally::default(), Vec::new());
    while tally.made < wanted && tally.attempts() < ATTEMPTS * wanted && reports.len() < ENOUGH {
        let outcome = subject.try_any(&mut chance).await?;
        tally.count(&outcome);
        match outcome {
            Outcome::Made(made) if !made.broken.is_empty() => {
                let alone = if made.edit.changes.len() > 1 { subject.alone(&made.edit).await? } else { Vec::new() };
                let file = folder().join("reports").join(format!("{name}-{}.json", reports.len() + 1));
                reports.push(told(alone.first().unwrap_or(&made), &file)?);
                subject.anew().await?;
            }
            Outcome::Made(made) if made.healed.is_none() => subject.anew().await?,
            Outcome::Made(_) if chance.percent(60) => subject.tidy().await?,
            Outcome::Refused | Outcome::Nothing => subject.look().await?,
            Outcome::Made(_) => {}
        }
        if chance.percent(15) {
            subject.declare_again().await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        }
    }
    eprintln!("{name}: {tally:?}");
    ensure!(reports.is_empty(), "seed {seed}:\n\n{}\n", reports.join("\n\n"));
    ensure!(tally.made >= wanted, "hardly any edit is accepted: {tally:?}");
    Ok(())
}

// === impl Tally ===

impl Tally {
    fn attempts(&self) -> usize {
        self.made + self.refused + self.nothing
    }

    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Refused => self.refused += 1,
            Outcome::Nothing => self.nothing += 1,
            Outcome::Made(made) => {
                self.made += 1;
                self.excused += usize::from(!made.excused.is_empty());
            }
        }
    }
}

/// A disagreement in words; all that was seen goes into the file.
fn told(made: &Made, file: &Path) -> Result<String> {
    let mut text = format!("{:?} {} by {:?}", made.edit.who, made.edit.manager, made.edit.way);
    for change in &made.edit.changes {
        write!(text, "\n    {}: {}", change.name, short(&change.patch.to_string()))?;
    }
    for broken in &made.broken {
        write!(text, "\n  {} at {}: {}", broken.law, broken.path, short(&broken.how))?;
    }
    write!(text, "\n    see {}", file.display())?;
    let oracle = made.oracle.as_ref().map_or_else(|refused| json!(refused), Value::clone);
    let seen =
        json!({"old": made.old, "body": made.edit.body, "new": made.new, "oracle": oracle, "healed": made.healed});
    std::fs::create_dir_all(file.parent().context("it lies in a folder")?)?;
    std::fs::write(file, format!("{seen:#}"))?;
    Ok(text)
}

fn short(text: &str) -> String {
    if text.chars().count() > 600 { text.chars().take(600).chain("…".chars()).collect() } else { text.to_owned() }
}
