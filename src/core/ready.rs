//! Is an object ready? What is applied in a later wave may only then rely on it.
//!
//! These are kstatus's rules, which people know from `kubectl wait`-like tools, with two exceptions: a Job is ready when it is
//! complete, not when it has begun (a migration that is still running is nothing to build on), and a `LoadBalancer` when it has an
//! address. Everything is read off the object alone. A custom resource whose status nobody has written yet is ready, as in kstatus:
//! many kinds have no controller that would ever write one.

mod workload;

use std::fmt::Write as _;

use serde_json::Value;

use super::object::group_of;

/// Whether others may rely on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// They may.
    Ready,
    /// Not yet, or not at all, for this reason.
    Waits(String),
}

/// Is this object ready?
pub fn readiness(object: &Value) -> Readiness {
    match first_reason(object) {
        None => Readiness::Ready,
        Some(reason) => Readiness::Waits(reason),
    }
}

fn first_reason(object: &Value) -> Option<String> {
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        return Some("it is being deleted".to_owned());
    }
    let text = |name| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let (group, kind) = (group_of(text("apiVersion")), text("kind"));
    let lags = is_behind(object).then(|| "its controller has not seen the newest spec yet".to_owned());
    let of_kind = || match (group, kind) {
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workload::replica_set(object),
        ("", "Pod") => workload::pod(object),
        ("batch", "Job") => job(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "PersistentVolume") => phase(object, &["Available", "Bound", "Released"]),
        ("", "Namespace") => phase(object, &["Active"]),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("apiregistration.k8s.io", "APIService") => holds(object, "Available"),
        _ => condition(object, "Ready").and_then(|ready| (status_of(ready) != "True").then(|| told(ready))),
    };
    lags.or_else(|| stalled(object)).or_else(of_kind)
}

/// Has its controller said which generation it speaks of, and is that an older one?
fn is_behind(object: &Value) -> bool {
    let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    observed.zip(generation).is_some_and(|(observed, generation)| observed < generation)
}

/// kstatus's own two conditions, which any controller may use.
fn stalled(object: &Value) -> Option<String> {
    let raised = |kind| condition(object, kind).filter(|condition| status_of(condition) == "True").map(told);
    raised("Stalled").or_else(|| raised("Reconciling"))
}

fn job(object: &Value) -> Option<String> {
    let is_true = |kind| condition(object, kind).filter(|condition| status_of(condition) == "True");
    if is_true("Complete").is_some() {
        return None;
    }
    let why = is_true("Failed").or_else(|| is_true("FailureTarget")).or_else(|| is_true("Suspended"));
    Some(why.map_or_else(|| "it has not completed".to_owned(), told))
}

fn claim(object: &Value) -> Option<String> {
    let hint = "; one that waits for its first consumer belongs into the consumer's wave";
    phase(object, &["Bound"]).map(|reason| reason + hint)
}

/// Where a status comes late, the object counts as made: only what it says of itself can be wrong.
fn phase(object: &Value, good: &[&str]) -> Option<String> {
    let phase = object.pointer("/status/phase").and_then(Value::as_str).unwrap_or("Pending");
    (!good.contains(&phase)).then(|| format!("its phase is {phase}"))
}

fn service(object: &Value) -> Option<String> {
    let balanced = object.pointer("/spec/type").is_some_and(|kind| kind == "LoadBalancer");
    let addresses = object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    let has_address = addresses.is_some_and(|addresses| !addresses.is_empty());
    (balanced && !has_address).then(|| "its load balancer has no address yet".to_owned())
}

fn definition(object: &Value) -> Option<String> {
    let refused = condition(object, "NamesAccepted").filter(|condition| status_of(condition) == "False");
    refused.map(told).or_else(|| holds(object, "Established"))
}

/// Does a condition of this type hold?
fn holds(object: &Value, kind: &str) -> Option<String> {
    match condition(object, kind) {
        Some(condition) if status_of(condition) == "True" => None,
        Some(condition) => Some(told(condition)),
        None => Some(format!("it is not said to be {kind} yet")),
    }
}

fn condition<'o>(object: &'o Value, kind: &str) -> Option<&'o Value> {
    let mut conditions = object.pointer("/status/conditions")?.as_array()?.iter();
    conditions.find(|condition| condition.get("type").is_some_and(|found| found == kind))
}

fn status_of(condition: &Value) -> &str {
    condition.get("status").and_then(Value::as_str).unwrap_or_default()
}

/// `Ready is False (ReasonOfIt): message`.
fn told(condition: &Value) -> String {
    let text = |name| condition.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut said = format!("{} is {}", text("type"), text("status"));
    for (before, part, after) in [(" (", text("reason"), ")"), (": ", text("message"), "")] {
        if !part.is_empty() {
            write!(said, "{before}{part}{after}").expect("text takes text");
        }
    }
    said
}

#[cfg(test)]
mod tests;
