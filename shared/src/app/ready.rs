//! Whether the parts that the product needs are there.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::db::{self, Db, Readiness};
use crate::guard::Guard;
use crate::stripe::Stripe;

/// The newest migration that this build knows of.
const SCHEMA_VERSION: &str = env!("KITLOOP_SCHEMA_VERSION");
/// The worker beats every 10 s; past this it is taken for dead.
pub(super) const WORKER_SILENCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);
/// The sweep runs every five minutes; past this its schedule is stale.
pub(super) const SWEEP_SILENCE: jiff::SignedDuration = jiff::SignedDuration::from_mins(15);
/// How long Stripe may take to answer a probe.
const STRIPE_CHECK_TIME: Duration = Duration::from_secs(3);

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartStatus {
    /// It works.
    Ok,
    /// It does not.
    Down,
    /// It is switched off by configuration, and the product works without it.
    Off,
}

/// Every part.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Parts {
    /// PostgreSQL answers.
    pub database: PartStatus,
    /// Its schema is the one that this build needs, or a newer one.
    pub migrations: PartStatus,
    /// A worker said within the last minute that it lives.
    pub worker: PartStatus,
    /// The sweep ran to its end in the last quarter of an hour, or has never run yet. Down does not make the product
    /// unready: a lapsed hold stops blocking without it.
    pub sweep: PartStatus,
    /// DynamoDB answers. Down does not make the product unready: it works without.
    pub guard: PartStatus,
    /// Stripe answers and takes our key.
    pub stripe: PartStatus,
}

impl Parts {
    /// Whether customers can be served.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        [self.database, self.migrations, self.worker, self.stripe]
            .iter()
            .all(|part| *part != PartStatus::Down)
    }
}

/// Asks every part, at once.
pub async fn check(db: &Db, guard: &Guard, stripe: Option<&Stripe>) -> Parts {
    let (readiness, guard, stripe) =
        tokio::join!(db::readiness(db), guard_status(guard), stripe_status(stripe));
    let known = readiness.as_ref().ok();
    Parts {
        database: up(readiness.is_ok()),
        migrations: up(known.is_some_and(is_migrated)),
        worker: up(known.and_then(|known| known.since_worker_beat).is_some_and(|age| age < WORKER_SILENCE)),
        sweep: up(known.is_some_and(|known| known.since_sweep.is_none_or(|age| age < SWEEP_SILENCE))),
        guard,
        stripe,
    }
}

fn up(is_up: bool) -> PartStatus {
    if is_up { PartStatus::Ok } else { PartStatus::Down }
}

fn is_migrated(readiness: &Readiness) -> bool {
    let needed: i64 = SCHEMA_VERSION.parse().unwrap_or(i64::MAX);
    readiness.schema_version.is_some_and(|version| version >= needed)
}

async fn guard_status(guard: &Guard) -> PartStatus {
    if guard.is_configured() { up(guard.is_reachable().await) } else { PartStatus::Off }
}

async fn stripe_status(stripe: Option<&Stripe>) -> PartStatus {
    let Some(stripe) = stripe else { return PartStatus::Off };
    up(stripe.is_reachable(Instant::now() + STRIPE_CHECK_TIME).await)
}
