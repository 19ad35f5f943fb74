//! One snapshot out of what every sync declares, for everybody who judges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::core::object::ObjectKey;
use crate::core::snapshot::{Managed, Snapshot};

/// What judges read: nothing until the first snapshot is complete, so that nobody mistakes "not read yet" for "not managed".
pub type Desired = watch::Receiver<Option<Arc<Snapshot>>>;

/// Collects declarations from the syncs and publishes their union.
#[derive(Debug)]
pub struct Publisher {
    state: Mutex<State>,
    sender: watch::Sender<Option<Arc<Snapshot>>>,
}

#[derive(Debug, Default)]
struct State {
    declared: BTreeMap<String, Vec<Arc<Managed>>>,
    /// Syncs that have not been read for the first time yet; `None` until they are known.
    awaited: Option<BTreeSet<String>>,
}

// === impl Publisher ===

impl Publisher {
    /// A publisher, and the first of its receivers.
    pub fn new() -> (Self, Desired) {
        let (sender, receiver) = watch::channel(None);
        (Self { state: Mutex::default(), sender }, receiver)
    }

    /// These syncs exist at start-up: nothing is published before each has reported once, or is gone.
    pub fn expect(&self, syncs: impl IntoIterator<Item = String>) {
        self.update(|state| {
            let reported = |sync: &String| !state.declared.contains_key(sync);
            state.awaited.get_or_insert_with(|| syncs.into_iter().filter(reported).collect());
        });
    }

    /// This is what `sync` declares now.
    pub fn declare(&self, sync: &str, managed: Vec<Arc<Managed>>) {
        self.update(|state| {
            state.declared.insert(sync.to_owned(), managed);
            state.settle(sync);
        });
    }

    /// `sync` could not be read; what it declared before still holds.
    pub fn failed(&self, sync: &str) {
        self.update(|state| state.settle(sync));
    }

    /// `sync` is no more.
    pub fn forget(&self, sync: &str) {
        self.update(|state| {
            state.declared.remove(sync);
            state.settle(sync);
        });
    }

    /// Which other sync declares this object, if one does and came first.
    pub fn claimed_by_other(&self, sync: &str, key: &ObjectKey) -> Option<String> {
        let snapshot = self.sender.borrow().clone()?;
        let owner = &snapshot.get(key)?.sync.name;
        (owner != sync).then(|| owner.clone())
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        // A panic while holding the lock leaves whole values behind: each change is one insert or remove.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        if state.awaited.as_ref().is_some_and(BTreeSet::is_empty) {
            let snapshot = Snapshot::new(state.declared.values().flatten().cloned());
            self.sender.send_replace(Some(Arc::new(snapshot)));
        }
    }
}

// === impl State ===

impl State {
    fn settle(&mut self, sync: &str) {
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(sync);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_published(desired: &Desired) -> bool {
        desired.borrow().is_some()
    }

    #[test]
    fn nothing_is_published_before_every_known_sync_was_read() {
        let (publisher, desired) = Publisher::new();
        publisher.declare("team/early", Vec::new());
        assert!(!is_published(&desired), "it is not known yet which syncs there are");
        publisher.expect(["team/early", "team/late", "team/broken", "team/gone"].map(str::to_owned));
        publisher.declare("team/late", Vec::new());
        publisher.failed("team/broken");
        assert!(!is_published(&desired));
        publisher.forget("team/gone");
        assert!(is_published(&desired), "a sync that cannot be read holds nobody up");
    }

    #[test]
    fn a_cluster_without_syncs_is_ready_at_once() {
        let (publisher, desired) = Publisher::new();
        publisher.expect([]);
        assert!(is_published(&desired));
    }

    #[test]
    fn a_list_made_again_does_not_take_readiness_back() {
        let (publisher, desired) = Publisher::new();
        publisher.expect([]);
        publisher.expect(["team/new".to_owned()]);
        publisher.declare("team/other", Vec::new());
        assert!(is_published(&desired));
    }
}
