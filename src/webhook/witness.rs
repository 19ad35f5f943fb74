//! What a judgement leaves behind: the answer's words, audit annotations, one record, and counts.
//!
//! Dry runs get the same words and leave no record: they changed nothing, and nobody was refused anything.

use std::collections::BTreeMap;

use super::answer::{Answer, Reason, Refusal};
use super::trial::Trial;
use crate::core::judge::{Judgement, Verdict, Why};
use crate::core::say;
use crate::evidence::metrics::{self, Operation};
use crate::evidence::record::{Actor, Kind, Record};

/// Most paths an audit annotation names; the record has them all.
const AUDITED: usize = 20;

/// The answer of `/validate`.
pub(super) fn answer(trial: &Trial<'_>, judgement: &Judgement) -> Answer {
    let mut answer = Answer { audit: audit(trial, judgement), ..Answer::default() };
    match judgement.verdict {
        Verdict::Allow | Verdict::Note | Verdict::WouldDeny => {}
        Verdict::Warn | Verdict::Mark => answer.warn(&message(trial, judgement)),
        Verdict::Deny => answer.refusal = Some(refusal(trial, judgement)),
    }
    answer
}

/// The refusal of a judgement.
pub(super) fn refusal(trial: &Trial<'_>, judgement: &Judgement) -> Refusal {
    Refusal { reason: Reason::Forbidden, message: message(trial, judgement) }
}

/// The record of a judgement, if it is worth one.
pub(super) fn record(trial: &Trial<'_>, judgement: &Judgement) -> Option<Record> {
    let kind = kind(trial, judgement)?;
    let about = Record::about(kind, &trial.key, trial.managed.as_deref(), &judgement.introduced, trial.now);
    let guard = match &judgement.why {
        Why::NamespaceKept(_, tool) => Some(tool.guard.to_string()),
        _ => about.guard.clone(),
    };
    Some(Record {
        guard,
        team: trial.around.teams.of_object(&trial.key, trial.managed.as_deref(), &trial.around),
        by: Some(actor(trial)),
        verb: Some(trial.verb().to_owned()),
        reason: without_rules(reason(trial, &judgement.why), judgement),
        ..about
    })
}

/// The verdict, as metrics count it.
pub(super) fn counted(verdict: Verdict) -> metrics::Verdict {
    match verdict {
        Verdict::Allow => metrics::Verdict::Allow,
        Verdict::Note => metrics::Verdict::Note,
        Verdict::Warn => metrics::Verdict::Warn,
        Verdict::Mark => metrics::Verdict::Mark,
        Verdict::WouldDeny => metrics::Verdict::WouldDeny,
        Verdict::Deny => metrics::Verdict::Deny,
    }
}

/// The operation, as metrics count it; nothing registers for `CONNECT`.
pub(super) fn operation(operation: super::review::Operation) -> Operation {
    match operation {
        super::review::Operation::Create => Operation::Create,
        super::review::Operation::Update | super::review::Operation::Connect => Operation::Update,
        super::review::Operation::Delete => Operation::Delete,
    }
}

fn message(trial: &Trial<'_>, judgement: &Judgement) -> String {
    say::message(&trial.key, trial.managed.as_deref(), judgement)
}

fn kind(trial: &Trial<'_>, Judgement { verdict, why, .. }: &Judgement) -> Option<Kind> {
    match (verdict, why) {
        (Verdict::Allow, _) => None,
        (Verdict::Note, Why::BreakGlass(_)) if trial.opens_break_glass() => Some(Kind::BreakGlassOpened),
        (Verdict::Note, Why::BreakGlassClosed) => Some(Kind::BreakGlassClosed),
        (Verdict::Note, _) => Some(Kind::Edited),
        (Verdict::Warn, _) => Some(Kind::Warned),
        (Verdict::Mark, _) => Some(Kind::Marked),
        (Verdict::WouldDeny, _) => Some(Kind::WouldDeny),
        (Verdict::Deny, Why::Refused(_)) => Some(Kind::BreakGlassRefused),
        (Verdict::Deny, _) => Some(Kind::Denied),
    }
}

fn actor(trial: &Trial<'_>) -> Actor {
    let user = &trial.requester.user;
    let team = trial.around.teams.of_user(user);
    Actor { user: Some(user.name.clone()), groups: user.groups.clone(), team, manager: trial.manager.clone() }
}

/// The reason, with the rules that failed and were left out of the judgement.
fn without_rules(reason: Option<String>, judgement: &Judgement) -> Option<String> {
    let failed = judgement.failed.iter().map(|rule| format!("judged without a rule: {rule}"));
    let said: Vec<_> = reason.into_iter().chain(failed).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// The person's own words where there are any.
fn reason(trial: &Trial<'_>, why: &Why) -> Option<String> {
    match why {
        Why::BreakGlass(glass) => Some(glass.reason.clone()),
        Why::Refused(refused) => Some(refused.to_string()),
        Why::Suspended => {
            let suspension = trial.managed.as_ref()?.sync.suspension.as_ref()?;
            Some(suspension.reason.clone())
        }
        Why::NamespaceKept(held, _) => Some(format!("{}: it holds {held}", word(why))),
        other => Some(word(other).to_owned()),
    }
}

/// Keys get the webhook's name put before them by the API server.
fn audit(trial: &Trial<'_>, judgement: &Judgement) -> BTreeMap<&'static str, String> {
    let Judgement { verdict, why, introduced, .. } = judgement;
    let mut audit = BTreeMap::new();
    if *verdict == Verdict::Allow {
        return audit;
    }
    let said =
        if *verdict == Verdict::WouldDeny { "would-deny".to_owned() } else { format!("{verdict:?}").to_lowercase() };
    audit.insert("verdict", said);
    audit.insert("why", word(why).to_owned());
    if let Some(team) = trial.around.teams.of_user(&trial.requester.user) {
        audit.insert("team", team);
    }
    if let Why::NamespaceKept(_, tool) = why {
        audit.insert("guard", tool.guard.to_string());
    }
    if let Some(managed) = &trial.managed {
        match &managed.sync.tool {
            Some(tool) => audit.insert("guard", tool.guard.to_string()),
            None => audit.insert("revision", managed.sync.revision.clone()),
        };
    }
    if !introduced.is_empty() {
        let paths: Vec<_> = introduced.iter().take(AUDITED).map(|deviation| deviation.path.to_string()).collect();
        audit.insert("fields", paths.join(" "));
    }
    audit
}

/// One word for why.
fn word(why: &Why) -> &'static str {
    match why {
        Why::Ourselves => "ourselves",
        Why::InOurGuise => "written under Holdfast's account by somebody else",
        Why::Unmanaged => "unmanaged",
        Why::Off => "off",
        Why::Terminating => "terminating",
        Why::Controller => "controller",
        Why::EqualsGit => "equals-git",
        Why::BreakGlass(_) => "break-glass",
        Why::BreakGlassClosed => "break-glass-closed",
        Why::Suspended => "suspended",
        Why::Drift => "drift",
        Why::Delete => "delete",
        Why::NamespaceDelete(_) | Why::NamespaceKept(..) => "namespace-delete",
        Why::DefinitionDelete(_) => "definition-delete",
        Why::Marks => "marks",
        Why::Forged => "forged",
        Why::Ownership => "ownership",
        Why::OwnerReferences => "owner-references",
        Why::Finalizers => "finalizers",
        Why::Refused(_) => "break-glass-refused",
    }
}
