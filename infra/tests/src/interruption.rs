//! Code that dies or is frozen in the middle: nothing else can tell a sandbox that is gone from one that is slow.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use kitloop::error::Error;
use proptest::prelude::{Just, Strategy, prop_oneof};

/// Something that our code does.
pub type Work = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// What becomes of our code while it is at it.
#[derive(Debug, Clone, Copy)]
pub enum Interruption {
    /// It comes to its end.
    Nothing,
    /// It dies after so many times that it had to wait.
    Crash(u8),
    /// It is frozen, as sandboxes are, until it is thawed, if ever.
    Freeze(u8),
}

/// Any of them, but mostly none.
pub fn interruption() -> impl Strategy<Value = Interruption> {
    prop_oneof![
        12 => Just(Interruption::Nothing),
        2 => waits().prop_map(Interruption::Crash),
        1 => waits().prop_map(Interruption::Freeze),
    ]
}

/// A statement or a request is one wait or two; only a reconciliation has many.
pub fn waits() -> impl Strategy<Value = u8> {
    prop_oneof![6 => 0..=6_u8, 1 => 7..=40_u8]
}

/// Where our code was interrupted. What it has asked for happens all the same, as when a sandbox dies or is frozen; so that
/// it does, the work must be kept, since dropping it takes back a request that has not left yet.
#[derive(Default)]
pub struct Sandboxes {
    frozen: VecDeque<Work>,
    dead: Vec<Work>,
}

impl Sandboxes {
    /// Lets the work go on until it is interrupted; what came of it, if it came to its end before.
    pub async fn run(&mut self, work: Work, interruption: Interruption) -> Option<Result<(), Error>> {
        let (Interruption::Crash(waits) | Interruption::Freeze(waits)) = interruption else {
            return Some(work.await);
        };
        match run_for(work, waits).await {
            Progress::Done(outcome) => return Some(outcome),
            Progress::Halted(work) => match interruption {
                Interruption::Freeze(_) => self.frozen.push_back(work),
                _ => self.dead.push(work),
            },
        }
        None
    }

    /// Lets go on who was frozen longest; what came of it, if there was anybody.
    pub async fn thaw(&mut self) -> Option<Result<(), Error>> {
        Some(self.frozen.pop_front()?.await)
    }
}

/// How far some work came.
enum Progress {
    Done(Result<(), Error>),
    /// Where it waited, it stopped.
    Halted(Work),
}

/// Lets the work go on until it has had to wait so many times.
async fn run_for(mut work: Work, waits: u8) -> Progress {
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
