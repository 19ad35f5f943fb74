//! The cases are data: an object, and what is said of it. `cases.yaml` takes more of them without Rust.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Row {
    /// What it shows.
    case: String,
    object: Value,
    /// Words of the reason; nothing where it is ready.
    waits: Option<String>,
}

#[test]
fn each_kind_says_when_it_is_ready() {
    let cases: Vec<Row> = serde_saphyr::from_str(include_str!("cases.yaml")).expect("the cases are YAML");
    assert!(cases.len() > 40, "they are read");
    let mut faults = Vec::new();
    for Row { case, object, waits } in cases {
        match (readiness(&object), waits) {
            (Readiness::Ready, None) => {}
            (Readiness::Waits(reason), Some(words)) if reason.contains(&words) => {}
            (found, wanted) => faults.push(format!("{case}: {found:?}, not {wanted:?}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whatever it says otherwise, what is going is nothing to rely on, and an old report says nothing of a new spec.
#[test]
fn what_is_going_or_stale_is_never_ready() {
    let cases: Vec<Row> = serde_saphyr::from_str(include_str!("cases.yaml")).expect("the cases are YAML");
    for Row { case, mut object, .. } in cases {
        let mut going = object.clone();
        going["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z".into();
        assert_ne!(readiness(&going), Readiness::Ready, "{case}");
        object["metadata"]["generation"] = 9.into();
        object["status"]["observedGeneration"] = 8.into();
        assert_ne!(readiness(&object), Readiness::Ready, "{case}");
    }
}
