//! An exclusion rule as it is written in a `GitSync`.
//!
//! It is text here and becomes a rule of `core::exclude` elsewhere. What can be judged by looking at the text is judged when
//! it is written, because a rule that never matches looks exactly like a rule that works, until the day it is needed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::exclude::{BadPointer, Pointer};

/// Objects (by glob) and the fields of them that are left alone.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IgnoreRule {
    /// API group, as a glob; absent means any. The core group is the empty string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// Kind, as a glob such as `Deployment` or `*Set`; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,
    /// Name, as a glob; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// Namespace, as a glob; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// JSON Pointers (RFC 6901) to the fields, such as `/spec/replicas`; `*` stands for any element or key. Without any,
    /// the whole object is left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_pointers: Vec<String>,
}

/// What is wrong with a JSON Pointer, if anything is: the reason, and what to write instead. Judged by the parser that will
/// apply it.
pub(super) fn pointer_fault(pointer: &str) -> Option<(String, String)> {
    let (reason, remedy) = match pointer.parse::<Pointer>() {
        Ok(_) => return None,
        Err(_) if pointer.is_empty() => {
            let remedy =
                "leave jsonPointers out to ignore the whole object, or name a field such as \"/spec/replicas\"";
            ("an empty pointer means the whole object".to_owned(), remedy.to_owned())
        }
        Err(BadPointer::NoSlash(_)) => {
            (format!("{pointer:?} does not start with '/'"), format!("write {:?}", slashed(pointer)))
        }
        Err(BadPointer::BadEscape(_)) => {
            let remedy = "in a JSON Pointer '~' is written ~0 and '/' inside a key is written ~1";
            (format!("{pointer:?} has a '~' that is neither ~0 nor ~1"), remedy.to_owned())
        }
    };
    Some((reason, remedy))
}

/// `.spec.replicas` and `spec/replicas` are what people write when they mean `/spec/replicas`.
fn slashed(path: &str) -> String {
    let path = path.trim_start_matches('.');
    let separated = if path.contains('/') { path.to_owned() } else { path.replace('.', "/") };
    format!("/{separated}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_of_rfc_6901_are_accepted() {
        for pointer in ["/spec/replicas", "/metadata/annotations/a.b~1c", "/a~0b", "/spec/containers/*/image", "/"] {
            assert_eq!(pointer_fault(pointer), None, "{pointer}");
        }
    }

    #[test]
    fn a_field_path_is_answered_with_the_pointer_it_meant() {
        let (_, remedy) = pointer_fault(".spec.replicas").expect("not a pointer");
        assert_eq!(remedy, r#"write "/spec/replicas""#);
        let (_, remedy) = pointer_fault("spec/replicas").expect("not a pointer");
        assert_eq!(remedy, r#"write "/spec/replicas""#);
    }

    #[test]
    fn a_lone_tilde_and_an_empty_pointer_are_refused() {
        assert!(pointer_fault("/a~2b").is_some());
        assert!(pointer_fault("/a~").is_some());
        assert!(pointer_fault("").is_some());
    }
}
