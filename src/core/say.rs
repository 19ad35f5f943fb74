//! What a person reads when an edit is refused, warned of or let through: what was touched, Git's value and theirs, where in
//! Git it says so, and what to do instead.
//!
//! It is read in a terminal, often by somebody in a hurry: at most `WIDTH` columns and fifteen lines, the first of which says
//! it all. Only what has to be copied in one piece (a link, a command) is never broken.

mod guarded;
mod link;

use std::borrow::Cow;
use std::fmt::Write;

use super::exclude::RuleError;
use super::judge::{Judgement, Verdict, Why};
use super::mask::{Shown, show};
use super::names::{BREAK_GLASS, MANAGED_LABEL, TRACKING_ID};
use super::object::ObjectKey;
use super::snapshot::{Managed, Rollback, Sync};

pub use link::link;

/// How many fields a message names before it counts the rest: it has to fit a terminal.
const FIELDS: usize = 3;
/// Columns of a terminal that nobody has made narrow.
const WIDTH: usize = 100;
/// Most messages are shorter.
const LENGTH: usize = 1024;
/// How far values stand in, with what they are called.
const INDENT: usize = "      Git:  ".len();

/// The message for an edit of `key`; `managed` is what Git declares for it, if it does.
pub fn message(key: &ObjectKey, managed: Option<&Managed>, judgement: &Judgement) -> String {
    if let Some(tool) = managed.and_then(|managed| managed.sync.tool.as_deref()) {
        return guarded::message(key, tool, judgement);
    }
    let Judgement { verdict, why, introduced, failed } = judgement;
    let mut text = beginning(&headline(key, managed, *verdict, why));
    let Some(managed) = managed else { return text };
    let shown = show(key, introduced);
    if !matches!(why, Why::Delete) {
        fields(&mut text, managed, &shown);
    }
    without_rules(&mut text, failed);
    whereabouts(&mut text, managed, &shown, *verdict);
    if *verdict == Verdict::Deny && matches!(why, Why::Drift | Why::Delete) {
        emergency(&mut text, key);
    }
    text
}

fn without_rules(text: &mut String, failed: &[RuleError]) {
    for error in failed.iter().take(1) {
        let more = if failed.len() > 1 { format!(" (and {} more)", failed.len() - 1) } else { String::new() };
        paragraph(
            text,
            &format!("An exclusion rule could not be asked, and this was judged without it: {error}{more}"),
        );
    }
}

/// What happened and why, in a sentence.
fn headline(key: &ObjectKey, managed: Option<&Managed>, verdict: Verdict, why: &Why) -> String {
    match why {
        Why::Drift | Why::Suspended if verdict == Verdict::Deny => {
            format!("{key} is kept equal to Git, and this edit is not what Git says.")
        }
        Why::Suspended => {
            let pause = managed.and_then(|managed| managed.sync.suspension.as_ref());
            let pause = pause.map(|pause| format!(" until {} ({})", pause.until, pause.reason)).unwrap_or_default();
            format!("The GitSync of {key} is paused{pause}: this edit stays for so long, and is undone afterwards.")
        }
        Why::Drift => {
            format!("{key} is kept equal to Git; Git does not say this, and it may be undone.")
        }
        Why::Delete if verdict == Verdict::Deny => format!("{key} is declared in Git and cannot be deleted by hand."),
        Why::Delete => format!("{key} is declared in Git; deleted by hand, it may come back."),
        Why::NamespaceDelete(held) => format!(
            "{key} holds {held} objects declared in Git and cannot be deleted by hand. Remove them from Git first."
        ),
        Why::DefinitionDelete(held) => format!(
            "{key} defines {held} objects declared in Git, which would go with it, and cannot be deleted by hand. Remove them \
             from Git first."
        ),
        Why::NamespaceKept(held, tool) => guarded::namespace(key, held, tool, verdict),
        Why::Marks => {
            format!("{key}: the marks of a managed object ({MANAGED_LABEL}, {TRACKING_ID}, …) are Holdfast's to write.")
        }
        Why::Forged => {
            format!("{key} is not declared in Git, and {TRACKING_ID} would make it look as if it were. Leave it out.")
        }
        Why::Ownership => format!("{key}: Holdfast's entry in metadata.managedFields is Holdfast's to write."),
        Why::OwnerReferences => {
            format!("{key} is declared in Git, and its owner references cannot be changed by hand.")
        }
        Why::Finalizers => {
            format!("{key} is declared in Git, and its finalizers are not to be changed by hand while it lives.")
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
    // A rollback takes lines of its own.
    let most = if managed.sync.rollback.is_some() { FIELDS - 1 } else { FIELDS };
    for field in shown.iter().take(most) {
        let _ = write!(text, "\n  {}", cut(&field.path, WIDTH - 2));
        git_says(text, managed, field);
        let theirs = field.live.as_deref().unwrap_or("nothing");
        let _ = write!(text, "\n      this: {}", cut(theirs, WIDTH - INDENT));
    }
    if shown.len() > most {
        let _ = write!(text, "\n  … and {} more", shown.len() - most);
    }
}

/// Git's value and its place: the file is named again further down, so where it does not fit the line alone has to do.
fn git_says(text: &mut String, managed: &Managed, field: &Shown) {
    let git = field.git.as_deref().unwrap_or("nothing");
    let file = &managed.manifest.origin.file;
    let place = field.line.map(|line| format!("   ({file}:{line})")).unwrap_or_default();
    let fits = INDENT + git.chars().count() + place.chars().count() <= WIDTH;
    let place = if fits { place } else { field.line.map(|line| format!("   (line {line})")).unwrap_or_default() };
    let room = WIDTH - INDENT - place.chars().count();
    let _ = write!(text, "\n      Git:  {}{place}", cut(git, room));
}

/// Where Git says it: of the first field that has a line, or else of the object.
fn whereabouts(text: &mut String, managed: &Managed, shown: &[Shown], verdict: Verdict) {
    let Managed { sync, manifest, .. } = managed;
    let Sync { repository, target, revision, name, .. } = &**sync;
    let (file, line) = (&manifest.origin.file, shown.iter().find_map(|field| field.line));
    let line = line.unwrap_or(manifest.origin.lines.line);
    let lead = match (&sync.rollback, verdict) {
        (Some(rollback), _) => rolled_back(sync, rollback),
        (None, Verdict::Deny) => format!("To change it, commit to {target} (GitSync {name} applies it):"),
        _ => format!("Git says it here ({target}, GitSync {name}):"),
    };
    paragraph(text, &lead);
    let short = revision.get(..7).unwrap_or(revision);
    let place =
        link(repository, revision, file, line).unwrap_or_else(|| format!("{file}:{line} in {repository} at {short}"));
    let _ = write!(text, "\n  {place}");
}

/// Whoever is told to commit must know that it has no effect yet.
fn rolled_back(sync: &Sync, rollback: &Rollback) -> String {
    let (Sync { name, revision, target, .. }, Rollback { by, reason, until }) = (sync, rollback);
    let short = revision.get(..7).unwrap_or(revision);
    let by = by.as_ref().map(|by| format!(" by {}", cut(by, WIDTH / 2))).unwrap_or_default();
    let reason = cut(reason, WIDTH / 2);
    format!(
        "GitSync {name} is rolled back to {short}{by} until {until} ({reason}); commits to {target} have effect after that. \
         This one says it here:"
    )
}

fn emergency(text: &mut String, key: &ObjectKey) {
    let namespace = key.namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
    let resource = resource(key);
    let _ = write!(text, "\nIn an emergency, with the right to break glass:");
    let _ = write!(text, "\n  kubectl annotate{namespace} {resource} --overwrite {BREAK_GLASS}=\"INC-…: why\"");
}

/// How kubectl takes an object's name: `deployment.apps/api`.
fn resource(key: &ObjectKey) -> String {
    let kind = key.kind.to_lowercase();
    if key.group.is_empty() { format!("{kind}/{}", key.name) } else { format!("{kind}.{}/{}", key.group, key.name) }
}

/// A message that begins with this sentence.
fn beginning(sentence: &str) -> String {
    let mut text = String::with_capacity(LENGTH);
    wrap(&mut text, sentence);
    text
}

fn paragraph(text: &mut String, sentence: &str) {
    text.push('\n');
    wrap(text, sentence);
}

/// Broken between words; a word that is too long by itself stays whole.
fn wrap(text: &mut String, sentence: &str) {
    let mut column = 0;
    for word in sentence.split_whitespace() {
        let width = word.chars().count();
        let fits = column + 1 + width <= WIDTH;
        text.push_str(if column == 0 {
            ""
        } else if fits {
            " "
        } else {
            "\n"
        });
        column = if column > 0 && fits { column + 1 + width } else { width };
        text.push_str(word);
    }
}

/// No longer than `room`.
fn cut(text: &str, room: usize) -> Cow<'_, str> {
    let is_longer = text.len() > room && text.chars().nth(room).is_some();
    if is_longer { text.chars().take(room.saturating_sub(1)).chain(['…']).collect() } else { text.into() }
}

#[cfg(test)]
mod tests;
