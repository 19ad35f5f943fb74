//! Which sync an object belongs to when more than one declares it.
//!
//! The first keeps it: the one whose tracking-id the object carries, or else the one that declared it first. The others say so and
//! leave it alone, until it lets go; then the next takes it over as it is, and nothing is deleted in between. While nobody knows
//! what the sync named by a tracking-id declares (it was not read since the start), it is taken to declare the object still.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::keeper::Keeper;
use crate::core::manifest::Manifest;
use crate::core::names::{TRACKING_ID, tracked_by};
use crate::core::object::ObjectKey;
use crate::core::state::State;

/// What a sync says of one object.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The object.
    pub key: ObjectKey,
    /// File and line.
    pub place: String,
    /// The sync it is tracked by, as far as that was seen.
    pub tracked: Option<String>,
}

/// An object that more than one sync declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The sync that keeps it.
    pub owner: Option<String>,
    /// Every sync that declares it, and where.
    pub claimants: BTreeMap<String, String>,
}

/// What keepers want to be told of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contested {
    /// Objects that more than one sync declares, or that wait for one that was not read yet.
    pub objects: BTreeMap<ObjectKey, Shared>,
    /// Syncs that were not read yet.
    pub unread: BTreeSet<String>,
}

/// Who declares what.
#[derive(Debug, Default)]
pub struct Claims {
    objects: HashMap<ObjectKey, Claimed>,
    known: BTreeSet<Arc<str>>,
    read: BTreeSet<Arc<str>>,
    /// Are all syncs of the cluster known?
    complete: bool,
}

/// Who declares one object: nearly always one sync, and there is one of these for every object there is.
#[derive(Debug, Default)]
struct Claimed {
    claimants: Box<[(Arc<str>, Box<str>)]>,
    /// Always one of the claimants.
    owner: Option<Arc<str>>,
}

// === impl Claimed ===

impl Claimed {
    fn is_claimed_by(&self, sync: &str) -> bool {
        self.claimants.iter().any(|(claimant, _)| **claimant == *sync)
    }

    fn claim(&mut self, sync: &Arc<str>, place: Box<str>) {
        let mut claimants = std::mem::take(&mut self.claimants).into_vec();
        claimants.retain(|(claimant, _)| claimant != sync);
        claimants.push((sync.clone(), place));
        self.claimants = claimants.into();
    }

    fn release(&mut self, sync: &str) {
        if self.is_claimed_by(sync) {
            let claimants = std::mem::take(&mut self.claimants).into_vec();
            self.claimants = claimants.into_iter().filter(|(claimant, _)| **claimant != *sync).collect();
            self.owner.take_if(|owner| **owner == *sync);
        }
    }

    /// What keepers want to be told of it; `None` while one sync declares it and keeps it.
    fn shared(&self) -> Option<Shared> {
        let text = |text: &str| text.to_owned();
        let is_shared = self.claimants.len() > 1 || self.owner.is_none();
        is_shared.then(|| Shared {
            owner: self.owner.as_deref().map(text),
            claimants: self.claimants.iter().map(|(sync, place)| (text(sync), text(place))).collect(),
        })
    }
}

// === impl Claims ===

impl Claims {
    /// There is such a sync.
    pub fn know(&mut self, sync: &str) {
        self.name(sync);
    }

    /// The name of a sync, once for all that it declares.
    fn name(&mut self, sync: &str) -> Arc<str> {
        match self.known.get(sync) {
            Some(known) => known.clone(),
            None => {
                let name: Arc<str> = sync.into();
                self.known.insert(name.clone());
                name
            }
        }
    }

    /// There are no others.
    pub fn know_all(&mut self) {
        self.complete = true;
    }

    /// `sync` declares this, besides what it declared before. Answers with the objects that are not its to write.
    pub fn claim(&mut self, sync: &str, claims: Vec<Claim>) -> HashSet<ObjectKey> {
        let name = self.name(sync);
        let mut lost = HashSet::new();
        for Claim { key, place, tracked } in claims {
            let is_lost = self.is_lost(sync, &key, tracked.as_deref());
            let claimed = self.objects.entry(key.clone()).or_default();
            claimed.claim(&name, place.into());
            if is_lost {
                lost.insert(key);
            } else {
                claimed.owner = Some(name.clone());
            }
        }
        lost
    }

    /// `sync` declares these and nothing else.
    pub fn release_all_but(&mut self, sync: &str, keys: &HashSet<ObjectKey>) {
        self.read.insert(self.known.get(sync).cloned().unwrap_or_else(|| sync.into()));
        self.release(sync, |key| !keys.contains(key));
    }

    /// `sync` is no more.
    pub fn forget(&mut self, sync: &str) {
        self.known.remove(sync);
        self.read.remove(sync);
        self.release(sync, |_| true);
    }

    /// Does another sync declare this object?
    pub fn is_claimed_by_other(&self, sync: &str, key: &ObjectKey) -> bool {
        let claimed = self.objects.get(key);
        claimed.is_some_and(|claimed| claimed.claimants.iter().any(|(other, _)| **other != *sync))
    }

    /// What keepers want to be told of.
    pub fn contested(&self) -> Contested {
        let shared = |(key, claimed): (&ObjectKey, &Claimed)| Some((key.clone(), claimed.shared()?));
        let unread = self.known.difference(&self.read).map(|sync| sync.to_string()).collect();
        Contested { objects: self.objects.iter().filter_map(shared).collect(), unread }
    }

    /// Is the object another sync's to write: the one that keeps it, or else the one it is tracked by?
    fn is_lost(&self, sync: &str, key: &ObjectKey, tracked: Option<&str>) -> bool {
        match self.objects.get(key).and_then(|claimed| claimed.owner.as_deref()) {
            Some(owner) => owner != sync,
            None => tracked.is_some_and(|other| other != sync && self.may_claim(other, key)),
        }
    }

    fn may_claim(&self, sync: &str, key: &ObjectKey) -> bool {
        let claims = self.objects.get(key).is_some_and(|claimed| claimed.is_claimed_by(sync));
        let unread = self.known.contains(sync) && !self.read.contains(sync);
        claims || unread || !self.complete
    }

    fn release(&mut self, sync: &str, is_released: impl Fn(&ObjectKey) -> bool) {
        self.objects.retain(|key, claimed| {
            if is_released(key) {
                claimed.release(sync);
            }
            !claimed.claimants.is_empty()
        });
    }
}

// === impl Shared ===

impl Shared {
    /// Is it kept by another sync than this?
    pub fn is_lost_to(&self, sync: &str) -> bool {
        self.claimants.contains_key(sync) && self.owner.as_deref() != Some(sync)
    }

    /// Who declares `key`, where, and what to do about it.
    pub fn told(&self, key: &ObjectKey) -> String {
        let Self { owner, claimants } = self;
        let by = |(sync, place): (&String, &String)| format!("by GitSync {sync} ({place})");
        let others = claimants.iter().filter(|(sync, _)| Some(*sync) != owner.as_ref());
        let others = others.map(by).collect::<Vec<_>>().join(" and ");
        match owner.as_ref().and_then(|owner| claimants.get_key_value(owner)) {
            Some(first) => {
                format!("{key} is declared {}, which keeps it, and {others}; remove it from one", by(first))
            }
            None => format!("{key} is declared {others}, and kept by a GitSync that was not read yet"),
        }
    }
}

// === impl Claim ===

impl Claim {
    /// What `manifest` says of an object that was seen like this.
    pub fn of(manifest: &Manifest, live: Option<&Value>) -> Self {
        let Manifest { key, origin, .. } = manifest;
        let id = live.and_then(|live| State::whole(live).annotation(TRACKING_ID));
        let tracked = id.and_then(|id| tracked_by(id, key)).map(str::to_owned);
        Self { key: key.clone(), place: format!("{}:{}", origin.file, origin.lines.line), tracked }
    }
}

// === impl Keeper ===

impl Keeper {
    /// Who else declares what has changed: what was kept by another sync may be ours now, and what left Git another's.
    pub(super) async fn look_at_claims(&mut self) {
        let free = |key: &ObjectKey, contested: &Contested| {
            contested.objects.get(key).is_none_or(|shared| shared.owner.is_none())
        };
        let contested = self.contested.borrow_and_update().clone();
        if self.lost.iter().any(|key| free(key, &contested)) {
            self.look_again();
        }
        self.prune().await;
    }

    /// What this sync and others declare, in words; `true` where another keeps it.
    pub(super) fn shared(&self) -> Vec<(bool, String)> {
        let contested = self.contested.borrow().clone();
        let ours = contested.objects.iter().filter(|(_, shared)| shared.claimants.contains_key(&self.name));
        ours.map(|(key, shared)| (shared.is_lost_to(&self.name), shared.told(key))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey { group: String::new(), kind: "ConfigMap".to_owned(), namespace: None, name: name.to_owned() }
    }

    fn claim(claims: &mut Claims, sync: &str, tracked: Option<&str>) -> bool {
        let claim = Claim { key: key("a"), place: format!("{sync}.yaml:1"), tracked: tracked.map(str::to_owned) };
        claims.claim(sync, vec![claim]).is_empty()
    }

    fn keep(claims: &mut Claims, sync: &str, keys: &[&str]) {
        claims.release_all_but(sync, &keys.iter().map(|name| key(name)).collect());
    }

    fn of(syncs: &[&str]) -> Claims {
        let mut claims = Claims::default();
        syncs.iter().for_each(|sync| claims.know(sync));
        claims.know_all();
        claims
    }

    #[test]
    fn the_first_keeps_it_until_it_lets_go() {
        let mut claims = of(&["one", "two"]);
        assert!(claim(&mut claims, "one", None));
        assert!(!claim(&mut claims, "two", None));
        assert!(claim(&mut claims, "one", Some("one")), "it stays the first");
        let contested = claims.contested().objects;
        assert!(contested[&key("a")].is_lost_to("two") && !contested[&key("a")].is_lost_to("one"));
        let told = contested[&key("a")].told(&key("a"));
        assert_eq!(
            told,
            "ConfigMap a is declared by GitSync one (one.yaml:1), which keeps it, and by GitSync two (two.yaml:1); remove it from one"
        );
        keep(&mut claims, "one", &[]);
        assert!(claims.is_claimed_by_other("one", &key("a")), "the one that lets go must not prune it");
        assert!(claim(&mut claims, "two", Some("one")), "it reads no more of it");
        assert_eq!(claims.contested().objects.len(), 0);
    }

    #[test]
    fn after_a_start_the_tracking_id_says_who_was_first() {
        let mut claims = of(&["one", "two"]);
        assert!(!claim(&mut claims, "one", Some("two")), "nobody knows yet what two declares");
        assert!(claim(&mut claims, "two", Some("two")));
        assert!(!claim(&mut claims, "one", Some("two")));
    }

    #[test]
    fn what_nobody_else_declares_any_more_is_free() {
        let mut claims = of(&["one", "two"]);
        assert!(claim(&mut claims, "one", Some("gone")), "there is no such sync");
        let mut claims = of(&["one", "two"]);
        assert!(!claim(&mut claims, "one", Some("two")));
        keep(&mut claims, "two", &[]);
        assert!(claim(&mut claims, "one", Some("two")), "two was read, and does not declare it");
        let mut claims = Claims::default();
        assert!(!claim(&mut claims, "one", Some("two")), "not all syncs are known");
    }

    #[test]
    fn the_end_of_a_sync_frees_what_it_kept() {
        let mut claims = of(&["one", "two"]);
        assert!(claim(&mut claims, "one", None) && !claim(&mut claims, "two", None));
        claims.forget("one");
        assert!(claim(&mut claims, "two", Some("one")));
    }
}
