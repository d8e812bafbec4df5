//! What each thing that Stripe may say means for a reservation.

use anyhow::Result;
use jiff::Timestamp;
use kitloop::db::{self, Confirmation};
use kitloop::domain::{
    ChargeFact, ConfirmationAction, Decision, DisputeFact, Fact, PaymentIntentFact, PaymentStatus, RefundFact,
};
use test_support::{Gear, Provider};
use uuid::Uuid;

use super::shop::{Hold, Shop};

#[tokio::test]
async fn an_unfinished_payment_leaves_the_hold_as_it_is() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    for (status, decision) in [
        (PaymentStatus::RequiresConfirmation, Decision::Ignored),
        (PaymentStatus::RequiresAction, Decision::RequiresAction),
        (PaymentStatus::Processing, Decision::Processing),
        (PaymentStatus::RequiresPaymentMethod, Decision::PaymentFailed),
    ] {
        assert_eq!(shop.hear_of(&hold, "pi_1", status).await?, decision);
        assert_eq!(shop.state(&hold).await?, "hold");
        assert_eq!(shop.payments(&hold).await?, [status.as_str()]);
    }
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?, Decision::Confirmed);
    assert_eq!(shop.state(&hold).await?, "confirmed", "another card worked");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn authorised_money_makes_the_reservation_firm_but_not_paid() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::default()).await?;
    let hold = shop.authorized("pi_1").await?;
    shop.database.lapse(hold.id.0).await?;
    let sql = "select status || ' ' || (paid_at is null) || ' ' || (select blocks_until from public.reservation_lines)
        from public.reservations";
    assert_eq!(shop.database.value::<String>(sql, &[]).await?, "authorized true infinity");
    assert_eq!(
        shop.hear_of(&hold, "pi_1", PaymentStatus::RequiresCapture).await?,
        Decision::Authorized,
        "hearing it twice changes nothing"
    );
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?, Decision::Confirmed);
    assert_eq!(shop.state(&hold).await?, "confirmed");
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::RequiresCapture).await?, Decision::Stale);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_late_payment_revives_a_hold_whose_stock_is_still_free() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(2)).await?;
    let lapsed = shop.hold().await?;
    let swept = shop.hold().await?;
    shop.database.lapse(swept.id.0).await?;
    db::expire_holds(&shop.db, 10).await?;
    shop.database.lapse(lapsed.id.0).await?;
    assert_eq!(shop.hear_of(&lapsed, "pi_1", PaymentStatus::Succeeded).await?, Decision::Confirmed);
    assert_eq!(shop.hear_of(&swept, "pi_2", PaymentStatus::RequiresCapture).await?, Decision::Authorized);
    assert_eq!([shop.state(&lapsed).await?, shop.state(&swept).await?], ["confirmed", "authorized"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_late_payment_whose_stock_is_gone_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let late = shop.hold().await?;
    shop.start_payment(&late, "pi_1").await?;
    shop.lose(&late).await?;
    assert_eq!(shop.hear_of(&late, "pi_1", PaymentStatus::Succeeded).await?, Decision::CancelledConflict);
    assert_eq!(shop.state(&late).await?, "cancelled: conflict");
    assert_eq!(shop.jobs().await?, ["refund_payment queued"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_late_authorisation_whose_stock_is_gone_is_released() -> Result<()> {
    let shop = Shop::open().await?;
    let late = shop.hold().await?;
    shop.lose(&late).await?;
    assert_eq!(
        shop.hear_of(&late, "pi_1", PaymentStatus::RequiresCapture).await?,
        Decision::CancelledConflict
    );
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"]);
    assert_eq!(
        shop.hear_of(&late, "pi_1", PaymentStatus::Canceled).await?,
        Decision::PaymentCanceled,
        "and the reservation keeps its reason"
    );
    assert_eq!(shop.state(&late).await?, "cancelled: conflict");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_late_payment_for_archived_gear_or_a_past_period_goes_back() -> Result<()> {
    for sql in [
        "update public.gear_items set archived_at = now()",
        "update public.reservations set period = tstzrange(now() - interval '2 days', now() - interval '1 day')",
    ] {
        let shop = Shop::open().await?;
        let late = shop.hold().await?;
        shop.database.lapse(late.id.0).await?;
        shop.database.execute(sql, &[]).await?;
        let decision = shop.hear_of(&late, "pi_1", PaymentStatus::Succeeded).await?;
        assert_eq!(decision, Decision::CancelledConflict, "{sql}");
        shop.database.assert_consistent().await?;
    }
    Ok(())
}

#[tokio::test]
async fn money_for_a_reservation_that_is_over_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.answer(shop.staff, &hold, ConfirmationAction::Decline, None).await?;
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?, Decision::RefundLatePayment);
    assert_eq!(shop.state(&hold).await?, "cancelled: declined");
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued", "refund_payment queued"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_cancelled_intent_ends_a_reservation_that_waited_for_it() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(2)).await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    let authorized = shop.authorized("pi_2").await?;
    for (hold, intent_id) in [(&hold, "pi_1"), (&authorized, "pi_2")] {
        assert_eq!(shop.hear_of(hold, intent_id, PaymentStatus::Canceled).await?, Decision::PaymentCanceled);
        assert_eq!(shop.state(hold).await?, "cancelled: payment_canceled");
        assert_eq!(shop.hear_of(hold, intent_id, PaymentStatus::RequiresCapture).await?, Decision::Stale);
    }
    Ok(())
}

/// Stripe says that a hold's intent was paid, but not as it was asked for.
async fn hear_otherwise(
    shop: &Shop,
    hold: &Hold,
    change: impl Fn(&mut PaymentIntentFact),
    status: PaymentStatus,
) -> Result<Decision> {
    let mut intent = shop.intent(hold, "pi_odd", status);
    change(&mut intent);
    shop.hear(&Fact::PaymentIntent(intent)).await
}

#[tokio::test]
async fn money_of_another_amount_or_currency_does_not_confirm_and_goes_back() -> Result<()> {
    let less: fn(&mut PaymentIntentFact) = |intent| {
        intent.amount_minor -= 1;
        intent.amount_received_minor -= 1;
    };
    let more: fn(&mut PaymentIntentFact) = |intent| intent.amount_received_minor += 1;
    let euros: fn(&mut PaymentIntentFact) = |intent| intent.currency = "EUR".to_owned();
    for change in [less, more, euros] {
        let shop = Shop::open().await?;
        let hold = shop.hold().await?;
        let decision = hear_otherwise(&shop, &hold, change, PaymentStatus::Succeeded).await?;
        assert_eq!(decision, Decision::AmountMismatch);
        assert_eq!(shop.state(&hold).await?, "hold");
        assert_eq!(shop.jobs().await?, ["refund_payment queued"]);
        assert_eq!(shop.hear_of(&hold, "pi_right", PaymentStatus::Succeeded).await?, Decision::Confirmed);
        shop.database.assert_consistent().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_authorisation_of_another_amount_is_released() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let less = |intent: &mut PaymentIntentFact| intent.amount_minor -= 1;
    let decision = hear_otherwise(&shop, &hold, less, PaymentStatus::RequiresCapture).await?;
    assert_eq!(decision, Decision::AmountMismatch);
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"]);
    Ok(())
}

#[tokio::test]
async fn a_capture_of_less_than_was_authorised_does_not_confirm() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.authorized("pi_odd").await?;
    let less = |intent: &mut PaymentIntentFact| intent.amount_received_minor -= 1;
    let decision = hear_otherwise(&shop, &hold, less, PaymentStatus::Succeeded).await?;
    assert_eq!(decision, Decision::AmountMismatch);
    assert_eq!(shop.state(&hold).await?, "cancelled: payment_canceled");
    assert_eq!(shop.jobs().await?, ["refund_payment queued"]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_second_payment_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    assert_eq!(shop.hear_of(&hold, "pi_2", PaymentStatus::Succeeded).await?, Decision::DuplicatePayment);
    assert_eq!(shop.payments(&hold).await?, ["succeeded", "succeeded (superseded)"]);
    assert_eq!(shop.jobs().await?, ["refund_payment queued"]);
    assert_eq!(
        shop.hear_of(&hold, "pi_2", PaymentStatus::Succeeded).await?,
        Decision::Stale,
        "and it goes back once"
    );
    assert_eq!(shop.state(&hold).await?, "confirmed");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_payment_beside_an_authorisation_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.authorized("pi_1").await?;
    assert_eq!(shop.hear_of(&hold, "pi_2", PaymentStatus::Succeeded).await?, Decision::DuplicatePayment);
    assert_eq!(shop.state(&hold).await?, "authorized");
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?, Decision::Confirmed);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_second_intent_that_is_paid_takes_the_place_of_an_unpaid_one() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    for (status, decision) in [
        (PaymentStatus::Processing, Decision::Processing),
        (PaymentStatus::Canceled, Decision::PaymentCanceled),
    ] {
        assert_eq!(shop.hear_of(&hold, "pi_2", status).await?, decision);
        assert_eq!(
            shop.state(&hold).await?,
            "hold",
            "news without money, of an intent that is not the hold's"
        );
        assert_eq!(shop.payments(&hold).await?, ["requires_payment_method"]);
    }
    assert_eq!(shop.hear_of(&hold, "pi_2", PaymentStatus::Succeeded).await?, Decision::Confirmed);
    assert_eq!(shop.payments(&hold).await?, ["requires_payment_method (superseded)", "succeeded"]);
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"], "nobody may pay the first one too");
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?, Decision::DuplicatePayment);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_card_payment_after_cash_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    let answer = shop.answer(shop.staff, &hold, ConfirmationAction::Confirm, None).await?;
    assert!(matches!(answer, Confirmation::Answered { .. }));
    for intent_id in ["pi_1", "pi_2"] {
        assert_eq!(
            shop.hear_of(&hold, intent_id, PaymentStatus::Succeeded).await?,
            Decision::DuplicatePayment
        );
    }
    assert_eq!(shop.state(&hold).await?, "confirmed");
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_is_about_nothing_of_ours_is_unmatched() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let unknown = RefundFact {
        refund_id: "re_1".to_owned(),
        payment_intent_id: Some("pi_unknown".to_owned()),
        amount_minor: 1,
        currency: "CZK".to_owned(),
        status: "succeeded".to_owned(),
    };
    assert_eq!(shop.hear(&Fact::Refund(unknown)).await?, Decision::Unmatched);
    assert_eq!(
        shop.hear(&Fact::Refund(RefundFact { payment_intent_id: None, ..refund("re_2", 1, "pending") }))
            .await?,
        Decision::Unmatched
    );
    for change in [
        (|intent| intent.reservation_id = None) as fn(&mut PaymentIntentFact),
        |intent| intent.provider_id = None,
        |intent| intent.reservation_id = Some(Uuid::new_v4()),
        |intent| intent.provider_id = Some(Uuid::new_v4()),
    ] {
        let decision = hear_otherwise(&shop, &hold, change, PaymentStatus::Succeeded).await?;
        assert_eq!(decision, Decision::Unmatched);
    }
    assert_eq!(shop.state(&hold).await?, "hold");
    let logged = "select count(*) from public.stripe_webhook_events where status = 'ignored'";
    assert_eq!(shop.database.value::<i64>(logged, &[]).await?, 6);
    Ok(())
}

#[tokio::test]
async fn older_news_is_stale() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    let said_at = async |status, second| {
        let at = Some(Timestamp::from_second(second)?);
        let intent = PaymentIntentFact { at, ..shop.intent(&hold, "pi_1", status) };
        shop.hear(&Fact::PaymentIntent(intent)).await
    };
    assert_eq!(said_at(PaymentStatus::Processing, 2_000).await?, Decision::Processing);
    assert_eq!(said_at(PaymentStatus::RequiresAction, 1_999).await?, Decision::Stale);
    assert_eq!(said_at(PaymentStatus::RequiresPaymentMethod, 2_001).await?, Decision::PaymentFailed);
    assert_eq!(said_at(PaymentStatus::Succeeded, 1_000).await?, Decision::Confirmed, "money is never stale");
    assert_eq!(said_at(PaymentStatus::Canceled, 3_000).await?, Decision::Stale, "what is paid stays paid");
    assert_eq!(shop.state(&hold).await?, "confirmed");
    Ok(())
}

fn refund(refund_id: &str, amount_minor: i64, status: &str) -> RefundFact {
    RefundFact {
        refund_id: refund_id.to_owned(),
        payment_intent_id: Some("pi_1".to_owned()),
        amount_minor,
        currency: "CZK".to_owned(),
        status: status.to_owned(),
    }
}

#[tokio::test]
async fn refunds_add_up_and_may_fail_after_they_succeeded() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    for (refund_id, amount_minor, status, decision) in [
        ("re_1", 20_000, "pending", Decision::PartiallyRefunded),
        ("re_2", 30_000, "succeeded", Decision::Refunded),
        ("re_1", 20_000, "succeeded", Decision::Refunded),
        ("re_1", 20_000, "pending", Decision::Stale),
        ("re_2", 30_000, "failed", Decision::RefundFailed),
        ("re_2", 30_000, "succeeded", Decision::Stale),
        ("re_3", 30_000, "canceled", Decision::RefundFailed),
    ] {
        let fact = Fact::Refund(refund(refund_id, amount_minor, status));
        assert_eq!(shop.hear(&fact).await?, decision, "{refund_id} {status}");
    }
    let sql = "select kitloop.refunded_minor(id) from public.payments";
    assert_eq!(shop.database.value::<i64>(sql, &[]).await?, 20_000);
    assert_eq!(shop.state(&hold).await?, "confirmed", "a refund does not move a reservation");
    shop.database.assert_consistent().await
}

fn charge(event_type: &str, refunded: bool) -> Fact {
    Fact::Charge(ChargeFact {
        payment_intent_id: Some("pi_1".to_owned()),
        event_type: event_type.to_owned(),
        captured: true,
        refunded,
        capture_before: Some(Timestamp::UNIX_EPOCH),
    })
}

#[tokio::test]
async fn a_charge_alone_never_confirms() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    assert_eq!(shop.hear(&charge("charge.succeeded", false)).await?, Decision::Ignored);
    assert_eq!(shop.hear(&charge("charge.refunded", true)).await?, Decision::Unmatched);
    shop.start_payment(&hold, "pi_1").await?;
    assert_eq!(shop.hear(&charge("charge.succeeded", false)).await?, Decision::Ignored);
    assert_eq!(shop.state(&hold).await?, "hold");
    assert_eq!(shop.hear(&charge("charge.refunded", false)).await?, Decision::PartiallyRefunded);
    assert_eq!(shop.hear(&charge("charge.refunded", true)).await?, Decision::Refunded);
    let sql = "select capture_before from public.payments";
    assert_eq!(
        shop.database.value::<Timestamp>(sql, &[]).await?,
        Timestamp::UNIX_EPOCH,
        "until when it can be captured, only the charge says"
    );
    Ok(())
}

#[tokio::test]
async fn a_dispute_marks_the_payment_until_it_is_won() -> Result<()> {
    let shop = Shop::open().await?;
    shop.confirmed("pi_1").await?;
    let dispute = |intent_id: &str, status: &str| {
        Fact::Dispute(DisputeFact {
            payment_intent_id: Some(intent_id.to_owned()),
            status: status.to_owned(),
        })
    };
    for (status, decision, is_disputed) in [
        ("needs_response", Decision::Disputed, true),
        ("under_review", Decision::Disputed, true),
        ("won", Decision::Disputed, false),
        ("under_review", Decision::Stale, false),
        ("lost", Decision::Disputed, true),
    ] {
        assert_eq!(shop.hear(&dispute("pi_1", status)).await?, decision);
        let sql = "select disputed from public.payments";
        assert_eq!(shop.database.value::<bool>(sql, &[]).await?, is_disputed, "{status}");
    }
    assert_eq!(shop.hear(&dispute("pi_other", "lost")).await?, Decision::Unmatched);
    Ok(())
}
