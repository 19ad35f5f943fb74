//! jq expressions as rules: `path(expression)` on an object tells the places.
//!
//! # Only what ends
//! A rule runs inside an admission review, so it must end, and soon. The expression is read by jaq's parser and must consist of
//! what finds and chooses places: paths, `..`, `|`, `,`, `//`, comparisons, `and`, `or`, `if`, `?`, constants and the calls
//! `meter` lists. Definitions, loops, variables, arithmetic, assignments and string building are refused when the rule is
//! written: no remaining expression runs for ever or makes a value larger than what it was given. What is left could still
//! multiply (`(.,.)|(.,.)|…`), so every part takes a step from a [`Budget`] before it is run and after each result, and what
//! looks at a whole value (`==`, `contains`, `tostring`, …) takes as many as the value is large. All rules of one object share
//! one budget: ten rules may take no longer than one. Counting steps needs no clock: the same object gives the same answer on
//! every machine, and at both edges.
//!
//! # How long that is
//! As it is shipped, a step takes 20 ns (weighing a value) to 450 ns (the second half of a pipe over `..`) on a busy two-core
//! machine; `make bench ONLY=rules` measures the expressions that make the most of one. So 200 000 of
//! them end within 90 ms, a tenth of the second an admission review has, and are enough to search the twenty thousand places
//! of an object of half a megabyte by `.. | select(…)`. Reading a megabyte into jq's values comes on top, with 8 ms, once for
//! all rules; what they find in Git's manifest is found when it is declared, not in reviews.

mod budget;
mod meter;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, File, Loader, parse};
use jaq_core::{Compiler, Ctx, Filter, Vars, unwrap_valr};
use jaq_json::{Map, Val};
use serde_json::Value;

pub use budget::{Budget, Input};
use budget::{Fuel, Kit, PLACES, STEPS, natives};
use meter::{metered, read};

/// A jq expression that tells places.
#[derive(Clone)]
pub struct Jq {
    source: String,
    filter: Arc<Filter<Kit>>,
}

/// One step of a place a jq expression found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A field.
    Field(String),
    /// A position in a list.
    Index(usize),
}

/// Longest reason that is told; an error of jq quotes the value it met.
const QUOTED: usize = 200;

/// What the calls are made of that jaq itself does not define.
const DEFINITIONS: &str = r#"
    def null: [][0];
    def keys: keys_unsorted | sort;
    def values: select(. != null);
    def nulls: select(. == null);
    def numbers: select(type == "number");
    def strings: select(type == "string");
    def arrays: select(type == "array");
    def objects: select(type == "object");
    def scalars: select(type | . != "array" and . != "object");
"#;
// === impl Jq ===

impl FromStr for Jq {
    type Err = String;

    fn from_str(source: &str) -> Result<Self, String> {
        let term = read(source)?;
        let definitions = parse(DEFINITIONS, |parser| parser.defs()).expect("the definitions above can be read");
        let rule = Def { name: "rule", args: Vec::new(), body: metered(term)? };
        let loader = Loader::new(jaq_core::defs().map(shortened).chain(definitions).chain([rule]));
        let arena = Arena::default();
        let modules = loader.load(&arena, File { code: "path(rule)", path: () });
        let modules = modules.map_err(|_| "it cannot be read".to_owned())?;
        let functions = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_json::funs()).chain(natives());
        let filter = Compiler::default().with_funs(functions).compile(modules);
        let filter = filter.map_err(|errors| {
            let names: Vec<_> = errors.iter().flat_map(|(_, errors)| errors).map(|(name, _)| *name).collect();
            format!("unknown: {}", names.join(", "))
        })?;
        Ok(Self { source: source.to_owned(), filter: Arc::new(filter) })
    }
}

impl Jq {
    /// The places the expression finds in this object; the error is a sentence.
    pub fn places(&self, object: &Input, budget: &Budget) -> Result<Vec<Vec<Found>>, String> {
        let context = Ctx::<Kit>::new(Fuel { lut: &self.filter.lut, budget: &budget.steps }, Vars::new([]));
        let most = budget.places.get();
        let found = self.filter.id.run((context, object.0.clone())).map(unwrap_valr).take(most + 1);
        let found = found.map(|path| path.map_err(|error| quoted(&error.to_string())).and_then(|path| place(&path)));
        let found: Result<Vec<_>, String> = found.collect();
        if budget.steps.get() == 0 {
            return Err(format!("the jq expressions of the object took more than {STEPS} steps"));
        }
        let found = found?;
        if found.len() > most {
            return Err(format!("the jq expressions of the object found more than {PLACES} places"));
        }
        budget.places.set(most - found.len());
        Ok(found)
    }
}

impl fmt::Display for Jq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Jq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jq({:?})", self.source)
    }
}

impl PartialEq for Jq {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}
fn quoted(reason: &str) -> String {
    match reason.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}
/// The same definition; a name that lives for ever lives as long as the expression, too.
fn shortened<'s>(definition: Def<&'static str>) -> Def<&'s str> {
    definition
}

fn value(json: &Value) -> Val {
    match json {
        Value::Null => Val::Null,
        Value::Bool(it) => Val::Bool(*it),
        Value::Number(number) => match number.as_i64().and_then(|number| isize::try_from(number).ok()) {
            Some(number) => Val::from(number),
            None => Val::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Val::from(text.clone()),
        Value::Array(elements) => elements.iter().map(value).collect(),
        Value::Object(fields) => {
            let fields: Map = fields.iter().map(|(name, below)| (Val::from(name.clone()), value(below))).collect();
            Val::obj(fields)
        }
    }
}

fn place(path: &Val) -> Result<Vec<Found>, String> {
    let Val::Arr(steps) = path else { return Err("it gives no places".to_owned()) };
    let step = |step: &Val| match step {
        Val::TStr(name) => Ok(Found::Field(String::from_utf8_lossy(name).into_owned())),
        Val::Num(number) => {
            let index = number.to_string().parse();
            index.map(Found::Index).map_err(|_| format!("{number} is no position in a list"))
        }
        other => Err(format!("{other} is no step to a place")),
    };
    steps.iter().map(step).collect()
}

#[cfg(test)]
mod tests;
