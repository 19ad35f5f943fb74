//! Many syncs follow one repository: one of them asks, and all of them know.
//!
//! Syncs of one repository wake at the same beat, and a beat is answered once: an answer that was asked for after a sync's beat is
//! as good as one of its own. So nothing is seen later than if everybody asked, a server gets one question per beat instead of
//! one per sync, and one that hangs costs one waiting thread. Whoever wants to know now (a push, a retry) moves his own beat to now.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Gate;
use tokio::time::Instant;

use crate::api::VerifyMode;
use crate::git::{Commit, Error};

/// A beat that answers those who were there at the start, however long they took to be told.
const START: Duration = Duration::from_secs(5);
/// Questions nobody asked for this long are forgotten.
const FORGOTTEN: Duration = Duration::from_hours(2);

/// What was asked: a repository, the Secret it is read with, a revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The URL.
    pub url: String,
    /// The Secret, as `namespace/name`; empty for none.
    pub secret: String,
    /// Branch, tag, or range of versions.
    pub revision: String,
    /// The Secret of whoever must have signed what is found, and what that is: nobody hears of a commit he would not believe.
    pub signers: Option<(String, VerifyMode)>,
}

/// Which commit it is; or why nobody knows.
pub type Answer = Result<Commit, Arc<Error>>;

type Last = Arc<Gate<Option<(Instant, Answer)>>>;

/// The last answers.
#[derive(Debug)]
pub struct Share {
    began: Instant,
    answers: Mutex<HashMap<Question, Last>>,
}

// === impl Share ===

impl Default for Share {
    fn default() -> Self {
        Self { began: Instant::now(), answers: Mutex::default() }
    }
}

impl Share {
    /// The answer to a question, asked at `beat` or later, and when that was; `ask` blocks.
    pub async fn ask(
        &self,
        question: &Question,
        beat: Instant,
        ask: impl FnOnce() -> Result<Commit, Error> + Send + 'static,
    ) -> (Instant, Answer) {
        let last = self.last(question);
        let mut last = last.lock().await;
        if let Some((asked, answer)) = &*last
            && *asked >= beat
        {
            return (*asked, answer.clone());
        }
        let asked = Instant::now();
        let answer = blocking(ask).await.map_err(Arc::new);
        *last = Some((asked, answer.clone()));
        (asked, answer)
    }

    /// The beat of whoever asks for the first time: at the start of the process all of them are one.
    pub fn first_beat(&self, now: Instant) -> Instant {
        if now.duration_since(self.began) < START { self.began } else { now }
    }

    /// The next beat of everybody who asks for this repository so often.
    pub fn next_beat(&self, url: &str, interval: Duration, now: Instant) -> Instant {
        let mut hasher = DefaultHasher::new();
        url.hash(&mut hasher);
        now + until_beat(hasher.finish(), interval, now.duration_since(self.began))
    }

    fn last(&self, question: &Question) -> Last {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = answers.get(question) {
            return Arc::clone(last);
        }
        answers.retain(|_, last| !is_forgotten(last));
        Arc::clone(answers.entry(question.clone()).or_default())
    }
}

async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(ask).await.expect("asking Git neither panics nor is cancelled")
}

/// Nobody holds it, and nobody asked for long.
fn is_forgotten(last: &Last) -> bool {
    let asked = last.try_lock().ok().and_then(|last| last.as_ref().map(|(asked, _)| *asked));
    Arc::strong_count(last) == 1 && asked.is_some_and(|asked| asked.elapsed() > FORGOTTEN)
}

/// How long until a rhythm of `interval` beats next, `elapsed` after it began. `seed` moves it, lest all repositories be asked at
/// the same moment. Never nothing: the beat that is now was heard.
fn until_beat(seed: u64, interval: Duration, elapsed: Duration) -> Duration {
    let length = interval.as_nanos().max(1);
    let into = (elapsed.as_nanos() + u128::from(seed) % length) % length;
    Duration::from_nanos(u64::try_from(length - into).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    fn question(revision: &str) -> Question {
        Question { url: "https://h/r".to_owned(), secret: String::new(), revision: revision.to_owned(), signers: None }
    }

    fn commit(sha: &str) -> Commit {
        let (author, subject) = (String::new(), String::new());
        Commit { sha: sha.to_owned(), author, time: jiff::Timestamp::UNIX_EPOCH, subject }
    }

    #[test]
    fn everybody_hears_the_same_beat() {
        for seed in [0, 1, 7_000_000_000, u64::MAX] {
            let beats = |at: u64| {
                let at = Duration::from_millis(at);
                at + until_beat(seed, EVERY, at)
            };
            let first = beats(0);
            assert!(first <= EVERY && first > Duration::ZERO);
            let inside = u64::try_from(first.as_millis()).expect("small") + 1;
            let later: Vec<_> = [1, 2000, 29_000].map(|more| beats(inside + more)).into_iter().collect();
            assert!(later.iter().all(|beat| *beat == first + EVERY), "{later:?}");
        }
    }

    #[tokio::test]
    async fn a_hundred_who_ask_at_one_beat_ask_once() {
        let (share, asked) = (Arc::new(Share::default()), Arc::new(AtomicUsize::new(0)));
        let beat = Instant::now();
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (share, asked) = (Arc::clone(&share), Arc::clone(&asked));
            all.spawn(async move {
                let ask = move || {
                    asked.fetch_add(1, Ordering::SeqCst);
                    Ok(commit("a"))
                };
                share.ask(&question("main"), beat, ask).await.1.expect("an answer").sha
            });
        }
        assert!(all.join_all().await.iter().all(|sha| sha == "a"));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let later = share.ask(&question("main"), Instant::now(), || Ok(commit("b"))).await.1;
        assert_eq!(later.expect("an answer").sha, "b", "the next beat is asked anew");
        let other = share.ask(&question("v1"), beat, || Ok(commit("c"))).await.1;
        assert_eq!(other.expect("an answer").sha, "c", "another revision is another question");
    }

    #[tokio::test]
    async fn a_failure_is_shared_like_any_answer() {
        let share = Share::default();
        let beat = Instant::now();
        let fails = || Err(Error::Untrusted { url: "https://h/r".to_owned(), reason: "no".to_owned() });
        share.ask(&question("main"), beat, fails).await.1.expect_err("it fails");
        let again = share.ask(&question("main"), beat, || Ok(commit("a"))).await.1;
        assert_eq!(again.expect_err("the same answer").condition(), "ServerUntrusted");
    }
}
