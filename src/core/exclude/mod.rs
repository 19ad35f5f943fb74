//! Exclusions: paths that are somebody else's business, by rule.
//!
//! They are subtracted from the *result* of a comparison (`drift = deviations − exclusions`). Objects are never mutilated before
//! comparing, so messages and patches always see them whole, and excluding more can only ever remove drift.
//!
//! # Two times
//! Pointers, field paths and most presets are resolved when a declaration is made. What hangs on the object as it is (jq, field
//! managers, whether replicas are within an autoscaler's range) is evaluated by [`Exclusions::at`], and only when something
//! deviates: an object that is in sync costs nothing.

mod adopt;
pub mod annotation;
mod glob;
mod jq;
mod labels;
mod pattern;
mod place;
mod preset;
mod rule;
mod spelled;
mod surroundings;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

pub use glob::glob;
pub use jq::Jq;
pub use labels::{Condition, Labels, Must};
pub use place::{BadPointer, Ground, Pointer};
pub use preset::Presets;
pub use rule::{Rule, Selector, Subject};
pub use spelled::{BadFieldPath, FieldPath};
pub use surroundings::{LabelMap, Scaler, Scaling, Surroundings, Target};

use super::compare::{Deviation, Kind};
use super::declaration::Declaration;
use super::fields::Fields;
use super::manifest::Manifest;
use super::mask::is_secret;
use super::object::ObjectKey;
use super::path::{Path, Step};
use super::state::State;
use super::value::{is_nothing, same};
use jq::Found;
use pattern::{Any, Pattern, covers, covers_element, reaches_below};
use place::{Around, live_step};

/// The places of one object that rules exclude.
#[derive(Debug, Clone, Default)]
pub struct Exclusions {
    places: Vec<Excluded>,
    dependent: Vec<Dependent>,
    failed: Vec<RuleError>,
    own: Arc<[Rule]>,
}

/// A rule that failed on an object. It is told wherever the object is judged: what the rule would have excluded is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule} failed on {object}: {reason}")]
pub struct RuleError {
    /// The rule, in words.
    pub rule: String,
    /// The object, as [`ObjectKey`] displays it.
    pub object: String,
    /// What went wrong.
    pub reason: String,
}

/// Of a Secret it is not told: a jq error repeats the value it stumbled over.
const UNTOLD: &str = "why is not told, for it may repeat a value of the Secret";

/// A place that is excluded, and the rule it is excluded by, in words.
#[derive(Debug, Clone, PartialEq)]
struct Excluded {
    pattern: Pattern,
    by: Arc<str>,
    /// Places within it that are not.
    except: Vec<Pattern>,
}

/// An exclusion that hangs on the object as it is.
#[derive(Debug, Clone, PartialEq)]
enum Dependent {
    /// Places an expression finds.
    Jq(Jq, Arc<str>),
    /// Places these field managers own.
    Managers(Vec<String>, Arc<str>),
    /// Replicas within a range.
    Replicas { min: u64, max: u64, by: Arc<str> },
    /// The data of a Secret whose owner fills it.
    FilledByOwner,
}

// === impl Exclusions ===

impl Exclusions {
    /// The union of all rules that speak of this object: its own sync's, the cluster's, and presets.
    pub fn resolve(own: Arc<[Rule]>, manifest: &Manifest, declaration: &Declaration, around: &Surroundings) -> Self {
        let ground = Ground { manifest: &manifest.value, declaration };
        let labels = labels_of(&manifest.value);
        let namespace_labels = manifest.key.namespace.as_ref().and_then(|name| around.namespaces.get(name));
        let subject = Subject { key: &manifest.key, labels: &labels, namespace_labels };
        let (mut places, mut dependent) = (Vec::new(), Vec::new());
        for rule in own.iter().chain(&*around.rules).filter(|rule| rule.objects.matches(subject)) {
            let excluded =
                |(text, pattern): (String, _)| Excluded { pattern, by: rule.describe(&text), except: Vec::new() };
            places.extend(rule.patterns(ground).into_iter().map(excluded));
            dependent.extend(rule.jq.iter().map(|jq| Dependent::Jq(jq.clone(), rule.describe(&jq.to_string()))));
            if !rule.managers.is_empty() {
                let by = rule.describe(&format!("managed by {}", rule.managers.join(", ")));
                dependent.push(Dependent::Managers(rule.managers.clone(), by));
            }
        }
        let (preset_places, preset_dependent) = preset::resolve(manifest, declaration, around);
        places.extend(preset_places);
        dependent.extend(preset_dependent);
        Self { places, dependent, failed: Vec::new(), own }
    }

    /// The same rules in other surroundings.
    #[must_use]
    pub fn within(&self, manifest: &Manifest, declaration: &Declaration, around: &Surroundings) -> Self {
        Self::resolve(self.own.clone(), manifest, declaration, around)
    }

    /// Does one of the object's own rules hang on the labels of its namespace?
    pub fn ask_for_namespaces(&self) -> bool {
        self.own.iter().any(|rule| rule.objects.namespace_labels.is_some())
    }

    /// Do both exclude the same, for the same reasons?
    pub fn same_as(&self, other: &Self) -> bool {
        self.places == other.places && self.dependent == other.dependent
    }

    /// Does some of it hang on the object as it is?
    pub fn depend_on_state(&self) -> bool {
        !self.dependent.is_empty()
    }

    /// Does some of it hang on more of the object than an edit changes?
    pub fn need_whole_object(&self) -> bool {
        self.dependent.iter().any(|dependent| matches!(dependent, Dependent::Jq(..)))
    }

    /// What is excluded of the object as it is.
    pub fn at(&self, key: &ObjectKey, state: &State<'_>, ground: Ground<'_>) -> Cow<'_, Self> {
        if self.dependent.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut now = self.clone();
        for dependent in &self.dependent {
            match dependent.places(state, ground) {
                Ok(places) => now.places.extend(places),
                Err(reason) => {
                    let rule = dependent.by().to_string();
                    let reason = if is_secret(key) { UNTOLD.to_owned() } else { reason };
                    now.failed.push(RuleError { rule, object: key.to_string(), reason });
                }
            }
        }
        Cow::Owned(now)
    }

    /// Rules that failed on the object as it is.
    pub fn failed(&self) -> &[RuleError] {
        &self.failed
    }

    /// Is this place, or one above it, excluded?
    pub fn cover(&self, path: &Path) -> bool {
        self.covering(path).is_some()
    }

    /// The rule that excludes this place, or one above it, in words.
    pub fn covering(&self, path: &Path) -> Option<&str> {
        self.places.iter().find(|excluded| excluded.covers(path)).map(|excluded| &*excluded.by)
    }

    /// Is this element of the list at `path` excluded as a whole? For where nothing tells its merge key.
    pub fn cover_element(&self, path: &Path, element: &Value) -> bool {
        self.places.iter().any(|place| covers_element(&place.pattern, path, element))
    }

    /// Is something strictly below this place excluded, and it itself is not?
    pub fn reach_below(&self, path: &Path) -> bool {
        self.places.iter().any(|excluded| reaches_below(&excluded.pattern, path))
    }

    /// Git's value of a place that is compared whole, with the excluded parts as they are live.
    pub fn adopt(&self, path: &Path, git: &Value, live: &Value) -> Value {
        let mut value = git.clone();
        for Excluded { pattern, .. } in self.places.iter().filter(|place| reaches_below(&place.pattern, path)) {
            adopt::adopt(&mut value, Some(live), &pattern[path.steps().len()..]);
        }
        value
    }

    /// `deviations − exclusions`.
    pub fn subtract_from(&self, deviations: &mut Vec<Deviation>) {
        if !self.is_empty() {
            deviations.retain(|deviation| self.excusing(deviation).is_none());
        }
    }

    /// The rule by which a deviation is none, in words: its place is excluded, or it is a value that is compared whole and
    /// differs in nothing but excluded parts.
    pub fn excusing(&self, deviation: &Deviation) -> Option<&str> {
        let Deviation { path, kind, git, live, .. } = deviation;
        self.covering(path).or_else(|| match (kind, git, live) {
            // An empty one is usually open to others: what they put into it is no part of Git's.
            (Kind::Changed, Some(git), Some(live)) if !is_nothing(Some(git)) && self.reach_below(path) => {
                same(&self.adopt(path, git, live), live).then(|| self.reaching_below(path))?
            }
            _ => None,
        })
    }

    fn reaching_below(&self, path: &Path) -> Option<&str> {
        self.places.iter().find(|place| reaches_below(&place.pattern, path)).map(|place| &*place.by)
    }

    /// Is nothing excluded?
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

// === impl Excluded ===

impl Excluded {
    fn covers(&self, path: &Path) -> bool {
        covers(&self.pattern, path) && !self.except.iter().any(|except| covers(except, path))
    }
}

// === impl Dependent ===

impl Dependent {
    fn by(&self) -> Arc<str> {
        match self {
            Self::Jq(_, by) | Self::Managers(_, by) | Self::Replicas { by, .. } => by.clone(),
            Self::FilledByOwner => "preset externalSecrets".into(),
        }
    }

    /// What it excludes of the object as it is; the error is a sentence.
    fn places(&self, state: &State<'_>, ground: Ground<'_>) -> Result<Vec<Excluded>, String> {
        let excluded = |pattern| Excluded { pattern, by: self.by(), except: Vec::new() };
        Ok(match self {
            Self::Jq(jq, _) => found_by(jq, state, ground)?.into_iter().map(excluded).collect(),
            Self::Managers(globs, _) => owned_by(globs, state).into_iter().map(excluded).collect(),
            Self::Replicas { min, max, .. } => {
                let replicas = state.object.pointer("/spec/replicas").and_then(Value::as_u64);
                let within = replicas.is_some_and(|replicas| (*min..=*max).contains(&replicas));
                within.then(|| excluded(fields(&["spec", "replicas"]))).into_iter().collect()
            }
            Self::FilledByOwner => {
                let owner = preset::is_filled_by_owner(state.object);
                let by = |owner| Arc::from(format!("preset externalSecrets: {owner} owns this Secret and fills it"));
                let place = |owner| Excluded { by: by(owner), ..excluded(fields(&["data"])) };
                owner.map(place).into_iter().collect()
            }
        })
    }
}

/// The places the expression finds on what is live, and on what Git says: what Git has and the cluster lost is excluded, too.
fn found_by(jq: &Jq, state: &State<'_>, ground: Ground<'_>) -> Result<Vec<Pattern>, String> {
    let around = Around { declaration: ground.declaration, owners: state.owners().map(|entry| entry.fields).collect() };
    let live = jq.places(state.object)?;
    let live = live.iter().filter_map(|place| live_pattern(place, state.object, &around));
    let git = jq.places(ground.manifest)?;
    let git = git.iter().flat_map(|place| git_patterns(place, ground));
    Ok(live.chain(git).collect())
}

fn live_pattern(place: &[Found], object: &Value, around: &Around<'_>) -> Option<Pattern> {
    let mut steps: Vec<Step> = Vec::new();
    let mut node = Some(object);
    for found in place {
        let (step, below) = match (found, node) {
            (Found::Field(name), node) => (Step::Field(name.as_str().into()), node.and_then(|node| node.get(name))),
            (Found::Index(index), Some(Value::Array(list))) => {
                (live_step(&Path::new(steps.clone()), list, *index, around)?, list.get(*index))
            }
            (Found::Index(_), _) => return None,
        };
        steps.push(step);
        node = below;
    }
    Some(steps.iter().map(Any::of).collect())
}

fn git_patterns(place: &[Found], ground: Ground<'_>) -> Vec<Pattern> {
    let segment = |found: &Found| match found {
        Found::Field(name) => place::Segment::Named(name.clone()),
        Found::Index(index) => place::Segment::Named(index.to_string()),
    };
    place::resolve(&place.iter().map(segment).collect::<Vec<_>>(), ground)
}

fn owned_by(globs: &[String], state: &State<'_>) -> Vec<Pattern> {
    let mut found = Vec::new();
    for entry in state.owners().filter(|entry| globs.iter().any(|pattern| glob(pattern, entry.manager))) {
        owned_leaves(entry.fields, &mut Vec::new(), &mut found);
    }
    found
}

fn owned_leaves(fields: Fields<'_>, steps: &mut Pattern, found: &mut Vec<Pattern>) {
    if fields.is_leaf() && !steps.is_empty() {
        found.push(steps.clone());
    }
    for (step, below) in fields.children() {
        steps.push(Any::of(&step));
        owned_leaves(below, steps, found);
        steps.pop();
    }
}

fn labels_of(manifest: &Value) -> LabelMap {
    let labels = manifest.pointer("/metadata/labels").and_then(Value::as_object);
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    labels.into_iter().flatten().filter_map(text).collect()
}

fn fields(names: &[&str]) -> Pattern {
    names.iter().map(|name| Any::Field((*name).to_owned())).collect()
}

#[cfg(test)]
mod tests;
