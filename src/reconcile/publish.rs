//! One snapshot out of what every sync declares, for everybody who judges.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::around::{Exempt, Seen};
use super::claims::{Claim, Claims, Contested};
use super::moves::{Awaited, Readers};
use crate::core::exclude::{LabelMap, Scaler, Surroundings, Target};
use crate::core::object::ObjectKey;
use crate::core::snapshot::{Managed, Resource, Snapshot};

/// What judges read: nothing until the first snapshot is complete, so that nobody mistakes "not read yet" for "not managed".
pub type Desired = watch::Receiver<Option<Arc<Snapshot>>>;

/// Collects declarations from the syncs and publishes their union, each with its exclusions as they are now.
#[derive(Debug)]
pub struct Publisher {
    state: Mutex<State>,
    claims: Mutex<Claims>,
    readers: Mutex<Readers>,
    sender: watch::Sender<Option<Arc<Snapshot>>>,
    around: watch::Sender<Arc<Surroundings>>,
    contested: watch::Sender<Arc<Contested>>,
}

#[derive(Debug, Default)]
struct State {
    declared: BTreeMap<String, Vec<Arc<Managed>>>,
    /// The autoscalers among them.
    declared_scalers: BTreeMap<String, Vec<(Target, Scaler)>>,
    /// Syncs that have not been read for the first time yet; `None` until they are known.
    awaited: Option<BTreeSet<String>>,
    /// Those that refuse edits and declare nobody knows what: they could not be read so far. And of which resources, before the start.
    unread: BTreeMap<String, Vec<Resource>>,
    /// Those that were, or could not be, before it was known which there are.
    settled: BTreeSet<String>,
    exempt: Exempt,
    scalers: BTreeMap<ObjectKey, (Target, Scaler)>,
    namespaces: BTreeMap<String, LabelMap>,
    /// Labels of the syncs themselves.
    syncs: BTreeMap<String, LabelMap>,
}

// === impl Publisher ===

impl Publisher {
    /// A publisher, and the first of its receivers.
    pub fn new() -> (Self, Desired) {
        let (sender, receiver) = watch::channel(None);
        let (around, contested) = (watch::Sender::default(), watch::Sender::default());
        let (state, claims, readers) = (Mutex::default(), Mutex::default(), Mutex::default());
        (Self { state, claims, readers, sender, around, contested }, receiver)
    }

    /// What exclusions depend on besides the objects.
    pub fn around(&self) -> watch::Receiver<Arc<Surroundings>> {
        self.around.subscribe()
    }

    /// Which objects more than one sync declares.
    pub fn contested(&self) -> watch::Receiver<Arc<Contested>> {
        self.contested.subscribe()
    }

    /// There is such a sync.
    pub fn know(&self, sync: &str) {
        self.settle_claims(|claims| claims.know(sync));
    }

    /// A sync carries these labels.
    pub fn labelled(&self, sync: &str, labels: &LabelMap) {
        self.update_if(|state| {
            let before = state.syncs.insert(sync.to_owned(), labels.clone());
            before.as_ref() != Some(labels) && state.exempt.teams.ask_for_syncs()
        });
    }

    /// The policy says this now.
    pub fn exempt(&self, exempt: Exempt) {
        self.update(|state| state.exempt = exempt);
    }

    /// Something around the objects was seen. Most sights (a status that changed) change nothing.
    pub fn seen(&self, seen: Seen) {
        self.update_if(|state| state.see(seen));
    }

    /// These are all autoscalers of a kind, or all namespaces.
    pub fn seen_all(&self, group: &str, kind: &str, list: Vec<Seen>) {
        self.update(|state| {
            if kind == "Namespace" {
                state.namespaces.clear();
            }
            state.scalers.retain(|key, _| key.kind != kind || key.group != group);
            for seen in list {
                state.see(seen);
            }
        });
    }

    /// These syncs exist at start-up: nothing is published before each has reported once, or is gone.
    pub fn expect(&self, syncs: impl IntoIterator<Item = String>) {
        self.update(|state| {
            let settled = std::mem::take(&mut state.settled);
            state.awaited.get_or_insert_with(|| syncs.into_iter().filter(|sync| !settled.contains(sync)).collect());
        });
        self.settle_claims(Claims::know_all);
    }

    /// `sync` is about to declare this, too. Answers with the objects that are another sync's to write.
    pub fn claim(&self, sync: &str, claims: Vec<Claim>) -> HashSet<ObjectKey> {
        self.settle_claims(|known| known.claim(sync, claims))
    }

    /// Several replicas write.
    pub fn spread(&self) {
        self.settle_claims(Claims::spread);
    }

    /// The object was seen, tracked by this sync.
    pub fn tracked(&self, key: &ObjectKey, sync: &str) {
        let is_news = self.claims.lock().unwrap_or_else(PoisonError::into_inner).seen(key, sync);
        if is_news {
            self.settle_claims(|_| {});
        }
    }

    /// Was every sync read, or found to be unreadable?
    pub fn is_complete(&self) -> bool {
        self.sender.borrow().is_some()
    }

    /// Do others wait for this sync to be read for the first time?
    pub fn awaits(&self, sync: &str) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.awaited.as_ref().is_none_or(|awaited| awaited.contains(sync))
    }

    /// Does another sync declare this object, or is it going to?
    pub fn is_claimed_by_other(&self, sync: &str, key: &ObjectKey) -> bool {
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.is_claimed_by_other(sync, key) || self.readers().is_announced_by_other(sync, key)
    }

    /// A sync follows this repository.
    pub fn follows(&self, sync: &str, repository: &str) {
        self.readers().follow(sync, repository);
    }

    /// What `sync` declares, or is going to, is known, as of when Git was asked.
    pub fn has_read(&self, sync: &str, asked: Instant) {
        let is_awaited = self.readers().read(sync, asked);
        self.wake_if(is_awaited);
    }

    /// It is not, and may not be for long.
    pub fn has_not_read(&self, sync: &str) {
        let is_awaited = self.readers().fail(sync);
        self.wake_if(is_awaited);
    }

    /// `sync` has nothing more to read.
    pub fn reads_no_more(&self, sync: &str) {
        let is_awaited = self.readers().forget(sync);
        self.wake_if(is_awaited);
    }

    /// A commit of `sync` that waits declares these.
    pub fn announces(&self, sync: &str, keys: HashSet<ObjectKey>) {
        self.readers().announce(sync, keys);
    }

    /// Whom `sync` has to wait for before it deletes what left it in a commit known at `since`.
    pub fn awaited(&self, sync: &str, since: Instant, now: Instant) -> Option<Awaited> {
        self.readers().awaited(sync, since, now)
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits to delete looks again.
    fn wake_if(&self, is_awaited: bool) {
        if is_awaited {
            self.contested.send_modify(|_| {});
        }
    }

    /// This is what `sync` declares now, its exclusions resolved in these surroundings; and what it would if other syncs did not
    /// keep it.
    pub fn declare(&self, sync: &str, managed: Vec<Arc<Managed>>, lost: &HashSet<ObjectKey>, resolved: &Surroundings) {
        let keys = managed.iter().map(|managed| managed.manifest.key.clone()).chain(lost.iter().cloned()).collect();
        self.update(|state| {
            // Inside the lock: what surrounds the objects changes only in here.
            let around = self.around.borrow().clone();
            let is_same = |managed: &Managed| resolved.is_same_for(&around, &managed.manifest.key);
            let renewed = |managed: Arc<Managed>| {
                if is_same(&managed) { managed } else { managed.within(&around).map_or(managed, Arc::new) }
            };
            state
                .declared_scalers
                .insert(sync.to_owned(), managed.iter().filter_map(|managed| scaler(managed)).collect());
            state.declared.insert(sync.to_owned(), managed.into_iter().map(renewed).collect());
            state.settle(sync);
        });
        // Only now: whoever takes over what is let go must not find it in the snapshot still.
        self.settle_claims(|claims| claims.release_all_but(sync, &keys));
    }

    /// `sync` could not be read; what it declared before still holds. If it would refuse edits: `of` these resources it had something when
    /// it was read last, which matters as long as it has declared nothing since the start.
    pub fn failed(&self, sync: &str, of: Option<Vec<Resource>>) {
        self.update(|state| {
            state.settle(sync);
            if let Some(of) = of.filter(|_| !state.declared.contains_key(sync)) {
                state.unread.insert(sync.to_owned(), of);
            }
        });
        self.has_not_read(sync);
    }

    /// `sync` is no more.
    pub fn forget(&self, sync: &str) {
        self.update(|state| {
            state.declared.remove(sync);
            state.declared_scalers.remove(sync);
            state.syncs.remove(sync);
            state.settle(sync);
        });
        self.settle_claims(|claims| claims.forget(sync));
        self.reads_no_more(sync);
    }

    /// Changes who claims what; keepers are told if that changes what is contested.
    fn settle_claims<T>(&self, change: impl FnOnce(&mut Claims) -> T) -> T {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = change(&mut claims);
        let contested = claims.contested();
        self.contested.send_if_modified(|before| {
            let changed = **before != contested;
            *before = Arc::new(contested);
            changed
        });
        answer
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        self.update_if(|state| {
            change(state);
            true
        });
    }

    fn update_if(&self, change: impl FnOnce(&mut State) -> bool) {
        // A panic while holding the lock leaves whole values behind: each change is one insert or remove.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !change(&mut state) {
            return;
        }
        let around = state.surroundings();
        let is_new = **self.around.borrow() != around;
        if is_new {
            let before = self.around.borrow().clone();
            state.resolve(&before, &around);
        }
        if state.awaited.as_ref().is_some_and(BTreeSet::is_empty) {
            let snapshot = Snapshot::new(state.declared.values().flatten().cloned()).besides(state.unread.clone());
            let is_first = self.sender.send_replace(Some(Arc::new(snapshot))).is_none();
            if is_first {
                // Now that every sync was read, what nobody declares may be pruned.
                self.contested.send_modify(|_| {});
            }
        }
        if is_new {
            self.around.send_replace(Arc::new(around));
        }
    }
}

// === impl State ===

impl State {
    fn settle(&mut self, sync: &str) {
        self.unread.remove(sync);
        match &mut self.awaited {
            Some(awaited) => awaited.remove(sync),
            None => self.settled.insert(sync.to_owned()),
        };
    }

    /// `true` if it changes what exclusions depend on.
    fn see(&mut self, seen: Seen) -> bool {
        match seen {
            Seen::Scaler(key, Some(scaler)) => self.scalers.insert(key, scaler.clone()) != Some(scaler),
            Seen::Scaler(key, None) => self.scalers.remove(&key).is_some(),
            Seen::Namespace(name, Some(labels)) => self.namespaces.insert(name, labels.clone()) != Some(labels),
            Seen::Namespace(name, None) => self.namespaces.remove(&name).is_some(),
        }
    }

    /// What exclusions depend on.
    fn surroundings(&self) -> Surroundings {
        let Exempt { rules, presets, unreadable, teams } = self.exempt.clone();
        let syncs = if teams.ask_for_syncs() { self.syncs.clone() } else { BTreeMap::new() };
        let mut around = Surroundings { rules, presets, unreadable, teams, syncs, ..Surroundings::default() };
        self.namespaces.iter().for_each(|(name, labels)| around.add_namespace(name, labels));
        if !self.asks_for_namespaces() {
            around.namespaces.clear();
        }
        for (target, scaler) in self.declared_scalers.values().flatten().chain(self.scalers.values()).cloned() {
            around.add(target, scaler);
        }
        around
    }

    fn asks_for_namespaces(&self) -> bool {
        let own = self.declared.values().flatten().any(|managed| managed.exclusions.ask_for_namespaces());
        let teams = self.exempt.teams.ask_for_namespaces();
        own || teams || self.exempt.rules.iter().any(|rule| rule.objects.namespace_labels.is_some())
    }

    /// Resolves every exclusion again; what does not change stays the same value.
    fn resolve(&mut self, before: &Surroundings, around: &Surroundings) {
        let is_same = |managed: &Managed| before.is_same_for(around, &managed.manifest.key);
        for managed in self.declared.values_mut().flatten().filter(|managed| !is_same(managed)) {
            if let Some(renewed) = managed.within(around) {
                *managed = Arc::new(renewed);
            }
        }
    }
}

/// Only of those that can be one, the manifest is read.
fn scaler(managed: &Managed) -> Option<(Target, Scaler)> {
    let key = &managed.manifest.key;
    Scaler::is_one(key).then(|| Scaler::read(key, &managed.manifest.value()))?
}
