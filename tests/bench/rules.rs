//! `rules`: the longest that jq expressions can hold up a review: those that make the most of a step, until the budget that all
//! expressions of one object share is used up.

use anyhow::{Result, anyhow};
use holdfast::core::exclude::{Budget, Input, Jq};
use serde_json::{Value, json};

use super::measure::{machine, micros, per_call};
use super::results::{Figure, Results};

/// What is done again and again until the budget ends it.
const AGAIN: [&str; 13] = [
    "select(false)",
    ".spec.containers[].env[]|select(false)",
    "..|select(false)",
    ".[]?[]?[]?[]?[]?.x?|select(false)",
    "select(. != .)",
    "select(tostring == \"\")",
    "select(contains(.)|not)",
    "select(.text|ascii_downcase == \"\")",
    "select(.text|endswith(\"y\"))",
    "select(.spec.containers|length == 0)",
    "select(.spec.containers[0].env|any(.name == \"\"))",
    "select(keys == [])",
    "select(..|type == \"\")?",
];

/// Measures each, on an object of a megabyte, and keeps the worst.
pub fn run(results: &mut Results) -> Result<()> {
    let object = large();
    let mut worst = (0.0, "");
    for inner in AGAIN {
        let expression = format!("{}|{inner}", vec!["(.,.)"; 40].join("|"));
        let jq: Jq = expression.parse().map_err(|error| anyhow!("{inner}: {error}"))?;
        let input = Input::of(&object);
        let took = per_call(|| jq.places(&input, &Budget::default())).median() / 1e3;
        println!("  {took:>6.1} ms  {inner}");
        worst = if took > worst.0 { (took, inner) } else { worst };
    }
    let read = per_call(|| Input::of(&object)).median() / micros(std::time::Duration::from_millis(1));
    let what = format!("until the budget ends: {}; reading the object besides: {read:.1} ms; {}", worst.1, machine());
    results.set("rules_worst_ms", Figure::new(worst.0, "ms", what));
    Ok(())
}

/// A megabyte in some fifty thousand places.
fn large() -> Value {
    let env = |n: usize| json!({"name": format!("VARIABLE_{n}"), "value": format!("value of {n}")});
    let container = |n: usize| json!({"name": format!("c{n}"), "env": (0..160).map(env).collect::<Vec<_>>()});
    json!({"spec": {"containers": (0..100).map(container).collect::<Vec<_>>()}, "text": "x".repeat(200_000)})
}
