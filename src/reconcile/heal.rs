//! Writing one object so that it equals Git again, conditional on exactly what was judged.

use serde_json::Value;

use super::plan::outdated;
use crate::cluster::objects::{PropagationPolicy, Write};
use crate::cluster::{Cluster, Error, Kind, clock};
use crate::core::breakglass;
use crate::core::compare::{Deviation, Kind as How};
use crate::core::drift::drift;
use crate::core::fields::Entry;
use crate::core::heal::{before_apply, is_addition, to_apply, to_apply_all_but};
use crate::core::options;
use crate::core::snapshot::Managed;
use crate::core::state::State;
use crate::core::who::Identities;

/// How often an object that moves while it is being judged is judged again before waiting for a quieter moment.
const ATTEMPTS: usize = 5;

/// How a write ended.
#[derive(Debug)]
pub enum End {
    /// The object is what Git says; this is it.
    Done(Box<Value>),
    /// The write went through, and something changed these paths back at once.
    Undone(Box<Value>, Vec<Deviation>),
    /// It is on its way out; it will be made anew when it is gone.
    Terminating,
    /// It could not become what Git says, for this reason, and may be replaced: it was deleted, and will be made anew.
    Replaced(String),
}

/// A managed object to write.
pub struct Writing<'a> {
    /// Where.
    pub cluster: &'a Cluster,
    /// Who counts as a person.
    pub identities: &'a Identities,
    /// What Git says.
    pub managed: &'a Managed,
    /// How to address it.
    pub kind: &'a Kind,
    /// Has Git caught up with what was edited under a break-glass? Then that is over, whatever its end.
    pub caught_up: bool,
}

// === impl Writing ===

impl Writing<'_> {
    /// Makes the object equal to Git, given what it is now. When it turns out to have moved, it is read and judged again.
    pub async fn settle(&self, mut live: Option<Value>) -> Result<End, Error> {
        let key = &self.managed.manifest.key;
        for _ in 1..ATTEMPTS {
            match self.write(live.as_ref()).await {
                Err(error) if error.is_conflict() => live = self.cluster.get(self.kind, key).await?,
                Err(error) if error.is_not_found() && live.is_some() => live = None,
                end => return end,
            }
            if live.as_ref().is_some_and(|live| self.is_settled(live)) {
                return Ok(End::Done(Box::new(live.unwrap_or_default())));
            }
        }
        self.write(live.as_ref()).await
    }

    async fn write(&self, live: Option<&Value>) -> Result<End, Error> {
        let Self { cluster, managed, kind, .. } = self;
        let key = &managed.manifest.key;
        if live.is_some_and(|live| live.pointer("/metadata/deletionTimestamp").is_some()) {
            return Ok(End::Terminating);
        }
        let preparation = live.and_then(|live| self.preparation(live));
        let took_over = preparation.is_some();
        let prepared = match preparation {
            Some(patch) => Some(cluster.patch(kind, key, patch).await?),
            None => live.cloned(),
        };
        let mut answer = match self.apply(prepared.as_ref()).await {
            Err(error) if error.is_invalid() => return self.get_around(prepared.as_ref(), error).await,
            answer => answer?,
        };
        if took_over && !self.drift(&answer).is_empty() {
            // What an apply empties by taking out what we took over goes whole, even if Git says that it is there and empty.
            answer = self.apply(Some(&answer)).await?;
        }
        let left = self.drift(&answer);
        Ok(if left.is_empty() { End::Done(Box::new(answer)) } else { End::Undone(Box::new(answer), left) })
    }

    /// What to do when the object as it is cannot become what Git says.
    async fn get_around(&self, live: Option<&Value>, refusal: Error) -> Result<End, Error> {
        let manifest = &self.managed.manifest;
        let Some(live) = live.filter(|_| options::replaces(&manifest.value())) else {
            return self.heal_the_rest(live, refusal).await;
        };
        let body = to_apply(self.managed, Some(&State::whole(live)));
        // Only if it is the object that is in the way, and neither the manifest nor what others added to it. What Git said before
        // and says no more is the object's own.
        let is_good = self.cluster.make_believe_apply(self.kind, &manifest.key, &body).await.is_ok();
        if !is_good || self.drift(live).iter().any(|found| found.kind == How::Added) {
            return self.heal_the_rest(Some(live), refusal).await;
        }
        let uid = live.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        self.cluster.delete(self.kind, &manifest.key, uid, PropagationPolicy::Background).await?;
        Ok(End::Replaced(refusal.to_string()))
    }

    /// What the API server will not let go of must not keep anything else from being healed. The refusal is still the answer.
    async fn heal_the_rest(&self, live: Option<&Value>, refusal: Error) -> Result<End, Error> {
        let Some(live) = live else { return Err(refusal) };
        let drift = self.drift(live);
        if drift.iter().any(is_addition) && !drift.iter().all(is_addition) {
            let body = to_apply_all_but(self.managed, &State::whole(live), &drift);
            self.send(Some(live), body).await?;
        }
        Err(refusal)
    }

    async fn apply(&self, live: Option<&Value>) -> Result<Value, Error> {
        let state = live.map(State::whole);
        self.send(live, to_apply(self.managed, state.as_ref())).await
    }

    async fn send(&self, live: Option<&Value>, mut body: Value) -> Result<Value, Error> {
        let Self { cluster, managed, kind, .. } = self;
        if let Some(version) = live.and_then(|object| object.pointer("/metadata/resourceVersion")) {
            body["metadata"]["resourceVersion"] = version.clone();
        }
        let write = if managed.manifest.yields { Write::Yielding } else { Write::Real };
        cluster.apply(kind, &managed.manifest.key, &body, write).await
    }

    /// What has to happen to ownership and annotations before the apply.
    fn preparation(&self, live: &Value) -> Option<json_patch::Patch> {
        let state = State::whole(live);
        let outdated: Vec<_> = match breakglass::open(&state, clock::now()) {
            Some(_) if !self.caught_up => Vec::new(),
            _ => outdated(&state).collect(),
        };
        let mut drift = self.drift(live);
        if self.managed.manifest.yields {
            drift.retain(is_addition);
        }
        before_apply(self.managed, &state, &drift, &|entry| self.is_person(entry), &outdated)
    }

    fn is_settled(&self, live: &Value) -> bool {
        let state = State::whole(live);
        let is_over = !self.caught_up || outdated(&state).next().is_none();
        self.drift(live).is_empty() && state.is_owned_as_it_is() && is_over
    }

    fn drift(&self, live: &Value) -> Vec<Deviation> {
        drift(self.managed, &State::whole(live), &|entry| self.is_person(entry))
    }

    fn is_person(&self, entry: &Entry<'_>) -> bool {
        self.identities.is_interactive(entry)
    }
}
