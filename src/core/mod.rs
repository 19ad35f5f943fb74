//! The pure heart: what Git declares, how the cluster differs, and what to do about it.
//!
//! Values in, values out. No async, no clock, no client, no files, no environment: `tests/tidy.rs` holds that, so that both
//! edges (the webhook and the reconciler) can only ever ask the same question and get the same answer.

pub mod manifest;
pub mod names;
pub mod object;
