//! How the demo looks: sentences, prompts, output, and ticks for what was checked. Coloured on a terminal, plain in a pipe.
//!
//! Lines are folded at words, because the API server puts a whole denial on one line; nothing is left out unless `…` says so.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};

const WIDTH: usize = 98;

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";
const CYAN: &str = "36";

/// Where the demo is given.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    colour: bool,
}

// === impl Stage ===

impl Stage {
    /// Standard output.
    pub fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        Self { colour: wanted && io::stdout().is_terminal() }
    }

    /// A new scene.
    pub fn title(self, title: &str) -> Result<()> {
        line(format_args!("\n{}", self.paint(BOLD, title)))
    }

    /// A sentence or two to the reader.
    #[allow(clippy::unused_self)] // plain today; how it looks is the stage's business
    pub fn says(self, text: &str) -> Result<()> {
        fold(text, WIDTH).into_iter().try_for_each(|part| line(format_args!("{part}")))
    }

    /// What takes a while.
    pub fn waits(self, what: &str) -> Result<()> {
        line(format_args!("{}", self.paint(DIM, &format!("{what} …"))))
    }

    /// A command, before it runs. It may have several lines.
    pub fn prompt(self, who: &str, command: &str) -> Result<()> {
        let mut lines = command.lines();
        let first = lines.next().unwrap_or_default();
        line(format_args!("  {} {}", self.paint(CYAN, &format!("{who}$")), self.paint(BOLD, first)))?;
        lines.try_for_each(|more| line(format_args!("    {}", self.paint(BOLD, more))))
    }

    /// What a command printed; of a long output the first `shown` lines.
    pub fn output(self, text: &str, refused: bool, shown: usize) -> Result<()> {
        let colour = if refused { RED } else { "" };
        let lines: Vec<&str> = text.trim_end().lines().collect();
        for whole in &lines[..lines.len().min(shown)] {
            let indent = whole.len() - whole.trim_start().len();
            for part in fold(whole, WIDTH - 6 - indent) {
                line(format_args!("    {:indent$}{}", "", self.paint(colour, &part)))?;
            }
        }
        if lines.len() > shown { line(format_args!("    {}", self.paint(DIM, "…"))) } else { Ok(()) }
    }

    /// Something that was checked, and holds.
    pub fn holds(self, claim: impl Display) -> Result<()> {
        let mut parts = fold(&claim.to_string(), WIDTH - 4).into_iter();
        line(format_args!("  {} {}", self.paint(GREEN, "✓"), parts.next().unwrap_or_default()))?;
        parts.try_for_each(|part| line(format_args!("    {part}")))
    }

    /// A row of a table; the first is its head.
    pub fn row(self, text: &str, head: bool) -> Result<()> {
        line(format_args!("    {}", self.paint(if head { BOLD } else { "" }, text.trim_end())))
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colour && !colour.is_empty() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A reader that goes away (`| head`) is an error like any other, so that the world is ended in an orderly way.
fn line(text: std::fmt::Arguments<'_>) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("failed to print")
}

/// Lines of at most `width` characters, broken between words. Words keep the spaces between them within a line.
fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.trim().split_inclusive(' ') {
        let line = lines.last_mut().expect("never empty");
        if !line.is_empty() && line.chars().count() + word.trim_end().chars().count() > width {
            lines.push(word.to_owned());
        } else {
            line.push_str(word);
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}
