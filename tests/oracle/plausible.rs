//! Other values an API server might well accept in the place of one, and other spellings of the same.

use serde_json::{Value, json};

use crate::chance::Chance;

/// Words of which Kubernetes knows a few: any of a row may stand for another.
const CHOICES: [&[&str]; 16] = [
    &["TCP", "UDP", "SCTP"],
    &["Always", "IfNotPresent", "Never", "OnFailure"],
    &["RollingUpdate", "Recreate", "OnDelete"],
    &["ClusterIP", "NodePort", "LoadBalancer"],
    &["None", "ClientIP"],
    &["Cluster", "Local"],
    &["Exact", "Prefix", "ImplementationSpecific"],
    &["Ingress", "Egress"],
    &["OrderedReady", "Parallel"],
    &["Allow", "Forbid", "Replace"],
    &["Fail", "Ignore"],
    &["Equivalent", "Exact"],
    &["ClusterFirst", "Default", "ClusterFirstWithHostNet"],
    &["DoNotSchedule", "ScheduleAnyway"],
    &["get", "list", "watch", "delete"],
    &["Retain", "Delete"],
];

const UNITS: [&str; 7] = ["", "m", "k", "Ki", "M", "Mi", "Gi"];

/// Another value for the scalar at `pointer`.
pub fn other_scalar(chance: &mut Chance, pointer: &str, value: &Value) -> Option<Value> {
    match value {
        Value::Bool(yes) => Some(json!(!yes)),
        Value::Number(number) => {
            let number = number.as_i64()?;
            Some(json!(*chance.pick(&[number + 1, number * 2 + 1, (number - 1).max(0)])?))
        }
        Value::String(text) if is_encoded(pointer, text) => Some(json!(*chance.pick(&["Y2hhbmdlZA==", "", "w7w="])?)),
        Value::String(text) => Some(json!(other_text(chance, text)?)),
        _ => None,
    }
}

fn other_text(chance: &mut Chance, text: &str) -> Option<String> {
    if let Some(choices) = CHOICES.iter().find(|choices| choices.contains(&text)) {
        return chance.pick(choices).map(|choice| (*choice).to_owned());
    }
    if let Some((number, unit)) = quantity(text) {
        return Some(format!("{}{unit}", number * 2.0));
    }
    if let Some(number) = text.strip_suffix('%').and_then(|number| number.parse::<u32>().ok()) {
        return Some(format!("{}%", number / 2 + 1));
    }
    if text.contains(" * ") {
        return Some("5 4 * * *".to_owned());
    }
    if text.split('.').count() == 4 && text.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(text.replacen(".0.", ".9.", 1));
    }
    if let Some((image, _)) = text.rsplit_once(':').filter(|(image, _)| image.contains('/')) {
        return Some(format!("{image}:next"));
    }
    Some(format!("{text}{}", chance.pick(&["x", "-2", "y0"])?))
}

/// Another spelling that may mean the same.
pub fn equivalent(value: &Value) -> Option<Value> {
    let (number, unit) = quantity(value.as_str()?)?;
    let spelled = match unit {
        "" => format!("{}m", number * 1000.0),
        "m" => format!("{}", number / 1000.0),
        "Mi" => format!("{}Ki", number * 1024.0),
        "Gi" => format!("{}Mi", number * 1024.0),
        _ => return None,
    };
    Some(json!(spelled))
}

fn quantity(text: &str) -> Option<(f64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit)).filter(|(_, unit)| UNITS.contains(unit))
}

/// Values in a Secret, and certificates.
fn is_encoded(pointer: &str, text: &str) -> bool {
    let shape = text.len().is_multiple_of(4) && text.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c));
    shape && (pointer.starts_with("/data/") && text.contains('=') || pointer.ends_with("caBundle"))
}
