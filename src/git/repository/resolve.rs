//! From what a person writes as revision to a commit that is here.
//!
//! Names come before abbreviated commit ids and after full ones, as in Git. Where Git would pick the tag if a branch has the
//! same name, this refuses: whoever may create tags must not be able to move what a sync follows.

use gix::ObjectId;
use gix::bstr::{BString, ByteSlice as _};
use semver::{Version, VersionReq};

use super::super::error::Error;
use super::cache::Cache;
use super::fetch::{Depth, Server};
use super::snapshot::Snapshot;
use crate::api::meaning::version_range;

const TIPS: &str = "tips";
const HISTORY: &str = "history";

/// Resolves within one locked cache.
pub(super) struct Resolver<'a> {
    pub(super) cache: &'a Cache,
    pub(super) server: &'a Server<'a>,
}

// === impl Resolver ===

impl Resolver<'_> {
    pub(super) fn resolve(&self, target: &str) -> Result<Snapshot, Error> {
        if let Ok(id) = ObjectId::from_hex(target.as_bytes()) {
            return self.commit(id, target);
        }
        if let Some(range) = version_range(target) {
            return self.newest(&range.map_err(|_| self.no_such(target))?, target);
        }
        if let Some(snapshot) = self.name(target)? {
            return Ok(snapshot);
        }
        self.abbreviated(target)?.ok_or_else(|| self.no_such(target))
    }

    /// A full commit id never changes its meaning: if it is here, nobody is asked. If the server does not hand out commits
    /// that are no tips, it may still be part of some branch's history.
    fn commit(&self, id: ObjectId, target: &str) -> Result<Snapshot, Error> {
        let tips = self.open(TIPS)?;
        if tips.has_object(id) {
            return self.snapshot(tips, id, target);
        }
        let spec = format!("+{id}:refs/holdfast/commits/{id}");
        match self.server.fetch(&tips, &[spec], Depth::One, target) {
            Err(error @ (Error::Unreachable { .. } | Error::Refused { .. })) => return Err(error),
            Ok(()) if tips.has_object(id) => return self.snapshot(tips, id, target),
            Ok(()) | Err(_) => {}
        }
        let history = self.history(target, |history| history.has_object(id))?;
        if history.has_object(id) { self.snapshot(history, id, target) } else { Err(self.no_such(target)) }
    }

    /// A branch, a tag or `HEAD`, by short or full name.
    pub(super) fn name(&self, target: &str) -> Result<Option<Snapshot>, Error> {
        let names = candidates(target);
        if names.is_empty() {
            return Ok(None);
        }
        let tips = self.open(TIPS)?;
        let specs: Vec<_> = names.iter().map(|name| format!("+{name}:refs/holdfast/{name}")).collect();
        let mut advertised = self.server.advertised(&tips, &specs)?;
        advertised.retain(|(name, _)| names.contains(name));
        let (name, id) = match advertised.as_slice() {
            [] => return Ok(None),
            [one] => one,
            _ => return Err(self.ambiguous(target, advertised.iter().map(|(name, _)| name.to_string()))),
        };
        self.tip(tips, name, *id, target).map(Some)
    }

    /// The newest tag that is a version in the range. What is no version is passed over, and so are previews that the range does
    /// not name.
    fn newest(&self, range: &VersionReq, target: &str) -> Result<Snapshot, Error> {
        let tips = self.open(TIPS)?;
        let spec = "+refs/tags/*:refs/holdfast/refs/tags/*".to_owned();
        let advertised = self.server.advertised(&tips, &[spec])?;
        let versions = advertised.into_iter().filter_map(|(name, id)| Some((version_of(&name)?, name, id)));
        let newest = versions.filter(|(version, ..)| range.matches(version)).max();
        let (_, name, id) = newest.ok_or_else(|| self.no_such(target))?;
        self.tip(tips, &name, id, target)
    }

    /// What a name points to, announced as `id`.
    fn tip(&self, tips: gix::Repository, name: &BString, id: ObjectId, target: &str) -> Result<Snapshot, Error> {
        let id = if tips.has_object(id) {
            id
        } else {
            self.server.fetch(&tips, &[format!("+{name}:refs/holdfast/{name}")], Depth::One, target)?;
            // Somebody may have pushed since: what was brought counts, not what was announced before.
            fetched(&tips, name).unwrap_or(id)
        };
        self.snapshot(tips, id, target)
    }

    fn abbreviated(&self, target: &str) -> Result<Option<Snapshot>, Error> {
        let Ok(prefix) = gix::hash::Prefix::from_hex(target) else { return Ok(None) };
        let history = self.history(target, |history| !commits(history, prefix).is_empty())?;
        let found = commits(&history, prefix);
        match found.as_slice() {
            [] => Ok(None),
            [id] => self.snapshot(history, *id, target).map(Some),
            _ => Err(self.ambiguous(target, found.iter().map(ToString::to_string))),
        }
    }

    /// The complete repository, brought up to date unless it has what is sought.
    pub(super) fn history(
        &self,
        target: &str,
        has: impl Fn(&gix::Repository) -> bool,
    ) -> Result<gix::Repository, Error> {
        let history = self.open(HISTORY)?;
        if !has(&history) {
            let specs = ["heads", "tags"].map(|kind| format!("+refs/{kind}/*:refs/holdfast/{kind}/*"));
            self.server.fetch(&history, &specs, Depth::Full, target)?;
        }
        Ok(history)
    }

    fn open(&self, name: &str) -> Result<gix::Repository, Error> {
        self.cache.open(name).map_err(|source| Error::Cache { url: self.server.url.to_string(), source: source.into() })
    }

    fn snapshot(&self, repository: gix::Repository, id: ObjectId, target: &str) -> Result<Snapshot, Error> {
        Snapshot::of(repository, id, self.server.url, target)
    }

    pub(super) fn no_such(&self, target: &str) -> Error {
        Error::NoSuchRevision { url: self.server.url.to_string(), revision: target.to_owned() }
    }

    pub(super) fn ambiguous(&self, target: &str, choices: impl Iterator<Item = String>) -> Error {
        let choices = choices.collect::<Vec<_>>().join(" and ");
        Error::Ambiguous { url: self.server.url.to_string(), revision: target.to_owned(), choices }
    }
}

/// The full names `target` may stand for; none if no reference can have such a name.
fn candidates(target: &str) -> Vec<BString> {
    let full = |name: String| gix::refs::FullName::try_from(name.as_str()).ok().map(|name| name.as_bstr().to_owned());
    if target == "HEAD" {
        return vec![BString::from("HEAD")];
    }
    if target.starts_with("refs/") {
        return full(target.to_owned()).into_iter().collect();
    }
    ["heads", "tags"].into_iter().filter_map(|kind| full(format!("refs/{kind}/{target}"))).collect()
}

/// `v1.2.3` and `1.2.3` are versions.
fn version_of(tag: &BString) -> Option<Version> {
    let name = tag.to_str().ok()?.strip_prefix("refs/tags/")?;
    Version::parse(name.strip_prefix('v').unwrap_or(name)).ok()
}

/// What the last fetch of `name` brought.
fn fetched(repository: &gix::Repository, name: &BString) -> Option<ObjectId> {
    let reference = repository.find_reference(&format!("refs/holdfast/{name}")).ok()?;
    reference.try_id().map(gix::Id::detach)
}

pub(super) fn commits(repository: &gix::Repository, prefix: gix::hash::Prefix) -> Vec<ObjectId> {
    let mut found = std::collections::HashSet::new();
    // A damaged cache finds nothing here, asks the server and is noticed when it is read.
    let _ = repository.objects.lookup_prefix(prefix, Some(&mut found));
    let is_commit =
        |id: &ObjectId| repository.find_header(*id).is_ok_and(|header| header.kind() == gix::objs::Kind::Commit);
    let mut found: Vec<_> = found.into_iter().filter(is_commit).collect();
    found.sort_unstable();
    found
}
