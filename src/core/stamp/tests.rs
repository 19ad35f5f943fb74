//! Stamps and marks as tables: what was there, what is there, what gets written.

use serde_json::{Value, json};

use super::*;
use crate::core::compare::Kind;
use crate::core::names::BREAK_GLASS;
use crate::core::path::Path;

const NOW: &str = "2026-11-21T10:00:00.7Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

fn object(annotations: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<_, _> = annotations.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
    json!({"metadata": {"annotations": annotations}})
}

fn stamped(old: &[(&str, &str)], new: &[(&str, &str)]) -> Result<Stamps, Refused> {
    let limits = Limits { default: SignedDuration::from_mins(30), max: SignedDuration::from_hours(4) };
    let (old, new) = (object(old), object(new));
    stamps(Some(&State::whole(&old)), &State::whole(&new), &limits, "oncall", now())
}

#[test]
fn opening_is_stamped_with_who_and_until_when() {
    let written = stamped(&[], &[(BREAK_GLASS, "INC-1: x"), (BREAK_GLASS_FOR, "10m")]);
    let expected = vec![
        Write::Set(BREAK_GLASS_BY, "oncall".to_owned()),
        Write::Set(BREAK_GLASS_UNTIL, "2026-11-21T10:10:00Z".to_owned()),
    ];
    assert_eq!(written, Ok(Stamps::Opening(expected)));
}

#[test]
fn asked_again_about_its_own_stamps_it_adds_nothing() {
    let ours = [(BREAK_GLASS, "INC-1: x"), (BREAK_GLASS_BY, "oncall"), (BREAK_GLASS_UNTIL, "2026-11-21T10:30:00Z")];
    assert_eq!(stamped(&[], &ours), Ok(Stamps::Opening(vec![])));
}

#[test]
fn typed_stamps_are_refused() {
    let by_another =
        [(BREAK_GLASS, "INC-1: x"), (BREAK_GLASS_BY, "alice"), (BREAK_GLASS_UNTIL, "2026-11-21T10:30:00Z")];
    let too_late = [(BREAK_GLASS, "INC-1: x"), (BREAK_GLASS_BY, "oncall"), (BREAK_GLASS_UNTIL, "2026-11-21T12:30:00Z")];
    let half = [(BREAK_GLASS, "INC-1: x"), (BREAK_GLASS_BY, "oncall")];
    for typed in [&by_another[..], &too_late, &half] {
        assert_eq!(stamped(&[], typed), Err(Refused::ForgedStamps), "{typed:?}");
    }
    assert_eq!(stamped(&by_another, &too_late), Err(Refused::ForgedStamps), "stamps alone");
}

#[test]
fn a_new_reason_renews_the_stamps_of_the_old_one() {
    let was = [(BREAK_GLASS, "INC-1: x"), (BREAK_GLASS_BY, "bob"), (BREAK_GLASS_UNTIL, "2026-11-21T10:01:00Z")];
    let is = [(BREAK_GLASS, "INC-2: y"), (BREAK_GLASS_BY, "bob"), (BREAK_GLASS_UNTIL, "2026-11-21T10:01:00Z")];
    let Ok(Stamps::Opening(writes)) = stamped(&was, &is) else { panic!("not opening") };
    assert_eq!(writes[0], Write::Set(BREAK_GLASS_BY, "oncall".to_owned()));
}

#[test]
fn closing_takes_the_rest_away() {
    let was = [(BREAK_GLASS, "INC-1: x"), (BREAK_GLASS_BY, "bob"), (BREAK_GLASS_UNTIL, "2026-11-21T10:01:00Z")];
    let expected = vec![Write::Remove(BREAK_GLASS_BY), Write::Remove(BREAK_GLASS_UNTIL)];
    assert_eq!(stamped(&was, &was[1..]), Ok(Stamps::Closing(expected)));
    assert_eq!(stamped(&was, &[]), Ok(Stamps::Closing(vec![])));
    assert_eq!(stamped(&was, &was), Ok(Stamps::Untouched));
}

#[test]
fn a_break_glass_that_would_be_refused_is_not_stamped() {
    assert_eq!(stamped(&[], &[(BREAK_GLASS, " ")]), Err(Refused::NoReason));
    let too_long = stamped(&[], &[(BREAK_GLASS, "INC-1"), (BREAK_GLASS_FOR, "9h")]);
    assert!(matches!(too_long, Err(Refused::TooLong { .. })), "{too_long:?}");
}

fn marked(old: &[(&str, &str)], new: &[(&str, &str)]) -> Option<Write> {
    let path = Path::of_fields(&["spec", "replicas"]);
    let changed = Deviation { path, kind: Kind::Changed, git: Some(json!(3)), live: Some(json!(5)), line: None };
    let (old, new) = (object(old), object(new));
    mark(Some(&State::whole(&old)), &State::whole(&new), "alice", &[changed], now())
}

#[test]
fn a_mark_says_who_when_and_what() {
    let expected = r#"{"user":"alice","at":"2026-11-21T10:00:00Z","fields":[".spec.replicas"]}"#;
    assert_eq!(marked(&[], &[]), Some(Write::Set(MANUAL_EDIT, expected.to_owned())));
    assert_eq!(marked(&[], &[(MANUAL_EDIT, expected)]), None, "written for this request");
    assert!(marked(&[(MANUAL_EDIT, expected)], &[(MANUAL_EDIT, expected)]).is_some(), "left by an earlier one");
}

#[test]
fn a_typed_mark_is_overwritten() {
    for typed in [
        "yes",
        r#"{"user":"alice","at":"2026-11-21T10:00:00Z","fields":[]}"#,
        r#"{"user":"alice","at":"2020-01-01T00:00:00Z","fields":[".spec.replicas"]}"#,
    ] {
        assert!(marked(&[], &[(MANUAL_EDIT, typed)]).is_some(), "{typed}");
    }
}
