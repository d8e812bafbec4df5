//! The use cases: one file each, saying in which order the parts are called.
//!
//! What a use case decides about stock, state or money, it leaves to one SQL operation. Those that talk to Stripe are
//! SQL (claims, says what to do) → Stripe → SQL (records), with nothing locked in between.

pub mod alarms;
pub mod cancel;
pub mod confirm;
mod emails;
pub mod expire;
pub mod gauges;
mod intents;
pub mod jobs;
pub mod ops;
pub mod paid_jobs;
pub mod pay;
pub mod ready;
pub mod reconcile;
pub mod refund;
pub mod reserve;
mod schedule;
pub mod topup;
pub mod webhook;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// How far our clock may be ahead of Stripe's.
const CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(5);

/// From when on Stripe may say that it made what we asked for at a time.
fn at_stripe(asked_at: Timestamp) -> Timestamp {
    asked_at.checked_sub(CLOCK_DIFFERENCE).unwrap_or(asked_at)
}

/// What is kept of an invocation for the SQL call that records what others said.
const TIME_TO_RECORD: Duration = Duration::from_secs(4);

/// When the calls of an invocation to others (Stripe, Resend) have to be over.
fn upstream_deadline(deadline: Instant) -> Instant {
    deadline.checked_sub(TIME_TO_RECORD).unwrap_or(deadline)
}
