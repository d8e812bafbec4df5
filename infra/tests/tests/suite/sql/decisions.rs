//! What each thing that Stripe may say means for a reservation.

use anyhow::Result;
use jiff::Timestamp;
use kitloop::db;
use kitloop::domain::{ConfirmationAction, Decision, Fact, PaymentIntentFact, PaymentStatus};
use test_support::{Gear, Provider};

use super::shop::Shop;

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
