//! What happened, who did it, and the proof.
//!
//! Three readers, three forms: [`record`] for auditors (one JSON line per event, through [`sink`], which has written it before its
//! caller goes on, and never has it wait for a reader), [`metrics`] for alerts, and Kubernetes Events for whoever looks at the object. Records go to
//! standard output and logs to standard error, so that collecting evidence needs no filter.

mod about;
mod editors;
mod intent;
pub mod metrics;
mod output;
pub mod record;
pub mod sink;
mod spill;

pub use intent::Intent;
pub use metrics::Metrics;
pub use output::Output;
pub use record::{Actor, Field, Kind, Record, RecordId};
pub use sink::Evidence;
