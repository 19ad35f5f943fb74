//! jq expressions as rules: `path(expression)` on an object tells the places.
//!
//! # Only what ends
//! A rule runs inside an admission review, so it must end, and soon. The expression is read by jaq's parser and must consist of
//! what finds and chooses places: paths, `..`, `|`, `,`, `//`, comparisons, `and`, `or`, `if`, `?`, constants and the calls
//! listed in [`CALLS`]. Definitions, loops, variables, arithmetic, assignments and string building are refused when the rule is
//! written: no remaining expression runs for ever or makes a value larger than what it was given. What is left could still
//! multiply (`(.,.)|(.,.)|…`), so every part takes a step from a budget before it is run and after each result. Counting steps
//! needs no clock: the same object gives the same answer on every machine.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jaq_core::box_iter::box_once;
use jaq_core::data::HasLut;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Term};
use jaq_core::load::{Arena, File, Loader, parse};
use jaq_core::path::{Part, Path as Parts};
use jaq_core::{Compiler, Ctx, DataT, Error, Exn, Filter, Lut, Native, Vars, unwrap_valr};
use jaq_json::{Map, Val};
use serde_json::Value;

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

/// Calls an expression may make, with the number of arguments.
const CALLS: [(&str, usize); 38] = [
    ("select", 1),
    ("empty", 0),
    ("error", 0),
    ("not", 0),
    ("true", 0),
    ("false", 0),
    ("null", 0),
    ("has", 1),
    ("contains", 1),
    ("startswith", 1),
    ("endswith", 1),
    ("ltrimstr", 1),
    ("rtrimstr", 1),
    ("ascii_downcase", 0),
    ("ascii_upcase", 0),
    ("trim", 0),
    ("length", 0),
    ("keys", 0),
    ("any", 0),
    ("any", 1),
    ("any", 2),
    ("all", 0),
    ("all", 1),
    ("all", 2),
    ("first", 0),
    ("first", 1),
    ("last", 0),
    ("last", 1),
    ("recurse", 0),
    ("type", 0),
    ("values", 0),
    ("nulls", 0),
    ("strings", 0),
    ("numbers", 0),
    ("arrays", 0),
    ("objects", 0),
    ("scalars", 0),
    ("tostring", 0),
];

/// Longest expression, in bytes.
const LONGEST: usize = 1024;
/// Deepest nesting of brackets: the parser is recursive.
const DEEPEST: usize = 32;
/// Steps one evaluation may take. An object of a megabyte has some fifty thousand places; `..` takes a few steps for each.
const STEPS: u32 = 400_000;
/// Places one expression may find.
const PLACES: usize = 10_000;

/// What the calls are made of that jaq itself does not define.
const DEFINITIONS: &str = r#"
    def null: [][0];
    def keys: keys_unsorted | sort;
    def type:
        if . == null then "null" elif . == true or . == false then "boolean" elif . < "" then "number"
        elif . < [] then "string" elif . < {} then "array" else "object" end;
    def values: select(. != null);
    def nulls: select(. == null);
    def numbers: select(type == "number");
    def strings: select(type == "string");
    def arrays: select(type == "array");
    def objects: select(type == "object");
    def scalars: select(. < []);
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
        let functions = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_json::funs()).chain([step()]);
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
    pub fn places(&self, object: &Value) -> Result<Vec<Vec<Found>>, String> {
        let budget = Cell::new(STEPS);
        let context = Ctx::<Kit>::new(Fuel { lut: &self.filter.lut, budget: &budget }, Vars::new([]));
        let found = self.filter.id.run((context, value(object))).map(unwrap_valr).take(PLACES + 1);
        let found = found.map(|path| path.map_err(|error| error.to_string()).and_then(|path| place(&path)));
        let found: Result<Vec<_>, String> = found.collect();
        if budget.get() == 0 {
            return Err(format!("it took more than {STEPS} steps"));
        }
        let found = found?;
        if found.len() > PLACES { Err(format!("it found more than {PLACES} places")) } else { Ok(found) }
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

/// The types jaq computes with: plain JSON, and a budget beside it.
struct Kit;

#[derive(Clone)]
struct Fuel<'a> {
    lut: &'a Lut<Kit>,
    budget: &'a Cell<u32>,
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
    /// Takes a step; `false` when there is none left.
    fn step(&self) -> bool {
        self.budget.set(self.budget.get().saturating_sub(1));
        self.budget.get() > 0
    }
}

/// `step`: the identity, which takes a step.
fn step() -> jaq_core::native::Fun<Kit> {
    let run = Native::<Kit>::new(|cv| box_once(if cv.0.data().step() { Ok(cv.1) } else { Err(exhausted()) }));
    let paths = run.with_paths(|cv| box_once(if cv.0.data().step() { Ok(cv.1) } else { Err(exhausted()) }));
    ("step", Box::new([]), paths)
}

fn exhausted<'a>() -> Exn<'a, Val> {
    Exn::from(Error::str("out of steps"))
}

/// The same definition; a name that lives for ever lives as long as the expression, too.
fn shortened<'s>(definition: Def<&'static str>) -> Def<&'s str> {
    definition
}

fn read(source: &str) -> Result<Term<&str>, String> {
    if source.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let mut depth = 0_usize;
    for c in source.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(format!("its brackets are nested more than {DEEPEST} deep"));
        }
    }
    parse(source, |parser| parser.term()).ok_or_else(|| "it is not a jq expression".to_owned())
}

/// The same expression, which takes a step before and after each of its parts; an error names what it must not contain.
fn metered(term: Term<&str>) -> Result<Term<&str>, String> {
    let boxed = |term: Box<Term<_>>| metered(*term).map(Box::new);
    let inner = match term {
        constant @ (Term::Id | Term::Num(_)) => return Ok(constant),
        Term::Recurse => Term::Recurse,
        Term::Str(None, parts) if parts.iter().all(|part| !matches!(part, StrPart::Term(_))) => {
            return Ok(Term::Str(None, parts));
        }
        Term::Arr(None) => return Ok(Term::Arr(None)),
        Term::Arr(Some(elements)) if is_constant(&elements) => return Ok(Term::Arr(Some(elements))),
        Term::Neg(number) if matches!(*number, Term::Num(_)) => return Ok(Term::Neg(number)),
        Term::BinOp(left, operator, right) if may_stand(&operator) => {
            Term::BinOp(boxed(left)?, operator, boxed(right)?)
        }
        Term::TryCatch(body, None) => Term::TryCatch(boxed(body)?, None),
        Term::IfThenElse(branches, otherwise) => {
            let branch = |(condition, then)| Ok((metered(condition)?, metered(then)?));
            Term::IfThenElse(
                branches.into_iter().map(branch).collect::<Result<_, String>>()?,
                otherwise.map(boxed).transpose()?,
            )
        }
        Term::Call(name, arguments) if CALLS.contains(&(name, arguments.len())) => {
            Term::Call(name, arguments.into_iter().map(metered).collect::<Result<_, _>>()?)
        }
        Term::Path(head, parts) => Term::Path(boxed(head)?, metered_parts(parts)?),
        other => return Err(format!("it must not contain {}", what(&other))),
    };
    Ok(piped(piped(Term::Call("step", Vec::new()), inner), Term::Call("step", Vec::new())))
}

fn metered_parts(Parts(parts): Parts<Term<&str>>) -> Result<Parts<Term<&str>>, String> {
    let part = |(part, optional)| match part {
        Part::Index(index) => Ok((Part::Index(metered(index)?), optional)),
        Part::Range(None, None) => Ok((Part::Range(None, None), optional)),
        Part::Range(..) => Err("it must not contain a slice: name the places one by one".to_owned()),
    };
    parts.into_iter().map(part).collect::<Result<_, _>>().map(Parts)
}

fn piped<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn is_constant(term: &Term<&str>) -> bool {
    match term {
        Term::Num(_) => true,
        Term::Str(None, parts) => parts.iter().all(|part| !matches!(part, StrPart::Term(_))),
        Term::Call(name, arguments) => matches!(*name, "true" | "false" | "null") && arguments.is_empty(),
        Term::BinOp(left, BinaryOp::Comma, right) => is_constant(left) && is_constant(right),
        _ => false,
    }
}

fn may_stand(operator: &BinaryOp<&str>) -> bool {
    use BinaryOp::{Alt, And, Cmp, Comma, Or, Pipe};
    matches!(operator, Pipe(None) | Comma | Alt | Or | And | Cmp(_))
}

/// What a person calls this part of an expression.
fn what(term: &Term<&str>) -> String {
    match term {
        Term::Call(name, arguments) => format!("a call of {name}/{}", arguments.len()),
        Term::Def(..) => "definitions".to_owned(),
        Term::Fold(name, ..) => name.to_string(),
        Term::Var(_) | Term::BinOp(_, BinaryOp::Pipe(Some(_)), _) => "variables".to_owned(),
        Term::Label(..) | Term::Break(_) => "labels".to_owned(),
        Term::Str(..) => "strings that are put together".to_owned(),
        Term::Arr(_) | Term::Obj(_) => "lists and objects that are put together".to_owned(),
        Term::BinOp(_, BinaryOp::Math(_), _) | Term::Neg(_) => "arithmetic".to_owned(),
        Term::BinOp(..) => "assignments".to_owned(),
        Term::TryCatch(..) => "catch".to_owned(),
        _ => "this".to_owned(),
    }
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
