//! Proof that tests of promises can fail: a mistake is planted in an SQL function, and what was promised is seen broken.

use std::fs;

use anyhow::{Context, Result, ensure};
use test_support::TestDatabase;

/// A promise, as a scenario that either keeps it (`true`) or shows it broken.
pub trait Promise {
    /// Plays the scenario.
    ///
    /// # Errors
    /// If it cannot be played.
    fn is_kept(&self, database: TestDatabase) -> impl Future<Output = Result<bool>>;
}

/// A change to one SQL function of `kitloop` that somebody might make by mistake.
#[derive(Debug)]
pub struct Mistake {
    function: &'static str,
    /// What somebody wrote, and what it stands in place of.
    changes: Vec<(&'static str, &'static str)>,
}

impl Mistake {
    /// In this function, nothing yet.
    #[must_use]
    pub fn of(function: &'static str) -> Self {
        Self { function, changes: Vec::new() }
    }

    /// And this.
    #[must_use]
    pub fn writing(mut self, mistake: &'static str, in_place_of: &'static str) -> Self {
        self.changes.push((mistake, in_place_of));
        self
    }

    /// Fails unless the promise is kept without the mistake and broken with it.
    ///
    /// # Errors
    /// If it is not, or a server is not there.
    pub async fn breaks(&self, promise: impl Promise) -> Result<()> {
        let is_kept = promise.is_kept(TestDatabase::create().await?).await?;
        ensure!(is_kept, "the promise is broken without any mistake in {}", self.function);
        let database = TestDatabase::create().await?;
        self.plant(&database).await?;
        ensure!(!promise.is_kept(database).await?, "nothing shows the mistake in {}", self.function);
        Ok(())
    }

    /// Makes the mistake in this database.
    ///
    /// # Errors
    /// If what it stands in place of is not there any more.
    pub async fn plant(&self, database: &TestDatabase) -> Result<()> {
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
