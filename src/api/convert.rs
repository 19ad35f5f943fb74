//! From what is typed to what `core` works with. Every mode has exactly one meaning, and this is where it gets it.

use super::gitsync;
use crate::core::snapshot;

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
