//! Code that dies or is frozen in the middle: nothing else can tell a sandbox that is gone from one that is slow.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use kitloop::error::Error;

/// Something that our code does.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// How far some work came.
pub(super) enum Progress {
    Done(Result<(), Error>),
    /// Where it waited, it stopped. What it has asked for happens all the same, as when a sandbox dies or is frozen; so
    /// that it does, the work must be kept, since dropping it takes back a request that has not left yet.
    Halted(Work),
}

/// Lets the work go on until it has had to wait so many times.
pub(super) async fn run_for(mut work: Work, waits: u8) -> Progress {
    let mut left = waits;
    let done = poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    });
    match done.await {
        Some(outcome) => Progress::Done(outcome),
        None => Progress::Halted(work),
    }
}
