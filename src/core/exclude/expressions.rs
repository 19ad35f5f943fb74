//! The jq expressions of one object: evaluated on it together, and read as patterns.

use std::cell::OnceCell;

use serde_json::Value;

use super::jq::{Budget, Found, Input, Jq};
use super::pattern::{Any, Pattern};
use super::place::{self, Around, Ground, live_step};
use crate::core::declaration::Declaration;
use crate::core::path::{Path, Step};
use crate::core::state::State;

/// What the expressions of one object have in common: the object as they read it, and what they may take together.
pub(super) struct Expressions<'a> {
    object: &'a Value,
    input: OnceCell<Input>,
    budget: Budget,
}

// === impl Expressions ===

impl<'a> Expressions<'a> {
    pub fn on(object: &'a Value) -> Self {
        Self { object, input: OnceCell::new(), budget: Budget::default() }
    }

    fn find(&self, jq: &Jq) -> Result<Vec<Vec<Found>>, String> {
        jq.places(self.input.get_or_init(|| Input::of(self.object)), &self.budget)
    }

    /// The places the expression finds in what Git says: what Git has and the cluster lost is excluded, too.
    pub fn find_in_git(&self, jq: &Jq, ground: Ground<'_>) -> Result<Vec<Pattern>, String> {
        Ok(self.find(jq)?.iter().flat_map(|place| git_patterns(place, ground)).collect())
    }

    /// The places the expression finds on what is live.
    pub fn find_live(&self, jq: &Jq, state: &State<'_>, declaration: &Declaration) -> Result<Vec<Pattern>, String> {
        let around = Around::new(declaration, state.owners().map(|entry| entry.fields).collect());
        let live = self.find(jq)?;
        Ok(live.iter().filter_map(|place| live_pattern(place, state.object, &around)).collect())
    }
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
