//! The guard on DynamoDB: rate limits and in-flight claims.
//!
//! It guards, it does not decide: with the table away the functions go on and stay correct, which a log line and a
//! metric say. Items hold digests of callers, addresses and keys, never the data itself, and no answers.

mod breaker;
mod claim;
mod connector;
mod limit;
mod table;

pub use self::claim::{Claim, Lease};
pub use self::limit::{KeyKind, LimitVerdict, Window};

use tokio::time::Instant;

use self::breaker::Breaker;
use self::table::{Failure, Table};
use crate::config::GuardConfig;
use crate::network::Network;
use crate::telemetry::metrics;

/// Rate limits and in-flight claims, or nothing where no table is configured.
pub struct Guard {
    table: Option<Table>,
    breaker: Breaker,
}

impl Guard {
    /// Cheap: nothing is connected before the first use.
    #[must_use]
    pub fn new(config: &GuardConfig, network: &Network) -> Self {
        let table = config.table.as_ref().map(|(name, aws)| Table::new(name, aws, config.timeout, network));
        Self { table, breaker: Breaker::default() }
    }

    /// Whether a table is configured.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.table.is_some()
    }

    /// Whether the table answers, for readiness checks.
    pub async fn is_reachable(&self) -> bool {
        match &self.table {
            Some(table) => table.probe().await.is_ok(),
            None => false,
        }
    }

    /// The table, unless there is none or it just failed: after a failure requests do not pay the timeout one by one.
    fn table(&self) -> Option<&Table> {
        self.table.as_ref().filter(|_| self.breaker.is_closed(Instant::now()))
    }

    /// Notes that the table failed `function`, which goes on without it. Only one that does not answer is left alone
    /// for a while: what it refuses one caller, it may grant the next.
    fn went_without(&self, function: &str, failure: &Failure) {
        if matches!(failure, Failure::Unavailable(_)) {
            self.breaker.open(Instant::now());
        }
        tracing::warn!(guarded = function, error = %failure, "guard.unavailable");
        metrics::guard_open(function);
    }
}
