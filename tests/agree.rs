//! The laws that tie the webhook to the reconciler, over generated declarations, histories, rules and edits.
//!
//! # The law
//! *A guarded user's edit is denied exactly when the reconciler would have to undo some of it*: when there is a place where the
//! edited object is not what it was, and healing it would change that place. Under these conditions, each of which is a decision
//! and not an accident:
//!
//! - the policy on undeclared fields is `Deny` (or `Allow`, where both sides leave additions alone; under `Warn` the webhook says
//!   more than the reconciler does);
//! - a person edits with a manager that the reconciler takes for a person, too, and automation with one it does not: with any
//!   other the webhook knows more, because it knows who asks;
//! - the object is there before and after the edit, and the edit leaves marks, ownership and break-glass alone;
//! - it is known what the API server makes of the manifest alone, or the edit sets no undeclared field to its default;
//! - what fills an empty list or map that Git declares has an owner (a webhook's addition has none, and looks like an atomic
//!   value whose owners were wiped: the guard assumes the worse);
//! - absent, null and `[]` are one value, and the order of keyed lists and sets is not a value.
//!
//! Healing runs against a model of the API server (`common::api_server`), which cluster tests check against a real one.

mod agree {
    pub mod scenes;
}
mod common;

use agree::scenes::{Scene, rule, scene};
use common::api_server::{apply, leaves, value_at};
use common::desired::{heal, identities, limits, manifest, seen};
use common::kinds::{Merge, merge_of};
use holdfast::core::compare::{Deviation, Kind, Scope, compare};
use holdfast::core::declaration::Declaration;
use holdfast::core::difference;
use holdfast::core::exclude::Rule;
use holdfast::core::fields::Fields;
use holdfast::core::heal::{before_apply, to_apply};
use holdfast::core::judge::{Action, Court, Edit, Judgement, Verdict, judge};
use holdfast::core::names::FIELD_MANAGER;
use holdfast::core::path::{Path, Step};
use holdfast::core::snapshot::{Managed, Snapshot, Undeclared};
use holdfast::core::state::State;
use holdfast::core::text::Outline;
use holdfast::core::value::is_nothing;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    /// What the API server answered to an apply does not deviate from what was read out of it.
    #[test]
    fn an_answer_equals_itself(scene in scene()) {
        let managed = scene.managed();
        prop_assert_eq!(compare(&managed.declaration, &State::whole(&scene.answer), Scope::Whole), vec![]);
    }

    /// No drift, nothing to write: neither a patch, nor an apply that would change a value.
    #[test]
    fn in_sync_means_nothing_to_write(scene in scene()) {
        let managed = scene.managed();
        let healed = heal(&managed, &scene.old);
        prop_assert_eq!(before_apply(&managed, &State::whole(&healed), &seen(&managed, &healed), &|_| true, &[]), None);
        if seen(&managed, &scene.old).is_empty() {
            let body = to_apply(&managed, Some(&State::whole(&scene.old)));
            prop_assert_eq!(changed(&scene.old, &apply(Some(&scene.old), &body, FIELD_MANAGER)), Vec::<Place>::new());
        }
    }

    /// THE law; see the head of this file.
    #[test]
    fn denied_exactly_when_it_would_be_undone(scene in scene()) {
        let scene = Scene { knows_defaults: true, ..scene };
        let managed = scene.managed();
        let judgement = judged(&scene, &managed, whole(&scene));
        prop_assume!(!judgement.introduced.iter().any(is_filled_by_nobody));
        let undone = undone(&scene.old, &scene.new, &heal(&managed, &scene.new));
        let denied = judgement.verdict == Verdict::Deny;
        prop_assert_eq!(denied, !undone.is_empty(), "judged {:#?}\nundone {:#?}", judgement, undone);
    }

    /// Where additions are nobody's business, the law holds as well.
    #[test]
    fn denied_exactly_when_undone_with_additions_allowed(scene in scene()) {
        let mut managed = scene.managed();
        Arc::make_mut(&mut managed.sync).undeclared = Undeclared::Allow;
        let judgement = judged(&scene, &managed, whole(&scene));
        prop_assume!(!judgement.introduced.iter().any(is_filled_by_nobody));
        let undone = undone(&scene.old, &scene.new, &heal(&managed, &scene.new));
        let denied = judgement.verdict == Verdict::Deny;
        prop_assert_eq!(denied, !undone.is_empty(), "judged {:#?}\nundone {:#?}", judgement, undone);
    }

    /// One heal is enough, and a second changes nothing at all: not even the resource version.
    #[test]
    fn healing_ends(scene in scene()) {
        let managed = scene.managed();
        let healed = heal(&managed, &scene.new);
        prop_assert_eq!(seen(&managed, &healed), vec![]);
        prop_assert_eq!(heal(&managed, &healed), healed);
    }

    /// With one more rule, every deviation lies at or below one that was there without it, and nothing more is denied.
    #[test]
    fn excluding_more_never_adds_drift(scene in scene(), extra in rule()) {
        let fewer = scene.managed();
        let more = Scene { rules: [&scene.rules[..], &[extra]].concat(), ..scene.clone() }.managed();
        let known = seen(&fewer, &scene.new);
        for deviation in seen(&more, &scene.new) {
            let before = known.iter().any(|known| known.path.covers(&deviation.path));
            prop_assert!(before, "new: {} beside {:#?}", deviation.path, known);
        }
        if judged(&scene, &more, whole(&scene)).verdict == Verdict::Deny {
            prop_assert_eq!(judged(&scene, &fewer, whole(&scene)).verdict, Verdict::Deny);
        }
    }

    /// A heal changes no excluded place, except within list elements it makes anew or removes as a whole.
    #[test]
    fn a_heal_touches_nothing_excluded(scene in scene()) {
        let managed = scene.managed();
        let healed = heal(&managed, &scene.new);
        let excluded = managed.excluded(&State::whole(&scene.new)).into_owned();
        for place in changed(&scene.new, &healed) {
            let excluded = excluded.cover(&path(&place));
            prop_assert!(!excluded || in_moved_element(&place, &scene.new, &healed), "touched {:?}", place);
        }
    }

    /// In which order keys, entries and the elements of keyed lists and sets stand does not matter.
    #[test]
    fn order_is_irrelevant(scene in scene()) {
        let managed = scene.managed();
        let turned = Scene { old: turned("", &scene.old), new: turned("", &scene.new), ..scene.clone() };
        let paths = |live: &Value| seen(&managed, live).iter().map(|found| found.path.to_string()).collect::<BTreeSet<_>>();
        prop_assert_eq!(paths(&scene.new), paths(&turned.new));
        prop_assert_eq!(
            judged(&scene, &managed, whole(&scene)).verdict,
            judged(&turned, &managed, whole(&turned)).verdict
        );
    }

    /// A review of which only what differs was parsed is judged like the whole objects.
    #[test]
    fn parsing_less_gives_the_same_judgement(scene in scene()) {
        let managed = scene.managed();
        let differing = differing(&scene.old, &scene.new);
        let owners = |object: &Value| object["metadata"]["managedFields"].to_string();
        let [old, new] = less(&managed.declaration, &differing, [&scene.old, &scene.new]);
        let (old_owners, new_owners) = (owners(&scene.old), owners(&scene.new));
        let sections: Vec<_> = differing.iter().map(String::as_str).collect();
        let part = Action::Update(
            State::with_raw_owners(&old, &old_owners), State::with_raw_owners(&new, &new_owners), Scope::Only(&sections));
        prop_assert_eq!(judged(&scene, &managed, whole(&scene)), judged(&scene, &managed, part));
    }

    /// A live object that is recognised as an apply's answer gives the declaration that the answer would give.
    #[test]
    fn recognised_is_what_an_apply_would_answer(scene in scene()) {
        let manifest = manifest(&scene.declared);
        for live in [&scene.answer, &scene.old, &scene.new] {
            if let Some(recognised) = Declaration::recognise(&manifest, live) {
                let answer = apply(Some(live), &scene.declared, FIELD_MANAGER);
                let read = Declaration::read(&manifest, &answer).expect("an answer has our entry");
                // An absent list and an empty one are one value.
                let spelled = |declaration| format!("{declaration:?}").replace("Nothing", "Leaf(Array [])");
                prop_assert_eq!(spelled(recognised), spelled(read));
            }
        }
    }

    /// No two places are spelled alike.
    #[test]
    fn paths_are_told_apart_by_their_spelling(scene in scene()) {
        let places: Vec<_> = leaves(&scene.new).into_keys().collect();
        let spelled: BTreeSet<_> = places.iter().map(|place| path(place).to_string()).collect();
        prop_assert_eq!(spelled.len(), places.len());
    }

    /// What a message calls a place, a rule can say: it then covers that place, and none that is not at or below it.
    #[test]
    fn a_path_as_it_is_spelled_is_a_rule_for_it(scene in scene(), at in any::<prop::sample::Index>()) {
        let places: Vec<_> = leaves(&scene.new).keys().map(|place| path(place)).collect();
        let chosen = at.get(&places);
        let spelled = chosen.to_string().parse();
        prop_assert!(spelled.is_ok(), "{} cannot be read: {:?}", chosen, spelled);
        let rule = Rule { paths: spelled.into_iter().collect(), ..Rule::default() };
        let managed = Scene { rules: vec![rule], ..scene.clone() }.managed();
        for place in &places {
            let covered = managed.exclusions.covering(place).is_some_and(|by| !by.starts_with("preset"));
            prop_assert_eq!(covered, chosen.covers(place), "{} by {}", place, chosen);
        }
    }
}

/// The scenes would prove nothing if they were all alike.
#[test]
fn scenes_are_of_every_kind() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen_kinds = BTreeSet::new();
    for _ in 0..400 {
        let scene = scene().new_tree(&mut runner).expect("scenes can be made").current();
        let managed = scene.managed();
        let judgement = judged(&scene, &managed, whole(&scene));
        let manifest = manifest(&scene.declared);
        seen_kinds.insert(format!("{:?} {:?}", scene.who, judgement.verdict));
        seen_kinds.extend(seen(&managed, &scene.old).iter().map(|found| format!("{:?}", found.kind)));
        seen_kinds.insert(format!("in sync {}", seen(&managed, &scene.old).is_empty()));
        seen_kinds.insert(format!("recognised {}", Declaration::recognise(&manifest, &scene.old).is_some()));
    }
    let seen_kinds: Vec<_> = seen_kinds.into_iter().collect();
    assert_eq!(
        seen_kinds,
        [
            "Added",
            "Automation Allow",
            "Automation Deny",
            "Changed",
            "Leftover",
            "Person Allow",
            "Person Deny",
            "Removed",
            "in sync false",
            "in sync true",
            "recognised false",
            "recognised true"
        ]
    );
}

// --- asking ---

fn whole(scene: &Scene) -> Action<'_> {
    Action::Update(State::whole(&scene.old), State::whole(&scene.new), Scope::Whole)
}

fn judged(scene: &Scene, managed: &Managed, action: Action<'_>) -> Judgement {
    let snapshot = Snapshot::new([Arc::new(managed.clone())]);
    let (identities, limits) = (identities(), limits());
    let court = Court { snapshot: &snapshot, identities: &identities, limits: &limits, observe_only: false };
    let user = scene.who.user();
    let now = "2026-03-01T12:00:00Z".parse().expect("a time");
    let key = &managed.manifest.key;
    judge(&Edit { key, user: &user, action, manager: Some(scene.who.manager()), may_break_glass: false, now }, &court)
}

/// Something stands where Git declares an empty list or map that others may fill, and nobody owns it.
fn is_filled_by_nobody(found: &Deviation) -> bool {
    let Some((Step::Field(name), live)) = found.path.steps().last().zip(found.live.as_ref()) else { return false };
    is_nothing(found.git.as_ref()) && found.kind == Kind::Changed && merge_of(name, live) != Merge::Atomic
}

// --- places ---

type Place = Vec<String>;

/// Places that were edited and that healing changes.
fn undone(old: &Value, new: &Value, healed: &Value) -> Vec<Place> {
    let edited = |place: &Place| match (value_at(old, place), value_at(new, place)) {
        // Its fields are places of their own; and to empty what Git does not have is to take it back, atomic or not.
        (Some(Value::Object(_)), Some(Value::Object(left))) => {
            let taken_back = left.is_empty() && value_at(healed, place).is_none();
            is_atomic(place) && !taken_back && value_at(old, place) != value_at(new, place)
        }
        (old, new) => old != new,
    };
    changed(new, healed).into_iter().filter(edited).collect()
}

/// Leaves that differ. An empty map that gets something is not changed itself: its new children are.
fn changed(from: &Value, to: &Value) -> Vec<Place> {
    let (from_leaves, to_leaves) = (leaves(from), leaves(to));
    let all: BTreeSet<_> = from_leaves.keys().chain(to_leaves.keys()).cloned().collect();
    let is_map = |object: &Value, place: &Place| value_at(object, place).is_some_and(|value| value.is_object());
    let same_map = |place: &Place| {
        is_map(from, place) && is_map(to, place) && (!from_leaves.contains_key(place) || !to_leaves.contains_key(place))
    };
    all.into_iter().filter(|place| from_leaves.get(place) != to_leaves.get(place) && !same_map(place)).collect()
}

fn is_atomic(place: &[String]) -> bool {
    let name = place.last().and_then(|step| step.strip_prefix("f:")).unwrap_or_default();
    merge_of(name, &json!({})) == Merge::Atomic
}

/// The place as the core writes it, read with the core's own reader of `fieldsV1`.
fn path(place: &[String]) -> Path {
    let steps = place.iter().map(|step| {
        let fields = json!({ step.clone(): {} });
        Fields::new(&fields).children().next().expect("a step is spelled as in fieldsV1").0
    });
    Path::new(steps.collect())
}

fn in_moved_element(place: &[String], from: &Value, to: &Value) -> bool {
    let elements = (1..=place.len())
        .map(|end| &place[..end])
        .filter(|place| place.last().is_some_and(|step| step.starts_with("k:")));
    elements.into_iter().any(|element| value_at(from, element).is_some() != value_at(to, element).is_some())
}

// --- objects seen differently ---

fn turned(name: &str, value: &Value) -> Value {
    let unordered = name == "managedFields" || name == "ports" || name.starts_with("keyed") || name.starts_with("set");
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), turned(name, value))).collect(),
        Value::Array(elements) if unordered => elements.iter().rev().map(|value| turned("", value)).collect(),
        other => other.clone(),
    }
}

fn differing(old: &Value, new: &Value) -> Vec<String> {
    let sections: BTreeSet<_> =
        [old, new].into_iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys).collect();
    let differs = |name: &&&String| **name != "metadata" && old.get(name.as_str()) != new.get(name.as_str());
    sections.iter().filter(differs).map(|name| (*name).clone()).chain(["metadata".to_owned()]).collect()
}

/// Both objects with these sections alone, each as far as it differs, and without their ownership.
fn less(declaration: &Declaration, sections: &[String], objects: [&Value; 2]) -> [Value; 2] {
    let [mut old, mut new] = objects.map(|object| only(object, sections));
    for name in sections.iter().filter(|name| **name != "metadata") {
        if let (Some(old), Some(new)) = (old.get_mut(name), new.get_mut(name)) {
            let texts = [old.to_string(), new.to_string()];
            let [before, after] = texts.each_ref().map(|text| Outline::of(text, None));
            let parsed = difference::parse(declaration.section(name), &before, &after);
            [*old, *new] = parsed.expect("what was written can be read");
        }
    }
    [old, new]
}

/// The object with these sections alone, and without its ownership.
fn only(object: &Value, sections: &[String]) -> Value {
    let mut part: Value = sections.iter().filter_map(|name| Some((name.clone(), object.get(name)?.clone()))).collect();
    part["metadata"].as_object_mut().expect("objects have metadata").remove("managedFields");
    part
}
