//! Every event is logged, takes effect once, and can run again when it failed.

use anyhow::Result;
use kitloop::boot::App;
use serde_json::json;
use test_support::door::ensure_problem;
use test_support::{Reply, Shop, StripeEvent};
use tokio::task::JoinSet;

use super::super::handle;
use super::{Payment, answer, deliver, logged};

#[tokio::test]
async fn a_processed_event_answers_replay_and_counts_it() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let event = payment.event("payment_intent_succeeded")?;
    for (replays, decision) in ["confirmed", "replay", "replay"].into_iter().enumerate() {
        deliver(&shop, &event, 200, decision).await?;
        assert_eq!(logged(&shop, &event).await?, json!(["processed", "confirmed", 1, replays]));
    }
    let sql =
        "select last_replayed_at > processed_at and reservation_id = $1 from public.stripe_webhook_events";
    assert!(shop.database.value::<bool>(sql, &[&payment.reservation_id]).await?);
    Ok(())
}

#[tokio::test]
async fn what_we_do_not_act_on_is_logged_and_ignored() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let of_type = |sample: &str, event_type: &str| {
        let mut event = payment.event(sample)?.renamed(&format!("evt_{event_type}"));
        event.payload["type"] = json!(event_type);
        anyhow::Ok(event)
    };
    for event in [
        payment.event("unhandled_type")?,
        of_type("payment_intent_succeeded", "payment_intent.created")?,
        of_type("charge_succeeded", "charge.updated")?,
        StripeEvent::new("something.quite.new", json!({"object": "never_heard_of"})),
    ] {
        deliver(&shop, &event, 200, "ignored").await?;
        assert_eq!(logged(&shop, &event).await?, json!(["ignored", "ignored", 1, 0]));
        deliver(&shop, &event, 200, "replay").await?;
    }
    assert_eq!(shop.database.status(payment.reservation_id).await?, "hold");
    Ok(())
}

#[tokio::test]
async fn a_failed_event_is_marked_and_runs_again() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    // Something that should be impossible: the operation raises.
    let obstacle =
        "alter table public.reservations add constraint obstacle check (status <> 'confirmed') not valid";
    shop.database.execute(obstacle, &[]).await?;
    let event = payment.event("payment_intent_succeeded")?;
    for attempts in 1..=2 {
        let reply = answer(&shop, &event.call()?).await?;
        ensure_problem(&reply, 500, "internal_error", "the operation raises")?;
        let text = reply.body.to_string();
        assert!(!text.contains("obstacle") && !text.contains("23514"), "{text}");
        assert_eq!(logged(&shop, &event).await?, json!(["failed", null, attempts, 0]));
    }
    let error: String =
        shop.database.value("select last_error from public.stripe_webhook_events", &[]).await?;
    assert!(error.contains("23514"), "{error}");
    assert_eq!(payment.stored(&shop).await?, json!(["hold", null, false, "requires_payment_method", 0]));

    shop.database.execute("alter table public.reservations drop constraint obstacle", &[]).await?;
    deliver(&shop, &event, 200, "confirmed").await?;
    assert_eq!(logged(&shop, &event).await?, json!(["processed", "confirmed", 3, 0]));
    let has_error = "select last_error is not null from public.stripe_webhook_events";
    assert!(!shop.database.value::<bool>(has_error, &[]).await?);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_event_whose_object_cannot_be_read_is_marked_failed() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let event = payment.event("payment_intent_succeeded")?.with("amount", json!("private words"));
    let reply = answer(&shop, &event.call()?).await?;
    ensure_problem(&reply, 500, "internal_error", "unreadable")?;
    assert_eq!(logged(&shop, &event).await?, json!(["failed", null, 1, 0]));
    let error: String =
        shop.database.value("select last_error from public.stripe_webhook_events", &[]).await?;
    assert!(error.contains("payment_intent") && !error.contains("private"), "{error}");
    assert_eq!(shop.database.status(payment.reservation_id).await?, "hold");
    Ok(())
}

#[tokio::test]
async fn neither_client_secrets_nor_who_paid_are_kept_with_the_event() -> Result<()> {
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let event = payment.event("payment_intent_succeeded")?.with("receipt_email", json!("jana@example.com"));
    assert!(event.payload.to_string().contains("_secret_"));
    deliver(&shop, &event, 200, "confirmed").await?;
    let sql = "select payload::text from public.stripe_webhook_events";
    let stored: String = shop.database.value(sql, &[]).await?;
    assert!(stored.contains("amount_received"), "{stored}");
    assert!(!stored.contains("_secret_") && !stored.contains("jana@"), "{stored}");
    Ok(())
}

#[tokio::test]
async fn one_event_delivered_many_times_at_once_has_one_effect() -> Result<()> {
    const DELIVERIES: usize = 8;
    let shop = Shop::open().await?;
    let payment = Payment::start(&shop).await?;
    let event = payment.event("payment_intent_succeeded")?;
    let call = event.call()?;
    // One connection would put them in order; sandboxes have one each.
    let mut deliveries = JoinSet::new();
    for _ in 0..DELIVERIES {
        let (app, request) = (App::new(shop.app.config.clone())?, call.request()?);
        deliveries.spawn(async move { Reply::read(handle(&app, request).await) });
    }
    let mut decisions = Vec::new();
    for reply in deliveries.join_all().await {
        decisions.push(reply?.at("/decision").to_string());
    }
    assert_eq!(decisions.iter().filter(|decision| *decision == "\"confirmed\"").count(), 1, "{decisions:?}");
    assert_eq!(decisions.iter().filter(|decision| *decision == "\"replay\"").count(), DELIVERIES - 1);
    assert_eq!(logged(&shop, &event).await?, json!(["processed", "confirmed", 1, DELIVERIES - 1]));
    Ok(())
}
