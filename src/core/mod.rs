//! The pure heart: what Git declares, how the cluster differs, and what to do about it.
//!
//! Values in, values out. No async, no clock, no client, no files, no environment: `tests/tidy.rs` holds that, so that both
//! edges (the webhook and the reconciler) can only ever ask the same question and get the same answer.

pub mod adoption;
pub mod breakglass;
pub mod compare;
pub mod declaration;
pub mod difference;
pub mod drift;
pub mod exclude;
pub mod fields;
pub mod fight;
pub mod guard;
pub mod heal;
pub mod judge;
pub mod lease;
pub mod lookup;
pub mod manifest;
pub mod mask;
pub mod names;
pub mod object;
mod observe;
pub mod options;
pub mod ownership;
pub mod path;
pub mod ready;
pub mod say;
pub mod shards;
pub mod snapshot;
pub mod stamp;
pub mod state;
pub mod team;
pub mod text;
pub mod undeclared;
pub mod value;
pub mod waves;
pub mod who;
pub mod window;
