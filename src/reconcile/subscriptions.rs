//! Who wants to know when something is pushed: every sync, by the place of its repository.
//!
//! Keepers subscribe, whoever hears of pushes wakes them. Waking twice is waking once, so a flood of pushes costs a keeper one look.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::credentials::secret_of;
use super::keeper::Keeper;
use crate::api::meaning::SyncPlan;
use crate::git::place_of;

/// What a sync follows.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Branch, tag, commit or range of versions.
    pub revision: String,
    /// Namespace and name of the Secret that a push is proved by.
    pub secret: Option<(String, String)>,
    /// Wakes the sync.
    pub wake: Arc<Notify>,
}

/// All of them, by sync, each with the place of its repository.
#[derive(Debug, Default)]
pub struct Subscriptions(Mutex<HashMap<String, (String, Subscription)>>);

// === impl Subscriptions ===

impl Subscriptions {
    /// This sync follows this repository.
    pub fn set(&self, sync: &str, url: &str, subscription: Subscription) {
        match place_of(url) {
            Some(place) => drop(self.all().insert(sync.to_owned(), (place, subscription))),
            None => self.forget(sync),
        }
    }

    /// There is no such sync any more.
    pub fn forget(&self, sync: &str) {
        self.all().remove(sync);
    }

    /// This sync may be behind: it is to look.
    pub fn wake(&self, sync: &str) {
        self.all().get(sync).into_iter().for_each(|(_, subscription)| subscription.wake.notify_one());
    }

    /// Those that follow a repository at one of these places.
    pub fn of(&self, places: &[String]) -> Vec<Subscription> {
        let all = self.all();
        let here = all.values().filter(|(place, _)| places.contains(place));
        here.map(|(_, subscription)| subscription.clone()).collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, (String, Subscription)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Keeper ===

impl Keeper {
    /// Wants to know of pushes to what `plan` follows, and is known to follow it.
    pub(super) fn subscribe(&self, plan: &SyncPlan) {
        let secret = secret_of(&self.name, &plan.source);
        let secret = secret.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
        let (revision, wake) = (plan.source.revision.clone(), Arc::clone(&self.pushed));
        let subscription = Subscription { revision, secret, wake };
        self.context.subscriptions.set(&self.name, &plan.source.url, subscription);
        self.context.publisher.follows(&self.name, &plan.source.url);
    }
}
