//! Label selectors: `matchLabels` and `matchExpressions`, as everywhere in Kubernetes.

use std::collections::BTreeMap;
use std::fmt;

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

/// As the API server takes it in a query.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Condition { key, must }) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            match must {
                Must::BeIn(values) => write!(f, "{key} in ({})", values.join(",")),
                Must::NotBeIn(values) => write!(f, "{key} notin ({})", values.join(",")),
                Must::Exist => f.write_str(key),
                Must::NotExist => write!(f, "!{key}"),
            }?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_a_query() {
        let values = || vec!["a".to_owned(), "b".to_owned()];
        let conditions = [
            ("one", Must::BeIn(values())),
            ("two", Must::NotBeIn(values())),
            ("three", Must::Exist),
            ("four", Must::NotExist),
        ];
        let conditions = conditions.map(|(key, must)| Condition { key: key.to_owned(), must });
        assert_eq!(Labels(conditions.into()).to_string(), "one in (a,b),two notin (a,b),three,!four");
        assert_eq!(Labels::default().to_string(), "");
    }
}
