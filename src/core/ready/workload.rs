//! Readiness of what runs: counts of replicas, as each built-in controller reports them.
//!
//! These controllers always say which generation they speak of, so one that has not said anything yet has not looked.

use serde_json::Value;

use super::{condition, status_of, told};

pub(super) fn deployment(object: &Value) -> Option<String> {
    let late = |progress: &&Value| progress.get("reason").is_some_and(|reason| reason == "ProgressDeadlineExceeded");
    if let Some(progress) = condition(object, "Progressing").filter(late) {
        return Some(told(progress));
    }
    let (wanted, count) = (wanted(object), |name: &str| count(object, name));
    unseen(object)
        .or_else(|| fewer(count("updatedReplicas"), wanted, "updated"))
        .or_else(|| superfluous(count("replicas"), count("updatedReplicas").max(wanted)))
        .or_else(|| fewer(count("availableReplicas"), wanted, "available"))
        .or_else(|| fewer(count("readyReplicas"), wanted, "ready"))
        .or_else(|| condition(object, "Available").filter(|available| status_of(available) == "False").map(told))
}

pub(super) fn stateful_set(object: &Value) -> Option<String> {
    if has_strategy(object, "OnDelete") {
        return unseen(object);
    }
    let (wanted, count) = (wanted(object), |name: &str| count(object, name));
    let partition = object.pointer("/spec/updateStrategy/rollingUpdate/partition").and_then(Value::as_i64).unwrap_or(0);
    let there = unseen(object)
        .or_else(|| fewer(count("replicas"), wanted, "there"))
        .or_else(|| fewer(count("readyReplicas"), wanted, "ready"))
        .or_else(|| superfluous(count("replicas"), wanted));
    if partition > 0 {
        return there.or_else(|| fewer(count("updatedReplicas"), (wanted - partition).max(0), "updated"));
    }
    let revision = |name: &str| object.pointer(&format!("/status/{name}")).and_then(Value::as_str);
    let is_mixed = revision("currentRevision") != revision("updateRevision");
    there
        .or_else(|| is_mixed.then(|| fewer(count("updatedReplicas"), wanted, "updated")).flatten())
        .or_else(|| is_mixed.then(|| "its newest revision is not the current one yet".to_owned()))
}

pub(super) fn daemon_set(object: &Value) -> Option<String> {
    let count = |name: &str| count(object, name);
    let wanted = count("desiredNumberScheduled");
    let follows = !has_strategy(object, "OnDelete");
    unseen(object)
        .or_else(|| fewer(count("currentNumberScheduled"), wanted, "scheduled"))
        .or_else(|| follows.then(|| fewer(count("updatedNumberScheduled"), wanted, "updated")).flatten())
        .or_else(|| fewer(count("numberAvailable"), wanted, "available"))
        .or_else(|| fewer(count("numberReady"), wanted, "ready"))
}

pub(super) fn replica_set(object: &Value) -> Option<String> {
    let failed = condition(object, "ReplicaFailure").filter(|failure| status_of(failure) == "True");
    let (wanted, count) = (wanted(object), |name: &str| count(object, name));
    failed
        .map(told)
        .or_else(|| unseen(object))
        .or_else(|| fewer(count("availableReplicas"), wanted, "available"))
        .or_else(|| fewer(count("readyReplicas"), wanted, "ready"))
        .or_else(|| superfluous(count("replicas"), wanted))
}

pub(super) fn pod(object: &Value) -> Option<String> {
    match object.pointer("/status/phase").and_then(Value::as_str).unwrap_or("Pending") {
        "Succeeded" => None,
        "Running" => match condition(object, "Ready") {
            Some(ready) if status_of(ready) == "True" => None,
            ready => Some(ready.map_or_else(|| "it is not ready yet".to_owned(), told)),
        },
        phase => {
            let scheduled = condition(object, "PodScheduled").filter(|scheduled| status_of(scheduled) == "False");
            Some(scheduled.map_or_else(|| format!("its phase is {phase}"), told))
        }
    }
}

fn unseen(object: &Value) -> Option<String> {
    let observed = object.pointer("/status/observedGeneration");
    observed.is_none().then(|| "its controller has not seen it yet".to_owned())
}

fn has_strategy(object: &Value, strategy: &str) -> bool {
    object.pointer("/spec/updateStrategy/type").is_some_and(|found| found == strategy)
}

/// One, unless it says otherwise.
fn wanted(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn count(object: &Value, name: &str) -> i64 {
    object.pointer(&format!("/status/{name}")).and_then(Value::as_i64).unwrap_or(0)
}

fn fewer(count: i64, wanted: i64, what: &str) -> Option<String> {
    (count < wanted).then(|| format!("{count} of {wanted} are {what}"))
}

fn superfluous(count: i64, wanted: i64) -> Option<String> {
    (count > wanted).then(|| format!("{} of an earlier revision are still there", count - wanted))
}
