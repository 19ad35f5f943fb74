//! What takes long, beside the thread that answers.
//!
//! All reviews are answered by one thread ([`Server::run_alone`](super::serve::Server::run_alone)), each in a fraction of a
//! millisecond. What may take longer, a body of megabytes or an expression that walks through all of an object, leaves that thread
//! to the others. A runtime without threads, as tests have, has none to leave it to.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Does this while another thread goes on with everything else.
pub(super) fn work<T>(work: impl FnOnce() -> T) -> T {
    if has_others() { block_in_place(work) } else { work() }
}

/// Waits for this likewise: all that is done meanwhile is done aside.
pub(super) async fn wait<T>(answer: impl Future<Output = T>) -> T {
    if has_others() { block_in_place(|| Handle::current().block_on(answer)) } else { answer.await }
}

fn has_others() -> bool {
    Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread
}
