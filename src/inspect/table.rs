//! An explanation as a person reads it: what the object is, a table of its places, and the rules in full below.

use std::fmt::Write;

use anstyle::Style;
use serde_json::Value;

use super::explanation::{Declared, Explanation, Field, Verdict};
use super::paint::{ASIDE, NOTICE, PLACE, RIGHT, TITLE, WRONG, paint};
use crate::core::path::{Path, Step};

/// Longest value in a cell: a table that wraps cannot be read.
const LONGEST: usize = 32;
/// The column that is painted.
const VERDICT: usize = 5;

/// The explanation, in colour.
pub fn table(explanation: &Explanation) -> String {
    let Explanation { object, declared, summary, fields, undeclared, .. } = explanation;
    let mut text = format!("{}\n", paint(TITLE, object));
    match declared {
        None => {
            let _ = writeln!(text, "{}", paint(NOTICE, summary));
        }
        Some(declared) => {
            head(&mut text, declared, summary);
            let mut rules = Vec::new();
            let rows: Vec<_> = fields.iter().map(|field| row(field, &mut rules)).collect();
            write_table(&mut text, ["DECLARED", "GIT", "LINE", "CLUSTER", "OWNER", "VERDICT"], &rows);
            let rows: Vec<_> = undeclared.iter().map(|field| row(field, &mut rules)).collect();
            write_table(&mut text, ["NOT DECLARED", "", "", "CLUSTER", "OWNER", "VERDICT"], &rows);
            footnotes(&mut text, &rules);
        }
    }
    text
}

fn head(text: &mut String, declared: &Declared, summary: &str) {
    let Declared { sync, repository, target, revision, file, line, link, admission, undeclared_fields } = declared;
    let short = revision.get(..7).unwrap_or(revision);
    let _ = writeln!(text, "  verdict    {}", paint(style_of(summary), summary));
    let _ = writeln!(text, "  git        {file}:{line}, {repository} ({target} at {short})");
    if let Some(link) = link {
        let _ = writeln!(text, "             {link}");
    }
    let _ = writeln!(text, "  gitsync    {sync}; manual edits: {admission}, undeclared fields: {undeclared_fields}");
}

fn style_of(summary: &str) -> Style {
    if summary.starts_with("in sync") { RIGHT } else { WRONG }
}

/// A line of the table: under which heading, what it says, and how its verdict is to look.
struct Row {
    heading: String,
    cells: [String; 6],
    style: Style,
}

fn row<'f>(field: &'f Field, rules: &mut Vec<&'f str>) -> Row {
    let Field { path, git, live, line, owners, verdict, excluded } = field;
    let same = git.is_some() && *verdict == Verdict::InSync;
    let footnote = excluded.as_deref().map(|rule| format!(" [{}]", number(rule, rules))).unwrap_or_default();
    let (words, style) = words(*verdict, excluded.is_some());
    let cell = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), short);
    let (heading, rest) = split(path);
    Row {
        heading,
        cells: [
            rest,
            if line.is_some() { cell(git) } else { String::new() },
            line.map(|line| format!(":{line}")).unwrap_or_default(),
            if same { "=".to_owned() } else { cell(live) },
            if owners.is_empty() { "nobody".to_owned() } else { owners.join(", ") },
            format!("{words}{footnote}"),
        ],
        style,
    }
}

/// A path in two: as far as the first element of a list, or the first field, and the rest. Printed under one another, the
/// places of one container need not each repeat the way to it.
fn split(path: &Path) -> (String, String) {
    let steps = path.steps();
    let element = steps.iter().position(|step| matches!(step, Step::Key(_)));
    let (heading, rest) = steps.split_at(element.map_or(1, |at| at + 1).min(steps.len()));
    let rest = if rest.is_empty() { ".".to_owned() } else { Path::new(rest.to_vec()).to_string() };
    (Path::new(heading.to_vec()).to_string(), rest)
}

fn words(verdict: Verdict, has_rule: bool) -> (&'static str, Style) {
    match verdict {
        Verdict::InSync if has_rule => ("in sync, excluded anyway", NOTICE),
        Verdict::InSync => ("in sync", RIGHT),
        Verdict::Drift => ("drift", WRONG),
        Verdict::Excluded => ("excluded", NOTICE),
        Verdict::BreakGlass => ("break-glass", NOTICE),
        Verdict::LeftAlone => ("left alone", ASIDE),
    }
}

/// The number of this rule among those mentioned.
fn number<'f>(rule: &'f str, rules: &mut Vec<&'f str>) -> usize {
    let known = rules.iter().position(|known| *known == rule);
    known.unwrap_or_else(|| {
        rules.push(rule);
        rules.len() - 1
    }) + 1
}

fn footnotes(text: &mut String, rules: &[&str]) {
    if !rules.is_empty() {
        text.push('\n');
    }
    for (index, rule) in rules.iter().enumerate() {
        let _ = writeln!(text, "[{}] excluded by rule: {rule}", index + 1);
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Columns as wide as their widest cell; a column without anything in it is left out, and so is a table without rows.
fn write_table(text: &mut String, titles: [&str; 6], rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.cells[column].chars().count());
        cells.chain([titles[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..titles.len()).map(width).collect();
    let line = |cells: [&str; 6], style: &dyn Fn(usize) -> Style| {
        let columns = cells.iter().zip(&widths).enumerate().filter(|(_, (_, width))| **width > 0);
        let padded = columns.map(|(column, (cell, width))| {
            format!("{}{}", paint(style(column), cell), " ".repeat(width.saturating_sub(cell.chars().count())))
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let _ = writeln!(text, "\n    {}", line(titles, &|_| ASIDE));
    for heading in headings(rows) {
        let _ = writeln!(text, "  {}", paint(PLACE, heading));
        for row in rows.iter().filter(|row| row.heading == heading) {
            let styled = |column| if column == VERDICT { row.style } else { Style::new() };
            let _ = writeln!(text, "    {}", line(row.cells.each_ref().map(String::as_str), &styled));
        }
    }
}

/// Each heading once, in the order in which they first come up.
fn headings(rows: &[Row]) -> Vec<&str> {
    let mut headings: Vec<&str> = Vec::new();
    for Row { heading, .. } in rows {
        if !headings.contains(&heading.as_str()) {
            headings.push(heading);
        }
    }
    headings
}

#[cfg(test)]
mod tests;
