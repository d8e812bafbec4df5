//! In-flight claims: one request at a time for an operation, caller and key, until its deadline.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use uuid::Uuid;

use super::{Guard, table};
use crate::clock::{self, milliseconds};
use crate::digest::pseudonym;
use crate::error::{Code, Error, Refusal};

/// The right to work on something alone; ends with [`Guard::release`] or at its deadline.
#[derive(Debug)]
#[must_use]
pub struct Lease {
    operation: &'static str,
    item: String,
    owner: String,
}

/// What became of a claim.
#[derive(Debug)]
pub enum Claim {
    /// Nobody else is at it.
    Taken(Lease),
    /// Somebody else is.
    Held,
    /// The guard is off or away: the database keeps order alone.
    GuardDown,
}

impl Guard {
    /// Claims `key` of `caller` for `operation` until `until`, the deadline of the invocation.
    pub async fn claim(&self, operation: &'static str, caller: &str, key: &str, until: Instant) -> Claim {
        let Some(table) = self.table() else { return Claim::GuardDown };
        let now = SystemTime::from(clock::now()).duration_since(UNIX_EPOCH).unwrap_or_default();
        let ends = now.saturating_add(until.saturating_duration_since(Instant::now()));
        let item = format!("claim#{operation}#{}", pseudonym(&format!("{caller}\n{key}")));
        let owner = Uuid::new_v4().to_string();
        match table.claim(&item, &owner, milliseconds(now), milliseconds(ends)).await {
            Ok(()) => Claim::Taken(Lease { operation, item, owner }),
            Err(table::Failure::Condition) => Claim::Held,
            Err(failure) => {
                self.went_without(operation, &failure);
                Claim::GuardDown
            }
        }
    }

    /// Gives a claim back, unless it ended and somebody else has it by now.
    pub async fn release(&self, lease: Lease) {
        let Some(table) = self.table() else { return };
        match table.release(&lease.item, &lease.owner).await {
            Ok(()) | Err(table::Failure::Condition) => {}
            Err(failure) => self.went_without(lease.operation, &failure),
        }
    }

    /// Does `work` under a claim.
    ///
    /// # Errors
    /// `request_in_flight` if somebody else is at it; else what `work` fails with.
    pub async fn exclusively<T>(
        &self,
        operation: &'static str,
        caller: &str,
        key: &str,
        until: Instant,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match self.claim(operation, caller, key, until).await {
            Claim::Held => Err(Refusal::of(Code::RequestInFlight).into()),
            Claim::GuardDown => work.await,
            Claim::Taken(lease) => {
                let result = work.await;
                self.release(lease).await;
                result
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Needs};
    use crate::network::Network;
    use crate::telemetry::testing::Recorder;

    #[tokio::test]
    async fn a_release_that_fails_is_reported_for_its_operation() {
        let settings = |name: &str| match name {
            "DATABASE_URL" => Some("postgres://kitloop_app@127.0.0.1:1/kitloop".to_owned()),
            "AWS_ENDPOINT_URL" => Some("http://127.0.0.1:1".to_owned()),
            "GUARD_TABLE" | "AWS_REGION" | "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => {
                Some("test".to_owned())
            }
            _ => None,
        };
        let config = Config::from_lookup(Needs::DATABASE, &settings).unwrap();
        let guard = Guard::new(&config.guard, &Network::default());
        let lease = Lease { operation: "reserve_gear", item: "item".to_owned(), owner: "me".to_owned() };
        let (recorder, _guard) = Recorder::start();
        guard.release(lease).await;
        let lines = recorder.lines();
        assert!(lines.iter().any(|line| line["message"] == "guard.unavailable"), "{lines:?}");
        assert!(lines.iter().any(|line| line["Function"] == "reserve_gear"), "{lines:?}");
    }
}
