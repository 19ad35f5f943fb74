//! An explanation as a person reads it: what the object is, a table of its places, and the rules in full below.

use std::fmt::Write;

use anstyle::Style;
use serde_json::Value;

use super::explanation::{Declared, Explanation, Field, Verdict};
use super::paint::{ASIDE, NOTICE, RIGHT, TITLE, WRONG, paint};

/// Longest value in a cell: a table that wraps cannot be read.
const LONGEST: usize = 32;

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
            let rows: Vec<_> = fields.iter().map(|field| row(field, &declared.file, &mut rules)).collect();
            if !rows.is_empty() {
                text.push('\n');
                write_table(&mut text, ["DECLARED IN GIT", "GIT", "CLUSTER", "OWNER", "VERDICT", "WHERE"], &rows);
            }
            let rows: Vec<_> = undeclared.iter().map(|field| row(field, "", &mut rules)).collect();
            if !rows.is_empty() {
                text.push('\n');
                write_table(&mut text, ["NOT DECLARED", "", "CLUSTER", "OWNER", "VERDICT", ""], &rows);
            }
            footnotes(&mut text, &rules);
        }
    }
    text
}

fn head(text: &mut String, declared: &Declared, summary: &str) {
    let Declared { sync, repository, target, revision, file, line, admission, undeclared_fields } = declared;
    let short = revision.get(..7).unwrap_or(revision);
    let _ = writeln!(text, "  verdict    {}", paint(style_of(summary), summary));
    let _ = writeln!(text, "  git        {file}:{line}, {repository} ({target} at {short})");
    let _ = writeln!(text, "  gitsync    {sync}; manual edits: {admission}, undeclared fields: {undeclared_fields}");
}

fn style_of(summary: &str) -> Style {
    if summary.starts_with("in sync") { RIGHT } else { WRONG }
}

/// A line of the table, and how its verdict is to look.
struct Row {
    cells: [String; 6],
    style: Style,
}

fn row<'f>(field: &'f Field, file: &str, rules: &mut Vec<&'f str>) -> Row {
    let Field { path, git, live, line, owners, verdict, excluded } = field;
    let same = git.is_some() && *verdict == Verdict::InSync;
    let footnote = excluded.as_deref().map(|rule| format!(" [{}]", number(rule, rules))).unwrap_or_default();
    let (words, style) = words(*verdict, excluded.is_some());
    let cell = |value: &Option<Value>| value.as_ref().map_or_else(|| "-".to_owned(), short);
    Row {
        cells: [
            path.to_string(),
            if line.is_some() { cell(git) } else { String::new() },
            if same { "=".to_owned() } else { cell(live) },
            if owners.is_empty() { "nobody".to_owned() } else { owners.join(", ") },
            format!("{words}{footnote}"),
            line.map(|line| format!("{file}:{line}")).unwrap_or_default(),
        ],
        style,
    }
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

/// Columns as wide as their widest cell; a column without anything in it is left out.
fn write_table(text: &mut String, titles: [&str; 6], rows: &[Row]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.cells[column].chars().count());
        cells.chain([titles[column].chars().count()]).max().unwrap_or_default()
    };
    let columns: Vec<_> =
        (0..titles.len()).map(|column| (column, width(column))).filter(|(_, width)| *width > 0).collect();
    let line = |cells: &dyn Fn(usize) -> String, style: &dyn Fn(usize) -> Style| {
        let padded = columns.iter().map(|(column, width)| {
            let cell = cells(*column);
            let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
            format!("{}{gap}", paint(style(*column), cell))
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let _ = writeln!(text, "  {}", line(&|column| titles[column].to_owned(), &|_| ASIDE));
    for Row { cells, style } in rows {
        let styled = |column| if column == 4 { *style } else { Style::new() };
        let _ = writeln!(text, "  {}", line(&|column| cells[column].clone(), &styled));
    }
}

#[cfg(test)]
mod tests;
