//! From what is typed to what `core` works with. Every rule and mode has exactly one meaning, and this is where it gets it.

use super::{IgnoreRule, gitsync};
use crate::core::exclude::{Rule, Selector};
use crate::core::snapshot;

// === impl IgnoreRule ===

impl IgnoreRule {
    /// The rule as `core` applies it. Pointers were checked when the spec was read; one that cannot be is left out here.
    pub fn meaning(&self) -> Rule {
        let Self { group, kind, name, namespace, json_pointers } = self.clone();
        Rule {
            objects: Selector { group, kind, namespace, name },
            pointers: json_pointers.iter().filter_map(|pointer| pointer.parse().ok()).collect(),
        }
    }
}

impl From<gitsync::Mode> for snapshot::Mode {
    fn from(typed: gitsync::Mode) -> Self {
        match typed {
            gitsync::Mode::Deny => Self::Deny,
            gitsync::Mode::Warn => Self::Warn,
            gitsync::Mode::Annotate => Self::Annotate,
            gitsync::Mode::Off => Self::Off,
        }
    }
}

impl From<gitsync::Undeclared> for snapshot::Undeclared {
    fn from(typed: gitsync::Undeclared) -> Self {
        match typed {
            gitsync::Undeclared::Deny => Self::Deny,
            gitsync::Undeclared::Warn => Self::Warn,
            gitsync::Undeclared::Allow => Self::Allow,
        }
    }
}
