//! The kinds people write, and what they mean.
//!
//! Every kind exists twice on purpose: *as typed* ([`GitSync`], [`DriftPolicy`]; serde and schema, text where people write
//! text) and *as meant* ([`SyncPlan`], [`Policy`]; durations are durations, options are switches). Only [`meaning`] leads
//! from one to the other, and both admission and the runtime call it, so an object that was admitted can always be run.
//!
//! Doc comments on the typed half are what `kubectl explain` prints: they are written for users.

mod convert;
pub mod duration;
pub mod emergency;
pub mod fault;
pub mod gitsync;
pub mod guard;
pub mod ignore;
pub mod loosening;
pub mod meaning;
pub mod policy;
pub mod status;
pub mod sync_policy;
pub mod team;
pub mod window;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use emergency::{BreakGlasses, DriftPolicyStatus, Emergency, GuardedGlass};
pub use gitsync::{
    Admission, DeletionPolicy, Destination, GitSync, GitSyncSpec, Mode, Rollback, SecretReference, Source, Suspend,
    Undeclared, Verify, VerifyMode,
};
pub use guard::GuardSpec;
pub use ignore::IgnoreRule;
pub use meaning::{FieldError, SyncPlan};
pub use policy::{DriftPolicy, DriftPolicySpec, Policy};
pub use status::{CommitOutcome, DriftedObject, GitSyncStatus, HistoryEntry, ObjectRef, PinnedRevision};
pub use sync_policy::{Automated, Backoff, ManagedNamespace, PrunePropagation, Retry, SyncPolicy};
pub use team::TeamsSpec;
pub use window::{PolicyWindow, ScopedWindow, SyncWindow};

/// Every CustomResourceDefinition of ours, in the order they are printed.
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [GitSync::crd(), DriftPolicy::crd()]
}
