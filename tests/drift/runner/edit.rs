//! Judges a case's edit the way the webhook does: `/mutate` stamps, then `/validate` judges.

use holdfast::core::breakglass;
use holdfast::core::compare::Scope;
use holdfast::core::judge::{Action, Court, Edit as Judged, Judgement, Why, judge};
use holdfast::core::say::message;
use holdfast::core::snapshot::Snapshot;
use holdfast::core::stamp::{Stamps, Write, stamps};
use holdfast::core::state::State;
use holdfast::core::who::User;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

use super::Scene;
use super::case::{self, Edit};
use crate::common::api_server::update;
use crate::common::desired::{identities, limits};

/// The judgement on an edit, and what the person reads. `written` is the object as the API server would store it.
pub fn judged(edit: &Edit, scene: &Scene, written: &Value) -> (Judgement, String) {
    let (old, new) = (before(edit, scene), after(edit, scene, written));
    let (old, new) = (State::whole(&old), State::whole(&new));
    let glass = breakglass::open(&State::whole(&scene.live), now());
    let action = match edit.action {
        case::Action::Create => Action::Create(new),
        case::Action::Update => Action::Update(old, new, Scope::Whole),
        case::Action::Scale => Action::Scale(old, new, glass),
        case::Action::Delete => Action::Delete(old),
    };
    let snapshot = Snapshot::new([Arc::new(scene.managed.clone())]);
    let (identities, limits) = (identities(), limits());
    let court = Court { snapshot: &snapshot, identities: &identities, limits: &limits, observe_only: false };
    let (key, user) = (&scene.managed.manifest.key, user(edit));
    let (manager, may_break_glass) = (edit.manager.as_deref(), edit.break_glass_right);
    let judgement = judge(&Judged { key, user: &user, action, manager, may_break_glass, now: now() }, &court);
    let text = message(key, Some(&scene.managed), &judgement);
    (judgement, text)
}

/// A reason in short: `Drift`, `BreakGlass`, `Refused NoRight`.
pub fn reason(why: &Why) -> String {
    let word = |text: String| text.chars().take_while(|c| c.is_alphanumeric()).collect::<String>();
    match why {
        Why::Refused(refused) => format!("Refused {}", word(format!("{refused:?}"))),
        other => word(format!("{other:?}")),
    }
}

/// Every case is judged at noon of the first of March 2026, UTC.
fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("this is a time")
}

fn user(edit: &Edit) -> User {
    User { name: edit.user.clone(), groups: edit.groups.clone() }
}

fn before(edit: &Edit, scene: &Scene) -> Value {
    match edit.action {
        case::Action::Scale => json!({"spec": {"replicas": scene.live["spec"]["replicas"]}}),
        _ => scene.live.clone(),
    }
}

/// What the model makes of an edit.
pub fn written(edit: &Edit, scene: &Scene) -> Result<Value, String> {
    let manager = edit.manager.as_deref().unwrap_or("unnamed");
    Ok(match edit.action {
        case::Action::Create => update(&json!({}), &edit.what().wanted(&scene.managed.manifest.value())?, manager, ""),
        case::Action::Update => update(&scene.live, &edit.what().wanted(&scene.live)?, manager, ""),
        case::Action::Scale | case::Action::Delete => Value::Null,
    })
}

fn after(edit: &Edit, scene: &Scene, written: &Value) -> Value {
    match edit.action {
        case::Action::Scale => json!({"spec": {"replicas": edit.replicas}}),
        case::Action::Create | case::Action::Update if edit.stamped => stamped(edit, scene, written.clone()),
        _ => written.clone(),
    }
}

/// What `/mutate` writes; what it refuses, `/validate` refuses again.
fn stamped(edit: &Edit, scene: &Scene, mut new: Value) -> Value {
    let live = State::whole(&scene.live);
    let old = matches!(edit.action, case::Action::Update).then_some(&live);
    let writes = match stamps(old, &State::whole(&new), &limits(), &edit.user, now()) {
        Ok(Stamps::Opening(writes) | Stamps::Closing(writes)) => writes,
        Ok(Stamps::Untouched) | Err(_) => Vec::new(),
    };
    for write in writes {
        match write {
            Write::Set(name, value) => new["metadata"]["annotations"][name] = json!(value),
            Write::Remove(name) => {
                new["metadata"]["annotations"].as_object_mut().map(|annotations| annotations.remove(name));
            }
        }
    }
    new
}
