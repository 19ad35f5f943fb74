//! Laws of fights, with simulated time.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::core::exclude::FieldPath;

fn start() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().expect("a time")
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Somebody who changes the object `every` so often, until `ends`; it is healed as soon as it may be. Answers with the heals,
/// and the bout at the end.
fn play(every: SignedDuration, ends: Timestamp, salt: u64) -> (Vec<Timestamp>, Bout) {
    let (mut bout, mut heals) = (Bout::new(start()), Vec::new());
    let mut acts = start();
    while acts <= ends {
        if bout.is_over(false, acts) {
            bout.fight = None;
        }
        let heal = bout.waits(acts).unwrap_or(acts);
        // Whatever is done while the heal waits changes nothing.
        while acts <= heal {
            acts += every;
        }
        bout.healed(salt, heal);
        heals.push(heal);
    }
    (heals, bout)
}

#[test]
fn the_sixth_heal_within_seconds_begins_a_fight() {
    let mut bout = Bout::new(start());
    for second in 0..5 {
        assert!(!bout.healed(0, start() + seconds(second)) && bout.waits(start() + seconds(second)).is_none());
    }
    let sixth = start() + seconds(5);
    assert!(bout.healed(0, sixth));
    let waits = bout.waits(sixth).expect("a fight");
    assert!(waits >= sixth + seconds(15) && waits <= sixth + seconds(18), "{waits}");
    assert!(!bout.healed(0, waits), "it goes on, and does not begin again");
    assert_eq!(bout.fight().map(|fight| (fight.since, fight.rounds)), Some((sixth, 2)));
}

#[test]
fn a_clock_set_back_makes_nothing_hotter() {
    let mut bout = Bout::new(start());
    assert!(!(0..4).any(|_| bout.healed(0, start())));
    bout.healed(0, start() - seconds(3600));
    assert!(bout.heat(start()) <= LIMIT && bout.fight().is_none());
}

#[test]
fn the_rule_that_ends_it_can_be_pasted() {
    let key = ObjectKey::of(&json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}}))
        .expect("a key");
    let replicas = Path::of_fields(&["spec", "replicas"]);
    let label = Path::of_fields(&["metadata", "labels", "a.b/c"]);
    let image = "{\"name\":\"app\"}";
    let image = Path::new(vec![
        Step::Field("spec".into()),
        Step::Field("containers".into()),
        Step::Key(crate::core::path::MergeKey::parse(image).expect("a key")),
        Step::Field("image".into()),
    ]);
    let rule = peace(&key, &[replicas.clone(), label, image.clone()], Some("other")).expect("a rule");
    insta::assert_snapshot!(rule, @r#"
    ignoreDifferences:
    - group: "apps"
      kind: Deployment
      name: "api"
      jsonPointers: ["/spec/replicas", "/metadata/labels/a.b~1c"]
      fieldPaths: [".spec.containers[name=app].image"]
    "#);
    assert!(image.to_string().parse::<FieldPath>().is_ok());
    let many = vec![replicas; 6];
    assert!(
        peace(&key, &many, Some("other")).is_some_and(|rule| rule.ends_with("  managedFieldsManagers: [\"other\"]\n"))
    );
    assert!(peace(&key, &many, None).is_some_and(|rule| rule.contains("jsonPointers")));
    assert_eq!(peace(&key, &[Path::default()], None), None, "no exclusion keeps an object from being missing");
}

proptest! {
    #[test]
    fn waits_grow_to_the_longest_and_differ(rounds in 1..200_u32, one in any::<u64>()) {
        let length = jittered(wait(rounds), one, rounds);
        prop_assert!(length >= FIRST && length <= LONGEST + LONGEST / 5);
        prop_assert!(jittered(wait(rounds + 1), one, rounds + 1) >= length.min(LONGEST));
        prop_assert_eq!(length, jittered(wait(rounds), one, rounds));
    }

    #[test]
    fn who_acts_seldom_never_fights(every in 14..600_i64, salt in any::<u64>()) {
        let (heals, bout) = play(seconds(every), start() + seconds(7200), salt);
        prop_assert!(bout.fight().is_none());
        prop_assert_eq!(i64::try_from(heals.len()).expect("few"), 7200 / every + 1, "each was healed at once");
    }

    #[test]
    fn who_acts_all_the_time_is_given_way_to(millis in 5..9000_i64, minutes in 10..600_i64, salt in any::<u64>()) {
        let ends = start() + SignedDuration::from_mins(minutes);
        let (heals, bout) = play(SignedDuration::from_millis(millis), ends, salt);
        prop_assert!(bout.fight().is_some());
        prop_assert!(i64::try_from(heals.len()).expect("few") <= 30 + minutes / 10, "{} heals", heals.len());
        // And healed in the end, not much later than it ended.
        let last = *heals.last().expect("at least one");
        prop_assert!(last >= ends - seconds(720) && last <= ends + seconds(720));
    }

    #[test]
    fn it_is_over_once_calm_and_nothing_waits_then(millis in 5..9000_i64, salt in any::<u64>()) {
        let (heals, mut bout) = play(SignedDuration::from_millis(millis), start() + seconds(1800), salt);
        let last = *heals.last().expect("at least one");
        prop_assert!(!bout.is_over(false, last + CALM - seconds(1)));
        prop_assert!(!bout.is_over(true, last + CALM + CALM), "what differs is not at peace");
        prop_assert!(bout.is_over(false, last + CALM));
        bout = Bout::new(last + CALM);
        prop_assert!(bout.waits(last + CALM).is_none() && bout.is_cold(last + CALM));
    }
}
