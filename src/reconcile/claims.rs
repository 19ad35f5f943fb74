//! Which sync an object belongs to when more than one declares it.
//!
//! The first keeps it: the one whose tracking-id the object carries, or else the one that declared it first. The others say so and
//! leave it alone, until it lets go; then the next takes it over as it is, and nothing is deleted in between. While nobody knows
//! what the sync named by a tracking-id declares (it was not read since the start), it is taken to declare the object still.
//!
//! Each replica works this out by itself, in the order in which it reads. While one replica writes for all syncs, its view is the
//! one that counts. Where several write, each for its shards, they may have come to different ends, and either two would write the
//! object or nobody. So there the object itself decides, which all see: whoever it is tracked by has written it, and keeps it
//! ([`seen`](Claims::seen)); until it was written, the first by name. The last sight of an object is the same for all, so all
//! come to the same end.

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
    /// Do several replicas write?
    spread: bool,
}

/// Who declares one object: nearly always one sync, and there is one of these for every object there is.
#[derive(Debug, Default)]
struct Claimed {
    claimants: Box<[(Arc<str>, Box<str>)]>,
    /// Always one of the claimants.
    owner: Option<Arc<str>>,
    /// Was the object seen to be tracked by its owner? Asked only where several replicas write.
    proved: bool,
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
            self.proved &= self.owner.take_if(|owner| **owner == *sync).is_none();
        }
    }

    /// It was seen to be tracked by one of the claimants; `true` if that is news.
    fn prove(&mut self, sync: &str) -> bool {
        let Some((tracker, _)) = self.claimants.iter().find(|(claimant, _)| **claimant == *sync) else { return false };
        self.proved = true;
        self.owner.replace(tracker.clone()).is_none_or(|before| *before != *sync)
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
        if let Some(known) = self.known.get(sync) {
            return known.clone();
        }
        let name: Arc<str> = sync.into();
        self.known.insert(name.clone());
        name
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
            self.objects.entry(key.clone()).or_default().claim(&name, place.into());
            tracked.iter().for_each(|tracker| _ = self.seen(&key, tracker));
            if self.is_lost(sync, &key, tracked.as_deref()) {
                lost.insert(key);
            } else if let Some(claimed) = self.objects.get_mut(&key) {
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

    /// Several replicas write.
    pub fn spread(&mut self) {
        self.spread = true;
    }

    /// The object was seen, tracked by this sync. Where several replicas write, one that declares it as well keeps it then; `true` if
    /// that is news.
    pub fn seen(&mut self, key: &ObjectKey, sync: &str) -> bool {
        self.spread && self.objects.get_mut(key).is_some_and(|claimed| claimed.prove(sync))
    }

    /// Does another sync declare this object?
    pub fn is_claimed_by_other(&self, sync: &str, key: &ObjectKey) -> bool {
        let claimed = self.objects.get(key);
        claimed.is_some_and(|claimed| claimed.claimants.iter().any(|(other, _)| **other != *sync))
    }

    /// What keepers want to be told of.
    pub fn contested(&self) -> Contested {
        let shared = |(key, claimed): (&ObjectKey, &Claimed)| Some((key.clone(), claimed.shared()?));
        let unread = self.known.difference(&self.read).map(ToString::to_string).collect();
        Contested { objects: self.objects.iter().filter_map(shared).collect(), unread }
    }

    /// Is the object another sync's to write: the one that keeps it, or else the one it is tracked by?
    fn is_lost(&self, sync: &str, key: &ObjectKey, tracked: Option<&str>) -> bool {
        let owner = self.objects.get(key).and_then(|claimed| claimed.owner.as_deref());
        let tracker = || tracked.filter(|other| *other != sync && self.may_claim(other, key));
        owner.or_else(tracker).is_some_and(|owner| owner != sync && !self.goes_before(sync, owner, key))
    }

    /// Where several replicas write, each may have read another one first: of what nobody has written yet, names decide.
    fn goes_before(&self, sync: &str, owner: &str, key: &ObjectKey) -> bool {
        let is_open = |claimed: &Claimed| !claimed.proved && claimed.is_claimed_by(owner);
        self.spread && sync < owner && self.objects.get(key).is_some_and(is_open)
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
        let contested = self.contested.borrow_and_update().clone();
        let is_ours = |owner: &Option<String>| owner.as_ref().is_none_or(|owner| *owner == self.name);
        let may_be_ours = |key| contested.objects.get(key).is_none_or(|shared: &Shared| is_ours(&shared.owner));
        let is_gone = |(key, shared): (&ObjectKey, &Shared)| !is_ours(&shared.owner) && self.entries.contains_key(key);
        if self.lost.iter().any(may_be_ours) || contested.objects.iter().any(is_gone) {
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
    fn what_another_replica_wrote_is_kept_by_whom_it_wrote_it_for() {
        let mut claims = of(&["one", "two", "three"]);
        claims.spread();
        assert!(claim(&mut claims, "one", None) && !claim(&mut claims, "two", None));
        assert!(claims.seen(&key("a"), "two") && !claims.seen(&key("a"), "two"));
        assert!(claims.contested().objects[&key("a")].is_lost_to("one"));
        assert!(!claim(&mut claims, "one", None) && claim(&mut claims, "two", None));
        assert!(!claims.seen(&key("a"), "three"), "three does not declare it");
        keep(&mut claims, "two", &[]);
        assert!(claim(&mut claims, "one", Some("two")));
    }

    /// Each replica reads in another order. Which end would they come to if nobody had written yet, and nobody ever did?
    #[test]
    fn what_nobody_has_written_yet_goes_by_name_in_every_replica() {
        for order in [["one", "two", "six"], ["two", "six", "one"], ["six", "one", "two"]] {
            let mut claims = of(&order);
            claims.spread();
            order.iter().for_each(|sync| _ = claim(&mut claims, sync, None));
            assert_eq!(claims.contested().objects[&key("a")].owner.as_deref(), Some("one"), "{order:?}");
            claims.seen(&key("a"), "two");
            assert!(!claim(&mut claims, "one", None), "it was written for two meanwhile");
        }
    }

    #[test]
    fn where_one_writes_its_own_order_counts() {
        let mut claims = of(&["one", "two"]);
        assert!(claim(&mut claims, "two", None) && !claim(&mut claims, "one", None));
        assert!(!claims.seen(&key("a"), "one"));
        assert!(!claim(&mut claims, "one", None));
    }

    #[test]
    fn the_end_of_a_sync_frees_what_it_kept() {
        let mut claims = of(&["one", "two"]);
        assert!(claim(&mut claims, "one", None) && !claim(&mut claims, "two", None));
        claims.forget("one");
        assert!(claim(&mut claims, "two", Some("one")));
    }
}
