//! The `DriftPolicy`, followed: who is who and how long an emergency may last, as both edges need it.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use jiff::SignedDuration;
use kube::Client;
use kube::api::Api;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::watch;

use crate::api::{DriftPolicy, Policy, policy::POLICY_NAME};
use crate::core::breakglass::Limits;
use crate::core::judge::Rules;
use crate::core::who::Identities;
use crate::reconcile::Exempt;
use crate::shutdown::Shutdown;
use crate::webhook::register::SERVICE_ACCOUNT;

/// Our own service account: namespace and name.
pub(super) fn ourselves(namespace: &str) -> (String, String) {
    (namespace.to_owned(), SERVICE_ACCOUNT.to_owned())
}

/// What the policy says, for those who judge and for those who exclude.
pub(super) struct Followed {
    /// Who is who, and the limits of emergencies.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// Exclusions of the whole cluster; `None` until the policy has been looked at: judging without them would undo what
    /// they protect.
    pub exempt: watch::Receiver<Option<Exempt>>,
}

/// The rules in force, kept up to date. A policy that cannot be understood (it was stored while the webhook was down) changes
/// nothing, loudly: the last good one holds.
pub(super) fn follow(client: Client, ourselves: (String, String), shutdown: &Shutdown) -> Followed {
    let (sender, receiver) = watch::channel(Arc::new(rules(&Policy::default(), ourselves.clone())));
    let (exempt_sender, exempt) = watch::channel(None);
    let api: Api<DriftPolicy> = Api::all(client);
    shutdown.spawn_watcher(async move {
        let mut states = watcher::watch_object(api, POLICY_NAME).default_backoff().boxed();
        loop {
            let policy = match states.try_next().await {
                Ok(Some(Some(typed))) => Policy::try_from(&typed),
                Ok(Some(None)) => Ok(Policy::default()),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "failed to watch the DriftPolicy; the last one holds");
                    continue;
                }
            };
            match policy {
                Ok(policy) => {
                    sender.send_replace(Arc::new(rules(&policy, ourselves.clone())));
                    let Policy { ignore, presets, .. } = policy;
                    exempt_sender.send_replace(Some(Exempt { rules: ignore, presets }));
                }
                Err(faults) => {
                    exempt_sender.send_if_modified(|exempt| {
                        exempt.is_none().then(|| exempt.insert(Exempt::default())).is_some()
                    });
                    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
                    tracing::error!(
                        faults = faults.join("; "),
                        "the DriftPolicy makes no sense; the last good one holds"
                    );
                }
            }
        }
    });
    Followed { rules: receiver, exempt }
}

fn rules(policy: &Policy, ourselves: (String, String)) -> Rules {
    let Policy { controllers, break_glass_longest, break_glass_usual, interactive_managers, .. } = policy.clone();
    let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    Rules {
        identities: Identities { ourselves, controllers, interactive: interactive_managers },
        limits: Limits { default: signed(break_glass_usual), max: signed(break_glass_longest) },
    }
}
