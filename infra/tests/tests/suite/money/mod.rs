//! Whatever happens, in whatever order: money is never kept without a booking, and nobody pays twice.
//!
//! Random sequences of what customers, staff, banks, networks and our own code do, with our code dying or freezing
//! anywhere, run against the real database and the stand-in for Stripe. At the end of each the schedules run until
//! nothing is left to do, and then every promise must hold (`verdict`). A sequence that breaks one is made shorter and
//! printed with its seed; `KITLOOP_MONEY_SEED=<seed>` runs that sequence alone.

use std::env;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

mod acts;
mod chances;
mod interruption;
mod lives;
mod mistakes;
mod outside;
mod rest;
mod scenes;
mod search;
mod shop;
mod steps;
mod verdict;

use search::Search;

/// How many sequences a run tries.
const SEQUENCES: u64 = 2_000;
/// How many shorter sequences are tried to find out what matters.
const SHRINKING: u32 = 200;

#[test]
fn money_is_never_kept_without_a_booking_whatever_happens() -> Result<()> {
    let chosen = env::var("KITLOOP_MONEY_SEED").ok().map(|seed| seed.parse()).transpose()?;
    let search = Search {
        sequences: match chosen {
            Some(_) => 1,
            None => env::var("KITLOOP_MONEY_SEQUENCES").ok().map_or(Ok(SEQUENCES), |count| count.parse())?,
        },
        seed: chosen.unwrap_or_else(seed_of_now),
        shrinking: SHRINKING,
        mistake: None,
    };
    let started = Instant::now();
    let counterexample = search.run()?;
    let (count, seed) = (search.sequences, search.seed);
    eprintln!("{count} sequences from seed {seed} in {:.1} s", started.elapsed().as_secs_f64());
    match counterexample {
        Some(counterexample) => bail!("{counterexample}"),
        None => Ok(()),
    }
}

/// Another one for each run.
fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() << 20
}
