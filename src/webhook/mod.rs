//! Admission: the API server asks, `core` answers.
//!
//! A decision is HTTP 200; anything that is not a decision is an error status, so that `failurePolicy` decides.

pub mod register;
