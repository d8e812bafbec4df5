//! When an invocation ends.

use std::time::{Duration, SystemTime};

use lambda_http::Context;
use tokio::time::Instant;

use crate::clock;

/// The runtime's deadline; `timeout` from now if there is none, or one that is past on arrival, as local runtimes
/// send it.
#[must_use]
pub fn of(context: Option<&Context>, timeout: Duration) -> Instant {
    let remaining = context.and_then(|context| remaining(context, clock::now().into()));
    Instant::now() + remaining.unwrap_or(timeout)
}

fn remaining(context: &Context, now: SystemTime) -> Option<Duration> {
    context.deadline().duration_since(now).ok().filter(|remaining| !remaining.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_does_not_count() {
        let mut context = Context::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        for (deadline, expected) in [(0, None), (1_000_000, None), (1_004_000, Some(Duration::from_secs(4)))]
        {
            context.deadline = deadline;
            assert_eq!(remaining(&context, now), expected);
        }
    }
}
