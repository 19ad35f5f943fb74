//! `DriftPolicy`: what holds for the whole cluster.
//!
//! It is optional. The object is called `default`, and without it [`Policy::default`] holds, so that installing Holdfast does
//! not begin with writing a policy.

use std::sync::Arc;
use std::time::Duration;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::emergency::DriftPolicyStatus;
use super::guard::{self, GuardSpec};
use super::team::{self, TeamsSpec};
use super::{FieldError, IgnoreRule, PolicyWindow, ScopedWindow, fault::Faults, ignore, meaning::duration_at, window};
use crate::core::exclude::{Presets, Rule};
use crate::core::guard::Guard;
pub use crate::core::names::POLICY_NAME;
use crate::core::team::Teams;
use crate::core::who::INTERACTIVE;

/// Cluster-wide rules of Holdfast.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "holdfast.dev",
    version = "v1alpha1",
    kind = "DriftPolicy",
    plural = "driftpolicies",
    shortname = "dp",
    category = "holdfast",
    status = "DriftPolicyStatus",
    derive = "PartialEq",
    doc = "Cluster-wide rules of Holdfast. There is at most one, named default; without it the defaults below hold.",
    validation = Rule::new("self.metadata.name == 'default'").message("the only DriftPolicy is named 'default'")
)]
#[kube(printcolumn(name = "Observe only", type_ = "boolean", json_path = ".spec.observeOnly"))]
#[kube(printcolumn(name = "Longest break-glass", type_ = "string", json_path = ".spec.breakGlass.maxDuration"))]
#[kube(printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"))]
#[serde(rename_all = "camelCase")]
pub struct DriftPolicySpec {
    /// Nothing is refused and no drift is undone, in any `GitSync`; what would have been refused is recorded and counted, and
    /// drift is reported. Commits are applied all the same.
    #[serde(default)]
    pub observe_only: bool,
    /// Users and groups, as globs, that are never denied at admission, besides nodes and the service accounts of
    /// kube-system. What they change is still healed if it is not ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controllers: Vec<String>,
    /// Limits of emergency edits.
    #[serde(default)]
    pub break_glass: BreakGlass,
    /// Field managers, as globs, by which an edit found later is recognised as a person's.
    #[serde(default = "interactive")]
    pub interactive_managers: Vec<String>,
    /// Fields that are somebody else's business wherever they are: never denied, never healed, for every `GitSync`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<IgnoreRule>,
    /// Times at which GitSyncs may, or may not, make commits real, undo drift, and delete what left Git.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub sync_windows: Vec<PolicyWindow>,
    /// Exclusions everybody would have to write. All are on; switch one off with `false`.
    #[serde(default)]
    pub presets: Switches,
    /// What other tools (Flux, Argo CD, Helm, a pipeline) keep, protected at admission from edits by anybody else. It is
    /// neither marked nor healed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub guards: Vec<GuardSpec>,
    /// How teams are told, by which records and what would have been refused are counted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub teams: TeamsSpec,
}

/// Switches of the presets.
#[allow(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Switches {
    /// Replicas, while they are within the range of a `HorizontalPodAutoscaler` that targets the object.
    pub hpa: bool,
    /// Container resources, when a `VerticalPodAutoscaler` that acts targets the object.
    pub vpa: bool,
    /// CA bundles of webhooks, `APIServices` and CRD conversions, where Git leaves them empty or an annotation asks for injection.
    pub ca_bundle: bool,
    /// Rules of `ClusterRoles` with an aggregationRule.
    pub aggregated_cluster_roles: bool,
    /// Data of service account tokens, and the list of secrets of a ServiceAccount where Git leaves it out.
    pub service_accounts: bool,
    /// What binding writes into `PersistentVolumeClaims` and `PersistentVolumes` where Git leaves it out.
    pub volumes: bool,
    /// Addresses, node ports and IP families of Services where Git leaves them out.
    pub services: bool,
    /// The annotation that `kubectl rollout restart` writes.
    pub restarts: bool,
    /// Data of Secrets that External Secrets, Sealed Secrets or cert-manager fill.
    pub external_secrets: bool,
    /// Probes, lifecycle hooks and scrape annotations that Istio's injector leads through its agent, where injection is asked for.
    pub injection: bool,
}

/// Limits of emergency edits.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct BreakGlass {
    /// The longest that may be asked for with `holdfast.dev/break-glass-for`.
    #[serde(default = "four_hours")]
    #[schemars(length(max = 64), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    pub max_duration: String,
    /// How long an emergency lasts when nobody says.
    #[serde(default = "half_an_hour")]
    #[schemars(length(max = 64), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))]
    pub default_duration: String,
}

/// A [`DriftPolicy`] as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Is nothing refused and nothing undone?
    pub observe_only: bool,
    /// Globs over user names and groups that are never denied.
    pub controllers: Vec<String>,
    /// Longest break-glass.
    pub break_glass_longest: Duration,
    /// Break-glass without a stated duration; never above the longest.
    pub break_glass_usual: Duration,
    /// Globs over field managers behind which a person sits.
    pub interactive_managers: Vec<String>,
    /// Exclusion rules for the whole cluster.
    pub ignore: Arc<[Rule]>,
    /// Which presets are on.
    pub presets: Presets,
    /// Times at which things may, or may not, happen, and in which GitSyncs.
    pub windows: Vec<ScopedWindow>,
    /// What other tools keep.
    pub guards: Arc<[Guard]>,
    /// How teams are told.
    pub teams: Arc<Teams>,
}

// === impl Policy ===

impl Default for Policy {
    fn default() -> Self {
        Self {
            observe_only: false,
            controllers: Vec::new(),
            break_glass_longest: Duration::from_hours(4),
            break_glass_usual: Duration::from_mins(30),
            interactive_managers: interactive(),
            ignore: Arc::default(),
            presets: Presets::default(),
            windows: Vec::new(),
            guards: Arc::default(),
            teams: Arc::default(),
        }
    }
}

impl TryFrom<&DriftPolicy> for Policy {
    type Error = Vec<FieldError>;

    fn try_from(typed: &DriftPolicy) -> Result<Self, Self::Error> {
        let DriftPolicySpec { observe_only, controllers, break_glass, .. } = &typed.spec;
        let DriftPolicySpec { interactive_managers, ignore_differences, presets, sync_windows, guards, teams, .. } =
            &typed.spec;
        let mut faults = Faults::default();
        named_default(typed, &mut faults);
        globs("spec.controllers", controllers, &mut faults);
        nobody_in_particular("spec.controllers", controllers, &mut faults);
        globs("spec.interactiveManagers", interactive_managers, &mut faults);
        let (break_glass_longest, break_glass_usual) = limits(break_glass, &mut faults);
        let ignore = ignore::read(ignore_differences, "spec.ignoreDifferences", "DriftPolicy default", &mut faults);
        let windows = window::read_scoped(sync_windows, "spec.syncWindows", "DriftPolicy default", &mut faults);
        let guards = guard::read(guards, &mut faults);
        let teams = team::read(teams, &mut faults);
        faults.or(Self {
            observe_only: *observe_only,
            controllers: controllers.clone(),
            break_glass_longest,
            break_glass_usual,
            interactive_managers: interactive_managers.clone(),
            ignore: ignore.into(),
            presets: presets.clone().into(),
            windows,
            guards: guards.into(),
            teams: teams.into(),
        })
    }
}

// === readers ===

fn named_default(typed: &DriftPolicy, faults: &mut Faults) {
    let name = typed.metadata.name.as_deref().unwrap_or_default();
    let reason = format!("{name:?} would have no effect");
    faults.require(name == POLICY_NAME, "metadata.name", &reason, "the only DriftPolicy is named default");
}

pub(super) fn globs(field: &str, typed: &[String], faults: &mut Faults) {
    for (index, glob) in typed.iter().enumerate() {
        faults.require(!glob.trim().is_empty(), &format!("{field}[{index}]"), "is empty", "write a name or a glob");
    }
}

/// Every request carries one of these groups: exempting it would switch the guard off while it looks switched on.
pub(super) fn nobody_in_particular(field: &str, typed: &[String], faults: &mut Faults) {
    let everyone = |glob: &str| !glob.is_empty() && glob.bytes().all(|byte| byte == b'*');
    for (index, glob) in typed.iter().enumerate() {
        if everyone(glob) || matches!(glob.as_str(), "system:authenticated" | "system:*" | "system:serviceaccounts") {
            let remedy = "name the accounts; to stop denying altogether set the mode of the GitSyncs or guards";
            faults.add(&format!("{field}[{index}]"), format!("{glob:?} exempts everyone"), remedy);
        }
    }
}

fn limits(typed: &BreakGlass, faults: &mut Faults) -> (Duration, Duration) {
    let longest = duration_at("spec.breakGlass.maxDuration", &typed.max_duration, faults);
    let usual = duration_at("spec.breakGlass.defaultDuration", &typed.default_duration, faults);
    if longest > Duration::ZERO && usual > longest {
        let reason = format!("{:?} is longer than maxDuration {:?}", typed.default_duration, typed.max_duration);
        faults.add("spec.breakGlass.defaultDuration", reason, "shorten it, or raise maxDuration");
    }
    (longest, usual)
}

// === defaults ===

impl Default for DriftPolicySpec {
    fn default() -> Self {
        Self {
            observe_only: false,
            controllers: Vec::new(),
            break_glass: BreakGlass::default(),
            interactive_managers: interactive(),
            ignore_differences: Vec::new(),
            presets: Switches::default(),
            sync_windows: Vec::new(),
            guards: Vec::new(),
            teams: TeamsSpec::default(),
        }
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            hpa: true,
            vpa: true,
            ca_bundle: true,
            aggregated_cluster_roles: true,
            service_accounts: true,
            volumes: true,
            services: true,
            restarts: true,
            external_secrets: true,
            injection: true,
        }
    }
}

impl From<Switches> for Presets {
    fn from(typed: Switches) -> Self {
        let Switches { hpa, vpa, ca_bundle, aggregated_cluster_roles, service_accounts, .. } = typed;
        let Switches { volumes, services, restarts, external_secrets, injection, .. } = typed;
        Self {
            hpa,
            vpa,
            ca_bundle,
            aggregated_cluster_roles,
            service_accounts,
            volumes,
            services,
            restarts,
            external_secrets,
            injection,
        }
    }
}

impl Default for BreakGlass {
    fn default() -> Self {
        Self { max_duration: four_hours(), default_duration: half_an_hour() }
    }
}

fn is_default(teams: &TeamsSpec) -> bool {
    *teams == TeamsSpec::default()
}

fn four_hours() -> String {
    "4h".to_owned()
}

fn half_an_hour() -> String {
    "30m".to_owned()
}

fn interactive() -> Vec<String> {
    INTERACTIVE.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests;
