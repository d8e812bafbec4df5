//! Waiting for what happens elsewhere, by asking until it has.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::time::{Instant, sleep, timeout_at};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Asks `ready` again and again until it says yes, and returns what it found.
///
/// # Errors
/// When the deadline passes, with what `ready` said last, also if it does not answer any more; at once when
/// `still_possible` fails.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut ready: impl AsyncFnMut() -> Result<T>,
    mut still_possible: impl FnMut() -> Result<()>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut reason = anyhow!("no answer");
    while let Ok(answer) = timeout_at(end, ready()).await {
        match answer {
            Ok(found) => return Ok(found),
            Err(not_yet) => reason = not_yet,
        }
        still_possible()?;
        if Instant::now() > end {
            break;
        }
        sleep(POLL_INTERVAL).await;
    }
    Err(reason).with_context(|| format!("{what}: not within {deadline:?}"))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn what_hangs_is_given_up_at_the_deadline() {
        let hang = async || std::future::pending::<Result<()>>().await;
        let error = wait_for("the function", MOMENT, hang, || Ok(())).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the function: not within 50ms: no answer");
    }

    #[tokio::test]
    async fn at_the_deadline_the_last_reason_is_told() {
        let refuse = async || -> Result<()> { bail!("connection refused") };
        let error = wait_for("the function", MOMENT, refuse, || Ok(())).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "the function: not within 50ms: connection refused");
    }

    #[tokio::test]
    async fn what_cannot_come_any_more_is_not_waited_for() {
        let refuse = async || -> Result<()> { bail!("connection refused") };
        let ended = || bail!("it ended");
        let error = wait_for("the function", Duration::from_secs(600), refuse, ended).await.unwrap_err();
        assert_eq!(error.to_string(), "it ended");
    }
}
