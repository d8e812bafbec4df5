//! Proof that the tests of the promises can fail: a mistake is planted in an SQL function, and what was promised is
//! seen broken; with the function as it is, the same scenario holds.

use std::fs;

use anyhow::{Context, Result, ensure};
use test_support::TestDatabase;

mod idempotency;
mod jobs;
mod lapsing;
mod money;
mod receipts;
mod scenario;
mod stock;

/// A promise, as a scenario that either keeps it (`true`) or shows it broken.
trait Promise {
    async fn is_kept(&self, database: TestDatabase) -> Result<bool>;
}

/// A change to one SQL function of `kitloop` that somebody might make by mistake.
pub(crate) struct Mistake {
    function: &'static str,
    /// What somebody wrote, and what it stands in place of.
    changes: Vec<(&'static str, &'static str)>,
}

impl Mistake {
    pub(crate) fn of(function: &'static str) -> Self {
        Self { function, changes: Vec::new() }
    }

    pub(crate) fn writing(mut self, mistake: &'static str, in_place_of: &'static str) -> Self {
        self.changes.push((mistake, in_place_of));
        self
    }

    /// Fails unless the promise is kept without the mistake and broken with it.
    async fn breaks(&self, promise: impl Promise) -> Result<()> {
        let is_kept = promise.is_kept(TestDatabase::create().await?).await?;
        ensure!(is_kept, "the promise is broken without any mistake in {}", self.function);
        let database = TestDatabase::create().await?;
        self.plant(&database).await?;
        ensure!(!promise.is_kept(database).await?, "nothing shows the mistake in {}", self.function);
        Ok(())
    }

    /// Makes the mistake in this database.
    pub(crate) async fn plant(&self, database: &TestDatabase) -> Result<()> {
        let mut definition = definition(self.function)?;
        for (mistake, in_place_of) in &self.changes {
            ensure!(definition.contains(in_place_of), "{} has no {in_place_of:?} any more", self.function);
            definition = definition.replace(in_place_of, mistake);
        }
        let replace = definition.replacen("create function", "create or replace function", 1);
        database
            .admin
            .batch_execute(&replace)
            .await
            .with_context(|| format!("cannot replace {}", self.function))?;
        let namesakes = "select count(*) from pg_proc
            where pronamespace = 'kitloop'::regnamespace and proname = $1";
        let is_replaced = database.value::<i64>(namesakes, &[&self.function]).await? == 1;
        ensure!(is_replaced, "{} was not replaced: is the template database up to date?", self.function);
        Ok(())
    }
}

/// The statement in the migrations that creates the function.
fn definition(function: &str) -> Result<String> {
    let beginning = format!("create function kitloop.{function}(");
    for file in fs::read_dir(stack::paths::migrations())? {
        let text = fs::read_to_string(file?.path())?;
        if let Some((_, rest)) = text.split_once(&beginning) {
            let (body, _) = rest.split_once("\n$$;").context("a function without an end")?;
            return Ok(format!("{beginning}{body}\n$$;"));
        }
    }
    anyhow::bail!("no migration creates {function}")
}
