//! Who may do what: Holdfast itself, and the people around it.
//!
//! Holdfast applies whatever Git declares, Roles included, and RBAC lets nobody grant what they do not hold: its account is a
//! cluster administrator. Saying so plainly is better than a long list that amounts to the same.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject},
};

use super::{Document, metadata};
use crate::cluster::lease::names as leases;
use crate::core::names::{GROUP, SYNC_EXTRA};
use crate::webhook::{
    register::{CERTIFICATE_SECRET, SERVICE_ACCOUNT},
    upstream::{BREAK_GLASS_VERB, LOOSEN_VERB, SUSPEND_VERB},
};

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn documents(namespace: &str) -> Vec<Document> {
    vec![
        Document::new("The account Holdfast runs as. Admission recognises it by this name.", &account(namespace)),
        Document::new(CONTROLLER, &controller()),
        Document::new("", &binding(namespace)),
        Document::new(OWN, &own(namespace)),
        Document::new("", &own_binding(namespace)),
        Document::new(BREAK_GLASS, &break_glass()),
        Document::new(LOOSEN, &loosen()),
        Document::new(IMPERSONATE, &impersonate()),
        Document::new(VIEW, &view()),
    ]
}

const CONTROLLER: &str = "\
    What Holdfast may do. The first rule is what managing anything takes:
    get, list, watch: to compare the cluster with Git;
    create, update, patch: to apply and to heal (a forced server-side apply is a patch, and a create where nothing is);
    delete: to prune, and to undo what cannot be undone otherwise;
    escalate, bind: Git may declare Roles that grant more than this account was given by name.
    It can be narrowed to the kinds Git declares. The others are needed even then:
    its own kinds and their status; access reviews, to ask who may break glass; its webhook configurations, to keep
    them as they are registered; CustomResourceDefinitions and Namespaces, to know what there is; Events, to tell;
    Secrets in the namespaces of GitSyncs, if these name any: read when named, watched by metadata only.";

const OWN: &str = "\
    What the replicas share: the serving certificate of the webhook, made and renewed by Holdfast, this Secret and no
    other; and the Leases by which one of them leads, or with --shards several. RBAC cannot name what is yet to be created. Without the first nothing
    is guarded, unless the certificate is brought in files; without the second nothing is healed. They are written out so
    that they stay when the rights above are narrowed.";

const BREAK_GLASS: &str = "\
    Bind this to whoever is on call: with a ClusterRoleBinding for every GitSync and for what the DriftPolicy guards for
    other tools, with a RoleBinding in the namespace of the GitSyncs for those only. It is aggregated into no other role: being able to edit is no right to an emergency.";

const LOOSEN: &str = "\
    Editing a GitSync or the DriftPolicy takes the usual verbs. Editing it so that less is guarded (a weaker mode, another
    exclusion, another repository, a deletion, also of the namespace around it…) takes `loosen` besides, and a pause or a rollback takes `suspend`. Both are
    recorded.";

const IMPERSONATE: &str = "\
    Acting as the service accounts GitSyncs name. The role above holds it already; where that is narrowed, bind this one to
    Holdfast's account, in the namespaces of the GitSyncs or in all, and the second rule with a ClusterRoleBinding. Nobody
    else should have either: whoever may set this extra is taken for Holdfast at admission.";

const VIEW: &str = "\
    Whoever may view a namespace may view its GitSyncs. There is no such role for editing, on purpose: a GitSync is applied
    with Holdfast's rights, so whoever writes one can write anything.";

fn account(namespace: &str) -> ServiceAccount {
    ServiceAccount { metadata: metadata(SERVICE_ACCOUNT, Some(namespace)), ..ServiceAccount::default() }
}

fn controller() -> ClusterRole {
    let read_write = ["get", "list", "watch", "create", "update", "patch", "delete"];
    let rules = vec![
        rule(&["*"], &["*"], &["*"]),
        rule(&[GROUP], &["gitsyncs", "driftpolicies"], &["get", "list", "watch"]),
        rule(&[GROUP], &["gitsyncs/status", "driftpolicies/status"], &["get", "update", "patch"]),
        rule(&["authorization.k8s.io"], &["subjectaccessreviews"], &["create"]),
        rule(
            &["admissionregistration.k8s.io"],
            &["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
            &read_write,
        ),
        rule(&["apiextensions.k8s.io"], &["customresourcedefinitions"], &["get", "list", "watch"]),
        rule(&[""], &["namespaces"], &["get", "list", "watch"]),
        rule(&["", "events.k8s.io"], &["events"], &["create", "patch"]),
        rule(&[""], &["secrets"], &["get", "list", "watch"]),
    ];
    ClusterRole { metadata: metadata("holdfast", None), rules: Some(rules), ..ClusterRole::default() }
}

fn subject(namespace: &str) -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: SERVICE_ACCOUNT.to_owned(),
        namespace: Some(namespace.to_owned()),
        ..Subject::default()
    }
}

fn binding(namespace: &str) -> ClusterRoleBinding {
    let role_ref =
        RoleRef { api_group: Some(RBAC_GROUP.to_owned()), kind: "ClusterRole".to_owned(), name: "holdfast".to_owned() };
    ClusterRoleBinding { metadata: metadata("holdfast", None), role_ref, subjects: Some(vec![subject(namespace)]) }
}

fn own(namespace: &str) -> Role {
    let named = |names: Vec<String>, rule: PolicyRule| PolicyRule { resource_names: Some(names), ..rule };
    let (lease, verbs) = (&["coordination.k8s.io"], ["get", "list", "watch", "update"]);
    let rules = vec![
        named(vec![CERTIFICATE_SECRET.to_owned()], rule(&[""], &["secrets"], &verbs)),
        rule(&[""], &["secrets"], &["create"]),
        named(leases(), rule(lease, &["leases"], &verbs)),
        rule(lease, &["leases"], &["create"]),
    ];
    Role { metadata: metadata("holdfast", Some(namespace)), rules: Some(rules) }
}

fn own_binding(namespace: &str) -> RoleBinding {
    let role_ref =
        RoleRef { api_group: Some(RBAC_GROUP.to_owned()), kind: "Role".to_owned(), name: "holdfast".to_owned() };
    RoleBinding { metadata: metadata("holdfast", Some(namespace)), role_ref, subjects: Some(vec![subject(namespace)]) }
}

fn break_glass() -> ClusterRole {
    let rules = vec![rule(&[GROUP], &["gitsyncs", "driftpolicies"], &[BREAK_GLASS_VERB])];
    ClusterRole { metadata: metadata("holdfast-break-glass", None), rules: Some(rules), ..ClusterRole::default() }
}

fn loosen() -> ClusterRole {
    let rules = vec![
        rule(&[GROUP], &["gitsyncs"], &[LOOSEN_VERB, SUSPEND_VERB]),
        rule(&[GROUP], &["driftpolicies"], &[LOOSEN_VERB]),
    ];
    ClusterRole { metadata: metadata("holdfast-loosen", None), rules: Some(rules), ..ClusterRole::default() }
}

fn impersonate() -> ClusterRole {
    let rules = vec![
        rule(&[""], &["serviceaccounts"], &["impersonate"]),
        rule(&["authentication.k8s.io"], &[&format!("userextras/{SYNC_EXTRA}")], &["impersonate"]),
    ];
    ClusterRole { metadata: metadata("holdfast-impersonate", None), rules: Some(rules), ..ClusterRole::default() }
}

fn view() -> ClusterRole {
    let mut metadata = metadata("holdfast-view", None);
    let aggregated = (format!("{RBAC_GROUP}/aggregate-to-view"), "true".to_owned());
    metadata.labels.get_or_insert_with(BTreeMap::new).extend([aggregated]);
    let rules = vec![rule(&[GROUP], &["gitsyncs"], &["get", "list", "watch"])];
    ClusterRole { metadata, rules: Some(rules), ..ClusterRole::default() }
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(owned(groups)),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}
