//! The records as people read them: one row each, and one for a crowd of equal ones.

use serde_json::Value;

/// Columns of one row: time, kind, who, object, what.
type Row = [String; 5];

const HEAD: [&str; 5] = ["TIME", "KIND", "WHO", "OBJECT", "WHAT"];
/// Values longer than this are shown by their end, where an image's tag is.
const LONG: usize = 14;
/// So many equal ones in a row are a crowd.
const CROWD: usize = 3;

/// The lines of the table, the head first.
pub fn lines(records: &[Value]) -> Vec<String> {
    let same =
        |a: &Value, b: &Value| a["kind"] == "Applied" && b["kind"] == "Applied" && a["revision"] == b["revision"];
    let rows = records.chunk_by(same).flat_map(rows_of);
    let rows: Vec<Row> = std::iter::once(HEAD.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let cell = |(text, width): (&String, &usize)| format!("{text:width$}  ");
    rows.iter().map(|row| row.iter().zip(&widths).map(cell).collect::<String>().trim_end().to_owned()).collect()
}

fn rows_of(records: &[Value]) -> Vec<Row> {
    match records {
        [first, .., _] if records.len() > CROWD => {
            let [time, kind, who, ..] = row(first);
            let by = from_commit(first["revision"].as_str().unwrap_or_default());
            vec![[time, kind, who, format!("{} objects", records.len()), by]]
        }
        few => few.iter().map(row).collect(),
    }
}

fn row(record: &Value) -> Row {
    let text = |pointer| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let time = text("/time").get(11..23).unwrap_or_default().to_owned();
    let object = format!("{}/{}", text("/object/kind"), text("/object/name"));
    [time, text("/kind").to_owned(), who(record), object, what(record)]
}

/// A person if admission saw one; a tool if only ownership tells; Holdfast for what it did itself.
fn who(record: &Value) -> String {
    let text = |pointer| record.pointer(pointer).and_then(Value::as_str);
    match (text("/by/user"), text("/by/manager")) {
        (Some(user), _) => user.to_owned(),
        (None, Some(tool)) if !is_ours(record) => format!("({tool})"),
        (None, _) => "holdfast".to_owned(),
    }
}

/// Is it about something Holdfast wrote?
fn is_ours(record: &Value) -> bool {
    ["Applied", "Healed", "Pruned"].iter().any(|kind| record["kind"] == *kind)
}

fn what(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    let first = record["fields"].get(0).map(|field| change(field, is_ours(record)));
    match (text("kind"), first) {
        ("Applied" | "Pruned", first) => {
            [first.unwrap_or_default(), from_commit(text("revision"))].join(" ").trim().to_owned()
        }
        ("Healed", Some(change)) => format!("{change}, after {} ms", record["remediationMs"]),
        ("WebhookRestored", _) | (_, None) => shortened(text("reason"), 40),
        (_, Some(_)) if record["verb"] == "DELETE" => "delete".to_owned(),
        (_, Some(change)) => change,
    }
}

fn from_commit(revision: &str) -> String {
    format!("at {}", revision.chars().take(7).collect::<String>())
}

/// `replicas 3 → 5`: before and after. People move a field away from Git, Holdfast moves it back.
fn change(field: &Value, back: bool) -> String {
    let path = field["path"].as_str().unwrap_or_default();
    let last = path.rsplit('.').next().unwrap_or_default();
    let (git, live) = (field.get("git"), field.get("live"));
    let (before, after) = if back { (live, git) } else { (git, live) };
    if git.or(live).is_none() { last.to_owned() } else { format!("{last} {} → {}", value(before), value(after)) }
}

fn value(value: Option<&Value>) -> String {
    let text = match value {
        None => return "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let tail = text.rsplit('/').next().unwrap_or_default();
    if text.chars().count() > LONG && tail.len() < text.len() { format!("…/{tail}") } else { text }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(most).collect::<String>())
    }
}
