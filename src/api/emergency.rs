//! What a `DriftPolicy` remembers: the break-glasses that are open on what its guards protect for other tools.
//!
//! No keeper looks at those objects, so without a note nobody would know when one of them ends, least of all another replica after
//! a restart. Whoever admits one writes the note; the leader reminds people, tells the end, and takes the note away.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ObjectRef;
use crate::core::breakglass::Glass;
use crate::core::object::ObjectKey;

/// Observed state of a `DriftPolicy`.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DriftPolicyStatus {
    /// Break-glasses that are open on what guards protect, by object and end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub break_glasses: BreakGlasses,
}

/// Break-glasses that are open on what guards protect, by object and end.
pub type BreakGlasses = BTreeMap<String, GuardedGlass>;

/// A break-glass that is open on an object a guard protects.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GuardedGlass {
    /// The guard.
    pub guard: String,
    /// Which object.
    pub object: ObjectRef,
    /// The version in which it was edited.
    pub api_version: String,
    /// Who opened it, or prolonged it last.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub until: Time,
    /// Is there nobody to be reminded any more: because people were, or because it is too short for that?
    pub reminded: bool,
}

/// What became of the break-glass of an object a guard protects.
#[derive(Debug, Clone, PartialEq)]
pub struct Emergency {
    /// What it is noted by, see [`GuardedGlass::name`].
    pub name: String,
    /// The break-glass; `None` once somebody closed it.
    pub open: Option<GuardedGlass>,
}

// === impl GuardedGlass ===

impl GuardedGlass {
    /// A note of a break-glass that was opened at `now`.
    pub fn new(guard: &str, (api_version, object): (&str, &ObjectKey), glass: Glass, now: Timestamp) -> Self {
        let reminded = glass.reminder(now).is_none();
        let Glass { reason, by, until } = glass;
        let (guard, api_version) = (guard.to_owned(), api_version.to_owned());
        Self { guard, object: object.into(), api_version, by, reason, until: Time(until), reminded }
    }

    /// What a break-glass with this end is noted by. One that is prolonged is another one: so nobody who strikes one off can take along
    /// what somebody else has just noted.
    pub fn name(object: &ObjectKey, until: Timestamp) -> String {
        format!("{object} until {until}")
    }

    /// The object.
    pub fn key(&self) -> ObjectKey {
        let ObjectRef { group, kind, namespace, name } = self.object.clone();
        ObjectKey { group, kind, namespace, name }
    }

    /// The break-glass itself.
    pub fn glass(&self) -> Glass {
        let Self { by, reason, until, .. } = self.clone();
        Glass { reason, by, until: until.0 }
    }
}
