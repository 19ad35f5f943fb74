//! The label values, all of them.
//!
//! prometheus-client would print variants as they are spelled in Rust; dashboards expect `dry-run`, so each value is written
//! beside its variant.

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $value:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)+];
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder) -> std::fmt::Result {
                match self { $(Self::$variant => $value,)+ }.encode(encoder)
            }
        }
    )+};
}

labels! {
    /// What admission answered.
    Verdict {
        /// Nothing to object to.
        Allow = "allow",
        /// Refused.
        Deny = "deny",
        /// Passed, and would have been refused: the policy only observes.
        WouldDeny = "would-deny",
        /// Passed with a warning.
        Warn = "warn",
        /// Passed, and the object was marked.
        Mark = "mark",
        /// Passed, and was recorded: break-glass, a pause, a controller.
        Note = "note",
    }
    /// What the request would do.
    Operation {
        /// CREATE.
        Create = "create",
        /// UPDATE, subresources included.
        Update = "update",
        /// DELETE.
        Delete = "delete",
    }
    /// Why a review could not be answered.
    ErrorKind {
        /// The body is not an AdmissionReview.
        Unreadable = "unreadable",
        /// The body is larger than two objects can be.
        TooLarge = "too-large",
        /// There is no snapshot yet.
        NotReady = "not-ready",
        /// The sync that keeps the object could not be read.
        Unread = "unread",
        /// A question to the API server (a right, a parent object) was not answered.
        Upstream = "upstream",
        /// Too many reviews were in work already.
        Busy = "busy",
        /// A bug.
        Internal = "internal",
    }
    /// How an attempt to undo drift ended.
    HealOutcome {
        /// The drift is gone.
        Healed = "healed",
        /// The object had moved on; it is judged again.
        Conflict = "conflict",
        /// The API server or another webhook refused it.
        Refused = "refused",
        /// No answer, or an answer that says nothing about the object.
        Failed = "failed",
    }
    /// How something went.
    Outcome {
        /// Well.
        Success = "success",
        /// Not.
        Failure = "failure",
    }
    /// What became of a delivery of a push webhook.
    Push {
        /// Syncs look at Git.
        Taken = "taken",
        /// Signed, and of no concern: another branch, a ping.
        Ignored = "ignored",
        /// Without the signature of anybody who knows a secret.
        Unsigned = "unsigned",
        /// Of a repository nobody follows, or a host nobody knows.
        Foreign = "foreign",
        /// Taken before.
        Replayed = "replayed",
        /// Too large, too slow, or cut short.
        Unreadable = "unreadable",
        /// Too many at once.
        Busy = "busy",
    }
    /// Whether a sync is ready.
    Readiness {
        /// It is.
        Yes = "true",
        /// It is not.
        No = "false",
    }
    /// What became of a record.
    Fate {
        /// Written out.
        Written = "written",
        /// Put aside in the spill file; counted again as written when it is replayed.
        Spilled = "spilled",
        /// Neither: it went to the log as a last resort.
        Lost = "lost",
    }
    /// What was asked of the API server.
    Ask {
        /// One object.
        Get = "get",
        /// Many objects.
        List = "list",
        /// A watch was opened.
        Watch = "watch",
        /// A server-side apply that writes nothing.
        DryRun = "dry-run",
        /// A server-side apply.
        Apply = "apply",
        /// A JSON or merge patch.
        Patch = "patch",
        /// A create.
        Create = "create",
        /// An update: all of an object is replaced.
        Update = "update",
        /// A deletion.
        Delete = "delete",
        /// An access review.
        Review = "review",
    }
}

// === impl Ask ===

impl Ask {
    /// Does it change the cluster?
    pub fn writes(self) -> bool {
        matches!(self, Self::Apply | Self::Patch | Self::Create | Self::Update | Self::Delete)
    }
}
