//! Reconciling a window by hand.

use anyhow::Result;
use kitloop::error::Error;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{CRON_SECRET, HttpCall, Shop, in_days, sample_event};

use super::{TIME, answer, run_with, until_now, window_call};

#[tokio::test]
async fn a_window_is_reconciled_by_event_and_over_http() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, _) = shop.hold_paid_at_stripe().await?;
    // Nothing of it was made a month ago.
    let month_ago = json!({"from": in_days(-31), "to": in_days(-30)});
    let done = run_with(&shop, month_ago, TIME).await??;
    assert_eq!(done["examined_count"], json!(0), "{done:#}");
    assert_eq!(shop.database.status(reservation_id).await?, "hold");

    let window = until_now();
    let reply = answer(&shop, &window_call(&window)).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.at("/from"), &window["from"]);
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn the_samples_name_one_window() -> Result<()> {
    let shop = Shop::open().await?;
    let sample = HttpCall::sample("reconcile_payments/http_window.json", &[])?.bearer(CRON_SECRET);
    let by_hand = answer(&shop, &sample).await?;
    assert_eq!(by_hand.status, 200, "{}", by_hand.body);
    let by_event = run_with(&shop, sample_event("reconcile_payments/window.json")?, TIME).await??;
    for member in ["from", "to"] {
        assert_eq!(by_hand.body[member], by_event[member]);
    }
    assert_eq!(by_event["from"], json!("2025-05-31T22:00:00Z"));
    Ok(())
}

#[tokio::test]
async fn without_a_window_it_is_what_the_schedule_would_do() -> Result<()> {
    let shop = Shop::open().await?;
    let sample = HttpCall::sample("reconcile_payments/http.json", &[])?.bearer(CRON_SECRET);
    for call in [sample, window_call(&json!({})), window_call(&json!({"from": null, "to": null}))] {
        let reply = answer(&shop, &call).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.at("/is_partial"), &json!(false));
    }
    Ok(())
}

#[tokio::test]
async fn a_window_that_is_none_is_refused() -> Result<()> {
    let shop = Shop::open().await?;
    let (day, next) = (json!("2025-06-01T00:00:00+01:00"), json!("2025-06-02T00:00:00+01:00"));
    let cases: [(Value, &[&str]); 9] = [
        (json!({"from": day}), &["to"]),
        (json!({"to": day}), &["from"]),
        (json!({"from": next, "to": day}), &["to"]),
        (json!({"from": day, "to": day}), &["to"]),
        (json!({"from": in_days(-1), "to": in_days(1)}), &["to"]),
        (json!({"from": "2023-06-01T00:00:00Z", "to": day}), &["to"]),
        (json!({"from": "2025-06-01", "to": 7}), &["from", "to"]),
        (json!({"from": "2025-06-01T00:00:00", "to": next}), &["from"]),
        (json!({"from": "yesterday", "to": "today"}), &["from", "to"]),
    ];
    for (window, fields) in cases {
        let reply = answer(&shop, &window_call(&window)).await?;
        ensure_problem(&reply, 400, "invalid_request", &window.to_string())?;
        assert_eq!(reply.invalid_fields(), fields);
        let refused = run_with(&shop, window.clone(), TIME).await?;
        assert!(matches!(refused, Err(Error::Refused(_))), "{window}");
    }
    for body in ["[]", "{\"from\": "] {
        let reply = answer(&shop, &window_call(&json!({})).body(body)).await?;
        ensure_problem(&reply, 400, "malformed_body", body)?;
    }
    assert_eq!((shop.count("reconciliations").await?, shop.count("cron_runs").await?), (0, 0));
    assert!(shop.stripe.admin().requests().await?.is_empty());
    Ok(())
}
