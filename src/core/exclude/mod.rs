//! Exclusions: paths that are somebody else's business, by rule.
//!
//! They are subtracted from the *result* of a comparison (`drift = deviations − exclusions`). Objects are never mutilated before
//! comparing, so messages and patches always see them whole, and excluding more can only ever remove drift.
//!
//! # Two times
//! Pointers, field paths and most presets are resolved when a declaration is made. What hangs on the object as it is (jq, field
//! managers, whether replicas are within an autoscaler's range) is evaluated by [`Exclusions::at`], and only when something
//! deviates: an object that is in sync costs nothing.
//!
//! # Rules that fail
//! What a rule that fails would have excluded is not known, and each edge does what can be taken back: the webhook judges as if
//! it excluded nothing (an edit can be made again), the reconciler undoes nothing on that object (what is overwritten is lost).
//! This is the one exception to *denied exactly when it would be undone*, it lasts until the rule is repaired, and both say so.
//! An edit that makes a rule fail is judged without it, too: breaking a rule is no way around the guard.

mod adopt;
pub mod annotation;
mod expressions;
mod glob;
mod injection;
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
pub use jq::{Budget, Input, Jq};
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
use super::path::Path;
use super::state::State;
use super::value::{is_nothing, same};
use expressions::Expressions;
use injection::Injected;
use pattern::{Any, Pattern, covers, covers_element, reaches_below};

/// The places of one object that rules exclude.
#[derive(Debug, Clone, Default)]
pub struct Exclusions {
    places: Vec<Excluded>,
    dependent: Vec<Dependent>,
    failed: Vec<RuleError>,
    nearest: Option<(Pattern, Value)>,
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
    /// Places an expression finds, and those it finds in what Git says.
    Jq(Jq, Arc<str>, Result<Vec<Pattern>, String>),
    /// Places these field managers own.
    Managers(Vec<String>, Arc<str>),
    /// Replicas within a range.
    Replicas { min: u64, max: u64, by: Arc<str> },
    /// The data of a Secret whose owner fills it.
    FilledByOwner,
    /// What a mesh's injector rewrites.
    Injected(Injected),
    /// Nobody knows: the rules for the whole cluster cannot be read, for this reason.
    Unknown(Arc<str>),
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
        let expressions = Expressions::on(ground.manifest);
        for rule in own.iter().chain(&*around.rules).filter(|rule| rule.objects.matches(subject)) {
            let excluded =
                |(text, pattern): (String, _)| Excluded { pattern, by: rule.describe(&text), except: Vec::new() };
            places.extend(rule.patterns(ground).into_iter().map(excluded));
            dependent.extend(rule.jq.iter().map(|jq| {
                let found = expressions.find_in_git(jq, ground);
                Dependent::Jq(jq.clone(), rule.describe(&jq.to_string()), found)
            }));
            if !rule.managers.is_empty() {
                let by = rule.describe(&format!("managed by {}", rule.managers.join(", ")));
                dependent.push(Dependent::Managers(rule.managers.clone(), by));
            }
        }
        let (preset_places, preset_dependent) = preset::resolve(manifest, declaration, around);
        places.extend(preset_places);
        dependent.extend(preset_dependent);
        dependent.extend(around.unreadable.clone().map(Dependent::Unknown));
        Self { places, dependent, failed: Vec::new(), nearest: None, own }
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

    /// Does some of it hang on more of the object than an edit changes?
    pub fn need_whole_object(&self) -> bool {
        self.dependent.iter().any(|dependent| matches!(dependent, Dependent::Jq(..)))
    }

    /// What is excluded of the object as it is.
    pub fn at(&self, key: &ObjectKey, state: &State<'_>, declaration: &Declaration) -> Cow<'_, Self> {
        if self.dependent.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut now = self.clone();
        let expressions = Expressions::on(state.object);
        for dependent in &self.dependent {
            match dependent.places(state, declaration, &expressions) {
                Ok(places) => now.places.extend(places),
                Err(reason) => {
                    let rule = dependent.by().to_string();
                    let reason = if is_secret(key) { UNTOLD.to_owned() } else { reason };
                    now.failed.push(RuleError { rule, object: key.to_string(), reason });
                }
            }
        }
        now.nearest = self.nearest_replicas(state);
        Cow::Owned(now)
    }

    /// Replicas outside of an autoscaler's range: the bound it would be set to. Git's number would be a jump, and to nobody's wish.
    fn nearest_replicas(&self, state: &State<'_>) -> Option<(Pattern, Value)> {
        let live = replicas(state)?;
        let ranges = self.dependent.iter().filter_map(Dependent::range);
        let nearest = ranges.map(|(min, max)| live.min(max).max(min)).min_by_key(|bound| bound.abs_diff(live))?;
        Some((fields(&["spec", "replicas"]), nearest.into()))
    }

    /// What is to stand at a place that drifted, where that is not what Git says.
    pub fn instead_of_git(&self, path: &Path) -> Option<&Value> {
        let (pattern, value) = self.nearest.as_ref()?;
        (pattern.len() == path.steps().len() && covers(pattern, path)).then_some(value)
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

    /// Is nothing excluded, and nothing but Git's values wanted?
    pub fn is_empty(&self) -> bool {
        self.places.is_empty() && self.nearest.is_none()
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
            Self::Jq(_, by, _) | Self::Managers(_, by) | Self::Replicas { by, .. } => by.clone(),
            Self::FilledByOwner => "preset externalSecrets".into(),
            Self::Injected(_) => Injected::by(),
            Self::Unknown(_) => "the DriftPolicy".into(),
        }
    }

    fn range(&self) -> Option<(u64, u64)> {
        if let Self::Replicas { min, max, .. } = self { Some((*min, *max)) } else { None }
    }

    /// What it excludes of the object as it is; the error is a sentence.
    fn places(
        &self,
        state: &State<'_>,
        declaration: &Declaration,
        expressions: &Expressions<'_>,
    ) -> Result<Vec<Excluded>, String> {
        let excluded = |pattern| Excluded { pattern, by: self.by(), except: Vec::new() };
        Ok(match self {
            Self::Jq(jq, _, git) => {
                let live = expressions.find_live(jq, state, declaration)?;
                git.clone()?.into_iter().chain(live).map(excluded).collect()
            }
            Self::Managers(globs, _) => owned_by(globs, state).into_iter().map(excluded).collect(),
            Self::Replicas { min, max, .. } => {
                let within = replicas(state).is_some_and(|replicas| (*min..=*max).contains(&replicas));
                within.then(|| excluded(fields(&["spec", "replicas"]))).into_iter().collect()
            }
            Self::FilledByOwner => {
                let owner = preset::is_filled_by_owner(state);
                let by = |owner| Arc::from(format!("preset externalSecrets: {owner} owns this Secret and fills it"));
                let place = |owner| Excluded { by: by(owner), ..excluded(fields(&["data"])) };
                owner.map(place).into_iter().collect()
            }
            Self::Injected(injected) => injected.places(state),
            Self::Unknown(reason) => return Err(reason.to_string()),
        })
    }
}

fn replicas(state: &State<'_>) -> Option<u64> {
    state.object.pointer("/spec/replicas").and_then(Value::as_u64)
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
