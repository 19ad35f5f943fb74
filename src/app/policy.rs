//! The `DriftPolicy`, followed: who is who and how long an emergency may last, as both edges need it.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use jiff::SignedDuration;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::watch;

use crate::api::{BreakGlasses, DriftPolicy, DriftPolicyStatus, FieldError, Policy, ScopedWindow, policy::POLICY_NAME};
use crate::core::breakglass::Limits;
use crate::core::judge::Rules;
use crate::core::who::Identities;
use crate::evidence::Metrics;
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
    /// Windows, which are known as soon as `exempt` is.
    pub windows: watch::Receiver<Arc<[ScopedWindow]>>,
    /// What is noted of emergencies on what guards protect.
    pub emergencies: watch::Receiver<BreakGlasses>,
}

/// The rules in force, kept up to date. A policy that cannot be understood (it was stored while the webhook was down) changes
/// nothing, loudly: the last good one holds.
///
/// If there was none since the start, nobody knows what is excluded, and every object has a rule that fails: edits are judged
/// without the rules, and nothing that differs is healed until the policy is repaired. Healing by no rules at all would undo
/// what they protect, and not guarding at all would let everything through because of a slip in one rule. Nor does anybody know
/// its windows, and there may be a freeze: until then commits wait, and so do prunes.
pub(super) fn follow(client: Client, ourselves: (String, String), metrics: Metrics, shutdown: &Shutdown) -> Followed {
    let (sender, receiver) = watch::channel(Arc::new(rules(&Policy::default(), ourselves.clone())));
    let (exempt_sender, exempt) = watch::channel(None);
    let (windows_sender, windows) = watch::channel(Arc::from([]));
    let (emergencies_sender, emergencies) = watch::channel(BreakGlasses::new());
    let api: Api<DynamicObject> = Api::all_with(client, &ApiResource::erase::<DriftPolicy>(&()));
    shutdown.spawn_watcher(async move {
        let mut states = watcher::watch_object(api, POLICY_NAME).default_backoff().boxed();
        let mut known = None;
        loop {
            let policy = match states.try_next().await {
                Ok(Some(found)) => {
                    let mut found = found;
                    let noted = found.as_mut().map(status).unwrap_or_default().break_glasses;
                    emergencies_sender.send_if_modified(|known| std::mem::replace(known, noted.clone()) != noted);
                    let is_known = known.replace(spec_of(found.as_ref())) == Some(spec_of(found.as_ref()));
                    if is_known {
                        continue;
                    }
                    found.map_or_else(|| Ok(Policy::default()), read)
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "failed to watch the DriftPolicy; the last one holds");
                    continue;
                }
            };
            match policy {
                Ok(policy) => {
                    sender.send_replace(Arc::new(rules(&policy, ourselves.clone())));
                    let Policy { ignore: rules, presets, windows, teams, .. } = policy;
                    windows_sender.send_if_modified(|known| replace(known, windows));
                    exempt_sender.send_replace(Some(Exempt { rules, presets, unreadable: None, teams }));
                    metrics.policy_readable.set(1);
                }
                Err(faults) => {
                    metrics.policy_readable.set(0);
                    tracing::error!(
                        faults,
                        "the DriftPolicy makes no sense; the last good one holds, if there was one"
                    );
                    if !is_known(exempt_sender.borrow().as_ref()) {
                        windows_sender
                            .send_if_modified(|known| replace(known, vec![ScopedWindow::unknown("the DriftPolicy")]));
                    }
                    exempt_sender.send_if_modified(|exempt| hold(exempt, &faults));
                }
            }
        }
    });
    Followed { rules: receiver, exempt, windows, emergencies }
}

/// Takes out what is written by us: however it looks, it is no reason not to understand the rest.
fn status(object: &mut DynamicObject) -> DriftPolicyStatus {
    let status = object.data.as_object_mut().and_then(|data| data.remove("status"));
    status.and_then(|status| serde_json::from_value(status).ok()).unwrap_or_default()
}

/// Names one spec of the policy for good; a note of an emergency leaves it as it is.
fn spec_of(object: Option<&DynamicObject>) -> Option<(Option<String>, Option<i64>)> {
    object.map(|object| (object.metadata.uid.clone(), object.metadata.generation))
}

/// `true` if that is news.
fn replace(known: &mut Arc<[ScopedWindow]>, windows: Vec<ScopedWindow>) -> bool {
    let is_new = **known != *windows;
    *known = windows.into();
    is_new
}

fn read(object: DynamicObject) -> Result<Policy, String> {
    let typed: DriftPolicy = object.try_parse().map_err(|error| error.to_string())?;
    let said = |faults: Vec<FieldError>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Policy::try_from(&typed).map_err(said)
}

/// Was there a good one since the start?
fn is_known(exempt: Option<&Exempt>) -> bool {
    exempt.is_some_and(|exempt| exempt.unreadable.is_none())
}

/// Without a good one from before, nothing is known; `true` if that is news.
fn hold(exempt: &mut Option<Exempt>, faults: &str) -> bool {
    if is_known(exempt.as_ref()) {
        return false;
    }
    let reason = format!("it cannot be read, so nobody knows what it excludes: {faults}");
    *exempt = Some(Exempt { unreadable: Some(reason.into()), ..Exempt::default() });
    true
}

fn rules(policy: &Policy, ourselves: (String, String)) -> Rules {
    let Policy { controllers, break_glass_longest, break_glass_usual, interactive_managers, guards, .. } =
        policy.clone();
    let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    Rules {
        identities: Identities { ourselves, controllers, interactive: interactive_managers },
        limits: Limits { default: signed(break_glass_usual), max: signed(break_glass_longest) },
        observe_only: policy.observe_only,
        guards,
    }
}
