//! Where sequences of what happens take place.

use std::fmt::Debug;

use anyhow::Result;
use proptest::strategy::Strategy;
use test_support::TestDatabase;

use crate::mistake::Mistake;

/// Where one sequence after another takes place.
pub trait Stage: Sized {
    /// A whole sequence.
    type Life: Clone + Debug;

    /// Sequences at random.
    fn lives() -> impl Strategy<Value = Self::Life>;

    /// A new one, with a mistake in it or not.
    fn open(mistake: Option<&Mistake>) -> impl Future<Output = Result<Self>>;

    /// Lives a sequence to its end.
    ///
    /// # Errors
    /// Naming the promises that do not hold then, or what happened that must never happen.
    fn live(&self, life: &Self::Life) -> impl Future<Output = Result<()>>;
}

/// A database whose commits do not wait for the disk, with a mistake in it or not.
///
/// # Errors
/// If there is no server, or the mistake cannot be made any more.
pub async fn database_with(mistake: Option<&Mistake>) -> Result<TestDatabase> {
    let database = TestDatabase::create().await?;
    if let Some(mistake) = mistake {
        mistake.plant(&database).await?;
    }
    let faster = format!("alter database {} set synchronous_commit = off", database.name);
    database.admin.batch_execute(&faster).await?;
    Ok(database)
}

/// What empties every table of a database.
///
/// # Errors
/// If the database is away.
pub async fn clearing(database: &TestDatabase) -> Result<String> {
    let tables = "select string_agg(format('delete from %s;', oid::regclass), '') from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '_sqlx_migrations'";
    let deletes: String = database.value(tables, &[]).await?;
    Ok(format!(
        "set synchronous_commit = off; set session_replication_role = replica; {deletes}
        set session_replication_role = origin"
    ))
}
