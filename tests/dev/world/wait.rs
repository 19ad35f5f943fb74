//! Waiting on conditions. Nothing in a world, and no test, sleeps for a guessed time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const BETWEEN_LOOKS: Duration = Duration::from_millis(40);

/// Looks again and again until `look` succeeds, and says what it last complained of when time is up:
///
/// ```ignore
/// wait_until("alice's edit is healed", Duration::from_secs(10), || async {
///     let replicas = replicas_of("api").await?;
///     ensure!(replicas == 3, "replicas is {replicas}");
///     Ok(())
/// }).await?;
/// ```
pub async fn wait_until<T, F, Look>(what: &str, timeout: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Look,
    Look: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + timeout;
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(complaint) if Instant::now() >= deadline => {
                bail!("waited {timeout:?} until {what}, but {complaint:#}")
            }
            Err(_) => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
}
