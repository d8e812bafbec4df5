//! Whatever happens, in whatever order: money is never kept without a booking, and nobody pays twice.
//!
//! Random sequences of what customers, staff, banks, networks and our own code do, with our code dying or freezing
//! anywhere, run against the real database and the stand-in for Stripe. At the end of each the schedules run until
//! nothing is left to do, and then every promise must hold (`verdict`). A sequence that breaks one is made shorter and
//! printed with its seed; `KITLOOP_MONEY_SEED=<seed>` runs that sequence alone.

use anyhow::Result;
use kitloop_tests::Search;

mod acts;
mod chances;
mod lives;
mod mistakes;
mod outside;
mod rest;
mod scenes;
mod shop;
mod steps;
mod verdict;

use shop::Market;

/// How many sequences a run tries.
const SEQUENCES: u64 = 2_000;

#[test]
fn money_is_never_kept_without_a_booking_whatever_happens() -> Result<()> {
    Search::of("KITLOOP_MONEY", SEQUENCES)?.finds_nothing::<Market>()
}
