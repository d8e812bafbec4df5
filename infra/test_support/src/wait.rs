//! Waiting for what happens elsewhere: polling with a deadline, never a fixed sleep.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

const DEADLINE: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_millis(10);

/// Asks until the answer is yes.
///
/// # Errors
/// After twenty seconds, naming `what`; or when asking fails.
pub async fn wait_until<F: Future<Output = Result<bool>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> Result<()> {
    let started = Instant::now();
    while !ask().await? {
        if started.elapsed() > DEADLINE {
            bail!("{what}: not within {DEADLINE:?}");
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}
