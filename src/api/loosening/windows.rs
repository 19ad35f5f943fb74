//! Which changes of windows loosen. There are two ways to: closing heals leaves drift standing, and opening syncs or prunes lets
//! changes through at a time that was kept free of them.
//!
//! A window that is changed is one taken away and one put there, and both are looked at.

use serde::Serialize;

use super::Loosened;
use crate::api::window::{Applies, PolicyWindow, SyncWindow, WindowKind};

/// A window, wherever it stands.
pub(super) trait Typed: Serialize + PartialEq {
    /// The window itself.
    fn window(&self) -> &SyncWindow;
}

impl Typed for SyncWindow {
    fn window(&self) -> &SyncWindow {
        self
    }
}

impl Typed for PolicyWindow {
    fn window(&self) -> &SyncWindow {
        &self.window
    }
}

/// What loosens between these lists.
pub(super) fn of<T: Typed>(old: &[T], new: &[T]) -> Vec<Loosened> {
    let said = |window: &T| serde_json::to_string(window).unwrap_or_default();
    let field = || "spec.syncWindows".to_owned();
    let gone = old.iter().filter(|window| !new.contains(window) && loosens(window.window(), new, true));
    let come = new.iter().filter(|window| !old.contains(window) && loosens(window.window(), old, false));
    let gone = gone.map(|window| Loosened { field: field(), from: said(window), to: "nothing".to_owned() });
    let come = come.map(|window| Loosened { field: field(), from: "nothing".to_owned(), to: said(window) });
    gone.chain(come).collect()
}

/// Does it loosen to take this window from beside those, or to put it there?
fn loosens<T: Typed>(window: &SyncWindow, beside: &[T], is_gone: bool) -> bool {
    window.applies.iter().any(|applies| {
        let allows = |other: &T| other.window().kind == WindowKind::Allow && other.window().applies.contains(applies);
        // The only window that allows closes all the rest; one more opens.
        let closes = window.kind == WindowKind::Deny || !beside.iter().any(allows);
        let closes_more = closes != is_gone;
        closes_more == (*applies == Applies::Heal)
    })
}
