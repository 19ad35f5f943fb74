//! Which wave is next, as values; and whatever the order in which objects become ready, as a property.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

fn at(minute: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
}

fn waits(why: &str) -> Readiness {
    Readiness::Waits(why.to_owned())
}

fn set<const N: usize>(keys: [&'static str; N]) -> BTreeSet<&'static str> {
    keys.into()
}

#[test]
fn the_number_is_ours_or_argo_cds() {
    let of = |annotations| wave(&json!({"metadata": {"annotations": annotations}}));
    assert_eq!(of(json!({WAVE: "3"})), 3);
    assert_eq!(of(json!({WAVE: "-2", ARGO_WAVE: "7"})), -2);
    assert_eq!(of(json!({ARGO_WAVE: "7"})), 7);
    assert_eq!(of(json!({ARGO_WAVE: "soon"})), 0, "as Argo CD reads it");
    assert_eq!(wave(&json!({})), 0);
}

#[test]
fn a_wave_begins_when_the_one_before_is_ready() {
    let mut rollout = Rollout::new([("web", 1), ("db", 0), ("queue", 0)], false, at(0));
    assert_eq!(rollout.next(at(0)), Some(set(["db", "queue"])));
    rollout.seen(&"queue", Readiness::Ready);
    rollout.seen(&"db", waits("0 of 1 are ready"));
    assert!(rollout.holds(&"web") && rollout.awaits(&"db") && !rollout.awaits(&"queue"));
    assert_eq!(rollout.next(at(1)), None);
    assert_eq!(rollout.told().as_deref(), Some("wave 1 waits for db of wave 0: 0 of 1 are ready"));
    rollout.seen(&"db", Readiness::Ready);
    assert_eq!(rollout.next(at(2)), Some(set(["web"])));
    assert!(rollout.is_over(), "nobody waits for the last");
}

#[test]
fn one_wave_is_no_reason_to_wait() {
    let mut rollout = Rollout::new([("web", 4), ("db", 4)], false, at(0));
    assert_eq!(rollout.next(at(0)), Some(set(["db", "web"])));
    assert!(rollout.is_over() && rollout.told().is_none());
    let mut rollout = Rollout::new([("web", 4)], true, at(0));
    assert_eq!(rollout.next(at(0)), Some(set(["web"])));
    assert!(!rollout.is_over(), "what is deleted last waits for all of it");
    assert_eq!(rollout.told().as_deref(), Some("what left Git waits for web of wave 4: it is being written"));
    rollout.seen(&"web", Readiness::Ready);
    assert!(rollout.is_over());
}

#[test]
fn too_long_is_said_once_for_each_time_it_takes() {
    let mut rollout = Rollout::new([("web", 1), ("db", 0)], false, at(0));
    assert_eq!(rollout.deadline(PATIENCE), None, "nothing is waited for yet");
    assert!(rollout.next(at(10)).is_some());
    assert_eq!(rollout.deadline(PATIENCE), Some(at(15)));
    assert!(!rollout.complain(PATIENCE, at(14)));
    assert!(rollout.complain(PATIENCE, at(15)) && !rollout.complain(PATIENCE, at(16)));
    assert!(rollout.complain(PATIENCE, at(20)));
    rollout.seen(&"db", Readiness::Ready);
    assert!(!rollout.complain(PATIENCE, at(99)));
}

proptest! {
    /// Whatever becomes ready in whatever order: each object is handed out once, in the order of the waves, and none before all
    /// of the waves below were ready.
    #[test]
    fn every_object_once_and_none_too_early(waves in prop::collection::vec(-3_i32..4, 1..12), order in any::<u64>()) {
        let mut rollout = Rollout::new(waves.iter().copied().enumerate(), false, at(0));
        let (mut written, mut ready) = (Vec::new(), BTreeSet::new());
        let mut draw = order;
        while !rollout.is_over() {
            if let Some(objects) = rollout.next(at(0)) {
                for key in objects {
                    let below = waves.iter().enumerate().filter(|(_, wave)| **wave < waves[key]);
                    prop_assert!(below.into_iter().all(|(other, _)| ready.contains(&other)));
                    written.push(key);
                }
                prop_assert!(written.iter().all(|key| !rollout.holds(key)));
            } else {
                let awaited: Vec<_> = rollout.awaited().copied().collect();
                draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let key = awaited[usize::try_from(draw >> 33).expect("it fits") % awaited.len()];
                rollout.seen(&key, Readiness::Ready);
                ready.insert(key);
            }
        }
        let mut once = written.clone();
        once.sort_unstable();
        prop_assert_eq!(once, (0..waves.len()).collect::<Vec<_>>());
        prop_assert!(written.windows(2).all(|two| waves[two[0]] <= waves[two[1]]));
    }
}
