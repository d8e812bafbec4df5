//! How what Stripe says differs from what is known here, and which events never took effect.

use anyhow::Result;
use kitloop::db;
use kitloop::domain::{Decision, DisputeFact, Fact, PaymentIntentFact, PaymentStatus, RefundStatus};
use serde_json::json;
use test_support::{Gear, Provider, actor, in_days};
use uuid::Uuid;

use super::money::{dispute, disputed};
use super::shop::{LEASE, Shop, refund, refund_of};

/// What differs, of these facts, by their places.
async fn differences(shop: &Shop, facts: &[Fact]) -> Result<Vec<(usize, String)>> {
    Ok(db::differences(&shop.db, facts).await?)
}

/// Fails unless a fact differs in this way (`""` is not at all), and no more once it is applied.
async fn assert_mended(shop: &Shop, fact: Fact, difference: &str, decision: Decision) -> Result<()> {
    let found = differences(shop, std::slice::from_ref(&fact)).await?;
    let wanted: &[(usize, String)] = &[(0, difference.to_owned())];
    assert_eq!(found, wanted, "{fact:?}");
    assert_eq!(db::settle_fact(&shop.db, &fact).await?.decision, decision, "{fact:?}");
    assert_eq!(differences(shop, &[fact]).await?, [], "it is as it should be now");
    Ok(())
}

#[tokio::test]
async fn an_intent_that_went_on_without_us_differs_until_it_is_applied() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::of(9)).await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    for (status, decision) in [
        (PaymentStatus::RequiresAction, Decision::RequiresAction),
        (PaymentStatus::Processing, Decision::Processing),
        (PaymentStatus::RequiresCapture, Decision::Authorized),
        (PaymentStatus::Succeeded, Decision::Confirmed),
    ] {
        let fact = Fact::PaymentIntent(shop.intent(&hold, "pi_1", status));
        assert_mended(&shop, fact, "status", decision).await?;
    }
    let unknown = shop.hold().await?;
    let fact = Fact::PaymentIntent(shop.intent(&unknown, "pi_2", PaymentStatus::Succeeded));
    assert_mended(&shop, fact, "unknown_payment", Decision::Confirmed).await?;
    let capturing = shop.authorized("pi_3").await?;
    shop.start_capture(&capturing).await?;
    let still = Fact::PaymentIntent(shop.intent(&capturing, "pi_3", PaymentStatus::RequiresCapture));
    assert_eq!(differences(&shop, &[still]).await?, [], "a capture is under way");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn an_intent_whose_maker_died_is_found_by_what_it_says_of_itself() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let hold = shop.hold().await?;
    let payment = db::start_payment(&shop.db, actor(hold.customer), hold.id, LEASE, None).await?;
    let made = PaymentIntentFact {
        payment_id: Some(payment.payment_id.0),
        generation: Some(payment.generation),
        ..shop.intent(&hold, "pi_1", PaymentStatus::RequiresPaymentMethod)
    };
    let of_before = PaymentIntentFact { generation: Some(payment.generation - 1), ..made.clone() };
    let called_off = PaymentIntentFact { status: PaymentStatus::Canceled, ..made.clone() };
    for harmless in [of_before, called_off] {
        assert_eq!(differences(&shop, &[Fact::PaymentIntent(harmless)]).await?, []);
    }
    assert_mended(&shop, Fact::PaymentIntent(made), "unrecorded_intent", Decision::PaymentFailed).await?;
    let recorded: String = shop.of_payment(&hold, "payment_intent_id").await?;
    assert_eq!(recorded, "pi_1");
    Ok(())
}

#[tokio::test]
async fn what_stripe_and_we_can_never_agree_on_is_shown() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let paid = shop.confirmed("pi_1").await?;
    let canceled = shop.hold().await?;
    shop.start_payment(&canceled, "pi_2").await?;
    shop.hear_of(&canceled, "pi_2", PaymentStatus::Canceled).await?;
    let mut less = shop.intent(&paid, "pi_1", PaymentStatus::Succeeded);
    less.amount_received_minor -= 1;
    let facts = [
        Fact::PaymentIntent(shop.intent(&paid, "pi_1", PaymentStatus::Canceled)),
        Fact::PaymentIntent(shop.intent(&canceled, "pi_2", PaymentStatus::Succeeded)),
        Fact::PaymentIntent(less),
    ];
    let wanted = ["terminal_status", "terminal_status", "captured_amount"];
    let found = differences(&shop, &facts).await?;
    assert_eq!(found, wanted.map(str::to_owned).into_iter().enumerate().collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn refunds_and_disputes_that_went_on_without_us_differ_until_they_are_applied() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    let by_hand = |status| Fact::Refund(refund("re_1", "pi_1", 10_000, status));
    assert_mended(&shop, by_hand(RefundStatus::Pending), "unknown_refund", Decision::PartiallyRefunded)
        .await?;
    assert_mended(&shop, by_hand(RefundStatus::Succeeded), "status", Decision::PartiallyRefunded).await?;
    assert_eq!(differences(&shop, &[by_hand(RefundStatus::Pending)]).await?, [], "it was read before");
    shop.refund(&hold, 20_000).await?;
    let (job, _) = shop.claim_refund().await?;
    let ours = refund_of(&job, "re_2", RefundStatus::Succeeded)?;
    assert_mended(&shop, ours, "unknown_refund", Decision::PartiallyRefunded).await?;
    assert_eq!(shop.refunds().await?, ["10000 succeeded", "20000 succeeded"], "no second row");

    // As it is now: Stripe does not say since when.
    let now = |status| Fact::Dispute(DisputeFact { at: None, ..dispute("du_1", "pi_1", 5_000, status, 0) });
    assert_mended(&shop, now("needs_response"), "unknown_dispute", Decision::Disputed).await?;
    for status in ["under_review", "won", "lost"] {
        assert_mended(&shop, now(status), "status", Decision::Disputed).await?;
    }
    assert_eq!(differences(&shop, &[now("needs_response")]).await?, [], "it was read before");
    assert_eq!(
        differences(&shop, &[now("won")]).await?.len(),
        1,
        "the bank gave back what was booked as lost"
    );
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_is_as_it_should_be_or_not_ours_does_not_differ() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    let hold = shop.confirmed("pi_1").await?;
    let known_refund = Fact::Refund(refund("re_1", "pi_1", 10_000, RefundStatus::Succeeded));
    let known_dispute = disputed("du_1", "pi_1", 10_000, "needs_response", 0);
    shop.hear(&known_refund).await?;
    shop.hear(&known_dispute).await?;
    let somebody_elses = |status| {
        let fact = shop.intent(&hold, "pi_other", status);
        Fact::PaymentIntent(PaymentIntentFact { reservation_id: Some(Uuid::new_v4()), ..fact })
    };
    let facts = [
        Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded)),
        known_refund,
        known_dispute,
        somebody_elses(PaymentStatus::Succeeded),
        somebody_elses(PaymentStatus::Canceled),
        Fact::PaymentIntent(shop.intent(&hold, "pi_unpaid", PaymentStatus::RequiresPaymentMethod)),
        Fact::Refund(refund("re_other", "pi_other", 1, RefundStatus::Succeeded)),
        disputed("du_other", "pi_other", 1, "lost", 0),
    ];
    let before = shop.rows().await?;
    assert_eq!(differences(&shop, &facts).await?, []);
    assert_eq!(shop.rows().await?, before, "looking changes nothing");
    let lost = disputed("du_1", "pi_1", 10_000, "lost", 1);
    let mixed = [facts[0].clone(), lost, facts[1].clone()];
    assert_eq!(differences(&shop, &mixed).await?, [(1, "status".to_owned())], "by its place");
    Ok(())
}

#[tokio::test]
async fn events_are_missing_until_they_took_effect() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let late = shop.hold().await;
    assert!(late.is_err());
    let unmatched = Fact::Refund(refund("re_1", "pi_1", 10_000, RefundStatus::Succeeded));
    let deliver = async |event_id: &str, fact: Option<&Fact>| {
        db::apply_stripe_event(&shop.db, event_id, "test.event", &json!({}), fact).await
    };
    let paid = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    deliver("evt_ignored", None).await?;
    deliver("evt_unmatched", Some(&unmatched)).await?;
    db::fail_stripe_event(&shop.db, "evt_failed", "test.event", &json!({}), "timeout").await?;
    deliver("evt_paid", Some(&paid)).await?;
    let all = ["evt_ignored", "evt_unmatched", "evt_failed", "evt_paid", "evt_never"];
    assert_eq!(
        db::missing_events(&shop.db, &all).await?,
        ["evt_unmatched", "evt_failed", "evt_never"],
        "in the order that was asked"
    );
    assert_eq!(deliver("evt_unmatched", Some(&unmatched)).await?.decision, Decision::PartiallyRefunded);
    assert_eq!(deliver("evt_failed", None).await?.decision, Decision::Ignored);
    assert_eq!(db::missing_events(&shop.db, &all).await?, ["evt_never"]);
    assert_eq!(deliver("evt_unmatched", Some(&unmatched)).await?.decision, Decision::Replay);
    assert!(db::missing_events(&shop.db, &[]).await?.is_empty());
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_conflict_that_was_answered_with_409_counts_as_delivered() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.lose(&hold).await?;
    let paid = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    let applied = db::apply_stripe_event(&shop.db, "evt_1", "test.event", &json!({}), Some(&paid)).await?;
    assert_eq!(applied.decision, Decision::CancelledConflict);
    assert!(db::missing_events(&shop.db, &["evt_1"]).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn open_intents_from_before_the_window_are_looked_up_page_by_page() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(9)).await?;
    for number in 1..=5 {
        let hold = shop.hold().await?;
        shop.start_payment(&hold, &format!("pi_{number}")).await?;
        if number == 2 {
            shop.hear_of(&hold, "pi_2", PaymentStatus::Succeeded).await?;
        }
    }
    let sql = "update public.payments set created_at = created_at - interval '2 days'
        where payment_intent_id <> 'pi_4'";
    shop.database.execute(sql, &[]).await?;
    let before = in_days(-1);
    assert_eq!(db::open_payment_intents(&shop.db, before, None, 2).await?, ["pi_1", "pi_3"]);
    assert_eq!(db::open_payment_intents(&shop.db, before, Some("pi_3"), 2).await?, ["pi_5"]);
    assert!(db::open_payment_intents(&shop.db, before, Some("pi_5"), 2).await?.is_empty());
    Ok(())
}
