//! Credits that are bought, and what becomes of them when their money goes back.

mod asked;

use anyhow::Result;
use kitloop::app::webhook;
use kitloop::stripe::Event;
use serde_json::{Value, json};
use test_support::{Shop, StripeEvent};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{answer, deliver};

const SESSION: &str = "cs_test_a1SampleCheckoutSession0001";
const INTENT: &str = "pi_3Qk1tL00pSampl3Intent0001";

/// A user who is buying 25 credits for 25 euros, whose session at Stripe is the samples'.
async fn buyer(shop: &Shop) -> Result<Uuid> {
    let user_id = Uuid::new_v4();
    let sql = "select kitloop.record_checkout_session(t.topup_id, $2)
        from kitloop.start_topup('user', 'key', 'hash', $1, '{}', 25, 100, 'EUR') t";
    shop.database.execute(sql, &[&user_id, &SESSION]).await?;
    Ok(user_id)
}

fn sample(name: &str) -> Result<StripeEvent> {
    StripeEvent::sample(name, INTENT, Uuid::nil(), Uuid::nil())
}

fn refund(id: &str, amount_minor: i64, status: &str) -> StripeEvent {
    let object = json!({
        "object": "refund", "id": id, "amount": amount_minor, "currency": "eur", "status": status,
        "payment_intent": INTENT, "metadata": {},
    });
    StripeEvent::new("refund.updated", object)
}

fn dispute(amount_minor: i64, status: &str) -> StripeEvent {
    let object = json!({
        "object": "dispute", "id": "dp_1", "amount": amount_minor, "currency": "eur", "status": status,
        "payment_intent": INTENT, "reason": "fraudulent",
    });
    StripeEvent::new("charge.dispute.updated", object)
}

/// (balance, owed) of the only account, and the amounts of its entries, oldest first.
async fn account(shop: &Shop) -> Result<Value> {
    let sql = "select jsonb_build_array(
            (select balance from public.credit_accounts), (select owed from public.credit_accounts),
            (select coalesce(jsonb_agg(amount order by id), '[]') from public.credit_ledger)
        )";
    shop.database.assert_consistent().await?;
    shop.database.value(sql, &[]).await
}

/// Takes everything away again. The ledger forgets nothing, so there is no other way.
async fn begin_anew(shop: &Shop) -> Result<()> {
    let open = "alter table public.credit_ledger disable trigger append_only";
    shop.database.execute(open, &[]).await?;
    for table in [
        "stripe_webhook_events",
        "credit_topup_losses",
        "credit_topups",
        "idempotency_keys",
        "credit_ledger",
        "credit_accounts",
        "customers",
    ] {
        shop.database.execute(&format!("delete from public.{table}"), &[]).await?;
    }
    Ok(())
}

/// Credits that the user does not have any more.
async fn spend(shop: &Shop, user_id: Uuid, credits: i64) -> Result<()> {
    let sql = "select kitloop.adjust_credits('Ada', $1, $2, 'spent', $3)";
    shop.database.execute(sql, &[&user_id, &-credits, &Uuid::new_v4().to_string()]).await.map(drop)
}

#[tokio::test]
async fn credits_are_granted_once_when_they_are_paid() -> Result<()> {
    let shop = Shop::open().await?;
    buyer(&shop).await?;
    deliver(&shop, &sample("checkout_session_completed_unpaid")?, 200, "processing").await?;
    assert_eq!(account(&shop).await?, json!([null, null, []]));
    let paid = sample("checkout_session_completed")?;
    deliver(&shop, &paid, 200, "credits_granted").await?;
    deliver(&shop, &paid, 200, "replay").await?;
    deliver(&shop, &paid.clone().renamed("evt_another"), 200, "stale").await?;
    deliver(&shop, &sample("checkout_session_expired")?, 200, "stale").await?;
    assert_eq!(account(&shop).await?, json!([25, 0, [25]]));
    let key = "select idempotency_key from public.credit_ledger";
    assert_eq!(shop.database.value::<String>(key, &[]).await?, format!("stripe:{}:topup", paid.id()));
    let payload = "select string_agg(payload::text, '') from public.stripe_webhook_events";
    let payload: String = shop.database.value(payload, &[]).await?;
    assert!(!payload.contains("jana@example.com") && !payload.contains("Jana"), "{payload}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_granted_for_what_was_not_asked_for() -> Result<()> {
    let shop = Shop::open().await?;
    buyer(&shop).await?;
    let paid = sample("checkout_session_completed")?;
    let expired = sample("checkout_session_expired")?.with("amount_total", json!(null));
    deliver(&shop, &expired, 200, "payment_canceled").await?;
    for (name, event, decision) in [
        ("unpaid", paid.clone().with("payment_status", json!("unpaid")), "processing"),
        ("of a state of tomorrow", paid.clone().with("payment_status", json!("promised")), "processing"),
        ("less", paid.clone().with("amount_total", json!(2499)), "amount_mismatch"),
        ("more", paid.clone().with("amount_total", json!(2501)), "amount_mismatch"),
        ("nothing", paid.clone().with("amount_total", json!(null)), "amount_mismatch"),
        ("another currency", paid.clone().with("currency", json!("czk")), "amount_mismatch"),
        ("unpaid after all", paid.clone().with("payment_status", json!("unpaid")), "stale"),
        ("of another session", paid.clone().with("id", json!("cs_other")), "unmatched"),
    ] {
        deliver(&shop, &event.renamed(&format!("evt_{}", name.replace(' ', "_"))), 200, decision).await?;
        assert_eq!(shop.count("credit_ledger").await?, 0, "{name}");
    }
    // Whatever Stripe said before: what is paid is granted.
    deliver(&shop, &paid, 200, "credits_granted").await
}

#[tokio::test]
async fn a_session_whose_creation_was_never_recorded_is_found_by_its_top_up() -> Result<()> {
    let shop = Shop::open().await?;
    let sql = "select topup_id from kitloop.start_topup('user', 'key', 'hash', $1, '{}', 25, 100, 'EUR')";
    let topup_id: Uuid = shop.database.value(sql, &[&Uuid::new_v4()]).await?;
    let paid = sample("checkout_session_completed")?;
    let other =
        paid.clone().with("metadata", json!({"topup_id": Uuid::nil()})).with("payment_intent", json!("pi_0"));
    deliver(&shop, &other, 200, "unmatched").await?;
    assert_eq!(shop.database.violations().await?.len(), 1, "somebody paid for it");
    shop.database.execute("delete from public.stripe_webhook_events", &[]).await?;
    let ours = paid.with("metadata", json!({"topup_id": topup_id})).renamed("evt_ours");
    deliver(&shop, &ours, 200, "credits_granted").await?;
    assert_eq!(account(&shop).await?, json!([25, 0, [25]]));
    Ok(())
}

#[tokio::test]
async fn a_refund_takes_its_share_back_and_one_that_fails_gives_it_again() -> Result<()> {
    let shop = Shop::open().await?;
    buyer(&shop).await?;
    deliver(&shop, &sample("checkout_session_completed")?, 200, "credits_granted").await?;
    for (event, decision, expected) in [
        (refund("re_1", 950, "pending"), "partially_refunded", json!([15, 0, [25, -10]])),
        (refund("re_1", 950, "succeeded"), "partially_refunded", json!([15, 0, [25, -10]])),
        (refund("re_2", 1550, "succeeded"), "partially_refunded", json!([0, 0, [25, -10, -15]])),
        (refund("re_1", 950, "failed"), "refund_failed", json!([9, 0, [25, -10, -15, 9]])),
        (refund("re_1", 950, "pending"), "stale", json!([9, 0, [25, -10, -15, 9]])),
    ] {
        deliver(&shop, &event, 200, decision).await?;
        assert_eq!(account(&shop).await?, expected, "{decision}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_spent_already_is_owed_and_paid_by_what_comes_next() -> Result<()> {
    let shop = Shop::open().await?;
    let user_id = buyer(&shop).await?;
    deliver(&shop, &sample("checkout_session_completed")?, 200, "credits_granted").await?;
    spend(&shop, user_id, 20).await?;
    deliver(&shop, &dispute(2500, "needs_response"), 200, "disputed").await?;
    assert_eq!(account(&shop).await?, json!([0, 20, [25, -20, -5]]));
    let give = "select kitloop.adjust_credits('Ada', $1, 30, 'a gift', 'gift')";
    shop.database.execute(give, &[&user_id]).await?;
    assert_eq!(account(&shop).await?, json!([10, 0, [25, -20, -5, 30, -20]]));
    deliver(&shop, &dispute(2500, "warning_needs_response"), 200, "stale").await?;
    // The bank decides for us: all 25 are back.
    deliver(&shop, &dispute(2500, "won"), 200, "disputed").await?;
    assert_eq!(account(&shop).await?, json!([35, 0, [25, -20, -5, 30, -20, 25]]));
    deliver(&shop, &dispute(2500, "under_review"), 200, "stale").await?;
    // As with payments, what is lost in the end stays lost.
    deliver(&shop, &dispute(2500, "lost"), 200, "disputed").await?;
    deliver(&shop, &dispute(2500, "won"), 200, "stale").await?;
    assert_eq!(account(&shop).await?, json!([10, 0, [25, -20, -5, 30, -20, 25, -25]]));
    Ok(())
}

#[tokio::test]
async fn a_dispute_in_another_currency_is_of_all_of_it() -> Result<()> {
    let shop = Shop::open().await?;
    buyer(&shop).await?;
    deliver(&shop, &sample("checkout_session_completed")?, 200, "credits_granted").await?;
    deliver(&shop, &dispute(100, "lost").with("currency", json!("usd")), 200, "disputed").await?;
    assert_eq!(account(&shop).await?, json!([0, 0, [25, -25]]));
    Ok(())
}

#[tokio::test]
async fn money_that_granted_nothing_is_a_broken_promise_until_it_went_back() -> Result<()> {
    let shop = Shop::open().await?;
    buyer(&shop).await?;
    let event = sample("checkout_session_completed")?.with("amount_total", json!(3000));
    deliver(&shop, &event, 200, "amount_mismatch").await?;
    deliver(&shop, &refund("re_1", 2500, "succeeded"), 200, "partially_refunded").await?;
    assert_eq!(shop.database.violations().await?.len(), 1, "500 are still here");
    deliver(&shop, &refund("re_2", 500, "succeeded"), 200, "partially_refunded").await?;
    assert_eq!(account(&shop).await?, json!([null, null, []]));
    deliver(&shop, &refund("re_2", 500, "failed"), 200, "refund_failed").await?;
    assert_eq!(shop.database.violations().await?.len(), 1, "it came back");
    Ok(())
}

#[tokio::test]
async fn what_went_back_in_the_currency_that_was_paid_counts_even_before_the_payment() -> Result<()> {
    let shop = Shop::open().await?;
    buyer(&shop).await?;
    let crowns = |event: StripeEvent| event.with("currency", json!("czk"));
    deliver(&shop, &crowns(refund("re_1", 30_000, "succeeded")), 200, "unmatched").await?;
    let paid = crowns(sample("checkout_session_completed")?).with("amount_total", json!(60_000));
    deliver(&shop, &paid, 200, "amount_mismatch").await?;
    assert_eq!(shop.database.violations().await?.len(), 1);
    deliver(&shop, &crowns(refund("re_2", 30_000, "succeeded")), 200, "partially_refunded").await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_refund_and_the_payment_that_are_told_at_once_do_not_miss_each_other() -> Result<()> {
    let shop = Shop::open().await?;
    for round in 0..20 {
        buyer(&shop).await?;
        let paid = sample("checkout_session_completed")?.renamed(&format!("evt_paid_{round}"));
        let back = refund(&format!("re_{round}"), 2500, "succeeded").renamed(&format!("evt_back_{round}"));
        let mut deliveries = JoinSet::new();
        for event in [paid, back] {
            let db = shop.database.db()?;
            let event = Event::from_log(event.payload)?;
            deliveries
                .spawn(async move { webhook::apply(&db, &event).await.map(|applied| applied.decision) });
        }
        let decisions = deliveries.join_all().await;
        assert!(decisions.iter().all(Result::is_ok), "{decisions:?}");
        let end = account(&shop).await?;
        assert_eq!((&end[0], &end[1]), (&json!(0), &json!(0)), "{decisions:?}: {end}");
        begin_anew(&shop).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_inquiry_takes_nothing_back() -> Result<()> {
    let shop = Shop::open().await?;
    buyer(&shop).await?;
    deliver(&shop, &sample("checkout_session_completed")?, 200, "credits_granted").await?;
    deliver(&shop, &dispute(2500, "warning_needs_response"), 200, "disputed").await?;
    assert_eq!(account(&shop).await?, json!([25, 0, [25]]));
    deliver(&shop, &dispute(2500, "lost"), 200, "disputed").await?;
    assert_eq!(account(&shop).await?, json!([0, 0, [25, -25]]));
    Ok(())
}

#[tokio::test]
async fn a_refund_that_comes_before_the_payment_is_not_forgotten() -> Result<()> {
    let shop = Shop::open().await?;
    buyer(&shop).await?;
    let unsaid = refund("re_1", 1000, "succeeded").with("status", json!(null));
    deliver(&shop, &unsaid, 200, "unmatched").await?;
    deliver(&shop, &sample("checkout_session_completed")?, 200, "credits_granted").await?;
    assert_eq!(account(&shop).await?, json!([15, 0, [25, -10]]));
    Ok(())
}

#[tokio::test]
async fn the_same_events_end_the_same_in_every_order() -> Result<()> {
    let shop = Shop::open().await?;
    let events = [
        sample("checkout_session_completed")?,
        refund("re_1", 500, "succeeded").renamed("evt_first"),
        refund("re_2", 1000, "failed").renamed("evt_second"),
        dispute(1000, "lost").renamed("evt_third"),
    ];
    for first in 0..events.len() {
        for second in (0..events.len()).filter(|second| *second != first) {
            buyer(&shop).await?;
            let rest = (0..events.len()).filter(|other| ![first, second].contains(other));
            for index in [first, second].into_iter().chain(rest).chain(0..events.len()) {
                assert_eq!(answer(&shop, &events[index].call()?).await?.status, 200);
            }
            let end = account(&shop).await?;
            assert_eq!((&end[0], &end[1]), (&json!(10), &json!(0)), "{first}, {second}: {end}");
            begin_anew(&shop).await?;
        }
    }
    Ok(())
}
