//! Desired state made of plain values, and healing it the way the reconciler does, against the model of the API server.

use std::sync::Arc;

use holdfast::core::breakglass::Limits;
use holdfast::core::compare::Deviation;
use holdfast::core::declaration::Declaration;
use holdfast::core::drift::drift;
use holdfast::core::exclude::{Exclusions, Rule, Surroundings};
use holdfast::core::fields::Entry;
use holdfast::core::heal::{before_apply, to_apply};
use holdfast::core::manifest::{Lines, Manifest, Origin};
use holdfast::core::names::FIELD_MANAGER;
use holdfast::core::object::ObjectKey;
use holdfast::core::snapshot::{Managed, Mode, Sync, Undeclared};
use holdfast::core::state::State;
use holdfast::core::who::{INTERACTIVE, Identities};
use jiff::SignedDuration;
use serde_json::Value;

use super::api_server::apply;

/// The manifest of this document, every line of it line 1.
pub fn manifest(value: &Value) -> Manifest {
    let key = ObjectKey::of(value).expect("the document names an object");
    Manifest { key, value: value.clone(), origin: Origin { file: "app.yaml".into(), lines: Lines::leaf(1) } }
}

/// What Git declares, given what the API server answered to the manifest.
pub fn managed(manifest: Manifest, answer: &Value, rules: &[Rule]) -> Managed {
    managed_around(manifest, answer, rules, &Surroundings::default())
}

/// The same, with somebody else at work on it.
pub fn managed_around(manifest: Manifest, answer: &Value, rules: &[Rule], around: &Surroundings) -> Managed {
    managed_over(manifest, answer, None, rules, around)
}

/// The same, declared while `live` is what an earlier commit made.
pub fn managed_over(
    manifest: Manifest,
    answer: &Value,
    live: Option<&Value>,
    rules: &[Rule],
    around: &Surroundings,
) -> Managed {
    let recognised = live.and_then(|live| Declaration::recognise(&manifest, live));
    let read = || Declaration::read_over(&manifest, answer, live).expect("the answer has our entry");
    let declaration = recognised.unwrap_or_else(read);
    let exclusions = Exclusions::resolve(rules.into(), &manifest, &declaration, around);
    Managed {
        sync: Arc::new(sync()),
        manifest: Arc::new(manifest.into()),
        declaration,
        exclusions,
        resource: "things".into(),
    }
}

/// A sync that refuses edits and undeclared fields.
pub fn sync() -> Sync {
    Sync {
        name: "holdfast-system/shop".to_owned(),
        repository: "https://git.example/shop.git".to_owned(),
        target: "main".to_owned(),
        revision: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        mode: Mode::Deny,
        undeclared: Undeclared::Deny,
        self_heal: true,
        suspension: None,
        rollback: None,
        tool: None,
    }
}

/// Who is who, by default.
pub fn identities() -> Identities {
    Identities {
        ourselves: ("holdfast-system".to_owned(), "holdfast".to_owned()),
        controllers: vec!["system:serviceaccount:istio-system:*".to_owned()],
        interactive: INTERACTIVE.map(str::to_owned).to_vec(),
    }
}

/// Half an hour by default, two at most.
pub fn limits() -> Limits {
    Limits { default: SignedDuration::from_mins(30), max: SignedDuration::from_hours(2) }
}

/// The drift the reconciler sees.
pub fn seen(managed: &Managed, live: &Value) -> Vec<Deviation> {
    drift(managed, &State::whole(live), &is_interactive)
}

/// The object after the reconciler healed it.
pub fn heal(managed: &Managed, live: &Value) -> Value {
    let patch = before_apply(managed, &State::whole(live), &seen(managed, live), &is_interactive, &[]);
    let mut prepared = live.clone();
    if let Some(patch) = patch {
        json_patch::patch(&mut prepared, &patch).expect("the patch was made for this object");
    }
    let body = to_apply(managed, Some(&State::whole(&prepared)));
    apply(Some(&prepared), &body, FIELD_MANAGER)
}

fn is_interactive(entry: &Entry<'_>) -> bool {
    identities().is_interactive(entry)
}
