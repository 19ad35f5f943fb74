//! What a person reads when an edit is refused, warned of or let through: what was touched, Git's value and theirs, where in
//! Git it says so, and what to do instead.

use std::fmt::Write;

use super::judge::{Judgement, Verdict, Why};
use super::mask::{Shown, show};
use super::names::{BREAK_GLASS, BREAK_GLASS_FOR, MANAGED_LABEL, TRACKING_ID};
use super::object::ObjectKey;
use super::snapshot::{Managed, Sync};

/// How many fields a message names before it counts the rest: it has to fit a terminal.
const FIELDS: usize = 5;

/// The message for an edit of `key`; `managed` is what Git declares for it, if it does.
pub fn message(key: &ObjectKey, managed: Option<&Managed>, judgement: &Judgement) -> String {
    let Judgement { verdict, why, introduced, failed } = judgement;
    let mut text = headline(key, *verdict, why);
    if let Some(managed) = managed {
        let shown = show(key, introduced);
        if !matches!(why, Why::Delete) {
            fields(&mut text, managed, &shown);
        }
        for error in failed {
            let _ = write!(text, "\nAn exclusion rule could not be asked: {error}. This was judged without it.");
        }
        whereabouts(&mut text, managed);
        if *verdict == Verdict::Deny {
            way_out(&mut text, key, &managed.sync, why);
        }
    }
    text
}

/// The one line that says what happened and why.
fn headline(key: &ObjectKey, verdict: Verdict, why: &Why) -> String {
    match why {
        Why::Drift | Why::Suspended if verdict == Verdict::Deny => {
            format!("{key} is kept equal to Git, and this edit is not what Git says.")
        }
        Why::Drift | Why::Suspended => {
            format!("{key} is kept equal to Git; Git does not say this, and it may be undone.")
        }
        Why::Delete if verdict == Verdict::Deny => format!("{key} is declared in Git and cannot be deleted by hand."),
        Why::Delete => format!("{key} is declared in Git; deleted by hand, it may come back."),
        Why::NamespaceDelete(held) => {
            format!("{key} holds {held} objects declared in Git and cannot be deleted by hand.")
        }
        Why::Marks => {
            format!("the marks of a managed object ({MANAGED_LABEL}, {TRACKING_ID}, …) are Holdfast's to write: {key}.")
        }
        Why::Forged => {
            format!("{key} is not declared in Git, and {TRACKING_ID} would make it look as if it were. Leave it out.")
        }
        Why::Ownership => format!("Holdfast's entry in metadata.managedFields of {key} is Holdfast's to write."),
        Why::OwnerReferences => {
            format!("the owner references of {key}, which is declared in Git, cannot be changed by hand.")
        }
        Why::Finalizers => {
            format!("the finalizers of {key}, which is declared in Git, are not to be changed by hand while it lives.")
        }
        Why::Refused(refused) => format!("break-glass on {key} refused: {refused}."),
        Why::BreakGlass(glass) => {
            format!(
                "break-glass on {key} is open until {} ({}): recorded, and not undone before then.",
                glass.until, glass.reason
            )
        }
        Why::BreakGlassClosed => format!("break-glass on {key} is closed: Git wins again."),
        Why::InOurGuise => format!("{key} was written under Holdfast's account by somebody else: recorded."),
        Why::Ourselves | Why::Unmanaged | Why::Off | Why::Terminating | Why::Controller | Why::EqualsGit => {
            format!("{key}: nothing to object to.")
        }
    }
}

fn fields(text: &mut String, managed: &Managed, shown: &[Shown]) {
    let file = &managed.manifest.origin.file;
    for field in shown.iter().take(FIELDS) {
        let place = field.line.map(|line| format!("   ({file}:{line})")).unwrap_or_default();
        let git = field.git.as_deref().unwrap_or("nothing");
        let theirs = field.live.as_deref().unwrap_or("nothing");
        let _ = write!(text, "\n  {}\n      Git:  {git}{place}\n      this: {theirs}", field.path);
    }
    if shown.len() > FIELDS {
        let _ = write!(text, "\n  … and {} more", shown.len() - FIELDS);
    }
}

fn whereabouts(text: &mut String, managed: &Managed) {
    let Managed { sync, manifest, .. } = managed;
    let Sync { repository, target, revision, name, .. } = &**sync;
    let short = revision.get(..7).unwrap_or(revision);
    let (file, line) = (&manifest.origin.file, manifest.origin.lines.line);
    let _ = write!(text, "\nGit: {repository} ({target} at {short}), {file}:{line}, synced by GitSync {name}");
}

fn way_out(text: &mut String, key: &ObjectKey, sync: &Sync, why: &Why) {
    let _ = write!(text, "\nTo change it: commit to {} and let Holdfast apply it.", sync.target);
    if !matches!(why, Why::Drift | Why::Delete) {
        return;
    }
    let namespace = key.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
    let resource = resource(key);
    let _ = write!(
        text,
        "\nIn an emergency, with the right to: kubectl annotate{namespace} {resource} {BREAK_GLASS}=\"INC-…: why\" {BREAK_GLASS_FOR}=30m"
    );
}

/// How kubectl takes an object's name: `deployment.apps/api`.
fn resource(key: &ObjectKey) -> String {
    let kind = key.kind.to_lowercase();
    if key.group.is_empty() { format!("{kind}/{}", key.name) } else { format!("{kind}.{}/{}", key.group, key.name) }
}

#[cfg(test)]
mod tests;
