//! Looks for a sequence that breaks a promise: in several threads, each with a stage of its own, each sequence from a seed
//! of its own, so that it can be run again by itself.

use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use tokio::runtime::{Builder, Runtime};

use crate::mistake::Mistake;
use crate::stage::Stage;

/// More than there are processors: a sequence waits for the database half of the time.
const THREADS: usize = 4;
/// So many sequences share a database, before its dead rows make it slow.
const SEQUENCES_PER_DATABASE: u32 = 250;
/// How many shorter sequences are tried to find out what matters.
const SHRINKING: u32 = 200;
/// A mistake that so many sequences do not show is one that the property does not see.
const SEQUENCES_PER_MISTAKE: u64 = 400;

/// What is looked for, and how long.
#[derive(Debug)]
pub struct Search {
    sequences: u64,
    /// Of the first sequence; those that follow count on.
    seed: u64,
    /// How many shorter sequences are tried to tell what matters of one that breaks a promise.
    shrinking: u32,
    /// What somebody did wrong.
    mistake: Option<Mistake>,
}

/// A sequence that breaks a promise.
struct Counterexample {
    seed: u64,
    text: String,
}

impl Search {
    /// So many sequences that nobody chose. `<name>_SEED` in the environment chooses one, which is run alone;
    /// `<name>_SEQUENCES` says how many.
    ///
    /// # Errors
    /// If what is there is not a number.
    pub fn of(name: &str, sequences: u64) -> Result<Self> {
        let number =
            |what: &str| env::var(format!("{name}_{what}")).ok().map(|text| text.parse::<u64>()).transpose();
        let chosen = number("SEED")?;
        Ok(Self {
            sequences: match chosen {
                Some(_) => 1,
                None => number("SEQUENCES")?.unwrap_or(sequences),
            },
            seed: chosen.unwrap_or_else(seed_of_now),
            shrinking: SHRINKING,
            mistake: None,
        })
    }

    /// Fails if some sequence breaks a promise, and prints it.
    ///
    /// # Errors
    /// If one does, or a server is not there.
    pub fn finds_nothing<S: Stage>(&self) -> Result<()> {
        let started = Instant::now();
        let counterexample = self.run::<S>()?;
        let (count, seed) = (self.sequences, self.seed);
        eprintln!("{count} sequences from seed {seed} in {:.1} s", started.elapsed().as_secs_f64());
        match counterexample {
            Some(counterexample) => bail!("{}", counterexample.text),
            None => Ok(()),
        }
    }

    /// Fails unless some sequence shows that somebody made a mistake, and does not without it.
    ///
    /// # Errors
    /// If none does, or a server is not there.
    pub fn shows<S: Stage>(mistake: Mistake) -> Result<()> {
        let search = Self { sequences: SEQUENCES_PER_MISTAKE, seed: 1, shrinking: 0, mistake: Some(mistake) };
        let shown = search.run::<S>()?;
        let shown =
            shown.with_context(|| format!("no sequence of {SEQUENCES_PER_MISTAKE} shows the mistake"))?;
        // How it showed, for whoever asks with `--no-capture`.
        eprintln!("{}", shown.text);
        let without = Self { sequences: 1, seed: shown.seed, shrinking: 0, mistake: None };
        match without.run::<S>()? {
            Some(counterexample) => bail!("it shows without the mistake, too: {}", counterexample.text),
            None => Ok(()),
        }
    }

    /// The first sequence found that breaks a promise, described; `None` if none of them does.
    fn run<S: Stage>(&self) -> Result<Option<Counterexample>> {
        let next = AtomicU64::new(0);
        let found = Mutex::new(None);
        let searched = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..THREADS).map(|_| scope.spawn(|| self.search::<S>(&next, &found))).collect();
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        });
        for outcome in searched {
            outcome.map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        found.into_inner().map_err(|_| anyhow::anyhow!("a thread panicked"))
    }

    fn search<S: Stage>(&self, next: &AtomicU64, found: &Mutex<Option<Counterexample>>) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut stage = runtime.block_on(S::open(self.mistake.as_ref()))?;
        let mut lived = 0;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= self.sequences {
                return Ok(());
            }
            let seed = self.seed + number;
            if let Some(text) = self.try_seed(&runtime, &stage, seed) {
                next.store(self.sequences, Ordering::Relaxed);
                let counterexample = Counterexample { seed, text };
                found.lock().ok().context("a thread panicked")?.get_or_insert(counterexample);
                return Ok(());
            }
            lived += 1;
            if lived % SEQUENCES_PER_DATABASE == 0 {
                stage = runtime.block_on(S::open(self.mistake.as_ref()))?;
            }
        }
    }

    fn try_seed<S: Stage>(&self, runtime: &Runtime, stage: &S, seed: u64) -> Option<String> {
        let mut runner = TestRunner::new(Config {
            rng_seed: RngSeed::Fixed(seed),
            max_shrink_iters: self.shrinking,
            failure_persistence: None,
            ..Config::default()
        });
        let tree = match S::lives().new_tree(&mut runner) {
            Ok(tree) => tree,
            Err(reason) => return Some(format!("no sequence of seed {seed}: {reason}")),
        };
        let live = |life: S::Life| {
            runtime.block_on(stage.live(&life)).map_err(|error| TestCaseError::fail(format!("{error:#}")))
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

/// Another one for each run.
fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() << 20
}
