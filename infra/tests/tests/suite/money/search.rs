//! Looks for a sequence that breaks a promise: in several threads, each with a database of its own, each sequence from a
//! seed of its own, so that it can be run again by itself.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use tokio::runtime::{Builder, Runtime};

use super::lives::lives;
use super::shop::Market;
use super::steps::Life;
use crate::proof::Mistake;

/// More than there are processors: a sequence waits for the database half of the time.
const THREADS: usize = 4;
/// So many sequences share a database, before its dead rows make it slow.
const SEQUENCES_PER_DATABASE: u32 = 250;

/// What is looked for, and how long.
pub(super) struct Search {
    pub(super) sequences: u64,
    /// Of the first sequence; those that follow count on.
    pub(super) seed: u64,
    /// How many shorter sequences are tried to tell what matters of one that breaks a promise.
    pub(super) shrinking: u32,
    /// What somebody did wrong.
    pub(super) mistake: Option<Mistake>,
}

impl Search {
    /// The first sequence found that breaks a promise, described; `None` if none of them does.
    pub(super) fn run(&self) -> Result<Option<String>> {
        let next = AtomicU64::new(0);
        let found = Mutex::new(None);
        let searched = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| self.search(&next, &found))).collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        for outcome in searched {
            outcome.map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        found.into_inner().map_err(|_| anyhow::anyhow!("a thread panicked"))
    }

    fn search(&self, next: &AtomicU64, found: &Mutex<Option<String>>) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut market = runtime.block_on(Market::open(self.mistake.as_ref()))?;
        let mut lived = 0;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.sequences {
                return Ok(());
            }
            if let Some(counterexample) = self.try_seed(&runtime, &market, self.seed + number) {
                next.store(self.sequences, Ordering::Relaxed);
                found.lock().ok().context("a thread panicked")?.get_or_insert(counterexample);
                return Ok(());
            }
            lived += 1;
            if lived % SEQUENCES_PER_DATABASE == 0 {
                market = runtime.block_on(Market::open(self.mistake.as_ref()))?;
            }
        }
    }

    fn try_seed(&self, runtime: &Runtime, market: &Market, seed: u64) -> Option<String> {
        let mut runner = TestRunner::new(Config {
            rng_seed: RngSeed::Fixed(seed),
            max_shrink_iters: self.shrinking,
            failure_persistence: None,
            ..Config::default()
        });
        let tree = match lives().new_tree(&mut runner) {
            Ok(tree) => tree,
            Err(reason) => return Some(format!("no sequence of seed {seed}: {reason}")),
        };
        let live = |life: Life| {
            runtime.block_on(market.live(&life)).map_err(|error| TestCaseError::fail(format!("{error:#}")))
        };
        match runner.run_one(tree, live) {
            Ok(_) => None,
            Err(TestError::Fail(reason, life)) => {
                Some(format!("seed {seed}: {}\n{life:#?}", reason.message()))
            }
            Err(error) => Some(format!("seed {seed}: {error}")),
        }
    }
}
