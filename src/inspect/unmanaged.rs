//! Why an object is not managed, in a sentence: usually because nobody declares it, and sometimes although it looks otherwise.

use serde_json::Value;

use crate::core::names::{MANAGED_LABEL, TRACKING_ID, tracked_by};
use crate::core::object::ObjectKey;
use crate::core::state::State;
use crate::reconcile::plan::may_prune;

/// What is known of the GitSyncs.
pub(super) struct Known<'a> {
    /// Those that were read, and the commits.
    pub revisions: &'a [(String, String)],
    /// Is there a GitSync of this name?
    pub exists: &'a dyn Fn(&str) -> bool,
    /// Does it prune?
    pub prune: &'a dyn Fn(&str) -> bool,
}

/// Why this object is not managed.
pub(super) fn why(key: &ObjectKey, live: &Value, known: &Known<'_>) -> String {
    let state = State::whole(live);
    let Some(id) = state.annotation(TRACKING_ID) else { return untracked(&state, live) };
    match tracked_by(id, key) {
        Some(sync) if (known.exists)(sync) => left_git(sync, key, live, known),
        Some(sync) => format!("not managed: GitSync {sync}, which made it, is gone, and nothing keeps or removes it"),
        None => format!(
            "not managed: it looks like a copy of {}, whose {TRACKING_ID} it carries. A copy is nobody's to keep equal to Git, \
             and it is never pruned",
            original(id)
        ),
    }
}

fn left_git(sync: &str, key: &ObjectKey, live: &Value, known: &Known<'_>) -> String {
    let at = known.revisions.iter().find(|(name, _)| name == sync).and_then(|(_, revision)| revision.get(..7));
    let at = at.map(|short| format!(" at {short}")).unwrap_or_default();
    let fate = match may_prune(key, live) {
        Err(kept) => format!("it is kept, because {kept}"),
        Ok(()) if (known.prune)(sync) => "it is to be pruned".to_owned(),
        Ok(()) => "it stays, because prune is off there".to_owned(),
    };
    format!("left Git: GitSync {sync} made it and does not declare it any more{at}; {fate}")
}

fn untracked(state: &State<'_>, live: &Value) -> String {
    let label = state.label(MANAGED_LABEL).is_some();
    let owner = live.pointer("/metadata/ownerReferences/0").map(|owner| {
        let text = |name| owner.get(name).and_then(Value::as_str).unwrap_or_default();
        format!(". It belongs to {} {}, which may be", text("kind"), text("name"))
    });
    let owner = owner.unwrap_or_default();
    if label {
        format!(
            "not managed: it carries the label {MANAGED_LABEL}, but no GitSync declares it and it has no {TRACKING_ID}{owner}"
        )
    } else {
        format!("not managed: no GitSync declares it{owner}")
    }
}

/// The object a tracking-id describes. Names may have colons in them, the parts before do not.
fn original(id: &str) -> String {
    let parts: Vec<_> = id.splitn(3, ':').collect();
    let [sync, kind, name] = parts.as_slice() else { return "another object".to_owned() };
    let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
    let dot = if group.is_empty() { "" } else { "." };
    format!("{kind}{dot}{group} {} of GitSync {sync}", name.trim_start_matches('/'))
}

#[cfg(test)]
mod tests;
