//! Exclusions inside values that are compared whole (atomic lists and structs: `args`, a selector): Git's value with the
//! excluded parts as they are live. What still differs then is drift, and what is sent when healing is this value.

use serde_json::{Map, Value};

use super::pattern::Any;

/// `git`, with what lies at `steps` inside it taken from `live`.
pub fn adopt(git: &mut Value, live: Option<&Value>, steps: &[Any]) {
    let Some((first, rest)) = steps.split_first() else { return };
    match git {
        Value::Object(fields) => adopt_field(fields, live.and_then(Value::as_object), first, rest),
        Value::Array(elements) => {
            let live = live.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            adopt_element(elements, live, first, rest);
        }
        _ => {}
    }
}

fn adopt_field(git: &mut Map<String, Value>, live: Option<&Map<String, Value>>, first: &Any, rest: &[Any]) {
    let names = |fields: &Map<String, Value>| fields.keys().cloned().collect::<Vec<_>>();
    let names = match first {
        Any::Field(name) => vec![name.clone()],
        Any::Step => [names(git), live.map(names).unwrap_or_default()].concat(),
        Any::Element(_) | Any::Having(_) | Any::Member(_) => return,
    };
    for name in names {
        let live = live.and_then(|live| live.get(&name));
        match (rest.is_empty(), live) {
            (true, Some(live)) => drop(git.insert(name, live.clone())),
            (true, None) => drop(git.remove(&name)),
            (false, _) => {
                if let Some(git) = git.get_mut(&name) {
                    adopt(git, live, rest);
                }
            }
        }
    }
}

/// Positions are those of Git: an element that only one side has comes or goes at the end.
fn adopt_element(git: &mut Vec<Value>, live: &[Value], first: &Any, rest: &[Any]) {
    match first {
        Any::Step if rest.is_empty() => *git = live.to_vec(),
        Any::Step => git.iter_mut().zip(live).for_each(|(git, live)| adopt(git, Some(live), rest)),
        Any::Field(name) => {
            if let Ok(index) = name.parse::<usize>() {
                adopt_at(git, live, index, rest);
            }
        }
        Any::Element(_) | Any::Having(_) | Any::Member(_) => {
            let is_it = |element: &Value| first.matches_element(element);
            let found =
                git.iter_mut().filter(|element| is_it(element)).zip(live.iter().filter(|element| is_it(element)));
            found.for_each(
                |(git, live)| if rest.is_empty() { *git = live.clone() } else { adopt(git, Some(live), rest) },
            );
        }
    }
}

fn adopt_at(git: &mut Vec<Value>, live: &[Value], index: usize, rest: &[Any]) {
    let length = git.len();
    match (git.get_mut(index), live.get(index)) {
        (Some(git), Some(live)) if rest.is_empty() => *git = live.clone(),
        (Some(git), live) if !rest.is_empty() => adopt(git, live, rest),
        (Some(_), None) if index + 1 == length => drop(git.pop()),
        (None, Some(live)) if index == length && rest.is_empty() => git.push(live.clone()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn adopted(mut git: Value, live: &Value, steps: &[&str]) -> Value {
        let step = |step: &&str| if *step == "*" { Any::Step } else { Any::Field((*step).to_owned()) };
        let steps: Vec<_> = steps.iter().map(step).collect();
        adopt(&mut git, Some(live), &steps);
        git
    }

    #[test]
    fn one_argument_is_taken_from_the_live_list_and_the_others_are_not() {
        let (git, live) = (json!(["serve", "--v=1", "--x"]), json!(["serve", "--v=9", "--y"]));
        assert_eq!(adopted(git, &live, &["1"]), json!(["serve", "--v=9", "--x"]));
    }

    #[test]
    fn an_element_only_one_side_has_comes_or_goes_at_the_end() {
        assert_eq!(adopted(json!(["a"]), &json!(["a", "b"]), &["1"]), json!(["a", "b"]));
        assert_eq!(adopted(json!(["a", "b"]), &json!(["a"]), &["1"]), json!(["a"]));
        assert_eq!(adopted(json!(["a", "b"]), &json!([]), &["0"]), json!(["a", "b"]), "what follows would move up");
    }

    #[test]
    fn a_field_of_a_selector_is_taken_or_left_out() {
        let git = json!({"matchLabels": {"app": "web", "track": "stable"}});
        let live = json!({"matchLabels": {"app": "other", "extra": "x"}});
        let steps = ["matchLabels", "track"];
        assert_eq!(adopted(git.clone(), &live, &steps), json!({"matchLabels": {"app": "web"}}));
        assert_eq!(adopted(git, &live, &["matchLabels", "*"]), live);
    }
}
