//! Every metric there is, in one place.
//!
//! Labels are closed enums, but for GitSync and team where it is asked who would have been refused; teams are bounded (`teams`). No
//! object name, user name or error text is ever a label: those grow without bound, and they are in the records. Buckets begin far below the API server's own (5 ms), because that is where a good webhook lives.

mod labels;
mod teams;

use std::{fmt, hash::Hash, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};

pub use labels::{Ask, ErrorKind, Fate, HealOutcome, Operation, Outcome, Push, Readiness, Verdict};

const REVIEW_SECONDS: [f64; 16] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_2, 0.000_35, 0.000_5, 0.000_75, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.5, 1.0,
];
const REMEDIATION_SECONDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0];

/// Handles to every metric. Clones share the same numbers.
#[derive(Debug, Clone)]
pub struct Metrics {
    reviews: Family<Review, Counter>,
    would_deny: teams::WouldDeny,
    review_errors: Family<Error, Counter>,
    review_seconds: Histogram,
    /// Reviews being answered right now.
    pub reviews_in_flight: Gauge,
    /// Objects seen to differ from Git.
    pub drifts: Counter,
    heals: Family<Heal, Counter>,
    remediation_seconds: Histogram,
    /// Times an exclusion rule failed: objects that were not healed, and edits that were judged without it.
    pub rule_errors: Counter,
    /// 1 while the `DriftPolicy` can be read, or there is none.
    pub policy_readable: Gauge,
    /// Objects deleted because they left Git.
    pub prunes: Counter,
    applies: Family<Result, Counter>,
    /// Emergencies granted.
    pub break_glass_opened: Counter,
    /// Emergencies asked for and not granted.
    pub break_glass_refused: Counter,
    /// Emergencies open now.
    pub break_glass_open: Gauge,
    /// Fights with others that began.
    pub fights: Counter,
    /// Objects fought over now.
    pub fighting_objects: Gauge,
    /// `GitSyncs` for which something waits for a window to open.
    pub windows_waited_for: Gauge,
    objects: Gauge,
    /// Objects that differ from Git now.
    pub drifted_objects: Gauge,
    syncs: Family<Sync, Gauge>,
    fetches: Family<Result, Counter>,
    fetch_success: Gauge,
    /// Looks at Git that found a commit nobody who may had signed.
    pub unverified: Counter,
    pushes: Family<Pushed, Counter>,
    certificate_expiry: Gauge,
    /// Serving certificates that could not be used, or kept; the one before stayed.
    pub certificate_failures: Counter,
    snapshot_built: Gauge,
    webhook_restores: Family<Result, Counter>,
    /// Webhook configurations that are as they should be: 2 when all is well.
    pub webhooks_registered: Gauge,
    /// 1 while this replica leads.
    pub leader: Gauge,
    /// Shards it is to be spread over.
    pub shards: Gauge,
    /// Shards this replica writes for.
    pub shards_held: Gauge,
    /// Connections to the webhook that are open.
    pub connections: Gauge,
    /// Connections that were closed at once because too many were open.
    pub connections_refused: Counter,
    /// Connections that said nothing and were closed to make room.
    pub connections_evicted: Counter,
    records: Family<Recorded, Counter>,
    api_calls: Family<Call, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Review {
    verdict: Verdict,
    operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Error {
    kind: ErrorKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Heal {
    outcome: HealOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pushed {
    outcome: Push,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sync {
    ready: Readiness,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Recorded {
    fate: Fate,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    verb: Ask,
}

// === impl Metrics ===

impl Metrics {
    /// The metrics, and the registry that prints them.
    pub fn new() -> (Self, Registry) {
        let metrics = Self::unregistered();
        metrics.start_at_zero();
        let mut registry = Registry::with_prefix("holdfast");
        metrics.register(&mut registry);
        (metrics, registry)
    }

    /// Counts an answered review and how long the answer took.
    pub fn reviewed(&self, verdict: Verdict, operation: Operation, took: Duration) {
        self.reviews.get_or_create(&Review { verdict, operation }).inc();
        self.review_seconds.observe(took.as_secs_f64());
    }

    /// Counts an edit by this team that would have been refused on an object of this sync. Either may be empty: nobody's, and of no
    /// sync, such as a whole namespace.
    pub fn would_deny(&self, gitsync: &str, team: &str) {
        self.would_deny.count(gitsync, team);
    }

    /// There is such a sync: its count begins at zero, and ends with it.
    pub fn knows(&self, gitsync: &str, there: bool) {
        self.would_deny.knows(gitsync, there);
    }

    /// Counts a review that could not be answered; the API server's `failurePolicy` decided instead.
    pub fn review_failed(&self, kind: ErrorKind) {
        self.review_errors.get_or_create(&Error { kind }).inc();
    }

    /// Counts an attempt to undo drift.
    pub fn healed(&self, outcome: HealOutcome) {
        self.heals.get_or_create(&Heal { outcome }).inc();
    }

    /// Notes how long drift lasted.
    pub fn remediated(&self, after: Duration) {
        self.remediation_seconds.observe(after.as_secs_f64());
    }

    /// Counts an object written because of a commit.
    pub fn applied(&self, outcome: Outcome) {
        self.applies.get_or_create(&Result { outcome }).inc();
    }

    /// Sets how many syncs are ready and how many are not.
    pub fn syncs(&self, ready: i64, not_ready: i64) {
        self.syncs.get_or_create(&Sync { ready: Readiness::Yes }).set(ready);
        self.syncs.get_or_create(&Sync { ready: Readiness::No }).set(not_ready);
    }

    /// Counts a question to a Git server.
    pub fn fetched(&self, outcome: Outcome, now: Timestamp) {
        self.fetches.get_or_create(&Result { outcome }).inc();
        if outcome == Outcome::Success {
            self.fetch_success.set(now.as_second());
        }
    }

    /// Counts a delivery of a push webhook.
    pub fn pushed(&self, outcome: Push) {
        self.pushes.get_or_create(&Pushed { outcome }).inc();
    }

    /// Notes until when the serving certificate is good.
    pub fn certificate_expires(&self, at: Timestamp) {
        self.certificate_expiry.set(at.as_second());
    }

    /// Notes when the snapshot now in use was built, and how many objects it declares.
    pub fn snapshot_built(&self, at: Timestamp, objects: usize) {
        self.snapshot_built.set(at.as_second());
        self.objects.set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    /// Counts an attempt to put back a webhook configuration.
    pub fn webhook_restored(&self, outcome: Outcome) {
        self.webhook_restores.get_or_create(&Result { outcome }).inc();
    }

    /// Counts what became of a record.
    pub fn recorded(&self, fate: Fate) {
        self.records.get_or_create(&Recorded { fate }).inc();
    }

    /// Counts a request to the API server. In a steady state this stands still.
    pub fn called(&self, verb: Ask) {
        self.api_calls.get_or_create(&Call { verb }).inc();
    }

    fn unregistered() -> Self {
        Self {
            reviews: Family::default(),
            would_deny: teams::WouldDeny::default(),
            review_errors: Family::default(),
            review_seconds: Histogram::new(REVIEW_SECONDS),
            reviews_in_flight: Gauge::default(),
            drifts: Counter::default(),
            heals: Family::default(),
            remediation_seconds: Histogram::new(REMEDIATION_SECONDS),
            rule_errors: Counter::default(),
            policy_readable: Gauge::default(),
            prunes: Counter::default(),
            applies: Family::default(),
            break_glass_opened: Counter::default(),
            break_glass_refused: Counter::default(),
            break_glass_open: Gauge::default(),
            fights: Counter::default(),
            fighting_objects: Gauge::default(),
            windows_waited_for: Gauge::default(),
            objects: Gauge::default(),
            drifted_objects: Gauge::default(),
            syncs: Family::default(),
            fetches: Family::default(),
            fetch_success: Gauge::default(),
            unverified: Counter::default(),
            pushes: Family::default(),
            certificate_expiry: Gauge::default(),
            certificate_failures: Counter::default(),
            snapshot_built: Gauge::default(),
            webhook_restores: Family::default(),
            webhooks_registered: Gauge::default(),
            leader: Gauge::default(),
            shards: Gauge::default(),
            shards_held: Gauge::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            connections_evicted: Counter::default(),
            records: Family::default(),
            api_calls: Family::default(),
        }
    }

    /// Makes every series exist: a counter that appears with its first event hides that event from `rate()`.
    fn start_at_zero(&self) {
        for &verdict in Verdict::ALL {
            zero(&self.reviews, Operation::ALL, |&operation| Review { verdict, operation });
        }
        self.knows("", true);
        zero(&self.review_errors, ErrorKind::ALL, |&kind| Error { kind });
        zero(&self.heals, HealOutcome::ALL, |&outcome| Heal { outcome });
        zero(&self.applies, Outcome::ALL, |&outcome| Result { outcome });
        zero(&self.fetches, Outcome::ALL, |&outcome| Result { outcome });
        zero(&self.pushes, Push::ALL, |&outcome| Pushed { outcome });
        zero(&self.webhook_restores, Outcome::ALL, |&outcome| Result { outcome });
        zero(&self.syncs, Readiness::ALL, |&ready| Sync { ready });
        zero(&self.records, Fate::ALL, |&fate| Recorded { fate });
        zero(&self.api_calls, Ask::ALL, |&verb| Call { verb });
    }

    /// Names and explains every metric. Counters get their `_total` from the encoder.
    #[rustfmt::skip] // one metric, one line: a table
    fn register(&self, registry: &mut Registry) {
        let Self {
            reviews, would_deny, review_errors, review_seconds, reviews_in_flight, drifts, heals, remediation_seconds, rule_errors, policy_readable, prunes, applies,
            break_glass_opened, break_glass_refused, break_glass_open, fights, fighting_objects, windows_waited_for, objects, drifted_objects, syncs, fetches, fetch_success, unverified, pushes,
            certificate_expiry, certificate_failures, snapshot_built, webhook_restores, webhooks_registered,
            leader, shards, shards_held, connections, connections_refused, connections_evicted, records, api_calls,
        } = self;
        let mut add = Add(registry);
        add.metric("reviews", "Admission reviews answered, by verdict and operation", reviews);
        add.metric("would_deny", "Edits that passed only because the DriftPolicy observes, by GitSync and team", would_deny.family());
        add.metric("review_errors", "Admission reviews that could not be answered; failurePolicy decided", review_errors);
        add.metric("review_duration_seconds", "Time to answer an admission review, without transport", review_seconds);
        add.metric("reviews_in_flight", "Admission reviews being answered now", reviews_in_flight);
        add.metric("drifts", "Objects seen to differ from Git", drifts);
        add.metric("heals", "Attempts to undo drift, by outcome", heals);
        add.metric("remediation_seconds", "Time from an edit that slipped through to its undoing", remediation_seconds);
        let said = "Objects not healed, and edits judged without a rule, because an exclusion rule failed";
        add.metric("rule_errors", said, rule_errors);
        add.metric("policy_readable", "Whether the DriftPolicy can be read, or there is none", policy_readable);
        add.metric("prunes", "Objects deleted because they left Git", prunes);
        add.metric("applies", "Objects written because of a commit, by outcome", applies);
        add.metric("break_glass_opened", "Emergencies granted", break_glass_opened);
        add.metric("break_glass_refused", "Emergencies asked for and not granted", break_glass_refused);
        add.metric("break_glass_open", "Emergencies open now", break_glass_open);
        add.metric("fights", "Fights that began: somebody undid heals again and again", fights);
        add.metric("fighting_objects", "Objects fought over now", fighting_objects);
        add.metric("windows_waited_for", "GitSyncs for which something waits for a window to open", windows_waited_for);
        add.metric("objects", "Objects Git declares", objects);
        add.metric("drifted_objects", "Objects that differ from Git now", drifted_objects);
        add.metric("syncs", "GitSyncs, by readiness", syncs);
        add.metric("git_fetches", "Questions to Git servers, by outcome", fetches);
        add.metric("git_last_success_timestamp_seconds", "When a Git server last answered", fetch_success);
        add.metric("unverified_commits", "Looks at Git that found a commit nobody who may had signed", unverified);
        add.metric("pushes", "Deliveries of push webhooks, by what became of them", pushes);
        add.metric("certificate_expiry_timestamp_seconds", "When the serving certificate runs out", certificate_expiry);
        add.metric("certificate_failures", "Serving certificates that could not be used, or kept; the one before stayed", certificate_failures);
        add.metric("snapshot_timestamp_seconds", "When the snapshot in use was built", snapshot_built);
        add.metric("webhook_restores", "Attempts to put back a webhook configuration that somebody changed, by outcome", webhook_restores);
        add.metric("webhooks_registered", "Webhook configurations that are as they should be: 2 when all is well", webhooks_registered);
        add.metric("leader", "Whether this replica leads: writes what belongs to no GitSync, and for the first shard", leader);
        add.metric("shards", "Shards GitSyncs are spread over, as this replica was told", shards);
        add.metric("shards_held", "Shards this replica writes for", shards_held);
        add.metric("connections", "Connections to the webhook that are open", connections);
        add.metric("connections_refused", "Connections closed at once because too many were open", connections_refused);
        add.metric("connections_evicted", "Connections that said nothing and were closed to make room for another", connections_evicted);
        add.metric("records", "Evidence records, by what became of them", records);
        add.metric("api_calls", "Requests to the API server, by verb; stands still in a steady state", api_calls);
    }
}

fn zero<V, L: Clone + Eq + Hash, M: Default>(family: &Family<L, M>, values: &[V], labels: impl Fn(&V) -> L) {
    for value in values {
        drop(family.get_or_create(&labels(value)));
    }
}

/// Registers clones under their names.
struct Add<'a>(&'a mut Registry);

// === impl Add ===

impl Add<'_> {
    fn metric<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: &M) {
        self.0.register(name, help, metric.clone());
    }
}

/// The registry in the `OpenMetrics` text format.
pub fn encode(registry: &Registry) -> std::result::Result<String, fmt::Error> {
    let mut page = String::new();
    text::encode(&mut page, registry)?;
    Ok(page)
}

/// Content type of [`encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests;
