//! The schedule's event, windows by hand and HTTP requests, over a real database and Stripe.

mod door;
mod mending;
mod runs;
mod topups;
mod windows;

use std::time::Duration;

use anyhow::Result;
use kitloop::clock;
use kitloop::error::Error;
use serde_json::{Value, json};
use test_support::{CRON_SECRET, HttpCall, Reply, Shop, in_days, invocation, sample_event};

use super::handle;

const PATH: &str = "/reconcile_payments";
const TIME: Duration = Duration::from_secs(60);

/// What the function gives back when its schedule invokes it.
async fn run(shop: &Shop) -> Result<Result<Value, Error>> {
    run_with(shop, sample_event("reconcile_payments/schedule.json")?, TIME).await
}

/// What it gives back for an event, in an invocation that lasts so long.
async fn run_with(shop: &Shop, event: Value, remaining: Duration) -> Result<Result<Value, Error>> {
    Ok(handle(&shop.app, invocation(event, remaining)).await)
}

/// What the function answers over HTTP.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read_event(&handle(&shop.app, invocation(call.event.clone(), TIME)).await?)
}

/// Somebody who knows the secret reconciles a window by hand.
fn window_call(window: &Value) -> HttpCall {
    HttpCall::post(PATH, window).bearer(CRON_SECRET)
}

/// From yesterday until now.
fn until_now() -> Value {
    json!({"from": in_days(-1), "to": clock::now()})
}

/// What a run found, as (difference, decision, whether mended), in order of finding.
fn findings(done: &Value) -> Vec<Value> {
    let findings = done.pointer("/findings").and_then(Value::as_array);
    let told = |finding: &Value| json!([finding["difference"], finding["decision"], finding["is_mended"]]);
    findings.into_iter().flatten().map(told).collect()
}

/// The runs in the log, oldest first, as (status, whether there is a result, whether there is an error).
async fn logged_runs(shop: &Shop) -> Result<Value> {
    let sql = "select coalesce(jsonb_agg(
            jsonb_build_array(status, result <> 'null', error is not null) order by started_at
        ), '[]')
        from public.cron_runs where name = 'reconcile_payments' and finished_at is not null";
    shop.database.value(sql, &[]).await
}
