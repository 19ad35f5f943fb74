//! What is guarded for other tools: an entry for each guard, because each selects by labels of its own.
//!
//! The label selector is the API server's to evaluate, and costs next to nothing. Annotations take an expression, so a guard that
//! selects by annotations alone should name its resources. Writers that are named without a glob are not asked about: while we cannot
//! be reached, the tool can still write, whatever `failurePolicy` says.

use k8s_openapi::{
    api::admissionregistration::v1::RuleWithOperations,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

use super::{Entry, moves_metadata, rule};
use crate::core::exclude::{Condition, Labels, Must};
use crate::core::guard::{GroupResource, Guard, VITAL, VITAL_GROUPS};
use crate::core::names::BREAK_GLASS;
use crate::core::snapshot::Mode;
use crate::webhook::register::{MUTATE_PATH, VALIDATE_PATH, guard_path};

// === impl Entry ===

impl Entry {
    /// Edits and deletions; what is created is not known yet.
    pub(super) fn guarded(guard: &Guard, elsewhere: &LabelSelector) -> Option<Self> {
        let mut entry = Self::of_guard(guard, VALIDATE_PATH, &["UPDATE", "DELETE"], elsewhere)?;
        entry.rules.extend(guard.names("", "pods").then(|| rule(&["UPDATE"], "", "v1", ["pods/resize"])));
        Some(entry)
    }

    /// What goes through `status` and moves metadata: the mark by which the guard selects may be taken off there.
    pub(super) fn guarded_beside(guard: &Guard, elsewhere: &LabelSelector) -> Option<Self> {
        let mut entry = Self::guarded(guard, elsewhere)?;
        entry.name = format!("{}.status.guards.holdfast.dev", guard.name).into();
        entry.rules = rules(&["UPDATE"], &guard.objects.resources, "/status");
        entry.only.push(moves_metadata());
        Some(entry)
    }

    /// Only stamps are ever written.
    pub(super) fn guarded_in_emergency(guard: &Guard, elsewhere: &LabelSelector) -> Option<Self> {
        let mut entry = Self::of_guard(guard, MUTATE_PATH, &["UPDATE"], elsewhere)?;
        let glass = [has_annotation("object", BREAK_GLASS), has_annotation("oldObject", BREAK_GLASS)];
        entry.only.push(glass.map(|side| format!("({side})")).join(" || "));
        Some(entry)
    }

    fn of_guard(guard: &Guard, path: &str, operations: &[&str], elsewhere: &LabelSelector) -> Option<Self> {
        (guard.mode != Mode::Off).then(|| Self {
            name: format!("{}.guards.holdfast.dev", guard.name).into(),
            path: guard_path(path, &guard.name).into(),
            rules: rules(operations, &guard.objects.resources, ""),
            objects: selector(&guard.objects.labels),
            namespaces: Some(elsewhere.clone()),
            side_effects: "NoneOnDryRun",
            only: only(guard),
            is_yielding: false,
        })
    }
}

fn only(guard: &Guard) -> Vec<String> {
    let mut only = vec![not_vital()];
    let writers: Vec<_> = guard.writers.iter().filter_map(|writer| is_writer(writer)).collect();
    if !writers.is_empty() {
        only.push(format!("!({})", writers.join(" || ")));
    }
    if !guard.objects.annotations.is_empty() {
        let annotated = guard.objects.annotations.iter().map(|name| has_annotation("oldObject", name));
        only.push(annotated.collect::<Vec<_>>().join(" && "));
    }
    only
}

/// Whatever a guard selects, these never get here.
fn not_vital() -> String {
    let groups = VITAL_GROUPS.map(|group| format!("'{group}'")).join(", ");
    let plurals = VITAL.map(|plural| format!("'{plural}'")).join(", ");
    let core = format!("request.resource.group == '' && request.resource.resource in [{plurals}]");
    format!("!(request.resource.group in [{groups}] || ({core}))")
}

/// `None` for globs, and for what would have to be quoted. A service account has its name and its group.
fn is_writer(writer: &str) -> Option<String> {
    let is_plain = writer.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:@/".contains(c));
    let name = is_plain.then(|| format!("request.userInfo.username == '{writer}'"))?;
    Some(match writer.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
        None if writer.starts_with("system:") => return None,
        None => format!("({name})"),
        Some((namespace, _)) => {
            let groups = "request.userInfo.groups";
            format!("({name} && has({groups}) && 'system:serviceaccounts:{namespace}' in {groups})")
        }
    })
}

fn has_annotation(side: &str, name: &str) -> String {
    format!("{side} != null && has({side}.metadata.annotations) && '{name}' in {side}.metadata.annotations")
}

fn rules(operations: &[&str], resources: &[GroupResource], beside: &str) -> Vec<RuleWithOperations> {
    let any = [GroupResource { group: "*".to_owned(), plural: "*".to_owned() }];
    let resources = if resources.is_empty() { &any[..] } else { resources };
    let of = |GroupResource { group, plural }: &GroupResource| {
        rule(operations, group, "*", [format!("{plural}{beside}").as_str()])
    };
    resources.iter().map(of).collect()
}

fn selector(Labels(conditions): &Labels) -> Option<LabelSelector> {
    let requirements: Vec<_> = conditions.iter().map(requirement).collect();
    (!requirements.is_empty())
        .then(|| LabelSelector { match_expressions: Some(requirements), ..LabelSelector::default() })
}

fn requirement(Condition { key, must }: &Condition) -> LabelSelectorRequirement {
    let (operator, values) = match must {
        Must::BeIn(values) => ("In", Some(values.clone())),
        Must::NotBeIn(values) => ("NotIn", Some(values.clone())),
        Must::Exist => ("Exists", None),
        Must::NotExist => ("DoesNotExist", None),
    };
    LabelSelectorRequirement { key: key.clone(), operator: operator.to_owned(), values }
}
