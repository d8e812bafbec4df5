//! Panics: mistakes of ours, which must not take an invocation's line and answer with them.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::task::Poll;

/// The field of lines about work that panicked, after the panic itself was logged.
pub(super) const PANICKED: &str = "panicked";

/// Puts panics into the log from now on.
pub(super) fn log() {
    set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, reason = panic.payload_as_str(), "panic");
    }));
}

/// The output of `work`; `None` if it panicked, which is in the log then.
pub async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = Box::pin(work);
    // Nothing of the work is looked at afterwards, so that nothing half done can be seen.
    std::future::poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}
