//! Stopping in two stages: the first signal asks everyone to finish, the second (or too long a wait) stops waiting.
//!
//! One [`Shutdown`] is cloned into every part. A part waits for [`Shutdown::requested`] and ends in its own order; tasks that
//! must be waited for are started with [`Shutdown::spawn`]. The parts that answer probes and reviews outlive the request,
//! because the API server needs time to notice that we are leaving.

use std::{io, time::Duration};

use tokio::{signal::unix, task::JoinHandle, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long parts may take to finish, if nobody says otherwise. Kubernetes kills after 30 s by default.
pub const DRAIN: Duration = Duration::from_secs(25);

/// Says when to stop. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct Shutdown {
    requested: CancellationToken,
    aborted: CancellationToken,
    tasks: TaskTracker,
    drain: Duration,
}

/// How the end came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every task finished.
    Drained,
    /// Some were still running at a second signal, or when the time for draining was over.
    Aborted,
}

// === impl Shutdown ===

impl Shutdown {
    /// Asked for by hand only, which is what tests want.
    pub fn new(drain: Duration) -> Self {
        let (requested, aborted) = (CancellationToken::new(), CancellationToken::new());
        Self { requested, aborted, tasks: TaskTracker::new(), drain }
    }

    /// Asked for by SIGINT or SIGTERM. Must be called inside a runtime.
    pub fn on_signals(drain: Duration) -> io::Result<Self> {
        let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
        let mut terminate = unix::signal(unix::SignalKind::terminate())?;
        let shutdown = Self::new(drain);
        let told = shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => told.signal("SIGINT"),
                    _ = terminate.recv() => told.signal("SIGTERM"),
                }
            }
        });
        Ok(shutdown)
    }

    /// Resolves when stopping has been asked for; at once if it has been already.
    pub async fn requested(&self) {
        self.requested.cancelled().await;
    }

    /// Whether stopping has been asked for.
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Asks everyone to finish.
    pub fn request(&self) {
        self.requested.cancel();
    }

    /// Stops waiting for whoever has not finished.
    pub fn abort(&self) {
        self.request();
        self.aborted.cancel();
    }

    /// Starts a task that the end waits for. It is dropped where it stands if the shutdown is aborted.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<Option<T>> {
        let aborted = self.aborted.clone();
        self.tasks.spawn(aborted.run_until_cancelled_owned(task))
    }

    /// Starts a task that only watches: it ends with the request, wherever it is, and nobody waits for it.
    pub fn spawn_watcher(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(self.requested.clone().run_until_cancelled_owned(task));
    }

    /// Waits for `ending`, but no longer than the time for draining, and not at all after a second signal.
    pub async fn patiently(&self, ending: impl Future<Output = ()>) -> Ending {
        match time::timeout(self.drain, self.aborted.run_until_cancelled(ending)).await {
            Ok(Some(())) => Ending::Drained,
            Ok(None) | Err(_) => Ending::Aborted,
        }
    }

    /// Waits for the request, then for every task, but no longer than the time for draining.
    pub async fn finished(&self) -> Ending {
        self.requested().await;
        self.tasks.close();
        let ending = self.patiently(self.tasks.wait()).await;
        self.abort();
        ending
    }

    fn signal(&self, name: &str) {
        if self.is_requested() {
            tracing::warn!(signal = name, "stopping at once");
            self.abort();
        } else {
            tracing::info!(signal = name, drain = ?self.drain, "finishing; a second signal stops at once");
            self.request();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;

    #[tokio::test]
    async fn the_end_waits_for_tasks_that_finish() {
        let shutdown = Shutdown::new(DRAIN);
        let task = shutdown.clone();
        let task = shutdown.spawn(async move {
            task.requested().await;
            "finished"
        });
        shutdown.request();
        assert_eq!(shutdown.finished().await, Ending::Drained);
        assert_eq!(task.await.expect("no panic"), Some("finished"));
    }

    #[tokio::test]
    async fn a_second_request_waits_for_nobody() {
        let shutdown = Shutdown::new(DRAIN);
        let stuck = shutdown.spawn(future::pending::<()>());
        shutdown.signal("SIGTERM");
        assert!(!stuck.is_finished());
        shutdown.signal("SIGTERM");
        assert_eq!(shutdown.finished().await, Ending::Aborted);
        assert_eq!(stuck.await.expect("no panic"), None);
    }

    #[tokio::test]
    async fn draining_has_an_end() {
        let shutdown = Shutdown::new(Duration::from_millis(1));
        let stuck = shutdown.spawn(future::pending::<()>());
        shutdown.request();
        assert_eq!(shutdown.finished().await, Ending::Aborted);
        assert_eq!(stuck.await.expect("no panic"), None);
    }
}
