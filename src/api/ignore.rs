//! An exclusion rule as it is written: the same in a `GitSync` and in the `DriftPolicy`.
//!
//! It is text here and becomes a rule of `core::exclude` by the parsers that apply it. A rule that cannot be read is refused when
//! it is written, because a rule that never matches looks exactly like a rule that works, until the day it is needed.

use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::{Faults, FieldError};
use crate::core::exclude::{BadPointer, Condition, FieldPath, Jq, Labels, Must, Pointer, Rule, Selector};

/// Objects (by glob and label) and the fields of them that are left alone. Without any fields, the whole object is.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
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
    /// Labels the object has in Git; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// Labels the object's namespace has in the cluster; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// JSON Pointers (RFC 6901) to the fields, such as `/spec/replicas`; `*` stands for any element or key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 1024)))]
    pub json_pointers: Vec<String>,
    /// Fields as messages name them, such as `.spec.template.spec.containers[name=app].image`; `[*]` stands for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 1024)))]
    pub field_paths: Vec<String>,
    /// jq expressions that tell the fields, such as `.webhooks[]?.clientConfig.caBundle`. Paths, conditions and `select` may be
    /// used; definitions, loops, variables and arithmetic may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    pub jq_path_expressions: Vec<String>,
    /// Field managers, as globs: what they own in the cluster is left alone. Whoever writes chooses that name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)))]
    pub managed_fields_managers: Vec<String>,
}

/// Reads rules; `at` is the field they stand in, and `of` the object.
pub(super) fn read(rules: &[IgnoreRule], at: &str, of: &str, faults: &mut Faults) -> Vec<Rule> {
    let called = |index| format!("{at}[{index}]");
    rules.iter().enumerate().map(|(index, rule)| rule.read(&called(index), of, faults)).collect()
}

/// Reads a list of rules that stand nowhere in particular.
pub fn rules(rules: &[IgnoreRule]) -> Result<Vec<Rule>, Vec<FieldError>> {
    let mut faults = Faults::default();
    let read = read(rules, "rules", "this list", &mut faults);
    faults.or(read)
}

// === impl IgnoreRule ===

impl IgnoreRule {
    fn read(&self, at: &str, of: &str, faults: &mut Faults) -> Rule {
        let Self { group, kind, name, namespace, label_selector, namespace_selector, .. } = self;
        let Self { json_pointers, field_paths, jq_path_expressions, managed_fields_managers, .. } = self;
        let labels = |selector: &Option<LabelSelector>, field: &str, faults: &mut Faults| {
            selector.as_ref().map(|selector| labels(selector, &format!("{at}.{field}"), faults))
        };
        let objects = Selector {
            group: group.clone(),
            kind: kind.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
            labels: labels(label_selector, "labelSelector", faults),
            namespace_labels: labels(namespace_selector, "namespaceSelector", faults),
        };
        for (index, manager) in managed_fields_managers.iter().enumerate() {
            let field = format!("{at}.managedFieldsManagers[{index}]");
            faults.require(!manager.trim().is_empty(), &field, "is empty", "write a field manager or a glob");
        }
        Rule {
            called: format!("{at} of {of}").into(),
            objects,
            pointers: each(json_pointers, &format!("{at}.jsonPointers"), faults, pointer_fault),
            paths: each(field_paths, &format!("{at}.fieldPaths"), faults, path_fault),
            jq: each(jq_path_expressions, &format!("{at}.jqPathExpressions"), faults, jq_fault),
            managers: managed_fields_managers.clone(),
        }
    }
}

/// What parses; what does not is a fault, with the reason and what to write instead.
fn each<T: FromStr>(
    texts: &[String],
    at: &str,
    faults: &mut Faults,
    complain: fn(&str, &T::Err) -> (String, String),
) -> Vec<T> {
    let mut read = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(place) => read.push(place),
            Err(error) => {
                let (reason, remedy) = complain(text, &error);
                faults.add(&format!("{at}[{index}]"), reason, remedy);
            }
        }
    }
    read
}

fn pointer_fault(pointer: &str, error: &BadPointer) -> (String, String) {
    match error {
        BadPointer::NoSlash(_) if pointer.is_empty() => {
            let remedy =
                "leave jsonPointers out to ignore the whole object, or name a field such as \"/spec/replicas\"";
            ("an empty pointer means the whole object".to_owned(), remedy.to_owned())
        }
        BadPointer::NoSlash(_) => {
            (format!("{pointer:?} does not start with '/'"), format!("write {:?}", slashed(pointer)))
        }
        BadPointer::BadEscape(_) => {
            let remedy = "in a JSON Pointer '~' is written ~0 and '/' inside a key is written ~1";
            (format!("{pointer:?} has a '~' that is neither ~0 nor ~1"), remedy.to_owned())
        }
        BadPointer::TooDeep => {
            (error.to_string(), "point at a field that Git declares, or leave the rule out".to_owned())
        }
    }
}

/// `.spec.replicas` and `spec/replicas` are what people write when they mean `/spec/replicas`.
fn slashed(path: &str) -> String {
    let path = path.trim_start_matches('.');
    let separated = if path.contains('/') { path.to_owned() } else { path.replace('.', "/") };
    format!("/{separated}")
}

fn path_fault(path: &str, error: &<FieldPath as FromStr>::Err) -> (String, String) {
    let remedy = match path.strip_prefix('/') {
        Some(_) if path.parse::<Pointer>().is_ok() => "move it to jsonPointers".to_owned(),
        _ => "write it as messages do, such as .spec.template.spec.containers[name=app].image".to_owned(),
    };
    (error.to_string(), remedy)
}

fn jq_fault(expression: &str, error: &<Jq as FromStr>::Err) -> (String, String) {
    let remedy = "write paths and conditions, such as .webhooks[]? | select(.name == \"a\") | .clientConfig.caBundle";
    (format!("{expression:?} is not a rule: {error}"), remedy.to_owned())
}

/// Reads a label selector.
pub(super) fn labels(selector: &LabelSelector, at: &str, faults: &mut Faults) -> Labels {
    let equal = selector.match_labels.iter().flatten();
    let equal = equal.map(|(key, value)| Condition { key: key.clone(), must: Must::BeIn(vec![value.clone()]) });
    let mut conditions: Vec<_> = equal.collect();
    for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
        conditions.extend(condition(expression, &format!("{at}.matchExpressions[{index}]"), faults));
    }
    Labels(conditions)
}

fn condition(expression: &LabelSelectorRequirement, at: &str, faults: &mut Faults) -> Option<Condition> {
    let LabelSelectorRequirement { key, operator, values } = expression;
    let values = values.clone().unwrap_or_default();
    let must = match operator.as_str() {
        "In" => Must::BeIn(values),
        "NotIn" => Must::NotBeIn(values),
        "Exists" => Must::Exist,
        "DoesNotExist" => Must::NotExist,
        other => {
            let remedy = "write In, NotIn, Exists or DoesNotExist";
            faults.add(&format!("{at}.operator"), format!("{other:?} is no operator"), remedy);
            return None;
        }
    };
    Some(Condition { key: key.clone(), must })
}

#[cfg(test)]
mod tests;
