//! Many at once.

use std::sync::Arc;

use anyhow::Result;
use kitloop::db::Db;
use kitloop::error::{Code, Error};
use test_support::TestDatabase;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Runs what `act` makes for each of the callers, all connected before the first begins.
///
/// # Errors
/// If a server is not there.
pub async fn race<T, F>(
    database: &TestDatabase,
    callers: usize,
    act: impl Fn(usize, Db) -> F,
) -> Result<Vec<Result<T, Error>>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(callers));
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (db, barrier) = (database.db()?, Arc::clone(&barrier));
        let work = act(caller, db.clone());
        tasks.spawn(async move {
            db.connect_in_init().await;
            barrier.wait().await;
            work.await
        });
    }
    Ok(tasks.join_all().await)
}

/// Whether this is a refusal for that reason.
pub fn is_refusal<T>(outcome: &Result<T, Error>, code: Code) -> bool {
    matches!(outcome, Err(Error::Refused(refusal)) if refusal.code == code)
}
