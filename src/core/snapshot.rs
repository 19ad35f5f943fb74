//! The desired state as one immutable value: one writer publishes it, the webhook and the reconciler read it without locks.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;

use super::declaration::Declaration;
use super::exclude::{Exclusions, Surroundings};
use super::guard::Tool;
use super::manifest::Kept;
use super::names::POLICY_NAME;
use super::object::ObjectKey;
use super::state::State;

/// Everything Git declares for this cluster, by every sync.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    objects: HashSet<ByKey>,
    /// Group → plural resource name → what that is: a review of `scale` names only the resource.
    kinds: BTreeMap<String, BTreeMap<Arc<str>, Declared>>,
    /// Namespace → how many declared objects live in it.
    namespaces: HashMap<String, usize>,
    /// Syncs that could not be read: they declare something, and nobody knows what. With the resources they had something of before.
    unread: BTreeMap<String, Vec<Resource>>,
}

/// A declared object, found by its key: there are thousands, and with each change the set of them is made anew.
#[derive(Debug, Clone)]
struct ByKey(Arc<Managed>);

/// A resource that Git declares objects of.
#[derive(Debug, Clone)]
struct Declared {
    kind: String,
    /// The versions it declares them in.
    versions: BTreeSet<String>,
}

/// One declared object and all that is needed to judge it.
#[derive(Debug, Clone)]
pub struct Managed {
    /// The sync it belongs to, as of the commit it was read from.
    pub sync: Arc<Sync>,
    /// What Git says.
    pub manifest: Arc<Kept>,
    /// What the API server makes of that.
    pub declaration: Declaration,
    /// What is somebody else's business.
    pub exclusions: Exclusions,
    /// Plural resource name, from discovery.
    pub resource: Arc<str>,
}

/// What a verdict needs to know of a GitSync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// `namespace/name` of the GitSync.
    pub name: String,
    /// The repository as shown to people: no credentials in it.
    pub repository: String,
    /// What the sync follows (`main`, `v1.2`, `HEAD`).
    pub target: String,
    /// Full SHA of the commit this state was read from.
    pub revision: String,
    /// What admission does about an edit.
    pub mode: Mode,
    /// What is done about undeclared fields people add.
    pub undeclared: Undeclared,
    /// Does the reconciler heal, or only report?
    pub self_heal: bool,
    /// Paused, by whom, why and until when.
    pub suspension: Option<Suspension>,
    /// Why an older commit than the newest is in force, if somebody rolled back to it.
    pub rollback: Option<Rollback>,
    /// The tool that keeps these objects instead of us, if this is no `GitSync` but a guard; then there is no repository.
    pub tool: Option<Arc<Tool>>,
}

/// A pause of a whole sync: never without a reason and an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: Timestamp,
}

/// Somebody went back to an older commit: never without a reason and an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// Who, as stamped.
    pub by: Option<String>,
    /// Why.
    pub reason: String,
    /// When the newest commit takes over again.
    pub until: Timestamp,
}

/// What admission does about an edit that would be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Refuses it.
    #[default]
    Deny,
    /// Lets it pass with a warning that kubectl prints.
    Warn,
    /// Lets it pass and marks the object.
    Annotate,
    /// Does not look.
    Off,
}

/// What is done about undeclared fields that people add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Undeclared {
    /// They are drift: refused at admission, removed by the reconciler.
    #[default]
    Deny,
    /// They are pointed out at admission and left alone.
    Warn,
    /// They are nobody's business.
    Allow,
}

/// An API resource in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural, as in URLs.
    pub plural: String,
}

// === impl ByKey ===

impl Borrow<ObjectKey> for ByKey {
    fn borrow(&self) -> &ObjectKey {
        &self.0.manifest.key
    }
}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.manifest.key.hash(state);
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.manifest.key == other.0.manifest.key
    }
}

impl Eq for ByKey {}

// === impl Managed ===

impl Managed {
    /// What is excluded of the object as it is.
    pub fn excluded(&self, state: &State<'_>) -> Cow<'_, Exclusions> {
        self.exclusions.at(&self.manifest.key, state, &self.declaration)
    }

    /// The same in other surroundings; `None` if they make no difference to this object.
    pub fn within(&self, around: &Surroundings) -> Option<Self> {
        let exclusions = self.exclusions.within(&self.manifest.unpacked(), &self.declaration, around);
        (!exclusions.same_as(&self.exclusions)).then(|| Self { exclusions, ..self.clone() })
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// The snapshot of these objects. An object that two syncs declare is kept for the first; callers report the conflict.
    pub fn new(managed: impl IntoIterator<Item = Arc<Managed>>) -> Self {
        let mut snapshot = Self::default();
        managed.into_iter().for_each(|managed| snapshot.insert(&managed));
        snapshot
    }

    /// The same; these syncs would refuse edits and could not be read. When they were, they declared something of these resources.
    #[must_use]
    pub fn besides(self, unread: BTreeMap<String, Vec<Resource>>) -> Self {
        Self { unread, ..self }
    }

    /// Is there any sync that would refuse edits, and could not be read?
    pub fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Would this sync refuse edits, if it could be read?
    pub fn is_unread(&self, sync: &str) -> bool {
        self.unread.contains_key(sync)
    }

    fn insert(&mut self, managed: &Arc<Managed>) {
        if !self.objects.insert(ByKey(managed.clone())) {
            return;
        }
        self.insert_kind(managed);
        if let Some(namespace) = &managed.manifest.key.namespace {
            match self.namespaces.get_mut(namespace) {
                Some(count) => *count += 1,
                None => _ = self.namespaces.insert(namespace.clone(), 1),
            }
        }
    }

    /// Nearly always known already.
    fn insert_kind(&mut self, managed: &Managed) {
        let key = &managed.manifest.key;
        let version = managed.manifest.api_version.rsplit('/').next().unwrap_or_default();
        let declared = self.kinds.get_mut(&key.group).and_then(|group| group.get_mut(&managed.resource));
        match declared {
            Some(declared) if declared.versions.contains(version) => {}
            Some(declared) => _ = declared.versions.insert(version.to_owned()),
            None => {
                let declared = Declared { kind: key.kind.clone(), versions: BTreeSet::from([version.to_owned()]) };
                self.kinds.entry(key.group.clone()).or_default().insert(managed.resource.clone(), declared);
            }
        }
    }

    /// What Git declares for this object.
    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<Managed>> {
        self.objects.get(key).map(|ByKey(managed)| managed)
    }

    /// Every declared object.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Managed>> {
        self.objects.iter().map(|ByKey(managed)| managed)
    }

    /// How many objects Git declares.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Does Git declare nothing?
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The declared kind behind a resource (`apps`, `deployments`).
    pub fn kind_of(&self, group: &str, resource: &str) -> Option<&str> {
        self.kinds.get(group)?.get(resource).map(|declared| &*declared.kind)
    }

    /// Every declared resource, in the versions Git declares it in, and those syncs that could not be read had before: group, version and
    /// plural, in order.
    pub fn resources(&self) -> Vec<Resource> {
        let kinds =
            self.kinds.iter().flat_map(|(group, kinds)| kinds.iter().map(move |(plural, of)| (group, plural, of)));
        let declared = kinds.flat_map(|(group, plural, of)| {
            of.versions.iter().map(move |version| Resource {
                group: group.clone(),
                version: version.clone(),
                plural: plural.to_string(),
            })
        });
        let resources: BTreeSet<_> = declared.chain(self.unread.values().flatten().cloned()).collect();
        resources.into_iter().collect()
    }

    /// How many declared objects would go with the definition of this resource.
    pub fn defined_by(&self, group: &str, plural: &str) -> usize {
        let is_one = |managed: &&Arc<Managed>| managed.manifest.key.group == group && *managed.resource == *plural;
        if self.kind_of(group, plural).is_none() { 0 } else { self.iter().filter(is_one).count() }
    }

    /// How many declared objects would go with this namespace.
    pub fn held_by(&self, namespace: &str) -> usize {
        self.namespaces.get(namespace).copied().unwrap_or_default()
    }
}

// === impl Sync ===

impl Sync {
    /// The pause in force at `now`, if any.
    pub fn suspended_at(&self, now: Timestamp) -> Option<&Suspension> {
        self.suspension.as_ref().filter(|suspension| now < suspension.until)
    }

    /// The object that rights to emergencies are granted on: its resource, and its name as `namespace/name`.
    pub fn door(&self) -> (&'static str, &str) {
        if self.tool.is_some() { ("driftpolicies", POLICY_NAME) } else { ("gitsyncs", &self.name) }
    }
}
