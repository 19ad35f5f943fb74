//! What people ask before and beside the reconciler: what differs (`holdfast diff`), why (`holdfast explain`), and what is held
//! open (`holdfast break-glass list`), what became of commits (`holdfast history`) and of a request (`holdfast sync`).
//!
//! It asks what the reconciler asks (`reconcile::declare`, `core::drift`) and shows the answer instead of acting on it, so that
//! the two can never disagree. Nothing is written to the cluster, and no running Holdfast is needed: Git is read anew.
//!
//! ```text
//! GitSyncs ─► read (a commit or a folder) ─► declare (dry run) ─► finding ─► unified     diff
//!  syncs                                                      └─► explanation ─► table   explain
//! ```
//! `finding`, `unified`, `explanation` and `table` are functions of values; the others talk to Git and the API server.

mod columns;
mod coming;
mod diff;
mod error;
mod explain;
mod explanation;
mod finding;
mod glasses;
mod paint;
mod places;
mod progress;
mod read;
mod refusal;
mod report;
mod revisions;
mod syncs;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod unified;
mod unmanaged;

pub use diff::Comparing;
pub use error::Error;
pub use explain::Explaining;
pub use explanation::Explanation;
pub use finding::{Difference, Finding};
pub use glasses::{OpenGlass, glasses_table, open_glasses};
pub use progress::{Answer, answer, changes};
pub use read::Target;
pub use report::{Outcome, Report, Trouble};
pub use revisions::history_table;
pub use syncs::Wanted;
pub use table::table;
pub use unified::unified;
