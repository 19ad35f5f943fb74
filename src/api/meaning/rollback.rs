//! `spec.rollback`: a pause with content. Which older commit holds for a while, why, and until when.
//!
//! Only what stays the same commit is taken: an id, or a tag. A branch is another one tomorrow, and that is what
//! `targetRevision` is for. What is all digits of an id is one; a tag that looks like it is written `refs/tags/NAME`, so that
//! whoever may create tags cannot change what an id means.
//!
//! Whether there is such a commit, and whether it may be pinned, only Git knows: that is found out at run time, and told in the
//! condition `Ready` (`RollbackFailed`).

use jiff::Timestamp;

use super::{Faults, Suspension, suspension};
use crate::api::Rollback;

/// Digits of a commit id that tell which one is meant.
pub const TELLING: usize = 7;
/// Digits of a whole one.
const WHOLE: usize = 40;

/// A rollback, which may already be over: ask [`RollbackPlan::holds`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackPlan {
    /// A commit id, the beginning of one, or a tag.
    pub revision: String,
    /// Why, until when, and who, as stamped.
    pub pause: Suspension,
}

// === impl RollbackPlan ===

impl RollbackPlan {
    /// Whether it is on at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.pause.holds(now)
    }
}

/// Is this, or may it be the beginning of, a commit id?
pub fn is_commit_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

// === readers ===

pub(super) fn read(typed: &Rollback, by: Option<String>, faults: &mut Faults) -> RollbackPlan {
    let Rollback { revision, reason, until } = typed;
    if let Some((reason, remedy)) = revision_fault(revision) {
        faults.add("spec.rollback.revision", format!("{revision:?} {reason}"), remedy);
    }
    RollbackPlan {
        revision: if is_commit_id(revision) { revision.to_ascii_lowercase() } else { revision.clone() },
        pause: suspension("spec.rollback", (reason, until), by, faults),
    }
}

fn revision_fault(typed: &str) -> Option<(&'static str, &'static str)> {
    let (as_id, as_tag) = (
        "write 7 digits of it or more, or refs/tags/NAME for a tag",
        "write a commit id, 7 digits of it or more, or a tag",
    );
    match typed.len() {
        length if is_commit_id(typed) && length < TELLING => Some(("is too short for a commit id", as_id)),
        length if is_commit_id(typed) && length > WHOLE => Some(("is too long for a commit id", as_id)),
        _ if is_commit_id(typed) || is_tag(typed) => None,
        _ => Some(("is neither a commit id nor a tag", as_tag)),
    }
}

/// May a tag be called so? Nearly as Git has it; Git has the last word.
fn is_tag(typed: &str) -> bool {
    let name = typed.strip_prefix("refs/tags/").unwrap_or(typed);
    let strange = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.');
    let is_other = name == "HEAD" || name == "@" || name.starts_with("refs/") || name.starts_with(['-', '<', '=', '>']);
    !is_other && !name.contains(strange) && !name.contains("..") && !name.contains("@{") && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(revision: &str, reason: &str, until: &str) -> Vec<String> {
        let typed = Rollback { revision: revision.to_owned(), reason: reason.to_owned(), until: until.to_owned() };
        let mut faults = Faults::default();
        let read = read(&typed, None, &mut faults);
        faults.or(read).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    const REASON: &str = "INC-7: 1.15 loses orders";
    const UNTIL: &str = "2026-12-01T10:00:00Z";

    #[test]
    fn commit_ids_and_tags_are_taken() {
        for revision in
            ["7987395", "7987395D0C1F", &"a".repeat(40), "v1.2.3", "release/1", "refs/tags/deadbee", "2026-11", "main"]
        {
            assert_eq!(faults(revision, REASON, UNTIL), Vec::<String>::new(), "{revision}");
        }
    }

    #[test]
    fn an_id_means_the_same_however_it_is_typed() {
        let typed =
            Rollback { revision: "7987395D0C1F".to_owned(), reason: REASON.to_owned(), until: UNTIL.to_owned() };
        let read = read(&typed, Some("alice".to_owned()), &mut Faults::default());
        assert_eq!(read.revision, "7987395d0c1f");
        assert_eq!(read.pause.words(), "INC-7: 1.15 loses orders (until 2026-12-01T10:00:00Z, by alice)");
        let at = |time: &str| time.parse::<Timestamp>().expect("a time");
        assert!(read.holds(at("2026-12-01T09:59:59Z")) && !read.holds(at(UNTIL)));
    }

    #[test]
    fn what_is_neither_is_refused_with_the_way_out() {
        for (revision, reason) in [
            ("798739", "is too short for a commit id"),
            ("7", "is too short for a commit id"),
            (&*"a".repeat(41), "is too long for a commit id"),
            ("", "is neither a commit id nor a tag"),
            ("HEAD", "is neither"),
            ("HEAD~1", "is neither"),
            ("main@{1}", "is neither"),
            ("refs/heads/main", "is neither"),
            ("refs/tags/", "is neither"),
            ("-x", "is neither"),
            ("a b", "is neither"),
            ("a..b", "is neither"),
            (">=1.2", "is neither"),
            ("^1.4", "is neither"),
            ("semver:1.x", "is neither"),
            ("a//b", "is neither"),
            (".hidden", "is neither"),
        ] {
            let found = faults(revision, REASON, UNTIL);
            assert!(
                found[0].starts_with("spec.rollback.revision: ") && found[0].contains(reason),
                "{revision}: {found:?}"
            );
            assert!(found[0].contains("; write "), "{found:?}");
        }
    }

    #[test]
    fn nobody_rolls_back_without_a_reason_and_an_end() {
        assert!(faults("7987395", " ", UNTIL)[0].starts_with("spec.rollback.reason: is empty; say why"));
        assert!(
            faults("7987395", REASON, "tomorrow")[0].starts_with("spec.rollback.until: \"tomorrow\" is not a time")
        );
        assert_eq!(faults("x y", "", "").len(), 3, "all that is wrong is said at once");
    }
}
