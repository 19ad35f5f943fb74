//! After a start: what the commit before declared, and stays in force although the one that is read now does not declare it.
//!
//! While parts of a commit cannot be read or tried out, what they declared before holds; and what leaves Git all at once keeps its guard until
//! somebody confirms that it may go. A keeper that has been there all the time still has its entries. After a start they are
//! made again from the commit the cluster was equal to before, if that can still be read, for what is still there. What is not
//! there any more, or on its way out, may have been deleted by that very commit, and is not made anew.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use serde_json::Value;

use super::super::census::Live;
use super::super::claims::Claim;
use super::super::declare::{Declared, Declaring, Undeclared, fingerprint};
use super::super::entry::{Entry, goes};
use super::super::keeper::Keeper;
use super::super::plan::is_within_limit;
use super::facts;
use super::understand::CONCURRENCY;
use crate::api::meaning::SyncPlan;
use crate::core::manifest::Manifest;
use crate::core::object::ObjectKey;
use crate::git::Reading;

/// The commit the cluster was equal to before a start.
pub struct Before {
    pub(super) reading: Reading,
    /// What each manifest was: what is still the same is not new to the cluster.
    prints: HashMap<ObjectKey, u64>,
}

// === impl Before ===

impl Before {
    pub(super) fn of(reading: Reading) -> Self {
        let print = |manifest: &Manifest| (manifest.key.clone(), fingerprint(&manifest.text()));
        Self { prints: reading.manifests.iter().map(print).collect(), reading }
    }

    /// Did it say the same of this object?
    pub(super) fn said(&self, key: &ObjectKey, entry: &Entry) -> bool {
        self.prints.get(key) == Some(&entry.fingerprint)
    }
}

// === impl Keeper ===

impl Keeper {
    /// Declares again what is still in force besides `entries`. `known` is what was seen of the objects.
    pub(super) async fn recall(
        &mut self,
        plan: &SyncPlan,
        entries: &HashMap<ObjectKey, Entry>,
        mut known: Live,
        is_complete: bool,
        live: &mut HashMap<ObjectKey, Option<Value>>,
    ) {
        let Some(before) = &self.before else { return };
        let stays = |manifest: &&Manifest| {
            let key = &manifest.key;
            let is_there = self.strays.contains_key(key) && !known.get(key).is_some_and(goes);
            is_there && !entries.contains_key(key) && !self.lost.contains(key)
        };
        let left: Vec<_> = before.reading.manifests.iter().filter(stays).cloned().collect();
        if is_complete && is_within_limit(left.len(), entries.len()) {
            return;
        }
        for (key, answer) in self.declare_again(plan, &before.reading.commit.sha, left, &mut known).await {
            match answer {
                Ok(Declared { managed, kind, live: seen }) => {
                    let print = fingerprint(managed.manifest.text());
                    let entry = Entry { pending: false, ..Entry::new(Arc::new(managed), kind, print) };
                    live.insert(key.clone(), seen);
                    self.entries.insert(key, entry);
                }
                Err(why) => tracing::warn!(sync = self.name, object = %key, %why, "failed to declare it as before"),
            }
        }
    }

    async fn declare_again(
        &self,
        plan: &SyncPlan,
        revision: &str,
        left: Vec<Manifest>,
        known: &mut Live,
    ) -> Vec<(ObjectKey, Result<Declared, Undeclared>)> {
        let claims = left.iter().map(|manifest| Claim::of(manifest, known.get(&manifest.key))).collect();
        let lost = self.context.publisher.claim(&self.name, claims);
        let (sync, around) = (&Arc::new(facts(&self.name, plan, revision)), &self.resolved.clone());
        let identities = &self.context.rules.borrow().identities.clone();
        let declaring = &Declaring { cluster: &self.cluster, sync, rules: &plan.ignore, around, identities };
        let ours = left.into_iter().filter(|manifest| !lost.contains(&manifest.key));
        let asked: Vec<_> = ours
            .map(|manifest| {
                let (key, live) = (manifest.key.clone(), known.remove(&manifest.key));
                async move { (key, declaring.declare(manifest, live).await) }
            })
            .collect();
        futures::stream::iter(asked).buffer_unordered(CONCURRENCY).collect().await
    }
}
