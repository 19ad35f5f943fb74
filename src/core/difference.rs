//! Two states of a section, built only where they differ.
//!
//! What is the same text before and after an edit cannot have been brought in by it, so it is left out on both sides. Only below
//! maps of which Git declares the fields one by one: everything else (a list, a value that is compared whole, what Git does not
//! declare) is compared, and shown to people, as one thing. [`compare_after`](super::compare) knows that what is on neither
//! side was not taken away.

use serde_json::{Error, Map, Value};

use super::declaration::{Node, Shape};
use super::text::{Member, Outline};

/// Before and after, without what is equal and need not be looked at.
pub fn parse(declared: Option<&Node>, old: &Outline<'_>, new: &Outline<'_>) -> Result<[Value; 2], Error> {
    let fields = declared.filter(|node| matches!(node.shape, Shape::Fields(_)));
    match fields.and_then(|node| Some((node, by_name(old)?, by_name(new)?))) {
        Some((node, old, new)) => members(node, &old, &new),
        None => Ok([serde_json::from_str(old.text)?, serde_json::from_str(new.text)?]),
    }
}

fn members(declared: &Node, old: &[&Member<'_>], new: &[&Member<'_>]) -> Result<[Value; 2], Error> {
    let [mut before, mut after] = [Map::new(), Map::new()];
    for (name, text) in new {
        match find(old, name) {
            Some(old) if old == *text => {}
            Some(old) => {
                let [old, new] = both(declared.field(name), old, text)?;
                before.insert(name.to_string(), old);
                after.insert(name.to_string(), new);
            }
            None => _ = after.insert(name.to_string(), serde_json::from_str(text)?),
        }
    }
    for (name, text) in old.iter().filter(|(name, _)| find(new, name).is_none()) {
        before.insert(name.to_string(), serde_json::from_str(text)?);
    }
    Ok([Value::Object(before), Value::Object(after)])
}

fn both(declared: Option<&Node>, old: &str, new: &str) -> Result<[Value; 2], Error> {
    let new = Outline::of(new, None);
    parse(declared, &Outline::of(old, Some(&new)), &new)
}

/// The members in the order of their names; `None` if it has none, or a name twice.
fn by_name<'o, 'a>(outline: &'o Outline<'a>) -> Option<Vec<&'o Member<'a>>> {
    let mut members: Vec<_> = outline.members.iter().collect();
    members.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    let is_twice = members.windows(2).any(|pair| pair[0].0 == pair[1].0);
    (!members.is_empty() && !is_twice).then_some(members)
}

fn find<'a>(members: &[&Member<'a>], name: &str) -> Option<&'a str> {
    members.binary_search_by(|(member, _)| (**member).cmp(name)).ok().map(|found| members[found].1)
}

#[cfg(test)]
mod tests;
