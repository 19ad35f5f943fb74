//! Readiness that is counted, not set: nobody can forget to turn a flag, or turn it too early for somebody else.
//!
//! Each part takes a named [`Pending`] while it is built and gives it back when it can do its work. A part that dies first
//! never gives it back, so a crash is not mistaken for readiness.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// Whether every part can do its work. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct Readiness(watch::Sender<Waiting>);

/// One thing that is waited for.
#[derive(Debug)]
#[must_use = "the process is not ready before `ready` is called"]
pub struct Pending {
    what: &'static str,
    readiness: Readiness,
}

#[derive(Debug, Default)]
struct Waiting {
    parts: BTreeSet<&'static str>,
    stopping: bool,
}

// === impl Readiness ===

impl Readiness {
    /// Waiting for nothing yet. Take every [`Pending`] before anybody can ask.
    pub fn new() -> Self {
        Self(watch::Sender::default())
    }

    /// Waits for `what`, a name that fits after "waiting for". Names are unique.
    pub fn expect(&self, what: &'static str) -> Pending {
        self.0.send_if_modified(|waiting| waiting.parts.insert(what));
        Pending { what, readiness: self.clone() }
    }

    /// Not ready any more, whatever else: the process is about to end.
    pub fn stop(&self) {
        self.0.send_modify(|waiting| waiting.stopping = true);
    }

    /// What stands in the way; empty when ready.
    pub fn obstacles(&self) -> Vec<&'static str> {
        let Waiting { parts, stopping } = &*self.0.borrow();
        let end = stopping.then_some("the end: this process is shutting down");
        parts.iter().copied().chain(end).collect()
    }

    /// Resolves when every part is ready.
    pub async fn ready(&self) {
        let mut changes = self.0.subscribe();
        // It can only fail when the sender is gone, and `self` is a sender.
        changes.wait_for(|waiting| waiting.parts.is_empty() && !waiting.stopping).await.map(drop).unwrap_or_default();
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Pending ===

impl Pending {
    /// This part can do its work now.
    pub fn ready(self) {
        let Self { what, readiness } = self;
        readiness.0.send_if_modified(|waiting| waiting.parts.remove(what));
        tracing::debug!(what, "ready");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_when_the_last_part_is() {
        let readiness = Readiness::new();
        let (one, two) = (readiness.expect("one"), readiness.expect("two"));
        assert_eq!(readiness.obstacles(), ["one", "two"]);
        one.ready();
        assert_eq!(readiness.obstacles(), ["two"]);
        two.ready();
        readiness.ready().await;
    }

    #[test]
    fn a_part_that_dies_is_never_ready() {
        let readiness = Readiness::new();
        drop(readiness.expect("the first snapshot"));
        assert_eq!(readiness.obstacles(), ["the first snapshot"]);
    }

    #[test]
    fn stopping_is_final() {
        let readiness = Readiness::new();
        readiness.stop();
        assert_eq!(readiness.obstacles().len(), 1);
    }
}
