//! Which commit somebody may go back to: only what was in the history of what is followed.
//!
//! A Git server hands out whatever its repository holds by id, and that is more than what was ever merged: commits of forks and of
//! requests nobody has reviewed. So an id proves nothing. A commit that may be pinned is one that `tip` descends from, which only the
//! complete repository tells (`history`); it is fetched once for that. What was synced before needs no proof, even where somebody has
//! rewritten the history since.

use gix::ObjectId;

use super::super::error::Error;
use super::resolve::{Resolver, commits};
use crate::api::meaning::is_commit_id;

/// What may be gone back to.
#[derive(Debug, Clone, Copy)]
pub struct Lineage<'a> {
    /// What is followed, as typed.
    pub target: &'a str,
    /// Which commit that is, as a full id.
    pub tip: &'a str,
    /// Commits that were synced before, as full ids.
    pub known: &'a [String],
}

// === impl Lineage ===

impl Lineage<'_> {
    /// Is it, or may it be the beginning of, exactly one commit that needs no further proof?
    fn familiar(&self, revision: &str) -> Option<&str> {
        let all = self.known.iter().map(String::as_str).chain([self.tip]);
        let mut found: Vec<_> = all.filter(|known| known.starts_with(revision)).collect();
        found.sort_unstable();
        found.dedup();
        if let [one] = found.as_slice() { Some(one) } else { None }
    }
}

// === impl Resolver ===

impl Resolver<'_> {
    /// The full id of the commit that `revision` (an id, the beginning of one, or a tag) is, if one may go back to it.
    pub(super) fn within(&self, revision: &str, lineage: &Lineage<'_>) -> Result<String, Error> {
        if let Some(known) = lineage.familiar(revision).filter(|_| is_commit_id(revision)) {
            return Ok(known.to_owned());
        }
        let elsewhere = || self.elsewhere(revision, lineage);
        let tip = ObjectId::from_hex(lineage.tip.as_bytes()).map_err(|_| elsewhere())?;
        let tagged = if is_commit_id(revision) { None } else { Some(self.tag(revision)?) };
        if tagged.is_some_and(|tagged| lineage.familiar(&tagged.to_string()).is_some()) {
            return Ok(tagged.unwrap_or(tip).to_string());
        }
        let history = self.history(revision, |history| history.has_object(tip))?;
        let id = match tagged {
            Some(tagged) => tagged,
            None => self.one_of(revision, &commits_like(&history, revision))?,
        };
        // A server may follow what is neither branch nor tag: then nobody knows what is behind it.
        let descends = history.has_object(tip) && self.descends(&history, tip, id)?;
        if descends { Ok(id.to_string()) } else { Err(elsewhere()) }
    }

    fn tag(&self, name: &str) -> Result<ObjectId, Error> {
        let name = name.strip_prefix("refs/tags/").unwrap_or(name);
        let found = self.name(&format!("refs/tags/{name}"))?.ok_or_else(|| self.no_such(name))?;
        ObjectId::from_hex(found.commit().sha.as_bytes()).map_err(|_| self.no_such(name))
    }

    fn one_of(&self, revision: &str, found: &[ObjectId]) -> Result<ObjectId, Error> {
        match found {
            [] => Err(self.no_such(revision)),
            [id] => Ok(*id),
            _ => Err(self.ambiguous(revision, found.iter().map(ToString::to_string))),
        }
    }

    /// Is `id` where `tip` came from?
    fn descends(&self, history: &gix::Repository, tip: ObjectId, id: ObjectId) -> Result<bool, Error> {
        let broken = |source: gix::Error| Error::Cache { url: self.server.url.to_string(), source: source.into() };
        for commit in history.rev_walk([tip]).all().map_err(broken)? {
            if commit.map_err(broken)?.id == id {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn elsewhere(&self, revision: &str, lineage: &Lineage<'_>) -> Error {
        Error::Elsewhere {
            url: self.server.url.to_string(),
            revision: revision.to_owned(),
            target: lineage.target.to_owned(),
        }
    }
}

/// The commits with this id, or whose ids begin so.
fn commits_like(history: &gix::Repository, revision: &str) -> Vec<ObjectId> {
    if let Ok(id) = ObjectId::from_hex(revision.as_bytes()) {
        return if history.has_object(id) { vec![id] } else { Vec::new() };
    }
    gix::hash::Prefix::from_hex(revision).map(|prefix| commits(history, prefix)).unwrap_or_default()
}
