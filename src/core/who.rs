//! Who is who. Identity is `userInfo`, which the API server authenticated, and never a field manager, which clients choose.

use super::exclude::glob;
use super::fields::Entry;

/// Who asks, as the API server authenticated them.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct User {
    /// `userInfo.username`.
    pub name: String,
    /// `userInfo.groups`.
    pub groups: Vec<String>,
}

/// How far somebody is trusted with managed objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Holdfast's own service account.
    Ourselves,
    /// The cluster's own controllers and those the policy lists: never denied, judged by the reconciler.
    Controller,
    /// Other service accounts: guarded on what Git declares, free to add what it does not.
    Automation,
    /// Everyone else, cluster administrators included: guarded on both.
    Person,
}

/// What is needed to tell them apart.
#[derive(Debug, Clone)]
pub struct Identities {
    /// Namespace and name of our own service account.
    pub ourselves: (String, String),
    /// Globs of further user names that count as controllers.
    pub controllers: Vec<String>,
    /// Globs of field managers that stand for a person at a keyboard.
    pub interactive: Vec<String>,
}

/// Field managers of the tools people edit with: kubectl's verbs, Lens, k9s, browsers and plain HTTP clients.
pub const INTERACTIVE: [&str; 5] = ["kubectl*", "node-fetch", "k9s*", "Mozilla", "curl"];

// === impl Identities ===

impl Identities {
    /// The class of an authenticated user.
    pub fn class(&self, user: &User) -> Class {
        if user.is_service_account(&self.ourselves.0, Some(&self.ourselves.1)) {
            Class::Ourselves
        } else if user.is_of_the_cluster() || self.is_listed(user) {
            Class::Controller
        } else if user.is_any_service_account() {
            Class::Automation
        } else {
            Class::Person
        }
    }

    /// Does this `managedFields` entry stand for a person at a keyboard?
    pub fn is_interactive(&self, entry: &Entry<'_>) -> bool {
        self.interactive.iter().any(|pattern| glob(pattern, entry.manager))
    }

    fn is_listed(&self, user: &User) -> bool {
        user.is_genuine() && self.controllers.iter().any(|pattern| glob(pattern, &user.name))
    }
}

// === impl User ===

impl User {
    /// Is this the service account `name` (any, if `None`) of `namespace`? Name *and* both groups must say so.
    pub fn is_service_account(&self, namespace: &str, name: Option<&str>) -> bool {
        let of_namespace =
            self.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.strip_prefix(namespace));
        let own_name = of_namespace.and_then(|rest| rest.strip_prefix(':'));
        own_name.is_some_and(|own| name.is_none_or(|name| name == own))
            && self.has_group("system:serviceaccounts")
            && self.has_group(&format!("system:serviceaccounts:{namespace}"))
    }

    /// Is the name worth anything? One that claims to be a service account must have the groups of one: the name alone can be given
    /// to anybody.
    pub fn is_genuine(&self) -> bool {
        !self.name.starts_with("system:serviceaccount:") || self.is_any_service_account()
    }

    /// Is this one of those that these globs name, by a genuine user name or by group?
    pub fn is_named_by(&self, globs: &[String]) -> bool {
        let named = |pattern: &String| {
            (self.is_genuine() && glob(pattern, &self.name)) || self.groups.iter().any(|group| glob(pattern, group))
        };
        globs.iter().any(named)
    }

    fn is_any_service_account(&self) -> bool {
        let namespace = self.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split(':').next());
        namespace.is_some_and(|namespace| self.is_service_account(namespace, None))
    }

    /// Nodes, the control plane's own users, and kube-system's controllers. A node, too, has its name and its group.
    fn is_of_the_cluster(&self) -> bool {
        const CONTROL_PLANE: [&str; 3] =
            ["system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"];
        (self.has_group("system:nodes") && self.name.starts_with("system:node:"))
            || CONTROL_PLANE.contains(&self.name.as_str())
            || self.is_service_account("kube-system", None)
    }

    fn has_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

#[cfg(test)]
mod tests;
