//! Colours, always written: whoever prints takes them out where they are not wanted.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

pub(super) const GIT: Style = AnsiColor::Red.on_default();
pub(super) const CLUSTER: Style = AnsiColor::Green.on_default();
pub(super) const PLACE: Style = AnsiColor::Cyan.on_default();
pub(super) const TITLE: Style = Style::new().bold();
pub(super) const ASIDE: Style = Style::new().dimmed();
pub(super) const NOTICE: Style = AnsiColor::Yellow.on_default();
pub(super) const WRONG: Style = AnsiColor::Red.on_default().bold();
pub(super) const RIGHT: Style = AnsiColor::Green.on_default();

/// The text in this style.
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
