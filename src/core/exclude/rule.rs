//! One rule, as meant: which objects, and which of their places. It is the same wherever it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::glob::glob;
use super::jq::Jq;
use super::labels::Labels;
use super::pattern::Pattern;
use super::place::{Ground, Pointer};
use super::spelled::FieldPath;
use crate::core::object::ObjectKey;

/// One rule. Without any places it means the whole object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rule {
    /// What to call it: `spec.ignoreDifferences[2] of GitSync shop/web`. Objects are described when empty.
    pub called: Arc<str>,
    /// Objects the rule speaks of.
    pub objects: Selector,
    /// Places as JSON pointers.
    pub pointers: Vec<Pointer>,
    /// Places as messages spell them.
    pub paths: Vec<FieldPath>,
    /// Places that expressions find on the object.
    pub jq: Vec<Jq>,
    /// Places that these field managers own (globs).
    pub managers: Vec<String>,
}

/// Globs (`*` for any run of characters) over an object's identity, and conditions on labels; an absent one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// API group; the core group is the empty string.
    pub group: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Namespace; never matches cluster-scoped objects.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Labels Git gives the object. What is live does not count: a label must not be a way around the guard.
    pub labels: Option<Labels>,
    /// Labels the object's namespace has; never matches cluster-scoped objects.
    pub namespace_labels: Option<Labels>,
}

/// What of an object a selector looks at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Its identity.
    pub key: &'a ObjectKey,
    /// Its labels in Git.
    pub labels: &'a BTreeMap<String, String>,
    /// The labels of its namespace, if they are known.
    pub namespace_labels: Option<&'a BTreeMap<String, String>>,
}

// === impl Rule ===

impl Rule {
    /// Does it mean whole objects?
    pub fn is_whole(&self) -> bool {
        let Self { called: _, objects: _, pointers, paths, jq, managers } = self;
        pointers.is_empty() && paths.is_empty() && jq.is_empty() && managers.is_empty()
    }

    /// The patterns that hold whatever the object's state, each with the text it was written as.
    pub(super) fn patterns(&self, ground: Ground<'_>) -> Vec<(String, Pattern)> {
        if self.is_whole() {
            return vec![("the whole object".to_owned(), Pattern::new())];
        }
        let pointers = self.pointers.iter().map(|pointer| (pointer.to_string(), pointer.resolve(ground)));
        let paths = self.paths.iter().map(|path| (path.to_string(), path.resolve(ground)));
        let each = pointers.chain(paths);
        each.flat_map(|(text, patterns)| patterns.into_iter().map(move |pattern| (text.clone(), pattern))).collect()
    }

    /// What a person calls the part of this rule that was written as `text`.
    pub(super) fn describe(&self, text: &str) -> Arc<str> {
        match &*self.called {
            "" => format!("{text} of {}", self.objects).into(),
            called => format!("{called} ({text})").into(),
        }
    }
}

// === impl Selector ===

impl Selector {
    /// Does the selector match this object?
    pub fn matches(&self, subject: Subject<'_>) -> bool {
        let Self { group, kind, namespace, name, labels, namespace_labels } = self;
        let Subject { key, labels: own, namespace_labels: around } = subject;
        let fits = |pattern: &Option<String>, text: &str| pattern.as_deref().is_none_or(|pattern| glob(pattern, text));
        fits(group, &key.group)
            && fits(kind, &key.kind)
            && fits(name, &key.name)
            && (namespace.is_none() || key.namespace.as_deref().is_some_and(|text| fits(namespace, text)))
            && labels.as_ref().is_none_or(|labels| labels.select(own))
            && namespace_labels.as_ref().is_none_or(|labels| around.is_some_and(|around| labels.select(around)))
    }
}

impl fmt::Display for Selector {
    /// `kind=Deployment, name=web`: what a rule says of objects, in the words it is written in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, kind, namespace, name, labels, namespace_labels } = self;
        let said = [("group", group), ("kind", kind), ("namespace", namespace), ("name", name)];
        let mut said: Vec<_> =
            said.iter().filter_map(|(field, glob)| glob.as_ref().map(|glob| format!("{field}={glob:?}"))).collect();
        said.extend(labels.as_ref().map(|_| "some labels".to_owned()));
        said.extend(namespace_labels.as_ref().map(|_| "some namespaces".to_owned()));
        if said.is_empty() { write!(f, "every object") } else { write!(f, "{}", said.join(" ")) }
    }
}
