//! A year of certificates, at a time that is said. What a client trusts is what was last published.

use proptest::prelude::*;

use super::*;

const START: &str = "2026-11-21T10:00:00Z";

fn names() -> Vec<String> {
    vec!["holdfast.holdfast-system.svc".to_owned(), "127.0.0.1".to_owned()]
}

fn start() -> Timestamp {
    START.parse().expect("a time")
}

fn fresh() -> Kept {
    Kept::fresh(&names(), start()).expect("made")
}

fn days(days: u32) -> Duration {
    Duration::from_hours(24 * u64::from(days))
}

fn takes(trust: &str, served: &Kept, now: Timestamp) -> bool {
    verify(served.serving.chain.as_bytes(), trust.as_bytes(), &names(), now).is_ok()
}

#[test]
fn what_is_written_can_be_read() {
    let kept = fresh().prepared(&names(), start() + days(60)).expect("made");
    let read = Kept::read(&kept.data(), &names(), start() + days(61)).expect("usable");
    assert_eq!((read.serving.chain, read.trust), (kept.serving.chain, kept.trust));
    assert_eq!(read.serving.validity, Validity { from: start() - CLOCK_SKEW, until: start() + LIFE });
    assert_eq!(read.next.map(|next| next.key), kept.next.map(|next| next.key));
}

#[test]
fn what_is_made_is_what_is_read() {
    let now = start() + Duration::from_millis(456);
    let kept = Kept::fresh(&names(), now).expect("made");
    assert!(Kept::read(&kept.data(), &names(), now).expect("usable") == kept);
}

#[test]
fn the_order_is_prepare_publish_settle_promote() {
    let kept = fresh();
    let renewal = start() - CLOCK_SKEW + (LIFE + CLOCK_SKEW) / 3 * 2;
    assert_eq!(kept.step(true, start()), Step::Rest(renewal));
    assert_eq!(kept.step(true, renewal), Step::Prepare);
    let prepared = kept.prepared(&names(), renewal).expect("made");
    assert_eq!(prepared.step(false, renewal + days(1)), Step::Publish);
    assert_eq!(prepared.step(true, renewal), Step::Rest(renewal + SETTLE));
    assert_eq!(prepared.step(true, renewal + SETTLE), Step::Promote);
    let promoted = prepared.promoted();
    assert!(matches!(promoted.step(true, renewal + SETTLE), Step::Rest(_)));
    assert_eq!(promoted.trust, prepared.trust, "the old authority stays");
}

#[test]
fn authorities_that_ran_out_are_dropped() {
    let mut kept = fresh();
    for round in 1..=6 {
        let now = start() + days(60) * round;
        kept = kept.prepared(&names(), now).expect("made").promoted();
        assert_eq!(kept.trust.matches(END).count(), 2, "this one and the one before");
    }
}

#[test]
fn garbage_is_named() {
    let (good, now) = (fresh().data(), start());
    let other = vec!["elsewhere.example.com".to_owned()];
    let broken = |key: &str, text: &str| {
        let mut data = good.clone();
        data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
        Kept::read(&data, &names(), now).expect_err("of no use").to_string()
    };
    assert_eq!(Kept::read(&Data::new(), &names(), now).expect_err("empty").to_string(), "it holds no ca.crt");
    assert_eq!(broken("tls.key", " "), "it holds no tls.key");
    assert_eq!(broken("tls.crt", "nonsense"), "its certificate is of no use");
    assert_eq!(broken("ca.crt", &fresh().trust), "its certificate is of no use");
    let stranger = String::from_utf8(fresh().data()["tls.key"].0.clone()).expect("PEM");
    assert_eq!(broken("tls.key", &stranger), "its certificate is of no use");
    assert!(Kept::read(&good, &other, now).is_err(), "another name");
    assert!(Kept::read(&good, &names(), now + LIFE + days(1)).is_err(), "expired");
    assert!(Kept::read(&good, &names(), now - CLOCK_SKEW / 2).is_ok(), "a clock that is a little behind");
}

#[test]
fn a_broken_next_pair_is_none() {
    let mut data = fresh().prepared(&names(), start()).expect("made").data();
    data.insert(NEXT_CHAIN.to_owned(), ByteString(b"nonsense".to_vec()));
    assert!(Kept::read(&data, &names(), start()).expect("usable").next.is_none());
}

#[test]
fn keys_are_not_printed() {
    let kept = fresh();
    let printed = format!("{kept:?}");
    assert!(!printed.contains("PRIVATE") && !printed.contains("BEGIN"), "{printed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Replicas look now and then, each at a time of its own; the API servers hear of a new bundle late. As long as
    /// everybody looks every nine days, and "late" is less than the settling time, every client takes every leaf.
    #[test]
    fn no_client_ever_meets_a_stranger(
        pauses in prop::collection::vec(1_u32..=9 * 24, 40..80),
        late in 0_u32..=50,
    ) {
        let (mut now, mut kept) = (start(), fresh());
        let mut published = (kept.trust.clone(), now);
        let (mut trusted, mut served) = (kept.trust.clone(), kept.clone());
        for hours in pauses {
            for _ in 0..4 {
                match kept.step(published.0 == kept.trust, now) {
                    Step::Rest(_) => break,
                    Step::Prepare => kept = kept.prepared(&names(), now).expect("made"),
                    Step::Publish => published = (kept.trust.clone(), now),
                    Step::Promote => kept = kept.promoted(),
                }
            }
            // Another replica serves what was before until it reads the Secret; both must be taken by both.
            for leaf in [&served, &kept] {
                prop_assert!(takes(&trusted, leaf, now), "at {now}");
            }
            served = kept.clone();
            now += Duration::from_hours(hours.into());
            if published.1 + Duration::from_mins(late.into()) <= now {
                trusted.clone_from(&published.0);
            }
        }
    }
}
