//! Emergencies on what guards protect for other tools: noted where every replica sees them, reminded of, and told when they end.
//!
//! No keeper looks at those objects. So whichever replica admits a break-glass notes it in the status of the `DriftPolicy`
//! ([`note`]), and the leader comes back to it when it is about to end and when it does (`Watch`). It is the object that counts
//! then: what was admitted may never have been stored, and a tool that writes its object anew takes the break-glass along unasked.
//!
//! Something is told first and struck off after that. Whoever is killed in between leaves it to be told twice rather than never.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::Context;
use super::entry::until;
use crate::api::{BreakGlasses, Emergency, GuardedGlass};
use crate::cluster::{Cluster, Error, clock};
use crate::core::breakglass::{Glass, stamped};
use crate::core::names::{GROUP, POLICY_NAME};
use crate::core::object::ObjectKey;
use crate::core::snapshot::Managed;
use crate::core::state::State;
use crate::evidence::{Kind as What, Record};

/// Before the API server is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// Nothing is waited for longer than this: clocks jump.
const IDLE: Duration = Duration::from_hours(1);

/// Writes down what becomes of emergencies until nobody is left to tell; any replica may.
pub async fn note(cluster: Arc<Cluster>, mut told: mpsc::UnboundedReceiver<Emergency>) {
    let mut waiting = BTreeMap::new();
    loop {
        let told = tokio::select! {
            told = told.recv() => told.map(Some),
            () = sleep(PAUSE), if !waiting.is_empty() => Some(None),
        };
        let is_over = told.is_none();
        if let Some(Emergency { name, open }) = told.flatten() {
            waiting.insert(name, open);
        }
        match write(&cluster, &waiting).await {
            Ok(()) => waiting.clear(),
            Err(error) => tracing::warn!(%error, "failed to note an emergency in the DriftPolicy; trying again"),
        }
        if is_over {
            return;
        }
    }
}

/// Writes these notes, or strikes them off. Without a policy there are no guards, and nothing to remember.
async fn write(cluster: &Cluster, notes: &BTreeMap<String, Option<GuardedGlass>>) -> Result<(), Error> {
    if notes.is_empty() {
        return Ok(());
    }
    let Some(kind) = cluster.kind("holdfast.dev/v1alpha1", "DriftPolicy").await? else { return Ok(()) };
    let (group, name) = (GROUP.to_owned(), POLICY_NAME.to_owned());
    let policy = ObjectKey { group, kind: "DriftPolicy".to_owned(), namespace: None, name };
    let notes = json!({"status": {"breakGlasses": notes}});
    match cluster.patch_status(&kind, &policy, &notes).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// What is due of an emergency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Reminder,
    End,
}

/// A note that the `DriftPolicy` shows as it was before something was told.
struct Ahead {
    before: GuardedGlass,
    /// As it is to be; struck off if `None`.
    after: Option<GuardedGlass>,
    is_written: bool,
}

/// The leader's watch over all that is noted.
pub(super) struct Watch {
    context: Arc<Context>,
    noted: watch::Receiver<BreakGlasses>,
    ahead: BTreeMap<String, Ahead>,
}

// === impl Watch ===

impl Watch {
    /// Over what is noted in the `DriftPolicy`.
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { noted: context.emergencies.clone(), context, ahead: BTreeMap::new() }
    }

    /// Watches for as long as there is a policy to follow.
    pub(super) async fn run(mut self) {
        let mut role = self.context.cluster.fence().role();
        loop {
            let wait = if self.context.cluster.fence().is_open() { self.tend().await } else { IDLE };
            tokio::select! {
                changed = self.noted.changed() => if changed.is_err() { return },
                changed = role.changed() => if changed.is_err() { return },
                () = sleep(wait) => {}
            }
        }
    }

    /// Does what is due; answers how long nothing is.
    async fn tend(&mut self) -> Duration {
        let noted = self.noted.borrow_and_update().clone();
        self.ahead.retain(|name, ahead| noted.get(name) == Some(&ahead.before));
        let mut wait = IDLE;
        for (name, note) in noted {
            let current = match self.ahead.get(&name) {
                Some(Ahead { after: None, .. }) => continue,
                Some(Ahead { after: Some(after), .. }) => after.clone(),
                None => note.clone(),
            };
            let now = clock::now();
            wait = wait.min(match due(&current, now) {
                None => until(next(&current, now), now),
                Some(due) => match self.tell(&current, due).await {
                    Ok(after) => {
                        self.ahead.insert(name, Ahead { before: note, after, is_written: false });
                        Duration::ZERO
                    }
                    Err(error) => later(&error),
                },
            });
        }
        self.write_ahead().await.map_or_else(|error| wait.min(later(&error)), |()| wait)
    }

    async fn write_ahead(&mut self) -> Result<(), Error> {
        let unwritten = self.ahead.iter().filter(|(_, ahead)| !ahead.is_written);
        let unwritten = unwritten.map(|(name, ahead)| (name.clone(), ahead.after.clone())).collect();
        write(&self.context.cluster, &unwritten).await?;
        self.ahead.values_mut().for_each(|ahead| ahead.is_written = true);
        Ok(())
    }

    /// Tells what is due, if the object still carries what was noted; answers with the note as it is to be.
    async fn tell(&self, note: &GuardedGlass, due: Due) -> Result<Option<GuardedGlass>, Error> {
        let (live, ward) = self.look(note, &note.key()).await?;
        let carried = live.as_ref().map(State::whole).as_ref().and_then(stamped);
        Ok(match (due, carried) {
            // Prolonged, and noted by that end.
            (_, Some(carried)) if carried.until != note.until.0 => None,
            (Due::Reminder, Some(carried)) => {
                self.context.guarded_ends_soon(note, ward.as_ref(), &carried);
                Some(GuardedGlass { reminded: true, ..note.clone() })
            }
            (Due::End, Some(_)) => {
                self.context.guarded_closed(note, ward.as_ref(), "it expired");
                None
            }
            (_, None) => {
                let why = if live.is_some() { "it was taken off" } else { "the object is gone" };
                self.context.guarded_closed(note, ward.as_ref(), why);
                None
            }
        })
    }

    /// The object, and what its tool declares of it.
    async fn look(&self, note: &GuardedGlass, key: &ObjectKey) -> Result<(Option<Value>, Option<Managed>), Error> {
        let Some(kind) = self.context.cluster.kind(&note.api_version, &key.kind).await? else {
            return Ok((None, None));
        };
        let Some(live) = self.context.cluster.get(&kind, key).await? else { return Ok((None, None)) };
        let (rules, around) = (self.context.rules.borrow().clone(), self.context.publisher.around().borrow().clone());
        let guard = rules.guards.iter().find(|guard| *guard.name == *note.guard);
        let ward = guard.and_then(|guard| guard.ward(key, &kind.resource.plural, &live, &around));
        Ok((Some(live), ward))
    }
}

// === impl Context ===

impl Context {
    /// A break-glass on what a guard protects ends soon.
    fn guarded_ends_soon(&self, note: &GuardedGlass, ward: Option<&Managed>, glass: &Glass) {
        let record = self.record_of_guarded(What::BreakGlassEnding, note, ward);
        let about = (&note.key(), &*note.api_version);
        self.say_it_ends_soon(record, about, glass, ("it is guarded again then", false));
    }

    /// It is over.
    fn guarded_closed(&self, note: &GuardedGlass, ward: Option<&Managed>, why: &str) {
        let GuardedGlass { by, until, reason, .. } = note;
        let reason = Some(format!("{why}; opened by {by} until {}: {reason}", until.0));
        self.evidence.record(Record { reason, ..self.record_of_guarded(What::BreakGlassClosed, note, ward) });
    }

    fn record_of_guarded(&self, kind: What, note: &GuardedGlass, ward: Option<&Managed>) -> Record {
        let bare = || {
            let (guard, object) = (Some(note.guard.clone()), Some(note.key()));
            Record { guard, object, ..Record::new(kind, clock::now()) }
        };
        ward.map_or_else(bare, |ward| self.record(kind, ward, &[]))
    }
}

fn later(error: &Error) -> Duration {
    tracing::warn!(%error, "failed to follow an emergency on what a guard protects; trying again");
    PAUSE
}

/// What is due now. Of what has ended nobody is reminded.
fn due(note: &GuardedGlass, now: Timestamp) -> Option<Due> {
    if now >= note.until.0 {
        return Some(Due::End);
    }
    (!note.reminded && note.glass().reminder(now).is_none()).then_some(Due::Reminder)
}

/// When something is due next.
fn next(note: &GuardedGlass, now: Timestamp) -> Timestamp {
    note.glass().reminder(now).filter(|_| !note.reminded).unwrap_or(note.until.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_reminded_of_once_and_ends_once() {
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        let until = time("2026-11-21T10:30:00Z");
        let glass = Glass { reason: "INC-4211".to_owned(), by: "oncall".to_owned(), until };
        let key = ObjectKey { group: String::new(), kind: "Pod".to_owned(), namespace: None, name: "web".to_owned() };
        let note = |opened| GuardedGlass::new("flux", ("v1", &key), glass.clone(), time(opened));
        let long = note("2026-11-21T10:00:00Z");
        assert_eq!((due(&long, time("2026-11-21T10:24:59Z")), due(&long, until)), (None, Some(Due::End)));
        assert_eq!(next(&long, time("2026-11-21T10:24:59Z")), time("2026-11-21T10:25:00Z"));
        assert_eq!(due(&long, time("2026-11-21T10:25:00Z")), Some(Due::Reminder));
        let reminded = GuardedGlass { reminded: true, ..long };
        let short = note("2026-11-21T10:26:00Z");
        for note in [reminded, short] {
            assert_eq!(due(&note, time("2026-11-21T10:29:59Z")), None);
            assert_eq!(next(&note, time("2026-11-21T10:29:59Z")), until);
        }
    }
}
