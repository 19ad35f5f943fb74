//! `holdfast.dev/ignore`: a rule an object brings along in Git.
//!
//! It is read from the manifest and never from the cluster, where it could be written by whoever wants to be left alone.

use serde_json::Value;

use super::rule::{Rule, Selector};
use crate::core::names::IGNORE;

/// The rule this manifest brings, if it does; the error is a sentence.
pub fn rule(manifest: &Value) -> Result<Option<Rule>, String> {
    let Some(text) = manifest.get("metadata").and_then(|metadata| metadata.get("annotations")?.get(IGNORE)) else {
        return Ok(None);
    };
    let text = text.as_str().unwrap_or_default();
    let mut rule = Rule { called: format!("annotation {IGNORE}").into(), ..Rule::default() };
    let places: Vec<_> = places(text).map(str::trim).filter(|place| !place.is_empty()).collect();
    if places == ["*"] {
        return Ok(Some(rule));
    }
    let help = "write JSON pointers or field paths, separated by commas, or * for the whole object";
    if places.is_empty() || places.contains(&"*") {
        return Err(format!("annotation {IGNORE}: {text:?} names no places; {help}"));
    }
    for place in places {
        if place.starts_with('/') {
            rule.pointers.push(place.parse().map_err(|error| format!("annotation {IGNORE}: {error}"))?);
        } else {
            rule.paths.push(place.parse().map_err(|error| format!("annotation {IGNORE}: {error}; {help}"))?);
        }
    }
    rule.objects = Selector::default();
    Ok(Some(rule))
}

/// Splits at commas and line breaks outside of brackets.
fn places(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == '\n' || (c == ',' && depth == 0)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Option<Rule>, String> {
        rule(&json!({"metadata": {"annotations": {IGNORE: text}}}))
    }

    #[test]
    fn pointers_and_paths_stand_beside_each_other() {
        let rule =
            read("/spec/replicas, .spec.ports[containerPort=53,protocol=UDP]\n.a").expect("valid").expect("there");
        assert_eq!((rule.pointers.len(), rule.paths.len()), (1, 2));
        assert_eq!(rule.paths[0].to_string(), ".spec.ports[containerPort=53,protocol=UDP]");
    }

    #[test]
    fn a_star_means_the_whole_object_and_only_alone() {
        assert!(read("*").expect("valid").expect("there").is_whole());
        assert!(read("*, /a").is_err());
        assert!(read("").is_err(), "it would mean the whole object");
        assert_eq!(rule(&json!({"metadata": {}})), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_annotation() {
        for text in ["spec.replicas", "/a~2", "true"] {
            assert!(read(text).expect_err(text).contains(IGNORE));
        }
    }
}
