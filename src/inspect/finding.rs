//! An object that is not what Git says, as people and programs get to see it. Values in, values out.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::core::breakglass;
use crate::core::compare::{Deviation, Kind};
use crate::core::drift::deviations;
use crate::core::exclude::Surroundings;
use crate::core::fields::entries;
use crate::core::manifest::{Manifest, Origin};
use crate::core::mask::Mask;
use crate::core::names::{MANAGED_LABEL, TRACKING_ID};
use crate::core::object::ObjectKey;
use crate::core::path::Path;
use crate::core::say::link;
use crate::core::snapshot::{Managed, Sync};
use crate::core::state::State;
use crate::core::who::Identities;
use crate::reconcile::plan::may_prune;

/// An object that is not what Git says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which object.
    #[serde(flatten)]
    pub object: ObjectKey,
    /// The GitSync, as `namespace/name`.
    pub sync: String,
    /// Where Git declares it; absent when it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line of the declaration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Where a browser shows what Git says of the first drift, if the host is a known one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Is any of it drift, or is all of it excluded?
    pub drift: bool,
    /// What keeps the drift from being healed, if something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where it differs.
    pub deviations: Vec<Difference>,
}

/// One place that is not what Git says. Values of Secrets are masked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Where.
    #[serde(serialize_with = "in_words")]
    pub path: Path,
    /// In which way.
    pub kind: Kind,
    /// Git's value, as the API server reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<Value>,
    /// The cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// File in the repository, or in the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The field managers that own the place, Holdfast aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The rule that makes it somebody else's business, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded: Option<String>,
}

/// What a judgement depends on besides the object.
#[derive(Clone, Copy)]
pub(super) struct Judging<'a> {
    /// Who counts as a person.
    pub identities: &'a Identities,
    /// What exclusions depend on besides the object.
    pub around: &'a Surroundings,
    /// Does the policy only observe?
    pub observe_only: bool,
    /// When.
    pub now: Timestamp,
}

// === impl Judging ===

impl Judging<'_> {
    /// Where a declared object differs, excluded places included. `None`: nowhere.
    pub fn managed(&self, managed: &Managed, live: &Value) -> Option<Finding> {
        let file = &managed.manifest.origin.file;
        let found = self.deviations(managed, live);
        let mut mask = Mask::new(&managed.manifest.key);
        let show = |deviation| Difference::of(deviation, managed, live, &mut mask);
        let deviations: Vec<_> = found.into_iter().map(show).collect();
        let drift = deviations.iter().any(|difference| difference.excluded.is_none());
        let first = deviations.iter().filter(|difference| difference.excluded.is_none()).find_map(|first| first.line);
        (!deviations.is_empty()).then(|| Finding {
            object: managed.manifest.key.clone(),
            sync: managed.sync.name.clone(),
            file: Some(file.to_string()),
            line: Some(managed.manifest.origin.lines.line),
            link: linked(&managed.sync, &managed.manifest.origin, first),
            drift,
            note: self.standing(&managed.sync, Some(live)).filter(|_| drift),
            deviations,
        })
    }

    /// Every deviation of a declared object, exclusions not yet subtracted.
    pub fn deviations(&self, managed: &Managed, live: &Value) -> Vec<Deviation> {
        deviations(managed, &State::whole(live), &|entry| self.identities.is_interactive(entry))
    }

    /// A declared object that is not there.
    pub fn missing(&self, sync: &Sync, manifest: &Manifest, excluded: Option<&str>) -> Finding {
        let (file, line) = (Some(manifest.origin.file.to_string()), Some(manifest.origin.lines.line));
        let git = Mask::new(&manifest.key).value(&Path::default(), &plain(&manifest.value));
        let difference = Difference {
            git: Some(git),
            file: file.clone(),
            line,
            excluded: excluded.map(str::to_owned),
            ..Difference::whole(Kind::Missing)
        };
        Finding {
            object: manifest.key.clone(),
            sync: sync.name.clone(),
            file,
            line,
            link: linked(sync, &manifest.origin, None),
            drift: excluded.is_none(),
            note: self.standing(sync, None),
            deviations: vec![difference],
        }
    }

    /// An object that left Git and is still there.
    pub fn unwanted(&self, sync: &Sync, prune: bool, key: &ObjectKey, live: &Value) -> Finding {
        let kept = may_prune(key, live).err().map(|kept| kept.to_string());
        let live = Mask::new(key).value(&Path::default(), &plain(live));
        let not_pruned = (!prune).then(|| "prune is off in its GitSync".to_owned());
        Finding {
            object: key.clone(),
            sync: sync.name.clone(),
            file: None,
            line: None,
            link: None,
            drift: kept.is_none(),
            note: self.standing(sync, None).or(not_pruned),
            deviations: vec![Difference { live: Some(live), excluded: kept, ..Difference::whole(Kind::Unwanted) }],
        }
    }

    /// What keeps the drift of this object from being healed, if something does.
    pub fn standing(&self, sync: &Sync, live: Option<&Value>) -> Option<String> {
        if let Some(glass) = live.and_then(|live| breakglass::open(&State::whole(live), self.now)) {
            return Some(format!("break-glass open until {}, by {}: {}", glass.until, glass.by, glass.reason));
        }
        match sync.suspended_at(self.now) {
            Some(pause) => Some(format!("its GitSync is paused until {}: {}", pause.until, pause.reason)),
            None if self.observe_only => Some("reported only: the DriftPolicy only observes".to_owned()),
            None => (!sync.self_heal).then(|| "reported only: selfHeal is off in its GitSync".to_owned()),
        }
    }
}

// === impl Difference ===

impl Difference {
    fn of(deviation: Deviation, managed: &Managed, live: &Value, mask: &mut Mask<'_>) -> Self {
        let state = State::whole(live);
        let excluded = managed.excluded(&state).excusing(&deviation).map(str::to_owned);
        let Deviation { path, kind, git, live: value, line } = deviation;
        let owners = owners(live, &path, |entry| !entry.is_ours());
        Self {
            git: git.map(|git| mask.value(&path, &git)),
            live: value.map(|value| mask.value(&path, &value)),
            file: line.map(|_| managed.manifest.origin.file.to_string()),
            line,
            owner: (!owners.is_empty()).then(|| owners.join(", ")),
            excluded,
            path,
            kind,
        }
    }

    fn whole(kind: Kind) -> Self {
        let path = Path::default();
        Self { path, kind, git: None, live: None, file: None, line: None, owner: None, excluded: None }
    }
}

/// Where a browser shows `line` of the manifest, or where it begins.
fn linked(sync: &Sync, origin: &Origin, line: Option<u32>) -> Option<String> {
    let Origin { file, lines } = origin;
    link(&sync.repository, &sync.revision, file, line.unwrap_or(lines.line))
}

/// The field managers that own something at or below this place, in the order the API server keeps them.
pub(super) fn owners(
    live: &Value,
    path: &Path,
    counts: impl Fn(&crate::core::fields::Entry<'_>) -> bool,
) -> Vec<String> {
    let mut owners = Vec::new();
    let owning = entries(live).filter(|entry| entry.subresource != "status" && counts(entry));
    for entry in owning.filter(|entry| entry.fields.at(path).is_some()) {
        if !owners.iter().any(|owner| owner == entry.manager) {
            owners.push(entry.manager.to_owned());
        }
    }
    owners
}

/// An object without what the API server and Holdfast add to every object: what is left is what somebody meant.
pub(super) fn plain(object: &Value) -> Value {
    const KEPT_BY_THE_SERVER: [&str; 6] =
        ["managedFields", "uid", "resourceVersion", "creationTimestamp", "generation", "selfLink"];
    let mut object = object.clone();
    object.as_object_mut().map(|fields| fields.remove("status"));
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| !KEPT_BY_THE_SERVER.contains(&name.as_str()));
        for (field, mark) in [("labels", MANAGED_LABEL), ("annotations", TRACKING_ID)] {
            metadata.get_mut(field).and_then(Value::as_object_mut).map(|entries| entries.remove(mark));
        }
        metadata.retain(|_, value| value.as_object().is_none_or(|fields| !fields.is_empty()));
    }
    object
}

fn in_words<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(path)
}
