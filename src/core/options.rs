//! What a manifest says of itself by annotation: how it is written, replaced and deleted.
//!
//! From Git only, and read strictly: an option with a typing error would be believed to work. On live objects these annotations
//! are declared fields like any other.

use serde_json::Value;

use super::names::{FORCE_CONFLICTS, PRUNE, REPLACE, WAVE};
use super::object::group_of;
use super::state::State;

/// What an object must never be deleted for: all that is in it, or stored in it, would go along.
const PRECIOUS: [(&str, &str); 4] = [
    ("", "Namespace"),
    ("", "PersistentVolumeClaim"),
    ("", "PersistentVolume"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
];

/// What is wrong with an annotation of ours in this manifest, if anything.
pub fn fault(manifest: &Value, name: &str, value: &str) -> Option<String> {
    let must = |what: &str| Some(format!("{name}: {value:?} is not {what}"));
    match (name, value) {
        (WAVE, number) if number.trim().parse::<i32>().is_err() => must("an integer, such as \"1\" or \"-5\""),
        (PRUNE, value) if value != "disabled" => must("\"disabled\", all there is to say"),
        (REPLACE | FORCE_CONFLICTS, value) if !["true", "false"].contains(&value) => must("\"true\" or \"false\""),
        (REPLACE, "true") if is_precious(manifest) => {
            Some(format!("{name}: an object of this kind is never replaced; what is in it would go along"))
        }
        _ => None,
    }
}

/// May the object be deleted and made anew when it cannot become what Git says?
pub fn replaces(manifest: &Value) -> bool {
    State::whole(manifest).annotation(REPLACE) == Some("true") && !is_precious(manifest)
}

/// Does it leave alone what another field manager has taken?
pub fn yields(manifest: &Value) -> bool {
    State::whole(manifest).annotation(FORCE_CONFLICTS) == Some("false")
}

fn is_precious(manifest: &Value) -> bool {
    let text = |name| manifest.get(name).and_then(Value::as_str).unwrap_or_default();
    PRECIOUS.contains(&(group_of(text("apiVersion")), text("kind")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_an_option_is_said() {
        let job = json!({"apiVersion": "batch/v1", "kind": "Job"});
        for (name, good) in [(WAVE, "-3"), (PRUNE, "disabled"), (REPLACE, "false"), (FORCE_CONFLICTS, "true")] {
            assert_eq!(fault(&job, name, good), None);
            let said = fault(&job, name, "soon").expect(name);
            assert!(said.contains(name) && said.contains("soon"), "{said}");
        }
        assert_eq!(fault(&job, REPLACE, "true"), None);
    }

    #[test]
    fn what_holds_others_is_never_replaced() {
        for (version, kind) in [("v1", "Namespace"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")] {
            let manifest = json!({"apiVersion": version, "kind": kind, "metadata": {"annotations": {REPLACE: "true"}}});
            assert!(fault(&manifest, REPLACE, "true").is_some() && !replaces(&manifest), "{kind}");
        }
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"annotations": {REPLACE: "true"}}});
        assert!(replaces(&job) && !yields(&job));
    }
}
