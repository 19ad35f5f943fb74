//! Label selectors: `matchLabels` and `matchExpressions`, as everywhere in Kubernetes.

use std::collections::BTreeMap;

/// Conditions on labels, all of which must hold; without any, everything is selected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(pub Vec<Condition>);

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The label.
    pub key: String,
    /// What must be so.
    pub must: Must,
}

/// What must be so of a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Must {
    /// It is there, with one of these values.
    BeIn(Vec<String>),
    /// It is not there, or has none of these values.
    NotBeIn(Vec<String>),
    /// It is there.
    Exist,
    /// It is not there.
    NotExist,
}

// === impl Labels ===

impl Labels {
    /// Are these labels selected?
    pub fn select(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|condition| condition.holds(labels.get(&condition.key)))
    }
}

// === impl Condition ===

impl Condition {
    fn holds(&self, value: Option<&String>) -> bool {
        match &self.must {
            Must::BeIn(values) => value.is_some_and(|value| values.contains(value)),
            Must::NotBeIn(values) => value.is_none_or(|value| !values.contains(value)),
            Must::Exist => value.is_some(),
            Must::NotExist => value.is_none(),
        }
    }
}
