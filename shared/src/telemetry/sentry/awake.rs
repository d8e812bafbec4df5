//! Time that a sandbox is awake. Lambda freezes it between invocations, while the clock goes on.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// A freeze counts as one of these at most.
const TICK: Duration = Duration::from_millis(100);
/// A tick that took so long was no tick of a processor that is merely busy.
const FREEZE: Duration = Duration::from_millis(600);

/// What came of work.
pub(super) struct Attempt<T> {
    /// Its output, unless it took too long.
    pub(super) output: Option<T>,
    /// Whether the sandbox was frozen while it was under way.
    pub(super) froze: bool,
}

/// Works for at most so much of the time that the sandbox is awake.
pub(super) async fn while_awake<T>(limit: Duration, work: impl Future<Output = T>) -> Attempt<T> {
    let mut work = pin!(work);
    let mut left = limit;
    let mut froze = false;
    while !left.is_zero() {
        let began = Instant::now();
        let output = timeout(TICK, &mut work).await.ok();
        froze |= began.elapsed() >= FREEZE;
        if output.is_some() {
            return Attempt { output, froze };
        }
        left = left.saturating_sub(TICK);
    }
    Attempt { output: None, froze }
}
