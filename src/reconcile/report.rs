//! What is said about a sync: evidence records, Kubernetes Events, metrics.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Context;
use crate::cluster::clock;
use crate::cluster::events::{Note, reference};
use crate::core::breakglass::Glass;
use crate::core::compare::Deviation;
use crate::core::fields::{Entry, entries};
use crate::core::names::REPLACE;
use crate::core::object::ObjectKey;
use crate::core::snapshot::Managed;
use crate::evidence::metrics::{HealOutcome, Outcome};
use crate::evidence::{Actor, Intent, Kind, Record};

/// Who changed an object last, besides us and those who only write its status: the most likely author of its drift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The field manager: a tool at best.
    pub manager: String,
    /// When it last wrote.
    pub at: Option<Timestamp>,
}

/// A clock difference, or a watch delay, that does not count as "it happened while nobody looked".
const JUST_NOW: SignedDuration = SignedDuration::from_secs(2);

/// The most likely author of what is wrong with this object: the last of those who own a place that deviates. What was
/// removed has no owner; then it is whoever wrote just now, if anybody did.
pub fn author(object: &Value, deviations: &[Deviation], now: Timestamp) -> Option<Author> {
    let others = || entries(object).filter(|entry| !entry.is_ours() && entry.subresource != "status");
    let owns = |entry: &Entry<'_>| deviations.iter().any(|deviation| entry.fields.at(&deviation.path).is_some());
    let owner = others().filter(owns).map(Author::of).max_by_key(|author| author.at);
    let latest = || others().map(Author::of).max_by_key(|author| author.at);
    owner.or_else(|| latest().filter(|author| author.at.is_some_and(|at| now.duration_since(at) < JUST_NOW)))
}

/// Since when the object has been as it is: now, unless its author's last write is older than any delay explains.
pub fn since(author: Option<&Author>, now: Timestamp) -> Timestamp {
    author.and_then(|author| author.at).filter(|at| now.duration_since(*at) > JUST_NOW).unwrap_or(now)
}

// === impl Author ===

impl Author {
    fn of(entry: Entry<'_>) -> Self {
        let Entry { manager, time, .. } = entry;
        Self { manager: manager.to_owned(), at: time.and_then(|time| time.parse().ok()) }
    }
}

// === impl Context ===

impl Context {
    /// A record about a managed object, now.
    pub(super) fn record(&self, kind: Kind, managed: &Managed, deviations: &[Deviation]) -> Record {
        let around = self.publisher.around().borrow().clone();
        let key = &managed.manifest.key;
        let team = around.teams.of_object(key, Some(managed), &around);
        Record { team, ..Record::about(kind, key, Some(managed), deviations, clock::now()) }
    }

    /// Drift was seen.
    pub(super) fn drifted(&self, managed: &Managed, deviations: &[Deviation], author: Option<&Author>) {
        self.metrics.drifts.inc();
        self.evidence.record(Record { by: actor(author), ..self.record(Kind::Drifted, managed, deviations) });
    }

    /// Drift was seen, and is left as it is.
    pub(super) fn left(&self, managed: &Managed, deviations: &[Deviation], author: Option<&Author>, why: &str) {
        self.drifted(managed, deviations, author);
        let paths: Vec<_> = deviations.iter().map(|deviation| deviation.path.to_string()).collect();
        self.note(managed, "Drifted", format!("differs from Git: {}; {why}", summary(&paths)), true);
    }

    /// A break-glass ends soon.
    pub(super) fn ends_soon(&self, managed: &Managed, glass: &Glass, drifted: bool) {
        let then = if drifted { "what differs from Git is undone then" } else { "nothing differs from Git" };
        let record = self.record(Kind::BreakGlassEnding, managed, &[]);
        let about = (&managed.manifest.key, &*managed.manifest.api_version);
        self.say_it_ends_soon(record, about, glass, (then, drifted));
    }

    /// Likewise of any object, with what happens then, and whether that is to be feared.
    pub(super) fn say_it_ends_soon(
        &self,
        record: Record,
        (key, api_version): (&ObjectKey, &str),
        Glass { reason, by, until }: &Glass,
        (then, warning): (&str, bool),
    ) {
        let text = format!("break-glass by {by} ends at {until} ({reason}); {then}");
        let by = Some(Actor { user: Some(by.clone()), ..Actor::default() });
        self.evidence.record(Record { by, reason: Some(text.clone()), ..record });
        let note = Note { reason: "BreakGlassEnding".to_owned(), text, warning };
        self.events.publish(reference(key, api_version, None), note);
    }

    /// Drift was undone, so long after it was made or seen.
    pub(super) fn healed(
        &self,
        managed: &Managed,
        deviations: &[Deviation],
        author: Option<&Author>,
        (intent, took): (Intent, Duration),
    ) {
        self.metrics.healed(HealOutcome::Healed);
        self.metrics.remediated(took);
        let record = self.record(Kind::Healed, managed, deviations);
        self.evidence.record_end(intent, Record { by: actor(author), remediation: Some(took), ..record });
        let paths: Vec<_> = deviations.iter().map(|deviation| deviation.path.to_string()).collect();
        self.note(managed, "Healed", format!("made equal to Git again: {}", summary(&paths)), false);
    }

    /// Every value was as Git says, but the object no longer said that they are ours.
    pub(super) fn owned_again(&self, managed: &Managed, intent: Intent, took: Duration) {
        self.metrics.healed(HealOutcome::Healed);
        let reason = Some("our entry in metadata.managedFields was wiped; it is back".to_owned());
        let record = self.record(Kind::Healed, managed, &[]);
        self.evidence.record_end(intent, Record { reason, remediation: Some(took), ..record });
    }

    /// Drift could not be undone.
    pub(super) fn not_healed(
        &self,
        managed: &Managed,
        deviations: &[Deviation],
        intent: Intent,
        (outcome, why): (HealOutcome, &str),
    ) {
        self.metrics.healed(outcome);
        let record = self.record(Kind::HealFailed, managed, deviations);
        self.evidence.record_end(intent, Record { reason: Some(why.to_owned()), ..record });
        self.note(managed, "HealFailed", why.to_owned(), true);
    }

    /// An object that could not become what Git says was deleted, to be made anew.
    pub(super) fn replaced(&self, managed: &Managed, deviations: &[Deviation], intent: Intent, why: &str) {
        let reason = Some(format!("deleted, to be made anew: {why}"));
        self.evidence.record_end(intent, Record { reason, ..self.record(Kind::Replaced, managed, deviations) });
        self.note(managed, "Replaced", format!("deleted, to be made anew, since {REPLACE} says so: {why}"), true);
    }

    /// An object was written because of a commit.
    pub(super) fn applied(&self, managed: &Managed, deviations: &[Deviation], intent: Intent) {
        self.metrics.applied(Outcome::Success);
        self.evidence.record_end(intent, self.record(Kind::Applied, managed, deviations));
    }

    /// The next look shows that a write was done whose answer did not come.
    pub(super) fn found_written(&self, managed: &Managed, aim: Kind, took: Duration, why: &str) {
        let is_heal = aim == Kind::Healed;
        if is_heal {
            self.metrics.healed(HealOutcome::Healed);
            self.metrics.remediated(took);
        } else {
            self.metrics.applied(Outcome::Success);
        }
        let (reason, remediation) = (Some(why.to_owned()), is_heal.then_some(took));
        self.evidence.record(Record { reason, remediation, ..self.record(aim, managed, &[]) });
    }

    /// What an object that left Git is recorded as when it is deleted.
    pub(super) fn pruned(&self, sync: &str, revision: &str, key: &ObjectKey) -> Record {
        self.undeclared(Kind::Pruned, sync, revision, key)
    }

    /// It is kept, for this reason.
    pub(super) fn spared(&self, sync: &str, revision: &str, key: &ObjectKey, why: &str) {
        self.evidence.record(self.kept(sync, revision, key, why));
    }

    /// What an object that is not deleted, for this reason, is recorded as.
    pub(super) fn kept(&self, sync: &str, revision: &str, key: &ObjectKey, why: &str) -> Record {
        Record { reason: Some(why.to_owned()), ..self.undeclared(Kind::PruneWithheld, sync, revision, key) }
    }

    /// A record about an object that is ours and that Git does not declare, now.
    pub(super) fn undeclared(&self, kind: Kind, sync: &str, revision: &str, key: &ObjectKey) -> Record {
        let around = self.publisher.around().borrow().clone();
        Record {
            sync: Some(sync.to_owned()),
            object: Some(key.clone()),
            team: around.teams.of_object(key, None, &around),
            revision: Some(revision.to_owned()),
            ..Record::new(kind, clock::now())
        }
    }

    /// Publishes an Event about a managed object.
    pub(super) fn note(&self, managed: &Managed, reason: &str, text: String, warning: bool) {
        let about = reference(&managed.manifest.key, &managed.manifest.api_version, None);
        self.events.publish(about, Note { reason: reason.to_owned(), text, warning });
    }
}

/// At most three paths, and how many more.
pub fn summary(paths: &[String]) -> String {
    match paths {
        [] => "the whole object".to_owned(),
        few if few.len() <= 3 => few.join(", "),
        many => format!("{} and {} more", many[..3].join(", "), many.len() - 3),
    }
}

fn actor(author: Option<&Author>) -> Option<Actor> {
    author.map(|author| Actor { manager: Some(author.manager.clone()), ..Actor::default() })
}
