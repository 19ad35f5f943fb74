//! What happened, who did it, and the proof.
//!
//! Three readers, three forms: [`record`] for auditors (one JSON line per event, through [`sink`], which never makes its caller
//! wait and never drops a line), [`metrics`] for alerts, and Kubernetes Events for whoever looks at the object. Records go to
//! standard output and logs to standard error, so that collecting evidence needs no filter.

mod about;
mod editors;
mod intent;
pub mod metrics;
pub mod record;
pub mod sink;
mod spill;

pub use intent::Intent;
pub use metrics::Metrics;
pub use record::{Actor, Field, Kind, Record, RecordId};
pub use sink::Evidence;
