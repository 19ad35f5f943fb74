//! What a keeper comes back to: retries that are due, break-glasses that end, and when to wake up for the next of them.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::entry::{Drifted, Entry, until};
use super::keeper::Keeper;
use crate::cluster::clock;
use crate::core::fight::{jittered, salt};
use crate::core::object::ObjectKey;

/// A keeper that waits for nothing looks around now and then all the same.
const IDLE: Duration = Duration::from_hours(1);

// === impl Keeper ===

impl Keeper {
    /// When there is something to do without being told.
    pub(super) fn wake(&self) -> Instant {
        let (now, wall) = (Instant::now(), clock::now());
        let leads = self.leads();
        let due = self.entries.values().filter(|_| leads).filter_map(|entry| entry.due(now, wall));
        let resume = self.pause(wall).map(|pause| pause.until);
        let roll_on = self.rollback(wall).map(|rollback| rollback.pause.until);
        let moments = resume
            .into_iter()
            .chain(roll_on)
            .chain(self.pause_reminder)
            .chain(self.pin.reminder())
            .chain(self.windows.turn())
            .chain(self.calm())
            .chain(self.patience_ends());
        let awaited = self.awaited.as_ref().map(|awaited| awaited.until);
        let going = self.look_at_going.map(|(then, _)| then).into_iter().chain(awaited).filter(|_| leads);
        let moments = moments.map(|moment| now + until(moment, wall));
        due.chain(moments).chain(going).chain(self.next_look()).min().unwrap_or_else(|| now + IDLE)
    }

    /// Retries that are due, and break-glasses that have expired.
    pub(super) async fn look_again_at_what_is_due(&mut self) {
        let (now, wall) = (Instant::now(), clock::now());
        self.remind(wall);
        let is_due = |(key, entry): (&ObjectKey, &Entry)| {
            entry.due(now, wall).is_some_and(|due| due <= now).then(|| key.clone())
        };
        let due: Vec<_> = self.entries.iter().filter_map(is_due).collect();
        for key in due {
            self.miss(key).await;
        }
        self.end_fights();
    }

    /// Says of each break-glass, once, that it ends soon: what was edited under it is undone then.
    fn remind(&mut self, now: Timestamp) {
        for entry in self.entries.values_mut() {
            let Some(glass) = entry.glass.clone().filter(|_| entry.reminder.is_some_and(|reminder| reminder <= now))
            else {
                continue;
            };
            entry.reminder = None;
            if now < glass.until {
                self.context.ends_soon(&entry.managed, &glass, entry.drifted.is_some());
            }
        }
    }

    /// Tries again later, waiting longer each time; not all objects at the same moment.
    pub(super) fn postpone(&mut self, key: &ObjectKey, paths: Vec<String>, why: &str) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let failures = entry.drifted.as_ref().map_or(0, |drifted| drifted.failures) + 1;
        let wait = self.plan.as_ref().map_or(Duration::from_secs(5), |plan| plan.retry.wait(failures));
        let before = entry.drifted.take();
        entry.drifted = Some(Drifted {
            paths,
            since: before.as_ref().map_or_else(clock::now, |before| before.since),
            unanswered: before.as_ref().is_some_and(|before| before.unanswered),
            by: before.and_then(|before| before.by),
            why: why.to_owned(),
            failures,
            retry: Some(Instant::now() + jittered(wait, salt(key), failures)),
            undecided: false,
        });
    }
}
