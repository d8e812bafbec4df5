//! What one invocation waits for: noted where the waiting is, told in the invocation's one line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    /// The meter of the invocation that this task works for.
    static METER: Arc<Meter>;
}

#[derive(Default)]
struct Meter {
    database: Tally,
    stripe: Tally,
    email: Tally,
}

#[derive(Default)]
struct Tally {
    count: AtomicU64,
    microseconds: AtomicU64,
}

/// Calls to one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// How many there were.
    pub count: u64,
    /// How long they took, added up, also of those under way at the same time.
    pub time: Duration,
}

/// The calls of one invocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// To the database: its round trips.
    pub database: Calls,
    /// To Stripe, with their further attempts and the pauses between those.
    pub stripe: Calls,
    /// To Resend.
    pub email: Calls,
}

/// The output of `work`, and what it spent in this task.
pub async fn measured<T>(work: impl Future<Output = T>) -> (T, Spent) {
    let meter = Arc::new(Meter::default());
    let output = METER.scope(Arc::clone(&meter), work).await;
    (output, meter.spent())
}

/// A call to the database begins.
pub fn database() -> Call {
    Call::begin(|meter| &meter.database)
}

/// A call to Stripe begins.
pub fn stripe() -> Call {
    Call::begin(|meter| &meter.stripe)
}

/// A call to Resend begins.
pub fn email() -> Call {
    Call::begin(|meter| &meter.email)
}

/// A call under way. It ends, and is counted, when this is dropped: also when whoever waited for it has given up.
#[must_use = "a call ends when this is dropped"]
pub struct Call {
    started: Instant,
    tally: fn(&Meter) -> &Tally,
}

impl Call {
    fn begin(tally: fn(&Meter) -> &Tally) -> Self {
        Self { started: Instant::now(), tally }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Outside of an invocation, in the init phase, nobody asks.
        let _ = METER.try_with(|meter| (self.tally)(meter).add(self.started.elapsed()));
    }
}

impl Meter {
    fn spent(&self) -> Spent {
        Spent { database: self.database.calls(), stripe: self.stripe.calls(), email: self.email.calls() }
    }
}

impl Tally {
    fn add(&self, time: Duration) {
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    fn calls(&self) -> Calls {
        Calls {
            count: self.count.load(Ordering::Relaxed),
            time: Duration::from_micros(self.microseconds.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::config::{Config, Needs};
    use crate::db::{self, Db};

    const A_MOMENT: Duration = Duration::from_millis(5);

    async fn ask(call: Call) {
        let _call = call;
        tokio::time::sleep(A_MOMENT).await;
    }

    #[tokio::test]
    async fn calls_are_counted_for_the_invocation_that_made_them() {
        let other = measured(async { ask(database()).await });
        let ours = measured(async {
            ask(database()).await;
            tokio::join!(ask(database()), ask(stripe()));
        });
        let (((), other), ((), ours)) = tokio::join!(other, ours);
        assert_eq!((other.database.count, other.stripe.count), (1, 0));
        assert_eq!((ours.database.count, ours.stripe.count), (2, 1));
        assert!(ours.database.time >= A_MOMENT * 2 && ours.stripe.time >= A_MOMENT, "{ours:?}");
        assert_eq!(ours.email, Calls::default());
    }

    #[tokio::test]
    async fn a_call_that_was_given_up_counts_too() {
        let hanging = async {
            let _call = database();
            std::future::pending::<()>().await;
        };
        let (ended, spent) = measured(timeout(A_MOMENT, hanging)).await;
        assert!(ended.is_err());
        assert_eq!(spent.database.count, 1);
        assert!(spent.database.time >= A_MOMENT, "{spent:?}");
    }

    #[tokio::test]
    async fn a_database_that_is_not_there_makes_no_round_trip() {
        let settings = |name: &str| (name == "DATABASE_URL").then(|| "postgres://u@127.0.0.1:1/d".to_owned());
        let config = Config::from_lookup(Needs::DATABASE, &settings).unwrap();
        let db = Db::new(config.database.as_ref().unwrap()).unwrap();
        let (beat, spent) = measured(db::beat(&db, "run_jobs")).await;
        assert!(beat.is_err());
        assert_eq!(spent.database, Calls::default());
    }

    #[tokio::test]
    async fn outside_of_an_invocation_nothing_is_counted() {
        drop(database());
        let (_, spent) = measured(async {}).await;
        assert_eq!(spent, Spent::default());
    }
}
