//! What opens, prolongs, closes or forges a break-glass, and for how long it may be open.

use serde_json::{Value, json};

use super::*;

const LIMITS: Limits = Limits { default: SignedDuration::from_mins(30), max: SignedDuration::from_hours(2) };

fn with(annotations: &Value) -> Value {
    json!({"metadata": {"annotations": annotations}})
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("this is a time")
}

fn asked(length: &str) -> Result<SignedDuration, String> {
    let object = with(&json!({BREAK_GLASS: "INC-1", BREAK_GLASS_FOR: length}));
    match change(None, &State::whole(&object), &LIMITS) {
        Ok(Change::Open(request)) => Ok(request.length),
        Ok(other) => panic!("{length} is no {other:?}"),
        Err(refused) => Err(refused.to_string()),
    }
}

#[test]
fn durations() {
    assert_eq!(asked("30m"), Ok(SignedDuration::from_mins(30)));
    assert_eq!(asked("1h30m"), Ok(SignedDuration::from_mins(90)));
    assert_eq!(asked("2h"), Ok(LIMITS.max));
    for wrong in ["", "soon", "30", "-5m", "0s", "5m ago", "1 year"] {
        let said = asked(wrong).expect_err("it is refused");
        assert!(said.contains(&format!("\"{wrong}\" is not a duration")), "{said}");
    }
    insta::assert_snapshot!(asked("2h1s").expect_err("too long"), @"holdfast.dev/break-glass-for asks for 2h 1s; the policy allows 2h at most");
}

#[test]
fn a_reason_is_needed() {
    let object = with(&json!({BREAK_GLASS: "  "}));
    assert_eq!(change(None, &State::whole(&object), &LIMITS), Err(Refused::NoReason));
}

#[test]
fn what_an_edit_does_to_it() {
    let none = with(&json!({}));
    let open = with(&json!({BREAK_GLASS: "r", BREAK_GLASS_BY: "alice", BREAK_GLASS_UNTIL: "2026-03-01T12:30:00Z"}));
    let prolonged =
        with(&json!({BREAK_GLASS: "r", BREAK_GLASS_BY: "alice", BREAK_GLASS_UNTIL: "2030-03-01T12:30:00Z"}));
    let stamps = with(&json!({BREAK_GLASS_BY: "alice", BREAK_GLASS_UNTIL: "2030-03-01T12:30:00Z"}));
    let change = |old, new| change(Some(&State::whole(old)), &State::whole(new), &LIMITS);
    let request = Request { reason: "r".into(), length: LIMITS.default };
    assert_eq!(change(&none, &open), Ok(Change::Open(request)));
    assert_eq!(change(&open, &open), Ok(Change::None));
    assert_eq!(change(&open, &none), Ok(Change::Close));
    assert_eq!(change(&open, &prolonged), Ok(Change::Forged));
    assert_eq!(change(&none, &stamps), Ok(Change::Forged));
}

#[test]
fn stamps_say_who_and_no_later_than_granted() {
    let request = Request { reason: "r".into(), length: SignedDuration::from_mins(30) };
    let check = |by: &str, until: &str| {
        let object = with(&json!({BREAK_GLASS: "r", BREAK_GLASS_BY: by, BREAK_GLASS_UNTIL: until}));
        check_stamps(&request, &State::whole(&object), "alice", now()).map(|glass| glass.by)
    };
    assert_eq!(check("alice", "2026-03-01T12:30:00Z"), Ok("alice".into()));
    assert_eq!(check("alice", "2026-03-01T12:31:00Z"), Ok("alice".into()), "stamped by a replica whose clock is ahead");
    assert_eq!(check("alice", "2026-03-01T12:31:01Z"), Err(Refused::ForgedStamps));
    assert_eq!(check("bob", "2026-03-01T12:30:00Z"), Err(Refused::ForgedStamps));
    assert_eq!(check("alice", "tomorrow"), Err(Refused::NotStamped));
}

/// Whatever two replicas think of the time, each keeps to its own: one opens it, the other ends it earlier or later by as much as their
/// clocks differ, and neither sees it end twice.
#[test]
fn another_clock_ends_it_at_another_moment() {
    let request = Request { reason: "r".into(), length: SignedDuration::from_mins(30) };
    let mins = SignedDuration::from_mins;
    let until = (now() + mins(30)).to_string();
    let object = with(&json!({BREAK_GLASS: "r", BREAK_GLASS_BY: "alice", BREAK_GLASS_UNTIL: until}));
    let state = State::whole(&object);
    for (skew, granted) in [(mins(-5), false), (mins(-1), true), (mins(0), true), (mins(5), true)] {
        let there = |passed: SignedDuration| now() + passed + skew;
        assert_eq!(check_stamps(&request, &state, "alice", there(mins(0))).is_ok(), granted, "{skew:#}");
        let ends = mins(30) - skew;
        assert!(open(&state, there(ends - SignedDuration::from_secs(1))).is_some(), "{skew:#}");
        assert!(open(&state, there(ends)).is_none(), "{skew:#}");
    }
}

#[test]
fn people_are_reminded_of_a_long_one() {
    let glass = |length: SignedDuration| Glass { reason: "r".into(), by: "alice".into(), until: now() + length };
    let mins = SignedDuration::from_mins;
    assert_eq!(glass(mins(30)).reminder(now()), Some(now() + mins(25)));
    assert_eq!(glass(mins(5)).reminder(now()), None, "it ends in five minutes: whoever opened it has just said so");
    assert_eq!(
        glass(mins(5) + SignedDuration::from_secs(1)).reminder(now()),
        Some(now() + SignedDuration::from_secs(1))
    );
}

#[test]
fn open_until_it_ends() {
    let object = with(&json!({BREAK_GLASS: "r", BREAK_GLASS_BY: "alice", BREAK_GLASS_UNTIL: "2026-03-01T12:00:01Z"}));
    let state = State::whole(&object);
    assert!(open(&state, now()).is_some());
    assert!(open(&state, now() + SignedDuration::from_secs(1)).is_none());
}
