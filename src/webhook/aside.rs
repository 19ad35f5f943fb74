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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::runtime::Builder;

    use super::*;

    /// Far more than it takes; only a thread that is kept gets this far.
    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn who_works_aside_leaves_the_only_thread_to_others() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        for waits in [false, true] {
            let (tell, told) = mpsc::channel();
            let working = runtime.spawn(async move {
                let hear = move || told.recv_timeout(LONG);
                if waits { wait(async move { hear() }).await } else { work(hear) }
            });
            runtime.spawn(async move { tell.send(()) });
            runtime.block_on(working).expect("no panic").expect("somebody else had the thread");
        }
    }

    #[tokio::test]
    async fn without_other_threads_it_is_just_done() {
        assert_eq!((work(|| 1), wait(async { 2 }).await), (1, 2));
    }
}
