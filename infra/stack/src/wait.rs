//! Waiting for what happens elsewhere, by asking until it has.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Asks `ready` again and again until it says yes, and returns what it found.
///
/// # Errors
/// When the deadline passes, with what `ready` said last; at once when `still_possible` fails.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut ready: impl AsyncFnMut() -> Result<T>,
    mut still_possible: impl FnMut() -> Result<()>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        match ready().await {
            Ok(found) => return Ok(found),
            Err(reason) if started.elapsed() > deadline => {
                return Err(reason).with_context(|| format!("{what}: not within {deadline:?}"));
            }
            Err(_) => still_possible()?,
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
