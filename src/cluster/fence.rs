//! The fence before every write: whoever does not lead, or not any more, writes nothing.
//!
//! It is asked immediately before a request is sent and again whenever the request would go on, by this process's own clock: a
//! process that was frozen, or waited for a connection, past the end of its term finds out before anything leaves it. Two clocks
//! are read, and the one that says less time is left counts: the monotonic one stands still while a machine sleeps, the other
//! one may be set back.
//!
//! What has left already cannot be called back. That is why writes name the version that was judged wherever there is one.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Instant, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep_until;

use super::{Cause, Error};

/// What a replica is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Not known yet: the Lease was not asked for.
    #[default]
    Unknown,
    /// Somebody else writes.
    Following,
    /// This one writes; a number for each time it came to do so.
    Leading(u64),
}

/// Lets writes through while this process leads. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct Fence {
    /// `None` for those who do not take part: a person's command.
    gate: Option<Arc<Gate>>,
    role: watch::Receiver<Role>,
}

/// Opens and closes a [`Fence`].
#[derive(Debug)]
pub struct Keeper {
    gate: Arc<Gate>,
    role: watch::Sender<Role>,
}

/// Until when the fence is open.
#[derive(Debug, Default)]
struct Gate(Mutex<Option<(Instant, SystemTime)>>);

// === impl Fence ===

impl Fence {
    /// A fence that is closed, and what opens it.
    pub fn new() -> (Keeper, Self) {
        let (role, receiver) = watch::channel(Role::Unknown);
        let gate = Arc::<Gate>::default();
        (Keeper { gate: gate.clone(), role }, Self { gate: Some(gate), role: receiver })
    }

    /// None at all.
    pub fn none() -> Self {
        let (_, role) = watch::channel(Role::Leading(0));
        Self { gate: None, role }
    }

    /// May this process write now?
    pub fn is_open(&self) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.end().is_some())
    }

    /// What this replica is now, to wait for another answer.
    pub fn role(&self) -> watch::Receiver<Role> {
        let mut role = self.role.clone();
        role.mark_unchanged();
        role
    }

    /// Carries out a write for as long as this process may, and no longer.
    pub async fn within<T>(&self, doing: &str, write: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(gate) = &self.gate else { return write.await };
        let mut write = pin!(write);
        loop {
            let Some(end) = gate.end() else { return Err(closed(doing)) };
            let step = poll_fn(|context| match gate.end() {
                Some(_) => write.as_mut().poll(context).map(Some),
                None => Poll::Ready(None),
            });
            // The end may have moved by the time it comes: terms are renewed.
            tokio::select! {
                biased;
                () = sleep_until(end.into()) => {}
                answer = step => return answer.unwrap_or_else(|| Err(closed(doing))),
            }
        }
    }
}

// === impl Keeper ===

impl Keeper {
    /// This process is this; if it leads, until then by either clock.
    pub fn set(&self, role: Role, end: Option<(Instant, SystemTime)>) {
        *self.gate.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
        self.role.send_if_modified(|before| std::mem::replace(before, role) != role);
    }
}

// === impl Gate ===

impl Gate {
    /// When it closes; `None` when it has.
    fn end(&self) -> Option<Instant> {
        let (end, wall) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        (Instant::now() < end && SystemTime::now() < wall).then_some(end)
    }
}

// === impl Role ===

impl Role {
    /// Does it write?
    pub fn leads(self) -> bool {
        matches!(self, Self::Leading(_))
    }
}

fn closed(doing: &str) -> Error {
    Error { doing: doing.to_owned(), cause: Cause::NotLeading }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn in_a(time: Duration) -> (Instant, SystemTime) {
        (Instant::now() + time, SystemTime::now() + time)
    }

    fn begun() -> impl Future<Output = Result<(), Error>> {
        std::future::poll_fn(|_| panic!("it was begun"))
    }

    #[tokio::test]
    async fn nothing_is_begun_behind_a_closed_fence() {
        let (keeper, fence) = Fence::new();
        let refused = fence.within("write", begun()).await;
        assert!(matches!(refused, Err(Error { cause: Cause::NotLeading, .. })));
        for over in [in_a(Duration::ZERO), (in_a(Duration::from_mins(1)).0, SystemTime::UNIX_EPOCH)] {
            keeper.set(Role::Leading(1), Some(over));
            assert!(!fence.is_open(), "either clock closes it");
            fence.within("write", begun()).await.expect_err("its time is over");
        }
        assert_eq!(Fence::none().within("write", async { Ok(1) }).await.expect("no fence"), 1);
    }

    #[tokio::test]
    async fn what_was_begun_ends_with_the_term_or_goes_on_with_the_next() {
        let (keeper, fence) = Fence::new();
        keeper.set(Role::Leading(1), Some(in_a(SHORT)));
        let never = std::future::pending::<Result<(), Error>>();
        fence.within("write", never).await.expect_err("it takes longer than the term");
        keeper.set(Role::Leading(2), Some(in_a(SHORT)));
        let renewing = async {
            keeper.set(Role::Leading(2), Some(in_a(Duration::from_mins(1))));
            tokio::time::sleep(SHORT * 2).await;
            Ok(())
        };
        fence.within("write", renewing).await.expect("it was renewed meanwhile");
    }

    /// What a frozen process would go on with when it is thawed.
    #[tokio::test]
    async fn what_goes_on_after_the_term_does_not() {
        let (keeper, fence) = Fence::new();
        keeper.set(Role::Leading(1), Some(in_a(SHORT)));
        let mut sent = false;
        let frozen = async {
            std::thread::sleep(SHORT * 2);
            tokio::task::yield_now().await;
            sent = true;
            Ok(())
        };
        fence.within("write", frozen).await.expect_err("the term ended while it stood still");
        assert!(!sent);
    }
}
