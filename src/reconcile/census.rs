//! What there is before a first pass: each kind is listed once, for all keepers together.
//!
//! Fifty syncs that each list every kind they declare would read the whole cluster fifty times, after a start as well as when they
//! are all new. What is listed is kept as text, because parsed it would take five times as much, and each keeper takes its share
//! when its turn comes; it is forgotten when nobody is left whose turn is still to come. Such a share is a little old by then, so a
//! keeper notes what it hears before its first pass: what has moved since, or is gone, it asks for. It hears of what says that it is
//! its own. Anything else that it declares it writes, conditional on what was listed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::away::Away;
use super::entry::{goes, version};
use super::keeper::Keeper;
use super::plan::is_tracked_by;
use super::prune::Stray;
use crate::cluster::{Cluster, Error, Kind};
use crate::core::manifest::Manifest;
use crate::core::names::TRACKING_ID;
use crate::core::object::ObjectKey;
use crate::core::state::State;

/// Live objects by identity.
pub(super) type Live = HashMap<ObjectKey, Value>;

/// The lists, as long as somebody who has not had a first pass looks at Git.
#[derive(Default)]
pub struct Census(Mutex<Weak<Lists>>);

/// Lists that some share.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<Kind, Arc<OnceCell<Listed>>>>);

/// Every managed object of a kind.
struct Listed {
    begun: Instant,
    objects: HashMap<ObjectKey, Box<str>>,
    /// By the sync their tracking-id names.
    tracked: HashMap<String, Vec<ObjectKey>>,
}

/// What a keeper heard of objects before its first pass: the newest version, or that it is gone.
#[derive(Default)]
pub(super) struct Heard {
    versions: HashMap<ObjectKey, Option<u64>>,
    /// While it looks at Git: since when, and what it shares.
    looks: Option<(Instant, Arc<Lists>)>,
}

// === impl Census ===

impl Census {
    fn join(&self) -> Arc<Lists> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let lists = Arc::default();
            *shared = Arc::downgrade(&lists);
            lists
        })
    }
}

// === impl Lists ===

impl Lists {
    /// A list that was begun at this moment or later; whoever comes first makes it.
    async fn since(&self, moment: Instant, cluster: &Cluster, kind: &Kind) -> Result<Arc<OnceCell<Listed>>, Error> {
        loop {
            let cell = self.all().entry(kind.clone()).or_default().clone();
            let listed = cell.get_or_try_init(|| Listed::list(cluster, kind)).await?;
            if listed.begun >= moment {
                return Ok(cell);
            }
            // Of those who think it too old, the first makes room.
            let mut all = self.all();
            if all.get(kind).is_some_and(|known| Arc::ptr_eq(known, &cell)) {
                all.remove(kind);
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Kind, Arc<OnceCell<Listed>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Listed ===

impl Listed {
    async fn list(cluster: &Cluster, kind: &Kind) -> Result<Self, Error> {
        let mut listed = Self { begun: Instant::now(), objects: HashMap::new(), tracked: HashMap::new() };
        cluster.each_managed(kind, &mut |object| listed.add(&object)).await?;
        Ok(listed)
    }

    fn add(&mut self, object: &Value) {
        let Some(key) = ObjectKey::of(object) else { return };
        let tracker = State::whole(object).annotation(TRACKING_ID).and_then(|id| id.split_once(':'));
        if let Some((sync, _)) = tracker {
            self.tracked.entry(sync.to_owned()).or_default().push(key.clone());
        }
        self.objects.insert(key, object.to_string().into());
    }

    /// What says that it belongs to this sync, and what it declares.
    fn share(&self, sync: &str, declared: &Declared<'_>) -> Vec<Value> {
        let tracked = self.tracked.get(sync).into_iter().flatten();
        let keys: BTreeSet<_> = tracked.chain(declared.keys().copied()).collect();
        let texts = keys.into_iter().filter_map(|key| self.objects.get(key));
        texts.map(|text| serde_json::from_str(text).expect("it was written from a value")).collect()
    }
}

// === impl Heard ===

impl Heard {
    /// The object was seen at this version.
    pub(super) fn of(&mut self, key: &ObjectKey, version: u64) {
        self.versions.insert(key.clone(), Some(version));
    }

    /// The object is gone.
    pub(super) fn gone(&mut self, key: &ObjectKey) {
        self.versions.insert(key.clone(), None);
    }

    /// Is this still how the object is, as far as was heard?
    fn agrees(&self, key: &ObjectKey, object: &Value) -> bool {
        self.versions.get(key).is_none_or(|heard| heard.is_some_and(|heard| heard <= version(object)))
    }
}

/// The objects a commit declares, and in which version.
type Declared<'m> = HashMap<&'m ObjectKey, &'m str>;

// === impl Keeper ===

impl Keeper {
    /// Begins to look at Git. For a first pass everything is listed with those who do likewise, not before now.
    pub(super) fn joins_the_census(&mut self, now: Instant) {
        self.heard.iter_mut().for_each(|heard| heard.looks = Some((now, self.context.census.join())));
    }

    /// Has looked.
    pub(super) fn leaves_the_census(&mut self) {
        self.heard.iter_mut().for_each(|heard| heard.looks = None);
    }

    /// Every object that carries our label and concerns this sync, of the kinds this commit has and those the last one had.
    pub(super) async fn list(&mut self, manifests: &[Manifest]) -> Result<Live, Error> {
        let of = |manifest: &Manifest| {
            let kind = manifest.value.get("kind").and_then(Value::as_str)?;
            Some((manifest.api_version().to_owned(), kind.to_owned()))
        };
        let mut kinds: BTreeSet<_> = manifests.iter().filter_map(of).collect();
        kinds.extend(self.kinds_before().map(|(api_version, kind)| (api_version.to_owned(), kind.to_owned())));
        let declared: Declared<'_> = manifests.iter().map(|manifest| (&manifest.key, manifest.api_version())).collect();
        let (mut live, mut any_listed, mut trouble) = (Live::new(), false, None);
        self.away = Away::default();
        for (api_version, kind) in kinds {
            match self.list_if_served(&api_version, &kind, &declared, &mut live).await {
                Ok(()) => any_listed = true,
                Err(error) if error.is_away() => {
                    self.away.unlisted(&api_version, &kind, &error);
                    trouble = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = trouble.filter(|_| !any_listed) {
            return Err(error);
        }
        self.heard = None;
        Ok(live)
    }

    async fn list_if_served(
        &mut self,
        api_version: &str,
        kind: &str,
        declared: &Declared<'_>,
        live: &mut Live,
    ) -> Result<(), Error> {
        let Some(kind) = self.context.cluster.kind(api_version, kind).await? else { return Ok(()) };
        for object in self.list_kind(&kind, declared).await? {
            self.take_stock(&kind, object, declared, live);
        }
        Ok(())
    }

    async fn list_kind(&self, kind: &Kind, declared: &Declared<'_>) -> Result<Vec<Value>, Error> {
        let (context, name) = (&self.context, &self.name);
        if let Some((since, lists)) = self.heard.as_ref().and_then(|heard| heard.looks.as_ref()) {
            let listed = lists.since(*since, &context.cluster, kind).await?;
            return Ok(listed.get().into_iter().flat_map(|listed| listed.share(name, declared)).collect());
        }
        let mut found = Vec::new();
        let mut keep = |object: Value| {
            let concerns = |key: ObjectKey| declared.contains_key(&key) || is_tracked_by(name, &key, &object);
            if ObjectKey::of(&object).is_some_and(concerns) {
                found.push(object);
            }
        };
        context.cluster.each_managed(kind, &mut keep).await?;
        Ok(found)
    }

    fn take_stock(&mut self, kind: &Kind, object: Value, declared: &Declared<'_>, live: &mut Live) {
        let Some(key) = ObjectKey::of(&object) else { return };
        if is_tracked_by(&self.name, &key, &object) {
            let since = self.since();
            let stray = self.strays.entry(key.clone()).or_insert_with(|| Stray::new(kind.clone(), since));
            stray.goes = stray.goes.filter(|_| goes(&object));
        }
        // A kind that is declared in two versions is listed in both.
        let version = object.get("apiVersion").and_then(Value::as_str);
        let is_fitting = declared.get(&key).is_none_or(|declared| Some(*declared) == version);
        let is_current = self.heard.as_ref().is_none_or(|heard| heard.agrees(&key, &object));
        if is_fitting && is_current {
            live.insert(key, object);
        }
    }
}
