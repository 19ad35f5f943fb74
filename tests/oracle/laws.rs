//! What has to hold after an edit, as functions of what was seen.

use std::sync::Arc;

use holdfast::core::compare::{Deviation, Kind, Scope, compare};
use holdfast::core::exclude::Exclusions;
use holdfast::core::fields::Entry;
use holdfast::core::judge::{Action, Court, Edit as Judged, Verdict, Why, judge};
use holdfast::core::path::Path;
use holdfast::core::snapshot::{Managed, Snapshot};
use holdfast::core::state::State;
use holdfast::core::undeclared::{IsPerson, Look, is_left_alone, undeclared};
use holdfast::core::who::User;
use serde_json::Value;

use crate::common::desired::{identities, limits};
use crate::edit::{Edit, Who};
use crate::places::{Difference, Form, differences, places, touch};

/// An edit, and what came of it.
pub struct Seen<'a> {
    /// What Git declares.
    pub managed: &'a Managed,
    /// The edit.
    pub edit: &'a Edit,
    /// The object when it was nothing but what Git declares.
    pub baseline: &'a Value,
    /// The object before the edit; in sync.
    pub old: &'a Value,
    /// The object after it.
    pub new: &'a Value,
    /// What a forced dry-run apply of the manifest would make of it, or why it is refused.
    pub oracle: Result<&'a Value, &'a str>,
    /// What the product made of it, unless it could not.
    pub healed: Option<&'a Value>,
}

/// A law that does not hold, and how.
#[derive(Debug)]
pub struct Broken {
    /// Which.
    pub law: &'static str,
    /// Where.
    pub path: String,
    /// In which way.
    pub how: String,
}

// === impl Seen ===

impl Seen<'_> {
    /// All laws that do not hold.
    pub fn broken(&self) -> Vec<Broken> {
        let seen = [Some(self.baseline), Some(self.old), Some(self.new), self.oracle.ok(), self.healed];
        let form = Form::of(&seen.into_iter().flatten().collect::<Vec<_>>());
        let mut broken = self.agrees(&form);
        if let Some(healed) = self.healed {
            broken.extend(self.heals_as_the_oracle_and_takes_additions(&form, healed));
            broken.extend(self.undoes(&form, healed));
            broken.extend(self.judges(&form, healed));
        }
        broken
    }

    /// What the core compares is what an apply would change.
    fn agrees(&self, form: &Form) -> Vec<Broken> {
        let ours = self.ours(&|_| false, &Exclusions::default());
        let Ok(oracle) = self.oracle else {
            let silent = ours.is_empty().then(|| broken("refused, and no drift", &Path::default(), &self.oracle));
            return silent.into_iter().collect();
        };
        let theirs = differences(form, self.new, oracle);
        let declared = |path: &Path| self.managed.declaration.find(path).is_some();
        let imagined = ours.iter().filter(|ours| !theirs.iter().any(|theirs| touch(&theirs.path, &ours.path)));
        let missed = theirs.iter().filter(|theirs| {
            let known = ours.iter().any(|ours| touch(&theirs.path, &ours.path));
            // What the API server defaults, or drops, because of something declared that changed.
            let follows = !ours.is_empty() && !declared(&theirs.path);
            !known && !follows
        });
        imagined
            .map(|ours| broken(IMAGINED, &ours.path, ours))
            .chain(missed.map(|theirs| broken(MISSED, &theirs.path, theirs)))
            .collect()
    }

    /// Healing does what the apply would, takes away what is called added, and nothing else. (What Git no longer says and a person
    /// co-owns, because it was made with kubectl once, goes too; a plain apply would leave it.)
    fn heals_as_the_oracle_and_takes_additions(&self, form: &Form, healed: &Value) -> Vec<Broken> {
        let state = State::whole(self.new);
        let exclusions = self.managed.excluded(&state);
        let mut ours = self.ours(&is_interactive, &exclusions);
        exclusions.subtract_from(&mut ours);
        let is_undeclared = |found: &&Deviation| matches!(found.kind, Kind::Added | Kind::Leftover);
        let added: Vec<_> = ours.iter().filter(is_undeclared).collect();
        let changed = differences(form, self.new, healed);
        let kept = added.iter().filter(|added| !changed.iter().any(|changed| touch(&changed.path, &added.path)));
        let kept: Vec<_> = kept.map(|added| broken(STAYS, &added.path, added)).collect();
        let Ok(oracle) = self.oracle else { return kept };
        let before = places(form, self.old);
        let beyond = differences(form, oracle, healed).into_iter().filter(|beyond| {
            let is_addition = added.iter().any(|added| touch(&added.path, &beyond.path));
            // Defaults that came with an addition go with it.
            let is_as_before = before.get(&beyond.path.to_string()).map(|(_, value)| value) == beyond.to.as_ref();
            let follows = !added.is_empty() && is_as_before;
            !is_addition && !follows && !exclusions.cover(&beyond.path) && !is_left_alone(Kind::Leftover, &beyond.path)
        });
        kept.into_iter().chain(beyond.map(|beyond| broken("healed otherwise", &beyond.path, &beyond))).collect()
    }

    /// Of a person's edit nothing is left, except notes and what is left alone.
    fn undoes(&self, form: &Form, healed: &Value) -> Vec<Broken> {
        let state = State::whole(self.new);
        let exclusions = self.managed.excluded(&state);
        let baseline = places(form, self.baseline);
        let left = differences(form, self.old, healed).into_iter().filter(|left| {
            let declared = self.managed.declaration.find(&left.path).is_some();
            let spelled = left.path.to_string();
            let was_others = baseline.get(&spelled).map(|(_, value)| value) != left.from.as_ref();
            let is_note = left.path.starts_with_fields(&["metadata"]) && !declared;
            let by_others = self.edit.who == Who::Automation && !declared;
            let excluded = exclusions.cover(&left.path) || is_left_alone(Kind::Added, &left.path);
            !(was_others || is_note || by_others || excluded)
        });
        left.map(|left| broken(LEFT, &left.path, &left)).collect()
    }

    /// Denied exactly when healing undoes some of it.
    fn judges(&self, form: &Form, healed: &Value) -> Vec<Broken> {
        let (user, manager) = match self.edit.who {
            Who::Person => (person(), self.edit.manager),
            Who::Automation => (program(), self.edit.manager),
            Who::Earlier => return Vec::new(),
        };
        let (old, new) = (State::whole(self.old), State::whole(self.new));
        let snapshot = Snapshot::new([Arc::new(self.managed.clone())]);
        let (identities, limits) = (identities(), limits());
        let court = Court { snapshot: &snapshot, identities: &identities, limits: &limits, observe_only: false };
        let now = "2026-03-01T12:00:00Z".parse().expect("a time");
        let key = &self.managed.manifest.key;
        let action = Action::Update(old, new, Scope::Whole);
        let edit = Judged { key, user: &user, action, manager: Some(manager), may_break_glass: false, now };
        let judgement = judge(&edit, &court);
        let undone = self.undone(form, healed);
        match (judgement.verdict == Verdict::Deny, undone.first()) {
            (true, None) if judgement.why == Why::Drift => {
                let path = judgement.introduced.first().map(|first| first.path.clone()).unwrap_or_default();
                vec![broken("denied, and not undone", &path, &judgement)]
            }
            (false, Some(first)) => vec![broken("undone, and not denied", &first.path, &(first, judgement))],
            _ => Vec::new(),
        }
    }

    /// Places that were edited and that healing changed.
    fn undone(&self, form: &Form, healed: &Value) -> Vec<Difference> {
        let edited = differences(form, self.old, self.new);
        let is_edited = |path: &Path| edited.iter().any(|edited| edited.path == *path);
        differences(form, self.new, healed).into_iter().filter(|change| is_edited(&change.path)).collect()
    }

    fn ours(&self, is_person: IsPerson<'_>, exclusions: &Exclusions) -> Vec<Deviation> {
        let state = State::whole(self.new);
        let mut ours = compare(&self.managed.declaration, &state, Scope::Whole);
        let look = Look { is_person, scope: Scope::Whole, before: None, exclusions };
        ours.extend(undeclared(&self.managed.declaration, &state, &look));
        ours
    }
}

// === impl Broken ===

impl Broken {
    /// Something was there again as soon as it was healed.
    pub fn undone(left: &Deviation) -> Self {
        broken(UNDONE, &left.path, left)
    }

    /// The heal was refused.
    pub fn stuck(error: &impl std::fmt::Display) -> Self {
        Self { law: STUCK, path: String::new(), how: error.to_string() }
    }
}

/// The law that an edit can be healed.
pub const STUCK: &str = "healing succeeds";
/// The law that what is healed is not written again.
pub const RESTLESS: &str = "healing rests";
/// The law that what the core calls drift is drift.
pub const IMAGINED: &str = "no drift to the API server";
/// The law that what is drift to the API server is drift.
pub const MISSED: &str = "drift to the API server alone";
/// The law that what is healed is in sync.
const UNDONE: &str = "healing ends";
/// The law that nothing is left of a person's edit.
pub const LEFT: &str = "an edit that stays";
/// The law that additions go.
pub const STAYS: &str = "an addition that stays";

fn broken(law: &'static str, path: &Path, how: &impl std::fmt::Debug) -> Broken {
    Broken { law, path: path.to_string(), how: format!("{how:?}") }
}

/// Does this owner stand for a person at a keyboard?
pub fn is_interactive(entry: &Entry<'_>) -> bool {
    identities().is_interactive(entry)
}

fn person() -> User {
    User { name: "alice".to_owned(), groups: vec!["system:authenticated".to_owned()] }
}

fn program() -> User {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"];
    User { name: "system:serviceaccount:ci:deployer".to_owned(), groups: groups.map(str::to_owned).to_vec() }
}
