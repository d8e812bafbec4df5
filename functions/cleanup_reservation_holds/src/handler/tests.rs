//! The schedule's event and HTTP requests, over a real database.

mod door;
mod runs;
mod sweeps;

use std::time::Duration;

use anyhow::Result;
use kitloop::error::Error;
use serde_json::Value;
use test_support::{HttpCall, Reply, Shop, invocation, sample_event};

use super::handle;

/// What the function gives back when its schedule invokes it.
async fn run(shop: &Shop) -> Result<Result<Value, Error>> {
    run_for(shop, Duration::from_secs(15)).await
}

/// The same with only so much time.
async fn run_for(shop: &Shop, remaining: Duration) -> Result<Result<Value, Error>> {
    let schedule = sample_event("cleanup_reservation_holds/schedule.json")?;
    Ok(handle(&shop.app, invocation(schedule, remaining)).await)
}

/// What the function answers over HTTP.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read_event(&handle(&shop.app, invocation(call.event.clone(), Duration::from_secs(15))).await?)
}

/// The only run in the log: (status, result, error).
async fn logged_run(shop: &Shop) -> Result<Value> {
    let sql = "select jsonb_build_array(status, result, error) from public.cron_runs
        where name = 'cleanup_reservation_holds' and finished_at is not null";
    shop.database.value(sql, &[]).await
}
