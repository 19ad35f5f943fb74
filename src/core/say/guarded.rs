//! The same for what another tool keeps: it is named, since there is no line of Git to lead to.

use std::fmt::Write;

use super::{FIELDS, INDENT, WIDTH, beginning, cut, emergency, headline, paragraph, without_rules};
use crate::core::guard::Tool;
use crate::core::judge::{Judgement, Verdict, Why};
use crate::core::mask::{Shown, show};
use crate::core::object::ObjectKey;

pub(super) fn message(key: &ObjectKey, tool: &Tool, judgement: &Judgement) -> String {
    let Judgement { verdict, why, introduced, failed } = judgement;
    let mut text = beginning(&first(key, tool, *verdict, why));
    if !matches!(why, Why::Delete) {
        fields(&mut text, &show(key, introduced));
    }
    without_rules(&mut text, failed);
    if matches!(why, Why::Drift | Why::Delete) {
        let Tool { guard, application, manager, .. } = tool;
        let whose = application.as_deref().unwrap_or(manager);
        let lead = if *verdict == Verdict::Deny { "To change it, change" } else { "The place to change it is" };
        paragraph(&mut text, &format!("{lead} what {whose} applies (guard {guard} of the DriftPolicy)."));
    }
    if *verdict == Verdict::Deny && matches!(why, Why::Drift | Why::Delete) {
        emergency(&mut text, key);
    }
    text
}

fn first(key: &ObjectKey, tool: &Tool, verdict: Verdict, why: &Why) -> String {
    let (manager, whose) = (&tool.manager, whose(tool));
    let refused = verdict == Verdict::Deny;
    match why {
        Why::Drift if refused => format!("{key} is kept by {whose}, and this edit is not what it declares."),
        Why::Drift => format!("{key} is kept by {whose}, which does not declare this and may undo it."),
        Why::Delete if refused => format!("{key} is kept by {whose} and cannot be deleted by hand."),
        Why::Delete => format!("{key} is kept by {whose}; deleted by hand, it may come back."),
        Why::Ownership => {
            format!("{key}: entries of {manager} in metadata.managedFields are not to be taken away by hand.")
        }
        Why::OwnerReferences => format!("{key} is kept by {whose}; its owner references cannot be changed by hand."),
        Why::Finalizers => {
            format!("{key} is kept by {whose}; its finalizers are not to be changed by hand while it lives.")
        }
        Why::BreakGlassClosed => format!("break-glass on {key} is closed: it is guarded again."),
        Why::BreakGlass(glass) => {
            format!("break-glass on {key} is open until {} ({}): recorded.", glass.until, glass.reason)
        }
        other => headline(key, None, verdict, other),
    }
}

/// A namespace that goes takes along what is in it.
pub(super) fn namespace(key: &ObjectKey, held: &ObjectKey, tool: &Tool, verdict: Verdict) -> String {
    let whose = whose(tool);
    let guard = &tool.guard;
    if verdict == Verdict::Deny {
        format!(
            "{key} holds {held}, which is kept by {whose}, and cannot be deleted by hand. Remove what is kept there first \
             (guard {guard} of the DriftPolicy)."
        )
    } else {
        format!("{key} holds {held}, which is kept by {whose} (guard {guard} of the DriftPolicy) and goes with it.")
    }
}

fn whose(Tool { manager, application, .. }: &Tool) -> String {
    application.as_ref().map_or_else(|| manager.clone(), |application| format!("{application} ({manager})"))
}

fn fields(text: &mut String, shown: &[Shown]) {
    for field in shown.iter().take(FIELDS) {
        let value = |value: Option<&'_ str>| cut(value.unwrap_or("nothing"), WIDTH - INDENT).into_owned();
        let _ = write!(text, "\n  {}", cut(&field.path, WIDTH - 2));
        if field.git.is_none() && field.live.is_none() {
            text.push_str("\n      kept, in another API version than this edit is made in");
            continue;
        }
        let _ =
            write!(text, "\n      kept: {}\n      this: {}", value(field.git.as_deref()), value(field.live.as_deref()));
    }
    if shown.len() > FIELDS {
        let _ = write!(text, "\n  … and {} more", shown.len() - FIELDS);
    }
}
