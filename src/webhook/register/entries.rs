//! The entries of both configurations: which requests reach us, and why each needs an entry of its own.
//!
//! They are several because a selector applies to a whole entry, and no one selector fits: `Scale` objects carry no labels, a
//! Namespace that holds managed objects need not be managed itself, and what is created without our label is only
//! interesting for kinds that Git declares.

mod guarded;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::admissionregistration::v1::{MatchCondition, MutatingWebhook, RuleWithOperations, ValidatingWebhook},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

use super::{
    FailurePolicy, MUTATE_OWN_PATH, MUTATE_PATH, Registration, Resource, SERVICE_ACCOUNT, VALIDATE_OWN_PATH,
    VALIDATE_PATH,
};
use crate::core::guard::{Guard, SPARED};
use crate::core::names::{FIELD_MANAGER, GROUP, MANAGED_LABEL, SYNC_EXTRA};
use crate::core::snapshot::Mode;

/// The name of the one condition each has.
const CONDITION: &str = "needs-a-review";

/// One entry, before it is said whether it validates or mutates.
pub(super) struct Entry {
    name: Cow<'static, str>,
    path: Cow<'static, str>,
    rules: Vec<RuleWithOperations>,
    objects: Option<LabelSelector>,
    namespaces: Option<LabelSelector>,
    side_effects: &'static str,
    /// What must hold besides.
    only: Vec<String>,
    /// Must it never be in the way when nobody answers?
    is_yielding: bool,
}

// === impl Entry ===

impl Entry {
    pub(super) fn validating(registration: &Registration) -> Vec<Self> {
        let elsewhere = outside(&registration.namespace);
        let declared = others(&registration.declared);
        let managed = Self::managed(VALIDATE_PATH, &["CREATE", "UPDATE", "DELETE"], &resizable(&declared), &elsewhere);
        let unmarked = Self::unmarked(&declared, &elsewhere);
        let beside = [Self::status(&declared, &elsewhere), Self::eviction(&declared, &registration.guards, &elsewhere)];
        let always = [
            Self::scale(&elsewhere),
            Self::namespaces(&registration.namespace),
            Self::home(&registration.namespace),
            Self::own(VALIDATE_OWN_PATH, &["CREATE", "UPDATE", "DELETE"]),
        ];
        let of_guard = |guard| [Self::guarded(guard, &elsewhere), Self::guarded_beside(guard, &elsewhere)];
        let guarded = registration.guards.iter().flat_map(of_guard).flatten();
        managed.into_iter().chain(unmarked).chain(beside.into_iter().flatten()).chain(always).chain(guarded).collect()
    }

    /// Only what can be stamped or marked: a deletion has no object to write on.
    pub(super) fn mutating(registration: &Registration) -> Vec<Self> {
        let elsewhere = outside(&registration.namespace);
        let managed = Self::managed(MUTATE_PATH, &["CREATE", "UPDATE"], &others(&registration.declared), &elsewhere);
        let own = Self::own(MUTATE_OWN_PATH, &["CREATE", "UPDATE"]);
        let guarded = registration.guards.iter().filter_map(|guard| Self::guarded_in_emergency(guard, &elsewhere));
        managed.into_iter().chain([own]).chain(guarded).collect()
    }

    /// Everything with our label. The selector matches if the old *or* the new object has it, so taking it off does not escape.
    ///
    /// Resources are named in the version Git declares them in. With `matchPolicy: Equivalent` the API server then converts
    /// whatever version somebody edits through to the one the declaration can be compared with.
    fn managed(
        path: &'static str,
        operations: &[&str],
        declared: &[Resource],
        elsewhere: &LabelSelector,
    ) -> Option<Self> {
        (!declared.is_empty()).then(|| Self {
            name: "managed.holdfast.dev".into(),
            path: path.into(),
            rules: rules(operations, declared),
            objects: Some(LabelSelector { match_labels: Some(managed_label()), ..LabelSelector::default() }),
            namespaces: Some(elsewhere.clone()),
            side_effects: "NoneOnDryRun",
            only: Vec::new(),
            is_yielding: false,
        })
    }

    /// `kubectl scale` sends an `autoscaling/v1` Scale, under the parent's group and without the parent's labels.
    fn scale(elsewhere: &LabelSelector) -> Self {
        Self {
            name: "scale.holdfast.dev".into(),
            path: VALIDATE_PATH.into(),
            rules: vec![rule(&["UPDATE"], "*", "*", ["*/scale"])],
            objects: None,
            namespaces: Some(elsewhere.clone()),
            side_effects: "NoneOnDryRun",
            only: Vec::new(),
            is_yielding: false,
        }
    }

    /// Through `status` one may write metadata of most kinds, and so marks and stamps. Controllers report there all the time, so
    /// only what moves metadata gets here.
    fn status(declared: &[Resource], elsewhere: &LabelSelector) -> Option<Self> {
        let status =
            |resource: &Resource| Resource { plural: format!("{}/status", resource.plural), ..resource.clone() };
        let managed = Self::managed(VALIDATE_PATH, &["UPDATE"], declared, elsewhere)?;
        let declared: Vec<_> = declared.iter().map(status).collect();
        Some(Self {
            name: "status.holdfast.dev".into(),
            rules: rules(&["UPDATE"], &declared),
            only: vec![moves_metadata()],
            ..managed
        })
    }

    /// An eviction deletes a Pod without a review of the deletion, and without showing it.
    fn eviction(declared: &[Resource], guards: &[Guard], elsewhere: &LabelSelector) -> Option<Self> {
        let pods = |resource: &Resource| resource.group.is_empty() && resource.plural == "pods";
        let guarded = |guard: &Guard| guard.mode != Mode::Off && guard.names("", "pods");
        (declared.iter().any(pods) || guards.iter().any(guarded)).then(|| Self {
            name: "evictions.holdfast.dev".into(),
            path: VALIDATE_PATH.into(),
            rules: vec![rule(&["CREATE"], "", "v1", ["pods/eviction"])],
            objects: None,
            namespaces: Some(elsewhere.clone()),
            side_effects: "NoneOnDryRun",
            only: Vec::new(),
            is_yielding: false,
        })
    }

    /// Deleting a Namespace deletes everything in it, with or without a label on the Namespace; a definition likewise.
    fn namespaces(ours: &str) -> Self {
        Self {
            name: "namespaces.holdfast.dev".into(),
            path: VALIDATE_PATH.into(),
            rules: vec![
                rule(&["DELETE"], "", "v1", ["namespaces"]),
                rule(&["DELETE"], "apiextensions.k8s.io", "v1", ["customresourcedefinitions"]),
            ],
            objects: None,
            namespaces: None,
            side_effects: "NoneOnDryRun",
            only: vec![format!("!({})", is_our_own(ours))],
            is_yielding: false,
        }
    }

    /// Our own namespace and the definitions of our kinds: with them every guard goes, so it takes a right. But nobody may need us to be
    /// rid of us, or to begin anew: where nobody answers they go, whatever the policy.
    fn home(ours: &str) -> Self {
        Self {
            name: "home.holdfast.dev".into(),
            only: vec![is_our_own(ours)],
            is_yielding: true,
            ..Self::namespaces(ours)
        }
    }

    /// Creating, without our label or with another value of it, something that Git declares. `NotIn` matches an absent label
    /// too. Without declared kinds there is no such thing.
    fn unmarked(declared: &[Resource], elsewhere: &LabelSelector) -> Option<Self> {
        (!declared.is_empty()).then(|| Self {
            name: "unmarked.holdfast.dev".into(),
            path: VALIDATE_PATH.into(),
            rules: rules(&["CREATE"], declared),
            objects: Some(not_in(MANAGED_LABEL, &["true"])),
            namespaces: Some(elsewhere.clone()),
            side_effects: "NoneOnDryRun",
            only: Vec::new(),
            is_yielding: false,
        })
    }

    /// Our own kinds, wherever they are: read by the parser that will run them, and loosened only by right.
    fn own(path: &'static str, operations: &[&str]) -> Self {
        Self {
            name: "gitsyncs.holdfast.dev".into(),
            path: path.into(),
            rules: vec![rule(operations, GROUP, "*", ["gitsyncs", "driftpolicies"])],
            objects: None,
            namespaces: None,
            side_effects: "NoneOnDryRun",
            only: Vec::new(),
            is_yielding: false,
        }
    }

    pub(super) fn into_validating(self, registration: &Registration) -> ValidatingWebhook {
        let Self { name, path, rules, objects, namespaces, side_effects, only, is_yielding } = self;
        let failure_policy = if is_yielding { FailurePolicy::Ignore } else { registration.failure_policy };
        ValidatingWebhook {
            name: name.into_owned(),
            admission_review_versions: vec!["v1".to_owned()],
            client_config: registration.client.config(&path, &registration.ca_bundle),
            failure_policy: Some(failure_policy.as_str().to_owned()),
            match_conditions: Some(vec![condition(&registration.namespace, &only)]),
            match_policy: Some("Equivalent".to_owned()),
            namespace_selector: namespaces,
            object_selector: objects,
            rules: Some(rules),
            side_effects: side_effects.to_owned(),
            timeout_seconds: Some(registration.timeout_seconds),
        }
    }

    /// Asked again when a later webhook changed the object, so that a mark speaks of what was stored.
    pub(super) fn into_mutating(self, registration: &Registration) -> MutatingWebhook {
        let ValidatingWebhook {
            name,
            admission_review_versions,
            client_config,
            failure_policy,
            match_conditions,
            match_policy,
            namespace_selector,
            object_selector,
            rules,
            side_effects,
            timeout_seconds,
        } = self.into_validating(registration);
        let reinvocation_policy = Some("IfNeeded".to_owned());
        MutatingWebhook {
            name,
            admission_review_versions,
            client_config,
            failure_policy,
            match_conditions,
            match_policy,
            namespace_selector,
            object_selector,
            reinvocation_policy,
            rules,
            side_effects,
            timeout_seconds,
        }
    }
}

// === selection ===

/// The resources of the containers of a Pod are changed through a subresource that shows all of the Pod.
fn resizable(declared: &[Resource]) -> Vec<Resource> {
    let pods = declared.iter().filter(|resource| resource.group.is_empty() && resource.plural == "pods");
    let resize = pods.map(|pods| Resource { plural: "pods/resize".to_owned(), ..pods.clone() });
    declared.iter().cloned().chain(resize).collect()
}

/// What Git declares besides our own kinds, which have an entry of theirs.
fn others(declared: &[Resource]) -> Vec<Resource> {
    declared.iter().filter(|resource| resource.group != GROUP).cloned().collect()
}

/// Everything but requests that must never reach us: by who asks, and by what is asked. And what must hold besides.
///
/// It is one condition, with what is met most often first: the API server works out every condition of an entry, whatever came out of the
/// one before, but within one it stops at the first part that decides. An absent `groups` would be an error in CEL, and an error skips
/// the webhook.
fn condition(namespace: &str, only: &[String]) -> MatchCondition {
    let carries = |group: &str| format!("has(request.userInfo.groups) && '{group}' in request.userInfo.groups");
    let called =
        |start: &str, group: &str| format!("request.userInfo.username.startsWith('{start}') && {}", carries(group));
    let name = format!("request.userInfo.username == 'system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}'");
    let ourselves =
        format!("{name} && {} && ({})", carries(&format!("system:serviceaccounts:{namespace}")), by_our_hand());
    let never = [
        ("ourselves", ourselves),
        (
            "a controller of the cluster",
            called("system:serviceaccount:kube-system:", "system:serviceaccounts:kube-system"),
        ),
        ("a node", called("system:node:", "system:nodes")),
        ("ourselves, for a tenant", for_a_tenant()),
        ("a question of ours", question()),
    ];
    let never = never.map(|(name, who)| format!("!({who}) // {name}"));
    let holds: Vec<_> = never.into_iter().chain(only.iter().map(|holds| format!("({holds})"))).collect();
    MatchCondition { name: CONDITION.to_owned(), expression: holds.join("\n&& ") }
}

/// Is anything in the metadata moved that is ours, or that others rely on? Owners the API server itself leaves as they were.
fn moves_metadata() -> String {
    let moved = |name: &str, none: &str| {
        let part = |side: &str| format!("{side}.metadata.?{name}.orValue({none})");
        format!("{} != {}", part("object"), part("oldObject"))
    };
    let fields = [("labels", "{}"), ("annotations", "{}"), ("ownerReferences", "[]"), ("finalizers", "[]")];
    fields.map(|(name, none)| moved(name, none)).join(" || ")
}

/// Whoever may impersonate our account could write as us, but does so with other tools: our writes all carry our field manager, and
/// our deletions name the very object that was judged. What comes otherwise is let pass, and recorded.
fn by_our_hand() -> String {
    let manager = format!("has(request.options.fieldManager) && request.options.fieldManager == '{FIELD_MANAGER}'");
    let judged =
        "request.operation == 'DELETE' && has(request.options.preconditions) && has(request.options.preconditions.uid)";
    format!("has(request.options) && ({manager} || {judged})")
}

/// What we write as a `GitSync`'s own service account comes under that account's name. Only we say for which `GitSync`, and it takes the
/// right to impersonate that very extra: whoever has it may impersonate us as well.
fn for_a_tenant() -> String {
    let extra = "request.userInfo.extra";
    format!(
        "request.userInfo.username.startsWith('system:serviceaccount:') && has({extra}) && '{SYNC_EXTRA}' in {extra} && ({})",
        by_our_hand()
    )
}

/// A dry run of the very apply the reconciler would send: `holdfast diff` asks what a manifest means to the API server, also of
/// a commit that is not deployed. Nothing is written, so there is nothing to guard; any other dry run gets its real verdict.
fn question() -> String {
    let dry_run = "has(request.dryRun) && request.dryRun";
    let manager = "request.options.fieldManager";
    format!("{dry_run} && has(request.options) && has({manager}) && {manager} == '{FIELD_MANAGER}'")
}

/// Is it our namespace that is deleted, or the definition of a kind of ours? A namespace has no dot in its name, a definition does.
fn is_our_own(namespace: &str) -> String {
    format!("oldObject.metadata.name in ['{namespace}', 'gitsyncs.{GROUP}', 'driftpolicies.{GROUP}']")
}

/// Namespaces whose repair must not depend on us, ours included.
fn outside(ours: &str) -> LabelSelector {
    let [system, leases] = SPARED;
    not_in("kubernetes.io/metadata.name", &[system, leases, ours])
}

fn not_in(key: &str, values: &[&str]) -> LabelSelector {
    let requirement = LabelSelectorRequirement {
        key: key.to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(values.iter().map(|&value| value.to_owned()).collect()),
    };
    LabelSelector { match_expressions: Some(vec![requirement]), ..LabelSelector::default() }
}

fn managed_label() -> BTreeMap<String, String> {
    BTreeMap::from([(MANAGED_LABEL.to_owned(), "true".to_owned())])
}

/// One rule per group and version: within a rule every resource is looked for in every group and version.
fn rules(operations: &[&str], declared: &[Resource]) -> Vec<RuleWithOperations> {
    let mut groups = BTreeMap::<(&str, &str), BTreeSet<&str>>::new();
    for Resource { group, version, plural } in declared {
        groups.entry((group, version)).or_default().insert(plural);
    }
    groups.into_iter().map(|((group, version), plurals)| rule(operations, group, version, plurals)).collect()
}

fn rule<'a>(
    operations: &[&str],
    group: &str,
    version: &str,
    resources: impl IntoIterator<Item = &'a str>,
) -> RuleWithOperations {
    let owned = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
    RuleWithOperations {
        api_groups: owned(&[group]),
        api_versions: owned(&[version]),
        operations: owned(operations),
        resources: Some(resources.into_iter().map(str::to_owned).collect()),
        scope: Some("*".to_owned()),
    }
}
