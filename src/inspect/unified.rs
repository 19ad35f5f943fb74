//! A finding as a unified diff: one hunk per place that differs, headed by its path, where Git says it and who did it.
//!
//! Only what differs is shown, as YAML, because that is what people have in front of them in Git. What is excluded is not drift
//! and not shown here.

use std::fmt::Write;

use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::finding::{Difference, Finding};
use super::paint::{ASIDE, CLUSTER, GIT, NOTICE, PLACE, TITLE, paint};
use crate::core::compare::Kind;
use crate::core::path::Step;

/// Lines around a change: enough to find one's way in a long text, as everywhere.
const CONTEXT: usize = 3;

/// The drift of a finding, in colour; empty if there is none.
pub fn unified(finding: &Finding) -> String {
    let drift: Vec<_> = finding.deviations.iter().filter(|difference| difference.excluded.is_none()).collect();
    if drift.is_empty() {
        return String::new();
    }
    let mut text = heading(finding);
    let _ = writeln!(text, "{}", paint(GIT, "--- git"));
    let _ = writeln!(text, "{}", paint(CLUSTER, "+++ cluster"));
    for difference in drift {
        hunk(&mut text, difference);
    }
    text
}

fn heading(finding: &Finding) -> String {
    let Finding { object, sync, file, line, link, note, .. } = finding;
    let place = match (file, line) {
        (Some(file), Some(line)) => format!("  {file}:{line}"),
        _ => String::new(),
    };
    let mut text = format!("{}{}\n", paint(TITLE, object), paint(ASIDE, format_args!("{place}  GitSync {sync}")));
    if let Some(link) = link {
        let _ = writeln!(text, "{}", paint(ASIDE, link));
    }
    if let Some(note) = note {
        let _ = writeln!(text, "{}", paint(NOTICE, note));
    }
    text
}

fn hunk(text: &mut String, difference: &Difference) {
    let Difference { path, file, line, .. } = difference;
    let place = match (file, line) {
        (Some(file), Some(line)) => format!(" {file}:{line},"),
        _ => String::new(),
    };
    let aside = paint(ASIDE, format_args!("{place} {}", what_happened(difference)));
    let path = if path.steps().is_empty() { "the whole object".to_owned() } else { path.to_string() };
    let _ = writeln!(text, "{}{aside}", paint(PLACE, format_args!("@@ {path} @@")));
    let (git, live) = (yaml(difference, difference.git.as_ref()), yaml(difference, difference.live.as_ref()));
    let diff = TextDiff::from_lines(&git, &live);
    for (number, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if number > 0 {
            let _ = writeln!(text, "{}", paint(PLACE, "@@ … @@"));
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let content = change.value().trim_end_matches('\n');
            let _ = match change.tag() {
                ChangeTag::Delete => writeln!(text, "{}", paint(GIT, format_args!("-{content}"))),
                ChangeTag::Insert => writeln!(text, "{}", paint(CLUSTER, format_args!("+{content}"))),
                ChangeTag::Equal => writeln!(text, " {content}"),
            };
        }
    }
}

fn what_happened(difference: &Difference) -> String {
    let by = difference.owner.as_ref().map(|owner| format!(" by {owner}")).unwrap_or_default();
    match difference.kind {
        Kind::Changed => format!("changed{by}"),
        Kind::Removed => "removed".to_owned(),
        Kind::Added => format!("added{by}"),
        Kind::Leftover => "left over from an earlier commit".to_owned(),
        Kind::Missing => "not in the cluster".to_owned(),
        Kind::Unwanted => "not in Git any more".to_owned(),
    }
}

/// One side of a hunk: the value under its own name, or as the element it is. Nothing is no line at all.
fn yaml(difference: &Difference, value: Option<&Value>) -> String {
    let Some(value) = value else { return String::new() };
    let shown = match difference.path.steps().last() {
        None => value.clone(),
        Some(Step::Field(name)) => json!({ &**name: value }),
        Some(Step::Key(_) | Step::Value(_)) => json!([value]),
    };
    serde_saphyr::to_string(&shown).unwrap_or_else(|_| format!("{shown:#}\n"))
}

#[cfg(test)]
mod tests;
