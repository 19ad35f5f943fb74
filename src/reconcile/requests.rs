//! Looks at Git that somebody asked for, by an annotation on the `GitSync` that is another than before.
//!
//! Only a look that began after the request answers it: what was under way may have read the commit before. And a replica that lost
//! the lead in between has answered nothing.

/// What was asked for, and what of that was answered.
#[derive(Debug, Default)]
pub struct Requests {
    wanted: Option<String>,
    looking: Option<String>,
    handled: Option<String>,
}

// === impl Requests ===

impl Requests {
    /// This is what the annotation says; `true` if that is news.
    pub(super) fn want(&mut self, asked: Option<&str>) -> bool {
        let known = [&self.wanted, &self.looking, &self.handled];
        let is_news = asked.is_some() && !known.iter().any(|known| known.as_deref() == asked);
        if is_news {
            self.wanted = asked.map(str::to_owned);
        }
        is_news
    }

    /// A look begins.
    pub(super) fn begin(&mut self) {
        self.looking = self.wanted.take();
    }

    /// It is over, and was it to the end?
    pub(super) fn end(&mut self, done: bool) {
        let Some(looked) = self.looking.take() else { return };
        if done {
            self.handled = Some(looked);
        } else {
            self.wanted.get_or_insert(looked);
        }
    }

    /// The leader has answered this.
    pub(super) fn follow(&mut self, handled: Option<&String>) {
        self.handled = handled.cloned();
        if self.wanted == self.handled {
            self.wanted = None;
        }
    }

    /// The request that was answered last.
    pub(super) fn handled(&self) -> Option<String> {
        self.handled.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_began_before_answers_nothing() {
        let mut requests = Requests::default();
        requests.begin();
        assert!(requests.want(Some("one")));
        assert!(!requests.want(Some("one")), "it is known");
        requests.end(true);
        assert_eq!(requests.handled(), None);
        requests.begin();
        assert!(!requests.want(Some("one")), "it is being answered");
        requests.end(true);
        assert_eq!(requests.handled().as_deref(), Some("one"));
        assert!(!requests.want(Some("one")) && !requests.want(None));
    }

    #[test]
    fn what_was_interrupted_is_answered_by_the_next_look() {
        let mut requests = Requests::default();
        requests.want(Some("one"));
        requests.begin();
        requests.end(false);
        assert_eq!(requests.handled(), None);
        requests.begin();
        requests.end(true);
        assert_eq!(requests.handled().as_deref(), Some("one"));
    }

    #[test]
    fn the_newest_request_is_not_lost_to_an_older_one() {
        let mut requests = Requests::default();
        requests.want(Some("one"));
        requests.begin();
        assert!(requests.want(Some("two")));
        requests.end(false);
        requests.begin();
        requests.end(true);
        assert_eq!(requests.handled().as_deref(), Some("two"));
    }

    #[test]
    fn what_the_leader_answered_is_not_answered_again() {
        let mut requests = Requests::default();
        requests.want(Some("one"));
        requests.follow(Some(&"one".to_owned()));
        requests.begin();
        requests.end(true);
        assert!(!requests.want(Some("one")));
    }
}
