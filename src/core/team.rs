//! Teams: whose edit it is, and whose object, by the rules of the `DriftPolicy`.
//!
//! A team is a name that reports can be counted by, and decides nothing: no verdict hangs on it. So the first rule that tells
//! something is believed, and who or what no rule is about has no team.

use serde_json::Value;

use super::exclude::{Surroundings, glob};
use super::object::ObjectKey;
use super::snapshot::Managed;
use super::who::User;

/// How teams are told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Teams {
    /// By who edits; the first that fits.
    pub people: Vec<Members>,
    /// By the object; the first that is there.
    pub objects: Vec<Mark>,
}

/// Who belongs to a team.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// User names, as globs.
    pub users: Vec<String>,
    /// Groups, as globs.
    pub groups: Vec<String>,
    /// The team; without one, it is what the `*` stands for.
    pub team: Option<String>,
}

/// What names the team of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// This label, as Git declares it.
    Label(String),
    /// This annotation, likewise.
    Annotation(String),
    /// This label of its namespace, as it is in the cluster.
    NamespaceLabel(String),
    /// This label of the `GitSync` that declares it.
    SyncLabel(String),
}

// === impl Teams ===

impl Teams {
    /// The team of whoever asks.
    pub fn of_user(&self, user: &User) -> Option<String> {
        self.people.iter().find_map(|members| members.team_of(user)).map(str::to_owned)
    }

    /// The team of an object; `managed` is what Git declares for it, if it does, or another tool.
    pub fn of_object(&self, key: &ObjectKey, managed: Option<&Managed>, around: &Surroundings) -> Option<String> {
        if self.objects.is_empty() {
            return None; // the manifest is text, and nobody asks for it
        }
        let manifest = managed.map(|managed| managed.manifest.value()).unwrap_or_default();
        let named = self.objects.iter().find_map(|mark| mark.read(key, managed, &manifest, around));
        named.filter(|team| !team.is_empty()).map(str::to_owned)
    }

    /// Does any rule look at the labels of namespaces?
    pub fn ask_for_namespaces(&self) -> bool {
        self.objects.iter().any(|mark| matches!(mark, Mark::NamespaceLabel(_)))
    }

    /// Does any rule look at the labels of `GitSyncs`?
    pub fn ask_for_syncs(&self) -> bool {
        self.objects.iter().any(|mark| matches!(mark, Mark::SyncLabel(_)))
    }
}

// === impl Members ===

impl Members {
    /// Of several groups that fit a pattern, the first in the alphabet tells: authenticators promise no order.
    fn team_of<'s>(&'s self, user: &'s User) -> Option<&'s str> {
        let names =
            self.users.iter().filter(|_| user.is_genuine()).filter_map(|pattern| self.told(pattern, &user.name));
        let in_groups = |pattern: &String| user.groups.iter().filter_map(|group| self.told(pattern, group)).min();
        names.chain(self.groups.iter().filter_map(in_groups)).next()
    }

    fn told<'s>(&'s self, pattern: &str, name: &'s str) -> Option<&'s str> {
        match &self.team {
            Some(team) => glob(pattern, name).then_some(team),
            None => captured(pattern, name).filter(|team| !team.is_empty()),
        }
    }
}

/// What the only `*` of a pattern stands for.
fn captured<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let (before, after) = pattern.split_once('*')?;
    name.strip_prefix(before)?.strip_suffix(after)
}

// === impl Mark ===

impl Mark {
    /// The label or annotation.
    pub fn name(&self) -> &str {
        match self {
            Self::Label(name) | Self::Annotation(name) | Self::NamespaceLabel(name) | Self::SyncLabel(name) => name,
        }
    }

    fn read<'v>(
        &self,
        key: &ObjectKey,
        managed: Option<&Managed>,
        manifest: &'v Value,
        around: &'v Surroundings,
    ) -> Option<&'v str> {
        match self {
            Self::Label(name) => manifest.get("metadata")?.get("labels")?.get(name)?.as_str(),
            Self::Annotation(name) => manifest.get("metadata")?.get("annotations")?.get(name)?.as_str(),
            Self::NamespaceLabel(name) => {
                let is_one = key.kind == "Namespace" && key.group.is_empty();
                let namespace = if is_one { Some(&key.name) } else { key.namespace.as_ref() };
                around.namespaces.get(namespace?)?.get(name).map(String::as_str)
            }
            Self::SyncLabel(name) => around.syncs.get(&managed?.sync.name)?.get(name).map(String::as_str),
        }
    }
}

#[cfg(test)]
mod tests;
