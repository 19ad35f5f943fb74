//! Writes whose end nobody knows: the connection broke, or the API server died, after the request had left.
//!
//! It may have been done or not, and that is what is recorded: by the record it would have, with the words that it is not known. The
//! next look tells. An object that is then as it was to be was written, or deleted, as far as anybody can tell, which is recorded as
//! well; one that is not is written again, and that has a record of its own.

use std::time::Duration;

use super::Context;
use super::entry::Drifted;
use super::errands::aim;
use super::keeper::Keeper;
use super::watchful::Job;
use crate::cluster::{Error, clock};
use crate::core::object::ObjectKey;
use crate::evidence::{Intent, Kind as What, Record};

/// What is said of a write of which the next look shows that it was done.
const FOUND: &str = "its answer did not come; the next look shows that it was done";

// === impl Context ===

impl Context {
    /// Carries out a write that is noted first, and recorded as far as its end is known. What was not done has no record.
    pub(super) async fn on_record<T>(
        &self,
        record: Record,
        write: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let intent = self.evidence.intend(record.clone());
        let answer = write.await;
        let record = Record { time: clock::now(), ..record };
        match &answer {
            Ok(_) => _ = self.evidence.record_end(intent, record),
            Err(error) => self.record_unanswered(intent, record, error),
        }
        answer
    }

    /// A write that was noted failed; if it may have been done all the same, that is recorded.
    fn record_unanswered(&self, intent: Intent, record: Record, error: &Error) {
        if error.leaves_open() {
            self.evidence.record_interrupted(intent, Record { reason: Some(error.to_string()), ..record });
        }
    }

    /// An object that left Git is gone, or on its way out, and it was not known whether we had deleted it.
    pub(super) fn found_pruned(&self, record: Record) {
        self.metrics.prunes.inc();
        self.evidence.record(Record { reason: Some(FOUND.to_owned()), ..record });
    }
}

// === impl Keeper ===

impl Keeper {
    /// Nobody knows whether an object was written. If that is because another replica leads by now, it is that one's to look.
    pub(super) fn unanswered(&mut self, job: &Job, intent: Intent, error: &Error) {
        let Some(entry) = self.entries.get(&job.key) else { return };
        let record = self.context.record(aim(entry), &entry.managed, &job.deviations);
        self.context.record_unanswered(intent, record, error);
        if error.is_not_leading() {
            self.interrupt();
            return;
        }
        self.postpone(&job.key, job.paths(), &error.to_string());
        self.set_unanswered(&job.key, true);
    }

    /// Of the last write of this object it is known how it ended.
    pub(super) fn is_answered(&mut self, key: &ObjectKey) {
        self.set_unanswered(key, false);
    }

    fn set_unanswered(&mut self, key: &ObjectKey, unanswered: bool) {
        let drifted = self.entries.get_mut(key).and_then(|entry| entry.drifted.as_mut());
        drifted.into_iter().for_each(|drifted| drifted.unanswered = unanswered);
    }

    /// An object is as Git says. If nobody knew whether it was written, this says it.
    pub(super) fn tell_what_was_done(&self, key: &ObjectKey, aim: What, drifted: Option<Drifted>) {
        let Some(drifted) = drifted.filter(|drifted| drifted.unanswered) else { return };
        let Some(entry) = self.entries.get(key) else { return };
        let took = Duration::try_from(clock::now().duration_since(drifted.since)).unwrap_or_default();
        self.context.found_written(&entry.managed, aim, took, FOUND);
    }
}
