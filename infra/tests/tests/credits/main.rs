//! Whatever happens, in whatever order: credits are what was paid for, no job is done for nothing, and none is lost.
//!
//! Random sequences of what customers, operators, banks, networks and our own code do, with our code dying, freezing or
//! meeting itself anywhere, run against the real database and the stand-in for Stripe. When they stop, and again when the
//! worker and the reconciliation have done all that is left to do, every promise must hold (`verdict`). A sequence that
//! breaks one is made shorter and printed with its seed; `KITLOOP_CREDITS_SEED=<seed>` runs that sequence alone.

use anyhow::Result;
use kitloop_tests::Search;

mod acts;
mod chances;
mod jobs;
mod mistakes;
mod outside;
mod races;
mod requests;
mod rest;
mod scenes;
mod shop;
mod steps;
mod topups;
mod verdict;

use shop::Market;

/// How many sequences a run tries.
const SEQUENCES: u64 = 200;

#[test]
fn credits_are_paid_for_and_jobs_are_done_once_whatever_happens() -> Result<()> {
    Search::of("KITLOOP_CREDITS", SEQUENCES)?.finds_nothing::<Market>()
}
