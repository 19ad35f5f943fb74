//! The grammar of expressions: what may stand in one, and where it takes steps.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::path::{Part, Path as Parts};

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

/// Reads an expression; an error names what is wrong with it.
pub(super) fn read(source: &str) -> Result<Term<&str>, String> {
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
pub(super) fn metered(term: Term<&str>) -> Result<Term<&str>, String> {
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
        Term::BinOp(left, BinaryOp::Cmp(operator), right) => {
            let weighed = |term: Box<_>| metered(*term).map(|term| Box::new(piped(term, call("weigh"))));
            Term::BinOp(weighed(left)?, BinaryOp::Cmp(operator), weighed(right)?)
        }
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
            charged(name, arguments.into_iter().map(metered).collect::<Result<_, _>>()?)
        }
        Term::Path(head, parts) => metered_parts(metered(*head)?, parts)?,
        other => return Err(format!("it must not contain {}", what(&other))),
    };
    Ok(piped(piped(call("step"), inner), call("step")))
}

fn call(name: &'static str) -> Term<&'static str> {
    Term::Call(name, Vec::new())
}

/// A call, with what it costs before it.
fn charged<'s>(name: &'s str, mut arguments: Vec<Term<&'s str>>) -> Term<&'s str> {
    let cost = match name {
        "contains" => Term::Call("weigh_with", arguments.clone()),
        "tostring" => call("weigh"),
        "has" | "startswith" | "endswith" | "ltrimstr" | "rtrimstr" => {
            arguments = arguments.into_iter().map(|term| piped(term, call("weigh"))).collect();
            call("skim")
        }
        "length" | "keys" | "any" | "all" | "trim" | "ascii_downcase" | "ascii_upcase" => call("skim"),
        _ => return Term::Call(name, arguments),
    };
    piped(cost, Term::Call(name, arguments))
}

/// One part after the other, so that each takes its step: `.[][]` finds its way through many places before it finds one.
fn metered_parts<'s>(head: Term<&'s str>, Parts(parts): Parts<Term<&'s str>>) -> Result<Term<&'s str>, String> {
    parts.into_iter().try_fold(head, |before, (part, optional)| {
        let part = match part {
            Part::Index(index) if is_index(&index) => Part::Index(index),
            Part::Range(None, None) => Part::Range(None, None),
            Part::Index(_) => return Err("it must not contain a computed index: use select".to_owned()),
            Part::Range(..) => return Err("it must not contain a slice: name the places one by one".to_owned()),
        };
        let part = Term::Path(Box::new(Term::Id), Parts(vec![(part, optional)]));
        Ok(piped(piped(before, part), call("step")))
    })
}

/// A name or a position.
fn is_index(term: &Term<&str>) -> bool {
    match term {
        Term::Neg(number) => matches!(**number, Term::Num(_)),
        Term::Num(_) | Term::Str(None, _) => is_constant(term),
        _ => false,
    }
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
