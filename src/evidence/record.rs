//! One event, as it is kept.
//!
//! A record is complete by itself: it repeats the revision, file and line it speaks of, because it is read long after the
//! commit was rewritten and the object deleted. Values arrive masked; nothing here knows what a Secret is. Dry runs are never
//! recorded: they changed nothing and nobody was refused anything.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::core::object::ObjectKey;

/// What kind of event it was. The word is also the reason of the Kubernetes Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Kind {
    /// Admission refused an edit.
    Denied,
    /// Admission let an edit pass that it would have refused: the policy only observes.
    WouldDeny,
    /// Admission let an edit pass with a warning.
    Warned,
    /// Admission let an edit pass and marked the object.
    Marked,
    /// An edit passed that is worth knowing: under break-glass, during a pause, or by a controller.
    Edited,
    /// An object was seen to differ from Git.
    Drifted,
    /// Drift was undone.
    Healed,
    /// Drift could not be undone; `reason` says why.
    HealFailed,
    /// An object was written because of a commit.
    Applied,
    /// An object was deleted to be made anew: it could not become what Git says.
    Replaced,
    /// An object was deleted because it left Git.
    Pruned,
    /// An object that left Git, or whose `GitSync` ended, was kept; `reason` says why.
    PruneWithheld,
    /// An emergency was opened on an object.
    BreakGlassOpened,
    /// An emergency ends in a few minutes; said once.
    BreakGlassEnding,
    /// An emergency ended: taken back, expired, or Git caught up.
    BreakGlassClosed,
    /// An emergency was asked for and not granted.
    BreakGlassRefused,
    /// A sync was paused.
    Suspended,
    /// A pause ends in a few minutes; said once.
    PauseEnding,
    /// A pause ended.
    Resumed,
    /// A sync was rolled back to an older commit.
    RolledBack,
    /// A rollback ends in a few minutes; said once.
    RollbackEnding,
    /// A rollback ended: the newest commit counts again.
    RollbackEnded,
    /// A window closed something; `reason` says what, and until when.
    WindowClosed,
    /// What a window had closed is open again.
    WindowOpened,
    /// Somebody undid heals of an object so often that we give way; said once, with whom and how to end it.
    FightBegan,
    /// A fight is over.
    FightEnded,
    /// A `GitSync` or the `DriftPolicy` was made to guard less, or deleted; `reason` says what, from and to.
    Loosened,
    /// A commit could not be read or applied.
    SyncFailed,
    /// Somebody changed or deleted a webhook configuration of Holdfast's, and it was put back.
    WebhookRestored,
    /// A serving certificate was made, rotated, or put back; `reason` says why.
    CertificateRenewed,
}

/// One event. Build it from [`Record::new`] with struct update: `Record { object: Some(key), ..Record::new(kind, now) }`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When, to the millisecond.
    #[serde(serialize_with = "to_the_millisecond")]
    pub time: Timestamp,
    /// What.
    pub kind: Kind,
    /// Namespace and name of the `GitSync`, as `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// In its place, the guard of the `DriftPolicy` that protects the object for another tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// Which object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectKey>,
    /// Whose object it is, by the teams of the `DriftPolicy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Who, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    /// What they did, as admission calls it: `CREATE`, `UPDATE`, `DELETE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// Which fields, with both values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The commit that was compared with, as a full SHA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Where the object stands in the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line of the first field concerned, or of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// In words: the person's reason, or why something did not happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From the moment the drift was made, or first seen, to the moment it was gone.
    #[serde(rename = "remediationMs", serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub remediation: Option<Duration>,
}

/// Who did it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    /// Authenticated user name. Absent when only ownership (`manager`) tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Authenticated groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Their team, by the teams of the `DriftPolicy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Field manager: the tool at best, since the client chooses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
}

/// One field with both of its values, masked where they are secret. An absent value is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Path inside the object.
    pub path: String,
    /// What Git says; of a webhook configuration, what Holdfast had registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<Value>,
    /// What the cluster has, or what the edit would have put there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// How they differ: changed, removed, added…
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Names one record for good. Sorts by time, and tells a line replayed after a crash from a second event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId {
    millis: i64,
    process: u32,
    count: u32,
}

// === impl Record ===

impl Record {
    /// A record that says only what and when.
    pub fn new(kind: Kind, time: Timestamp) -> Self {
        Self {
            time,
            kind,
            sync: None,
            guard: None,
            object: None,
            team: None,
            by: None,
            verb: None,
            fields: Vec::new(),
            revision: None,
            file: None,
            line: None,
            reason: None,
            remediation: None,
        }
    }
}

// === impl RecordId ===

impl RecordId {
    /// The next id of this process, for a record made at `time`.
    pub(super) fn next(time: Timestamp) -> Self {
        // Hash keys are the only randomness in std; they keep two processes (or two runs) from minting the same id.
        #[expect(clippy::cast_possible_truncation, reason = "any 32 of the 64 random bits will do")]
        static PROCESS: LazyLock<u32> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()) as u32);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self { millis: time.as_millisecond(), process: *PROCESS, count: COUNT.fetch_add(1, Ordering::Relaxed) }
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { millis, process, count } = self;
        write!(f, "{millis:012x}-{process:08x}-{count:08x}")
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === serialising ===

fn to_the_millisecond<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

#[expect(clippy::ref_option, reason = "serde hands the field over by reference")]
fn millis<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_millis()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_full_record_reads_like_a_sentence() {
        let time = "2026-11-21T10:00:00.123456Z".parse().expect("a time");
        let record = Record {
            sync: Some("holdfast-system/api".to_owned()),
            object: ObjectKey::of(&json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}})),
            by: Some(Actor { user: Some("alice".to_owned()), ..Actor::default() }),
            verb: Some("UPDATE".to_owned()),
            fields: vec![Field {
                path: ".spec.replicas".to_owned(),
                git: Some(json!(3)),
                live: Some(json!(5)),
                why: Some("changed".to_owned()),
            }],
            line: Some(7),
            remediation: Some(Duration::from_micros(41_900)),
            ..Record::new(Kind::Denied, time)
        };
        insta::assert_snapshot!(serde_json::to_string(&record).expect("plain data"), @r#"{"time":"2026-11-21T10:00:00.123Z","kind":"Denied","sync":"holdfast-system/api","object":{"group":"apps","kind":"Deployment","name":"api"},"by":{"user":"alice"},"verb":"UPDATE","fields":[{"path":".spec.replicas","git":3,"live":5,"why":"changed"}],"line":7,"remediationMs":41}"#);
    }

    #[test]
    fn ids_differ_and_sort_by_time() {
        let early = RecordId::next(Timestamp::UNIX_EPOCH);
        let late = RecordId::next("2026-11-21T10:00:00Z".parse().expect("a time"));
        assert!(early < late && early.to_string() < late.to_string());
        assert_ne!(RecordId::next(Timestamp::UNIX_EPOCH), early);
    }
}
