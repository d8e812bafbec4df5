//! How the product is doing, as metrics: what alarms watch that no single invocation can tell.
//!
//! The run is not logged in `cron_runs`: that the metrics arrive says that it ran, every minute, and their alarms take
//! silence for trouble. A row a minute would say nothing more.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::ops;
use crate::db::Db;
use crate::error::Error;
use crate::telemetry::Unit;
use crate::telemetry::metrics::{self, Gauge};

/// What is published of the document for operators.
#[derive(Deserialize)]
struct Figures {
    checked_at: Timestamp,
    worker_last_heartbeat: Option<Timestamp>,
    queue_depth: QueueDepth,
    jobs_failed_last_hour: u32,
    dead_letters_last_24h: u32,
    webhook_failed_last_hour: u32,
    holds: Holds,
    payments: Payments,
    cron: BTreeMap<String, Schedule>,
}

#[derive(Deserialize)]
struct QueueDepth {
    queued: u32,
    due: u32,
}

#[derive(Deserialize)]
struct Holds {
    open: u32,
    expired_last_24h: u32,
    conversion_last_24h: Option<f64>,
}

#[derive(Deserialize)]
struct Payments {
    succeeded_last_24h: u32,
    failed_last_24h: u32,
    success_rate_last_24h: Option<f64>,
}

#[derive(Deserialize)]
struct Schedule {
    ok: bool,
}

/// Publishes how the product is doing, and returns it by the metrics' names.
///
/// # Errors
/// [`Error::DatabaseUnavailable`].
pub async fn publish(db: &Db) -> Result<BTreeMap<&'static str, f64>, Error> {
    let gauges = gauges(ops::metrics(db).await?)?;
    metrics::gauges(&gauges);
    Ok(gauges.into_iter().map(|gauge| (gauge.name, gauge.value)).collect())
}

fn gauges(document: Value) -> Result<Vec<Gauge>, Error> {
    let figures: Figures = serde_json::from_value(document)
        .map_err(|error| Error::Internal(format!("the figures of the product: {error}")))?;
    let Figures { queue_depth, holds, payments, cron, .. } = &figures;
    let stale_schedules = cron.values().filter(|schedule| !schedule.ok).map(|_| 1_u32).sum();
    let counts = [
        ("JobsQueued", queue_depth.queued),
        ("JobsDue", queue_depth.due),
        ("JobsFailedLastHour", figures.jobs_failed_last_hour),
        ("DeadLettersLast24h", figures.dead_letters_last_24h),
        ("WebhookFailedLastHour", figures.webhook_failed_last_hour),
        ("HoldsOpen", holds.open),
        ("HoldsExpiredLast24h", holds.expired_last_24h),
        ("PaymentsSucceededLast24h", payments.succeeded_last_24h),
        ("PaymentsFailedLast24h", payments.failed_last_24h),
        ("SchedulesStale", stale_schedules),
    ];
    let shares = [
        ("HoldConversionLast24h", holds.conversion_last_24h),
        ("PaymentSuccessRateLast24h", payments.success_rate_last_24h),
    ];
    // Who has never said that it lives has no age: no value at all is what the alarm takes for the worst.
    let heartbeat_age =
        figures.worker_last_heartbeat.map(|beat_at| figures.checked_at.duration_since(beat_at).as_secs_f64());
    let gauge = |name, unit, value| Gauge { name, unit, value };
    let counts = counts.map(|(name, count)| gauge(name, Unit::Count, count.into()));
    let shares =
        shares.into_iter().filter_map(|(name, share)| Some(gauge(name, Unit::Percent, in_percent(share?))));
    let age = heartbeat_age.map(|age| gauge("WorkerHeartbeatAge", Unit::Seconds, age));
    Ok(counts.into_iter().chain(shares).chain(age).collect())
}

#[expect(clippy::float_arithmetic, reason = "a statistic for people to look at, and no money")]
fn in_percent(share: f64) -> f64 {
    share * 100.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::telemetry::catalogue;

    #[test]
    fn what_is_published_is_what_the_catalogue_says() {
        let document = json!({
            "checked_at": "2026-11-21T12:00:10Z", "worker_last_heartbeat": "2026-11-21T12:00:00Z",
            "queue_depth": {"queued": 3, "due": 2}, "jobs_failed_last_hour": 0, "dead_letters_last_24h": 0,
            "webhook_failed_last_hour": 0,
            "holds": {"open": 1, "expired_last_24h": 0, "conversion_last_24h": 0.5},
            "payments": {"succeeded_last_24h": 1, "failed_last_24h": 1, "success_rate_last_24h": 0.5},
            "cron": {"sweep": {"ok": false}},
        });
        let mut published: Vec<&str> =
            gauges(document).unwrap().into_iter().map(|gauge| gauge.name).collect();
        published.sort_unstable();
        let of_the_whole = |names: &[String]| names.iter().eq(["Environment"]);
        let invocation = [
            "Requests",
            "Duration",
            "DatabaseRoundTrips",
            "DatabaseDuration",
            "StripeDuration",
            "EmailDuration",
        ];
        let known = catalogue().into_iter().filter(|metric| of_the_whole(&metric.dimensions));
        let mut known: Vec<String> = known.map(|metric| metric.name).collect();
        known.retain(|name| !invocation.contains(&name.as_str()));
        known.sort_unstable();
        assert_eq!(known, published);
    }
}
