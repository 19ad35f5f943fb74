//! What became of the last commits, as `holdfast history` prints it.

use super::columns::columns;
use crate::api::HistoryEntry;

/// As kubectl prints lists; why a commit was refused stands in the last column.
pub fn history_table(entries: &[HistoryEntry]) -> String {
    let titles = ["REVISION", "AT", "OUTCOME", "AUTHOR", "MESSAGE"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(titles).chain(entries.iter().map(row)).collect();
    columns(&rows)
}

fn row(entry: &HistoryEntry) -> Vec<String> {
    let HistoryEntry { revision, at, outcome, author, message } = entry;
    let short = revision.chars().take(12).collect();
    let at = at.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    // Author and message are anybody's text: one line each, and nothing a terminal obeys.
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().replace(char::is_control, " ");
    vec![short, at, format!("{outcome:?}"), text(author), text(message)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_commit() {
        let entries: Vec<HistoryEntry> = serde_json::from_value(json!([
            {"revision": "7987395d0c1f7987395d0c1f7987395d0c1f0000", "at": "2026-11-22T10:00:00Z", "outcome": "Refused",
             "author": "Ada\u{1b}[31m", "message": "two\nlines"},
            {"revision": "1234567890ab1234567890ab1234567890ab0000", "at": "2026-11-22T09:00:00Z", "outcome": "Synced"},
        ]))
        .expect("entries");
        insta::assert_snapshot!(history_table(&entries), @r"
        REVISION       AT                     OUTCOME   AUTHOR     MESSAGE
        7987395d0c1f   2026-11-22T10:00:00Z   Refused   Ada [31m   two lines
        1234567890ab   2026-11-22T09:00:00Z   Synced
        ");
    }
}
