//! What time it is for the cluster.
//!
//! Replicas judge by time: whether an emergency is over, a window open, a certificate due. If each went by the clock of the machine it is
//! on, one would refuse what the other has just stamped. The API server's clock is the one that all can see, and the one that counts where
//! it judges by time itself: it is in every answer, to the second. When in between asking and hearing it was written, nobody says. So a
//! clock that is off by no more than that is taken for right, and a wrong one is put right to about a second.

use std::sync::atomic::{AtomicI64, Ordering};

use http::header::DATE;
use http::{Request, Response};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::{Body, ClientBuilder, DynBody};
use tower::BoxError;
use tower::util::{BoxService, MapFutureLayer};

/// A clock that is off by no more counts as right: an answer that took as long as it may is known to a second and a half.
const RIGHT: SignedDuration = SignedDuration::from_secs(3);

/// An answer that took longer tells too little.
const SLOW: SignedDuration = SignedDuration::from_secs(2);

/// What a date leaves out, on average.
const FRACTION: SignedDuration = SignedDuration::from_millis(500);

/// By so many milliseconds the API server's clock is ahead of ours, as far as is known: one for the process, like the clock itself.
static AHEAD: AtomicI64 = AtomicI64::new(0);

/// What kube makes, before anything is put around it.
type Bare = BoxService<Request<Body>, Response<Box<DynBody>>, BoxError>;

/// The time.
pub fn now() -> Timestamp {
    put_right(Timestamp::now(), SignedDuration::from_millis(AHEAD.load(Ordering::Relaxed)))
}

/// A client that looks at the clock whenever an answer comes.
pub fn listening(client: ClientBuilder<Bare>) -> Client {
    client.with_layer(&MapFutureLayer::new(|answer| hear(answer, Timestamp::now()))).build()
}

async fn hear<B, E>(answer: impl Future<Output = Result<Response<B>, E>>, asked: Timestamp) -> Result<Response<B>, E> {
    let answer = answer.await?;
    let date = answer.headers().get(DATE).and_then(|date| read(date.as_bytes()));
    if let Some(ahead) = date.and_then(|date| ahead(date, asked, Timestamp::now())) {
        learn(ahead);
    }
    Ok(answer)
}

/// How far the clock that wrote this date is ahead of ours; nothing, as far as anybody can tell; `None` if nobody can.
fn ahead(date: Timestamp, asked: Timestamp, answered: Timestamp) -> Option<SignedDuration> {
    let took = answered.duration_since(asked);
    let ahead = date.duration_since(asked) + FRACTION - took / 2;
    let is_quick = (SignedDuration::ZERO..=SLOW).contains(&took);
    is_quick.then(|| if ahead.abs() <= RIGHT { SignedDuration::ZERO } else { ahead })
}

/// What is known already is not known better: time is not to jump with every answer.
fn learn(ahead: SignedDuration) {
    let known = SignedDuration::from_millis(AHEAD.load(Ordering::Relaxed));
    if ahead == known || (!ahead.is_zero() && (ahead - known).abs() <= RIGHT) {
        return;
    }
    AHEAD.store(i64::try_from(ahead.as_millis()).unwrap_or_default(), Ordering::Relaxed);
    if ahead.is_zero() {
        tracing::info!("the clock of this machine is right again");
    } else {
        let side = if ahead.is_positive() { "behind" } else { "ahead of" };
        tracing::warn!("this machine's clock is {:#} {side} the API server's, which is gone by", ahead.abs());
    }
}

fn put_right(time: Timestamp, ahead: SignedDuration) -> Timestamp {
    time.saturating_add(ahead).unwrap_or(time)
}

fn read(date: &[u8]) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(date).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_date_is_read_as_http_writes_it() {
        let time = "2026-11-29T10:12:32Z".parse().expect("a time");
        assert_eq!(read(b"Sun, 29 Nov 2026 10:12:32 GMT"), Some(time));
        assert_eq!(read(b"soon"), None);
    }

    #[test]
    fn an_answer_that_took_long_tells_nothing() {
        let [asked, answered] = [0, 3].map(|second| Timestamp::from_second(second).expect("a time"));
        assert_eq!(ahead(answered, asked, answered), None);
        assert_eq!(ahead(asked, answered, asked), None, "our own clock was set back meanwhile");
    }

    proptest! {
        /// Whenever the API server wrote it, and however far off our clock is.
        #[test]
        fn a_wrong_clock_is_put_right_and_a_right_one_left_alone(
            off in prop_oneof![-1_000_i64..=1_000, -20_000_i64..20_000, any::<i32>().prop_map(i64::from)],
            asked in 1_790_000_000_000_i64..1_800_000_000_000,
            took in 0_i64..=2_000,
            share in 0.0..=1.0_f64,
        ) {
            #[expect(clippy::cast_possible_truncation, reason = "up to two thousand")]
            let written = asked + (f64::from(i32::try_from(took)?) * share) as i64;
            let time = |millis: i64| Timestamp::from_millisecond(millis).expect("a time");
            let date = time(written.div_euclid(1000) * 1000);
            let ours = |millis: i64| time(millis + off);
            let ahead = ahead(date, ours(asked), ours(asked + took)).expect("it was quick");
            let now = put_right(ours(asked + took), ahead);
            let wrong = now.duration_since(time(asked + took)).abs();
            prop_assert!(off.abs() > 1_000 || ahead.is_zero(), "{ahead}");
            let most = if ahead.is_zero() { RIGHT + SLOW } else { SignedDuration::from_millis(1_500) };
            prop_assert!(wrong <= most, "it is off by {wrong}");
        }
    }
}
