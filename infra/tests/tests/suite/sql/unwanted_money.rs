//! Money that is not the one payment of a reservation: wrong, a second one, or about nothing of ours.

use anyhow::Result;
use kitloop::db::Confirmation;
use kitloop::domain::{
    ConfirmationAction, Decision, Fact, PaymentIntentFact, PaymentStatus, RefundFact, RefundStatus,
};
use uuid::Uuid;

use super::shop::{Hold, Shop, refund};

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
async fn money_of_another_amount_does_not_take_the_place_of_the_right_payment() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_right").await?;
    let less = |intent: &mut PaymentIntentFact| intent.amount_received_minor -= 1;
    let decision = hear_otherwise(&shop, &hold, less, PaymentStatus::Succeeded).await?;
    assert_eq!(decision, Decision::AmountMismatch);
    assert_eq!(shop.payments(&hold).await?, ["requires_payment_method", "succeeded (superseded)"]);
    assert_eq!(shop.jobs().await?, ["refund_payment queued"], "the right intent is not called off");
    assert_eq!(shop.hear_of(&hold, "pi_right", PaymentStatus::Succeeded).await?, Decision::Confirmed);
    shop.database.assert_consistent().await
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
    let unknown = refund("re_1", "pi_unknown", 1, RefundStatus::Succeeded);
    let of_nothing = RefundFact { payment_intent_id: None, ..unknown.clone() };
    for fact in [unknown, of_nothing] {
        assert_eq!(shop.hear(&Fact::Refund(fact)).await?, Decision::Unmatched);
    }
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
