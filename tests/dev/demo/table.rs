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
            vec![[time, kind, who, format!("{} objects", records.len()), String::new()]]
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

/// A person if admission saw one; of what is found later only the tool is known; what a commit does is Git's.
fn who(record: &Value) -> String {
    let text = |pointer| record.pointer(pointer).and_then(Value::as_str);
    match (text("/by/user"), text("/by/manager"), text("/revision")) {
        (Some(user), ..) => user.to_owned(),
        (None, Some(tool), _) => format!("({tool})"),
        (None, None, Some(revision)) => revision.chars().take(7).collect(),
        (None, None, None) => String::new(),
    }
}

fn what(record: &Value) -> String {
    let fields = record["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut parts: Vec<String> = fields.iter().take(1).map(field).filter(|part| !part.is_empty()).collect();
    if let Some(millis) = record["remediationMs"].as_u64() {
        parts.push(format!("after {millis} ms"));
    }
    if fields.is_empty() {
        let reason = record["reason"].as_str().unwrap_or_default();
        parts.push(shortened(reason, 40));
    } else if record["verb"] == "DELETE" {
        parts.push("delete".to_owned());
    }
    parts.join(", ")
}

/// `….replicas 3 → 5`: what Git says, then the other value.
fn field(field: &Value) -> String {
    let path = field["path"].as_str().unwrap_or_default();
    let last = path.rsplit('.').next().unwrap_or_default();
    match (field.get("git"), field.get("live")) {
        (None, None) => last.to_owned(),
        (git, live) => format!("{last} {} → {}", value(git), value(live)),
    }
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
