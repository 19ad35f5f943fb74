//! What the expressions of one object may take together, and what takes it.

use std::cell::Cell;

use jaq_core::box_iter::box_once;
use jaq_core::data::HasLut;
use jaq_core::{DataT, Error, Exn, Lut, Native};
use jaq_json::Val;
use serde_json::Value;

use super::value;

/// Steps the expressions of one object may take together.
pub(super) const STEPS: u32 = 200_000;
/// Places they may find together.
pub(super) const PLACES: usize = 2_000;
/// Bytes of a text that are looked at in one step.
const BYTES: usize = 64;

/// What the expressions of one object may take together.
#[derive(Debug)]
pub struct Budget {
    pub(super) steps: Cell<u32>,
    pub(super) places: Cell<usize>,
}

/// An object as jq computes with it.
#[derive(Debug)]
pub struct Input(pub(super) Val);

// === impl Budget ===

impl Default for Budget {
    fn default() -> Self {
        Self { steps: Cell::new(STEPS), places: Cell::new(PLACES) }
    }
}

// === impl Input ===

impl Input {
    /// Reads an object.
    pub fn of(object: &Value) -> Self {
        Self(value(object))
    }
}

// === impl Jq ===

/// The types jaq computes with: plain JSON, and a budget beside it.
pub(super) struct Kit;

/// What is left while an expression runs.
#[derive(Clone)]
pub(super) struct Fuel<'a> {
    pub lut: &'a Lut<Kit>,
    pub budget: &'a Cell<u32>,
}

impl DataT for Kit {
    type V<'a> = Val;
    type Data<'a> = Fuel<'a>;
}

impl<'a> HasLut<'a, Kit> for Fuel<'a> {
    fn lut(&self) -> &'a Lut<Kit> {
        self.lut
    }
}

// === impl Fuel ===

impl Fuel<'_> {
    /// Takes steps; `false` when there are none left.
    fn take(&self, steps: u32) -> bool {
        self.budget.set(self.budget.get().saturating_sub(steps));
        self.budget.get() > 0
    }

    /// Takes a step for each node in this value, and more for long texts. Looks no further than there are steps.
    fn weigh(&self, value: &Val) -> u32 {
        let mut weight = 0;
        add_weight(value, self.budget.get(), &mut weight);
        weight
    }
}

fn add_weight(value: &Val, most: u32, weight: &mut u32) {
    *weight = weight.saturating_add(1 + width(value));
    let mut below = |value: &Val| {
        *weight <= most && {
            add_weight(value, most, weight);
            true
        }
    };
    // A list's or map's width is counted with what stands in it.
    _ = match value {
        Val::Arr(elements) => elements.iter().all(&mut below),
        Val::Obj(fields) => fields.iter().all(|(name, value)| below(name) && below(value)),
        _ => true,
    };
}

/// Children of a list or map; steps to look at a text.
fn width(value: &Val) -> u32 {
    let width = match value {
        Val::Arr(elements) => elements.len(),
        Val::Obj(fields) => fields.len(),
        Val::TStr(text) | Val::BStr(text) => text.len() / BYTES,
        _ => 0,
    };
    u32::try_from(width).unwrap_or(u32::MAX)
}

/// What jaq does not have. The first four are the identity, and take steps: one, as many as the input is wide, as it is large,
/// and that times as large as the argument is.
pub(super) fn natives() -> [jaq_core::native::Fun<Kit>; 5] {
    [
        metre::<One>("step"),
        metre::<Skim>("skim"),
        metre::<Weigh>("weigh"),
        (
            "weigh_with",
            jaq_core::native::v(1),
            Native::new(|mut cv| {
                let with = cv.0.pop_var();
                let fuel = cv.0.data();
                let steps = fuel.weigh(&cv.1).saturating_mul(fuel.weigh(&with));
                box_once(if fuel.take(steps) { Ok(cv.1) } else { Err(exhausted()) })
            }),
        ),
        ("type", Box::new([]), Native::new(|cv| box_once(Ok(Val::from(kind(&cv.1).to_owned()))))),
    ]
}

/// What it costs to look at a value. (jaq takes functions, which cannot carry one along.)
trait Cost {
    fn of(fuel: &Fuel<'_>, value: &Val) -> u32;
}

struct One;
struct Skim;
struct Weigh;

// === impl Cost ===

impl Cost for One {
    fn of(_: &Fuel<'_>, _: &Val) -> u32 {
        1
    }
}

impl Cost for Skim {
    fn of(_: &Fuel<'_>, value: &Val) -> u32 {
        1 + width(value)
    }
}

impl Cost for Weigh {
    fn of(fuel: &Fuel<'_>, value: &Val) -> u32 {
        fuel.weigh(value)
    }
}

fn metre<C: Cost>(name: &'static str) -> jaq_core::native::Fun<Kit> {
    let run = Native::<Kit>::new(|cv| {
        let fuel = cv.0.data();
        box_once(if fuel.take(C::of(fuel, &cv.1)) { Ok(cv.1) } else { Err(exhausted()) })
    });
    let paths = run.with_paths(|cv| {
        let fuel = cv.0.data();
        box_once(if fuel.take(C::of(fuel, &cv.1.0)) { Ok(cv.1) } else { Err(exhausted()) })
    });
    (name, Box::new([]), paths)
}

fn kind(value: &Val) -> &'static str {
    match value {
        Val::Null => "null",
        Val::Bool(_) => "boolean",
        Val::Num(_) => "number",
        Val::BStr(_) | Val::TStr(_) => "string",
        Val::Arr(_) => "array",
        Val::Obj(_) => "object",
    }
}
fn exhausted<'a>() -> Exn<'a, Val> {
    Exn::from(Error::str("out of steps"))
}
