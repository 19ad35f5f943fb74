//! What there is when Holdfast starts: each kind is listed once, for all keepers together.
//!
//! Fifty syncs that each list every kind they declare would read the whole cluster fifty times. What is listed is kept as text
//! until every sync was read, because parsed it would take five times as much, and each keeper takes its share when its
//! turn comes. Such a share is a little old by then, so a keeper notes what it hears before its first pass: what has moved since,
//! or is gone, it asks for.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

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

/// The lists made since the start.
#[derive(Default)]
pub struct Census {
    kinds: Mutex<HashMap<Kind, Arc<OnceCell<Listed>>>>,
}

/// Every managed object of a kind.
struct Listed {
    begun: Instant,
    objects: HashMap<ObjectKey, Box<str>>,
    /// By the sync their tracking-id names.
    tracked: HashMap<String, Vec<ObjectKey>>,
}

/// What a keeper heard of objects before its first pass: the newest version, or that it is gone.
#[derive(Default)]
pub(super) struct Heard(HashMap<ObjectKey, Option<u64>>);

// === impl Census ===

impl Census {
    /// Forgets all of it: every sync was read.
    pub fn clear(&self) {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn of(&self, kind: &Kind) -> Arc<OnceCell<Listed>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).entry(kind.clone()).or_default().clone()
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
        self.0.insert(key.clone(), Some(version));
    }

    /// The object is gone.
    pub(super) fn gone(&mut self, key: &ObjectKey) {
        self.0.insert(key.clone(), None);
    }

    /// Is this still how the object is, as far as was heard?
    fn agrees(&self, key: &ObjectKey, object: &Value) -> bool {
        self.0.get(key).is_none_or(|heard| heard.is_some_and(|heard| heard <= version(object)))
    }
}

/// The objects a commit declares, and in which version.
type Declared<'m> = HashMap<&'m ObjectKey, &'m str>;

// === impl Keeper ===

impl Keeper {
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
        if self.heard.is_some() {
            let census = context.census.of(kind);
            let listed = census.get_or_try_init(|| Listed::list(&context.cluster, kind)).await?;
            if listed.begun >= self.created {
                return Ok(listed.share(name, declared));
            }
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
