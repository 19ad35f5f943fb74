//! In which order a commit is written: what others stand on first, then the rest, and what left Git last.

use std::collections::{HashMap, HashSet};

use super::super::entry::Entry;
use super::super::ground::wait_until_served;
use super::super::keeper::Keeper;
use super::super::plan::{Stage, stage};
use super::super::prune::Stray;
use super::understand::Understood;
use crate::cluster::Error;
use crate::cluster::objects::Write;
use crate::core::object::ObjectKey;
use crate::evidence::Kind as What;
use crate::evidence::metrics::Outcome;

// === impl Keeper ===

impl Keeper {
    /// Writes the namespaces and CRDs this commit brings, if it brings any that are not there. `false`: it does not.
    pub(super) async fn lay_foundation(&mut self, understood: &mut Understood) -> Result<bool, Error> {
        let missing = |(key, entry): (&ObjectKey, &Entry)| {
            (stage(key) == Stage::Foundation && understood.live.get(key) == Some(&None))
                .then(|| (entry.kind.clone(), entry.managed.clone()))
        };
        let missing: Vec<_> = understood.entries.iter().filter_map(missing).collect();
        if self.is_paused() || missing.is_empty() || !self.leads() {
            return Ok(false);
        }
        for (kind, managed) in &missing {
            let manifest = &managed.manifest;
            let (record, body) = (self.context.record(What::Applied, managed, &[]), manifest.value());
            let apply = self.cluster.apply(kind, &manifest.key, &body, Write::Real);
            self.context.on_record(record, apply).await?;
            self.context.metrics.applied(Outcome::Success);
            if manifest.key.kind == "CustomResourceDefinition" {
                wait_until_served(&self.cluster, kind, &manifest.key).await?;
            }
        }
        self.cluster.refresh().await?;
        Ok(true)
    }

    /// Takes over what a commit declares. What left Git becomes a stray, unless another sync declares it; while parts of the commit could not be read, nothing
    /// has left it, and what those parts declared before still holds. So it does when so much left at once that it looks like an
    /// accident: what is withheld from pruning keeps its guard, too. Says so then. Of a kind that is away nothing has left it either.
    pub(super) fn adopt(
        &mut self,
        revision: &str,
        entries: HashMap<ObjectKey, Entry>,
        is_complete: bool,
    ) -> Option<String> {
        let goes_on = |key: &ObjectKey| self.context.publisher.is_claimed_by_other(&self.name, key);
        let stays = |key: &ObjectKey| goes_on(key) || self.away.keeps(key);
        let leaving = self.entries.keys().filter(|key| !entries.contains_key(*key) && !stays(key)).cloned().collect();
        let kept = self.entries.keys().filter(|key| !entries.contains_key(*key) && self.away.keeps(key)).count();
        let prunes = is_complete && self.plan.as_ref().is_some_and(|plan| plan.prune);
        let accident = prunes.then(|| self.accident(leaving, entries.len() + kept, revision)).flatten();
        let (complete, since) = (is_complete && accident.is_none(), self.since());
        for (key, entry) in std::mem::replace(&mut self.entries, entries) {
            match self.entries.get_mut(&key) {
                Some(renewed) => renewed.replaces(&entry),
                None if complete && !self.away.keeps(&key) => {
                    _ = self.strays.insert(key, Stray::new(entry.kind, since));
                }
                None => _ = self.entries.insert(key, entry),
            }
        }
        let Self { strays, entries, .. } = self;
        strays.retain(|key, _| !entries.contains_key(key));
        let kinds: HashSet<_> = entries.values().map(|entry| entry.kind.clone()).collect();
        for kind in kinds {
            // Nobody listens only when the process is stopping.
            self.wanted.send(kind).ok();
        }
        let managed = entries.values().map(|entry| entry.managed.clone()).collect();
        self.context.publisher.declare(&self.name, managed, &self.lost, &self.resolved);
        self.observed = Some(revision.to_owned());
        accident
    }
}
