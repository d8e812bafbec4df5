//! Jobs that were given up, and that an operator has run again.

use anyhow::Result;
use kitloop::db;
use serde_json::{Value, json};
use test_support::door::ensure_problem;
use test_support::{ADMIN_TOKEN, HttpCall, Reply, Shop};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{answer, audited, each, pages, post, see};

/// Gives up every open job of a kind.
async fn give_up(shop: &Shop, kind: &str) -> Result<()> {
    let sql = "select kitloop.fail_job(id, 'gone') from public.jobs
        where kind = $1 and status in ('queued', 'running')";
    shop.database.execute(sql, &[&kind]).await.map(drop)
}

/// An operator has the newest dead letter's job run again.
async fn replay(shop: &Shop) -> Result<Reply> {
    let ids = each(&see(shop, "/ops/dead-letters?limit=1").await?, "id")?;
    let id = ids.first().and_then(Value::as_str).unwrap_or_default();
    answer(shop, &post(&format!("/ops/dead-letters/{id}/replay"), "Ada")).await
}

/// A payment of which a part is to go back, by a refund that was given up: the intent, and how much.
async fn refund_given_up(shop: &Shop) -> Result<(String, i64)> {
    let (reservation_id, intent_id) = shop.paid().await?;
    shop.refund(reservation_id, 5_000).await?;
    give_up(shop, "refund_payment").await?;
    Ok((intent_id, 5_000))
}

/// A shop and the intent of a payment of which 5,000 went back, which was not recorded: the worker died, and so did the
/// others.
async fn refund_unrecorded() -> Result<(Shop, String)> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.paid().await?;
    shop.refund(reservation_id, 5_000).await?;
    shop.work_off().await?;
    let forget = "update public.refunds set stripe_refund_id = null, status = 'pending'";
    shop.database.execute(forget, &[]).await?;
    let forget = "update public.jobs set status = 'queued', finished_at = null where kind = 'refund_payment'";
    shop.database.execute(forget, &[]).await?;
    Ok((shop, intent_id))
}

/// A shop with a booking that its customer is yet to be told of.
async fn confirmation_due() -> Result<Shop> {
    let shop = Shop::open().await?;
    let (_, intent_id) = shop.hold_paid_at_stripe().await?;
    shop.database.execute("update public.customers set email = 'jana@example.com'", &[]).await?;
    shop.hear_of(&intent_id).await?;
    Ok(shop)
}

/// A shop with an authorised reservation, whose capture was given up.
async fn capture_given_up() -> Result<(Shop, Uuid)> {
    let shop = Shop::open_manual().await?;
    let (reservation_id, intent_id) = shop.hold_paid_at_stripe().await?;
    shop.hear_of(&intent_id).await?;
    let start = "select kitloop.start_capture(id, 'worker', 60) from public.payments";
    shop.database.execute(start, &[]).await?;
    give_up(&shop, "capture_payment_intent").await?;
    Ok((shop, reservation_id))
}

#[tokio::test]
async fn they_come_in_pages_open_ones_told_from_those_that_were_replayed() -> Result<()> {
    let shop = Shop::open().await?;
    for _ in 0..3 {
        let (reservation_id, _) = shop.hold_with_intent().await?;
        shop.database.lapse(reservation_id).await?;
    }
    shop.database.execute("select kitloop.expire_holds(10)", &[]).await?;
    assert_eq!(see(&shop, "/ops/dead-letters").await?, json!({"items": [], "next_cursor": null}));
    give_up(&shop, "cancel_payment_intent").await?;

    let ids = pages(&shop, "/ops/dead-letters?limit=2", "id").await?;
    assert_eq!(ids.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    let mut ids = ids.concat();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let page = see(&shop, "/ops/dead-letters?limit=1").await?;
    let item = |member: &str| page["items"][0][member].clone();
    assert_eq!(
        [item("kind"), item("last_error"), item("job_status")],
        [json!("cancel_payment_intent"), json!("gone"), json!("failed")]
    );
    assert_eq!(replay(&shop).await?.status, 202);
    assert_eq!(pages(&shop, "/ops/dead-letters?status=open", "id").await?.concat().len(), 2);
    let replayed = pages(&shop, "/ops/dead-letters?status=replayed", "replayed_by").await?;
    assert_eq!(json!(replayed), json!([["Ada"]]));
    assert_eq!(see(&shop, "/ops/metrics").await?["dead_letters_last_24h"], 2);
    Ok(())
}

#[tokio::test]
async fn a_refund_that_was_given_up_is_made_once_when_it_is_replayed() -> Result<()> {
    let shop = Shop::open().await?;
    let (intent_id, amount_minor) = refund_given_up(&shop).await?;
    assert!(!shop.database.violations().await?.is_empty(), "the money is owed");

    shop.database.execute("update public.jobs set attempts = max_attempts", &[]).await?;
    let reply = replay(&shop).await?;
    let attempts = "select attempts from public.jobs where kind = 'refund_payment'";
    assert_eq!(shop.database.value::<i32>(attempts, &[]).await?, 0, "it starts afresh");
    assert_eq!((reply.status, reply.at("/kind")), (202, &json!("refund_payment")), "{}", reply.body);
    assert_eq!(reply.at("/status"), "queued");
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, amount_minor);
    shop.database.assert_consistent().await?;

    ensure_problem(&replay(&shop).await?, 409, "already_replayed", "again")?;
    let outcomes = audited(&shop).await?;
    let outcomes = outcomes.as_array().into_iter().flatten().filter(|entry| entry[0] == "operator:Ada");
    let outcomes: Vec<_> = outcomes.map(|entry| (&entry[1], &entry[2]["outcome"])).collect();
    assert_eq!(
        json!(outcomes),
        json!([["dead_letter_replay", "replayed"], ["dead_letter_replay", "already_replayed"]])
    );
    Ok(())
}

#[tokio::test]
async fn a_refund_that_another_replaced_is_not_made_as_well() -> Result<()> {
    let shop = Shop::open().await?;
    let (intent_id, amount_minor) = refund_given_up(&shop).await?;
    let repaired = answer(&shop, &post("/ops/consistency", "Ada")).await?;
    assert_eq!(repaired.at("/payments/0/decision"), "refund_resent", "{}", repaired.body);

    ensure_problem(&replay(&shop).await?, 409, "job_obsolete", "another carries the money")?;
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, amount_minor);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_cancellation_that_another_job_is_at_is_not_begun_twice() -> Result<()> {
    let shop = Shop::open().await?;
    let (reservation_id, intent_id) = shop.hold_with_intent().await?;
    shop.database.lapse(reservation_id).await?;
    shop.database.execute("select kitloop.expire_holds(10)", &[]).await?;
    give_up(&shop, "cancel_payment_intent").await?;
    let repaired = answer(&shop, &post("/ops/consistency", "Ada")).await?;
    assert_eq!(repaired.at("/payments/0/decision"), "cancel_resent", "{}", repaired.body);
    ensure_problem(&replay(&shop).await?, 409, "job_obsolete", "the other one is open")?;

    give_up(&shop, "cancel_payment_intent").await?;
    assert_eq!(replay(&shop).await?.status, 202);
    shop.work_off().await?;
    assert_eq!(shop.intents().await?, [(intent_id, "canceled".to_owned())]);
    Ok(())
}

#[tokio::test]
async fn one_dead_letter_replayed_by_two_at_once_runs_once() -> Result<()> {
    let shop = Shop::open().await?;
    refund_given_up(&shop).await?;
    let id: Uuid = shop.database.value("select id from public.job_dead_letters", &[]).await?;
    let mut replays = JoinSet::new();
    for _ in 0..8 {
        let db = shop.database.db()?;
        replays.spawn(async move { db::replay_dead_letter(&db, id, "Ada").await });
    }
    let outcomes = replays.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    Ok(())
}

#[tokio::test]
async fn a_refund_whose_key_stripe_has_forgotten_is_looked_up_first() -> Result<()> {
    let (shop, intent_id) = refund_unrecorded().await?;
    let long_ago =
        "update public.jobs set created_at = now() - interval '5 days' where kind = 'refund_payment'";
    shop.database.execute(long_ago, &[]).await?;
    shop.stripe.admin().forget_idempotency_keys().await?;
    give_up(&shop, "refund_payment").await?;

    assert_eq!(replay(&shop).await?.status, 202);
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 5_000);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_refund_that_stripe_made_all_the_same_is_not_made_again() -> Result<()> {
    let (shop, intent_id) = refund_unrecorded().await?;
    give_up(&shop, "refund_payment").await?;

    assert_eq!(replay(&shop).await?.status, 202);
    shop.work_off().await?;
    assert_eq!(shop.refunded_at_stripe(&intent_id).await?, 5_000);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_capture_that_was_given_up_is_made_if_the_authorisation_still_waits() -> Result<()> {
    let (shop, reservation_id) = capture_given_up().await?;

    assert_eq!(replay(&shop).await?.status, 202);
    let status: String = shop.database.value("select status from public.payments", &[]).await?;
    assert_eq!(status, "capturing");
    shop.work_off().await?;
    assert_eq!(shop.database.status(reservation_id).await?, "confirmed");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_capture_is_not_made_for_a_reservation_that_is_over() -> Result<()> {
    let (shop, reservation_id) = capture_given_up().await?;
    let cancel = "update public.reservations set status = 'cancelled', cancel_reason = 'declined'";
    shop.database.execute(cancel, &[]).await?;

    ensure_problem(&replay(&shop).await?, 409, "job_obsolete", "declined")?;
    let status: String = shop.database.value("select status from public.payments", &[]).await?;
    assert_eq!(
        (status.as_str(), shop.database.status(reservation_id).await?.as_str()),
        ("requires_capture", "cancelled")
    );
    Ok(())
}

#[tokio::test]
async fn an_email_that_was_given_up_is_sent_when_it_is_replayed() -> Result<()> {
    let shop = confirmation_due().await?;
    give_up(&shop, "send_email").await?;
    let sent = "select count(*) from public.notification_logs where status = 'sent'";
    assert_eq!(shop.database.value::<i64>(sent, &[]).await?, 0);

    assert_eq!(replay(&shop).await?.status, 202);
    shop.work_off().await?;
    assert_eq!(shop.database.value::<i64>(sent, &[]).await?, 1);
    Ok(())
}

#[tokio::test]
async fn an_email_that_is_too_old_is_not_sent_again() -> Result<()> {
    let shop = confirmation_due().await?;
    shop.database.execute("update public.jobs set created_at = now() - interval '2 days'", &[]).await?;
    give_up(&shop, "send_email").await?;
    ensure_problem(&replay(&shop).await?, 409, "job_obsolete", "Resend has forgotten its key")?;
    ensure_problem(&replay(&shop).await?, 409, "already_replayed", "nobody has to look any more")?;
    assert_eq!(see(&shop, "/ops/metrics").await?["dead_letters_last_24h"], 0);
    Ok(())
}

#[tokio::test]
async fn a_confirmation_is_not_sent_for_a_booking_that_was_cancelled_meanwhile() -> Result<()> {
    let shop = confirmation_due().await?;
    give_up(&shop, "send_email").await?;
    let cancel = "update public.reservations set status = 'cancelled', cancel_reason = 'provider'";
    shop.database.execute(cancel, &[]).await?;
    ensure_problem(&replay(&shop).await?, 409, "job_obsolete", "it is not true any more")?;
    shop.work_off().await?;
    assert!(shop.resend.emails().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_job_that_fails_again_has_another_dead_letter() -> Result<()> {
    let shop = Shop::open().await?;
    refund_given_up(&shop).await?;
    for _ in 0..2 {
        assert_eq!(replay(&shop).await?.status, 202);
        give_up(&shop, "refund_payment").await?;
    }
    let open = see(&shop, "/ops/dead-letters?status=open").await?;
    assert_eq!(each(&open, "kind")?, ["refund_payment"]);
    assert_eq!(shop.count("job_dead_letters").await?, 3);
    Ok(())
}

#[tokio::test]
async fn only_what_is_there_can_be_replayed() -> Result<()> {
    let shop = Shop::open().await?;
    let sample = HttpCall::sample("ops/replay_dead_letter.json", &[])?.bearer(ADMIN_TOKEN);
    for call in [sample, post("/ops/dead-letters/evt_1/replay", "Ada")] {
        ensure_problem(&answer(&shop, &call).await?, 404, "dead_letter_not_found", "unknown")?;
    }
    assert_eq!(shop.count("audit_logs").await?, 0);
    Ok(())
}
