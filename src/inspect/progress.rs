//! What a GitSync's status says of a request for a sync, and what changed in it meanwhile.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::GitSyncStatus;

/// What has become of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nobody has looked at Git for it.
    Unheard,
    /// It is being written, and waits for this.
    Waiting(String),
    /// The cluster equals Git.
    Synced(String),
    /// It does not, and will not without more than time.
    Failed(String),
}

/// What this status answers to a request, for this commit if one is meant.
pub fn answer(status: &GitSyncStatus, request: &str, revision: Option<&str>) -> Answer {
    if status.handled_request.as_deref() != Some(request) {
        return Answer::Unheard;
    }
    let condition = |kind: &str| status.conditions.iter().find(|condition| condition.type_ == kind);
    if let Some(paused) = condition("Suspended") {
        return Answer::Failed(format!("it is paused: {}", paused.message));
    }
    let synced = status.synced_revision.as_deref().unwrap_or_default();
    match (condition("Ready"), revision) {
        (None, _) => Answer::Unheard,
        (Some(ready), Some(wanted)) if ready.status == "True" && !synced.starts_with(wanted) => {
            Answer::Failed(format!("the newest commit is {synced}, not {wanted}; {}", ready.message))
        }
        (Some(ready), _) if ready.status == "True" => Answer::Synced(ready.message.clone()),
        (Some(ready), _) if ready.reason == "Waiting" => Answer::Waiting(ready.message.clone()),
        (Some(ready), _) => Answer::Failed(format!("{}: {}", ready.reason, ready.message)),
    }
}

/// The conditions that changed, each as a line.
pub fn changes(before: &GitSyncStatus, after: &GitSyncStatus) -> Vec<String> {
    let same = |a: &Condition, b: &Condition| {
        (&a.type_, &a.status, &a.reason, &a.message) == (&b.type_, &b.status, &b.reason, &b.message)
    };
    let is_new = |new: &&Condition| !before.conditions.iter().any(|old| same(old, new));
    let gone = |old: &&Condition| !after.conditions.iter().any(|new| new.type_ == old.type_);
    let line = |condition: &Condition| {
        let Condition { type_, status, reason, message, .. } = condition;
        let colon = if message.is_empty() { "" } else { ": " };
        format!("{type_}={status} {reason}{colon}{message}")
    };
    let news = after.conditions.iter().filter(is_new).map(line);
    news.chain(before.conditions.iter().filter(gone).map(|old| format!("{} is over", old.type_))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(conditions: &[(&str, &str, &str, &str)]) -> GitSyncStatus {
        let condition = |(kind, status, reason, message): &(&str, &str, &str, &str)| {
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                   "lastTransitionTime": "2026-11-22T10:00:00Z"})
        };
        let conditions: Vec<_> = conditions.iter().map(condition).collect();
        let status = json!({"handledRequest": "now", "syncedRevision": "0123456789abcdef", "conditions": conditions});
        serde_json::from_value(status).expect("a status")
    }

    #[test]
    fn an_older_answer_is_none() {
        let ready = status(&[("Ready", "True", "InSync", "equal")]);
        assert_eq!(answer(&ready, "later", None), Answer::Unheard);
        assert_eq!(answer(&ready, "now", None), Answer::Synced("equal".to_owned()));
        assert_eq!(answer(&status(&[]), "now", None), Answer::Unheard);
    }

    #[test]
    fn why_it_is_not_synced_is_said() {
        let of = |conditions: &[(&str, &str, &str, &str)]| answer(&status(conditions), "now", None);
        let failed = |text: &str| Answer::Failed(text.to_owned());
        assert_eq!(of(&[("Ready", "False", "Waiting", "wave 1")]), Answer::Waiting("wave 1".to_owned()));
        assert_eq!(of(&[("Ready", "False", "WindowClosed", "night")]), failed("WindowClosed: night"));
        assert_eq!(of(&[("Ready", "False", "RolledBack", "to 1234567")]), failed("RolledBack: to 1234567"));
        let paused = [("Ready", "True", "InSync", "equal"), ("Suspended", "True", "Suspended", "INC-1")];
        assert_eq!(of(&paused), failed("it is paused: INC-1"));
    }

    #[test]
    fn another_commit_than_the_one_meant_is_a_failure() {
        let ready = status(&[("Ready", "True", "InSync", "equal")]);
        assert_eq!(answer(&ready, "now", Some("0123456")), Answer::Synced("equal".to_owned()));
        assert!(matches!(answer(&ready, "now", Some("fffffff")), Answer::Failed(why) if why.contains("not fffffff")));
    }

    #[test]
    fn only_what_changed_is_told() {
        let before = status(&[("Ready", "True", "InSync", "a"), ("Suspended", "True", "Suspended", "INC-1")]);
        let after = status(&[("Ready", "True", "InSync", "b"), ("Stalled", "False", "Progressing", "")]);
        let told = ["Ready=True InSync: b", "Stalled=False Progressing", "Suspended is over"];
        assert_eq!(changes(&before, &after), told);
        assert!(changes(&after, &after).is_empty());
    }
}
