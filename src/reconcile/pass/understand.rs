//! What a commit means: its manifests, declared one by one, each beside the object as it is.
//!
//! What has not changed since the commit before is known already, and after a start the API server is asked for lists, not for
//! objects: that is what makes both cheap.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use serde_json::Value;

use super::super::census::Live;
use super::super::claims::Claim;
use super::super::declare::{Declared, Declaring, Undeclared, fingerprint};
use super::super::entry::Entry;
use super::super::keeper::Keeper;
use crate::api::meaning::SyncPlan;
use crate::cluster::Error;
use crate::core::manifest::Manifest;
use crate::core::object::ObjectKey;
use crate::core::snapshot::Sync;
use crate::git::Problem;

/// Requests under way at once in one pass: enough to keep an API server busy, few enough not to be throttled by it.
pub(super) const CONCURRENCY: usize = 16;

/// What became of a commit's manifests.
#[derive(Default)]
pub(super) struct Understood {
    pub(super) entries: HashMap<ObjectKey, Entry>,
    /// Live objects of the entries that are to be looked at, `None` where there is none.
    pub(super) live: HashMap<ObjectKey, Option<Value>>,
    /// Objects of kinds, or in namespaces, that are not there yet.
    pub(super) premature: Vec<Problem>,
    /// Objects that exist and cannot become what this commit says.
    pub(super) stuck: Vec<Problem>,
    pub(super) invalid: Vec<Problem>,
    /// What somebody refuses, which may end without a commit.
    pub(super) refused: Vec<Problem>,
    /// What Git declares and of which it is not known what that means, and why.
    pub(super) hindered: HashMap<ObjectKey, String>,
    /// Is any of that for want of a right?
    pub(super) forbidden: bool,
    /// Objects another sync keeps.
    pub(super) lost: HashSet<ObjectKey>,
    /// What the API server could not be asked about, although it is there.
    pub(super) away: Vec<(ObjectKey, Error)>,
    pub(super) unavailable: Option<Error>,
}

// === impl Keeper ===

impl Keeper {
    /// Declares every manifest; what has not changed since the last commit is known already. Leaves behind what was seen of other
    /// objects.
    pub(super) async fn understand(
        &self,
        sync: &Arc<Sync>,
        plan: &SyncPlan,
        manifests: Vec<Manifest>,
        known: &mut Live,
        again: bool,
    ) -> Understood {
        let identities = &self.context.rules.borrow().identities.clone();
        let around = &self.resolved.clone();
        let declaring = &Declaring { cluster: &self.cluster, sync, rules: &plan.ignore, around, identities };
        let mut understood = Understood::default();
        let mut asked = Vec::new();
        let claims = manifests.iter().map(|manifest| Claim::of(manifest, known.get(&manifest.key))).collect();
        understood.lost = self.context.publisher.claim(&self.name, claims);
        for manifest in manifests {
            if understood.lost.contains(&manifest.key) {
                continue;
            }
            let live = known.remove(&manifest.key);
            let fingerprint = fingerprint(&manifest.text());
            let (key, away) = (manifest.key.clone(), self.away.keeps(&manifest.key));
            match self.entries.get(&manifest.key).filter(|entry| entry.fingerprint == fingerprint) {
                Some(entry) => {
                    let managed = declaring.again(manifest, &entry.managed, &entry.kind);
                    let entry = entry.renewed(managed);
                    if again && !away { understood.look_at(entry, live) } else { understood.keep(entry) }
                }
                None if away => _ = understood.hindered.insert(key, "its kind is away".to_owned()),
                None => asked.push(async move { (key, declaring.declare(manifest, live).await) }),
            }
        }
        let mut answers = futures::stream::iter(asked).buffer_unordered(CONCURRENCY);
        while let Some((key, answer)) = answers.next().await {
            understood.hear(key, answer);
        }
        understood
    }
}

// === impl Understood ===

impl Understood {
    fn keep(&mut self, entry: Entry) {
        self.entries.insert(entry.managed.manifest.key.clone(), entry);
    }

    /// An entry that is to be looked at, and the object as it is.
    fn look_at(&mut self, entry: Entry, live: Option<Value>) {
        self.live.insert(entry.managed.manifest.key.clone(), live);
        self.keep(entry);
    }

    fn hear(&mut self, key: ObjectKey, answer: Result<Declared, Undeclared>) {
        if let Err(undeclared) = &answer {
            self.hindered.insert(key.clone(), undeclared.to_string());
        }
        match answer {
            Ok(Declared { managed, kind, live }) => {
                let fingerprint = fingerprint(managed.manifest.text());
                self.look_at(Entry::new(Arc::new(managed), kind, fingerprint), live);
            }
            Err(Undeclared::Premature(problem)) => self.premature.push(problem),
            Err(Undeclared::Stuck(problem)) => self.stuck.push(problem),
            Err(Undeclared::Forbidden(problem)) => {
                self.forbidden = true;
                self.refused.push(problem);
            }
            Err(Undeclared::Refused(problem)) => self.refused.push(problem),
            Err(Undeclared::Invalid(problem)) => self.invalid.push(problem),
            Err(Undeclared::Unavailable(error)) if error.is_away() => self.away.push((key, error)),
            Err(Undeclared::Unavailable(error)) => self.unavailable = Some(error),
        }
    }
}
