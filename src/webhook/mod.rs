//! The admission edge: reviews in, verdicts of [`crate::core::judge`] out.
//!
//! ```text
//! bytes ─ review ─► object, parts ─ subject ─► trial ─ core::judge ─► Judgement ─ answer ─► bytes
//!         (borrowed)  (parsed as far as needed)  └─ upstream: RBAC and parents, asked only if the verdict hangs on it
//! ```
//! A decision is HTTP 200. Whatever is not a decision (an unreadable body, no snapshot yet, a sync that could not be read, an API
//! server that does not answer, a bug) is an error status and a count, so that `failurePolicy` decides: an error never turns into
//! "allow" in silence.

pub mod admit;
mod answer;
mod aside;
mod decision;
mod guards;
mod no_decision;
mod object;
mod own;
mod parts;
mod places;
pub mod register;
mod review;
pub mod serve;
mod span;
mod subject;
pub mod tls;
mod trial;
mod unread;
pub mod upstream;
mod witness;

pub use crate::core::judge::Rules;
pub use admit::{Webhook, router};
