//! Starting to pay, and recording the intent.

use anyhow::Result;
use kitloop::db::{self, PaymentStep, StartedPayment};
use kitloop::domain::{
    Actor, CaptureMethod, ConfirmationAction, Decision, Fact, PaymentIntentFact, PaymentStatus,
};
use kitloop::error::{Code, Error};
use test_support::{Provider, actor};
use uuid::Uuid;

use super::shop::{Hold, LEASE, Shop, admin, refused};

async fn start(
    shop: &Shop,
    actor: Actor,
    hold: &Hold,
    spent: Option<&StartedPayment>,
) -> Result<StartedPayment, Error> {
    let spent = spent.map(|payment| (payment.payment_id, payment.generation));
    db::start_payment(&shop.db, actor, hold.id, LEASE, spent).await
}

fn is_create(payment: &StartedPayment) -> bool {
    matches!(payment.step, PaymentStep::Create)
}

#[tokio::test]
async fn the_first_who_starts_creates_the_intent_and_others_wait() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &test_support::Gear::default()).await?;
    let hold = shop.hold().await?;
    let customer = actor(hold.customer);
    let payment = start(&shop, customer, &hold, None).await?;
    assert!(is_create(&payment));
    assert_eq!(
        (payment.amount.amount_minor, payment.amount.currency.to_string().as_str(), payment.capture_method),
        (hold.amount_minor, "CZK", CaptureMethod::Manual)
    );
    assert_eq!(payment.idempotency_key(), format!("{}:create:1", payment.payment_id));
    assert_eq!(refused(start(&shop, customer, &hold, None).await)?, Code::PaymentStarting);

    db::record_payment_intent(&shop.db, &payment, "pi_1").await?;
    let again = start(&shop, customer, &hold, None).await?;
    assert!(matches!(&again.step, PaymentStep::Retrieve(id) if id == "pi_1"));
    assert_eq!(again.payment_id, payment.payment_id);
    Ok(())
}

#[tokio::test]
async fn a_claim_that_is_given_back_or_lapses_is_free_for_the_next() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let customer = actor(hold.customer);
    let payment = start(&shop, customer, &hold, None).await?;
    db::release_payment_claim(&shop.db, &payment).await?;
    assert!(is_create(&start(&shop, customer, &hold, None).await?));
    let sql = "update public.payments set claimed_until = clock_timestamp() - interval '1 second'";
    shop.database.execute(sql, &[]).await?;
    let third = start(&shop, customer, &hold, None).await?;
    assert!(is_create(&third));
    assert_eq!(
        third.idempotency_key(),
        payment.idempotency_key(),
        "the same request to Stripe, as long as it may be alive"
    );
    Ok(())
}

#[tokio::test]
async fn starting_to_pay_extends_the_hold_once() -> Result<()> {
    let shop =
        Shop::open_with(&Provider { hold_minutes: 5, ..Provider::default() }, &test_support::Gear::default())
            .await?;
    let hold = shop.hold().await?;
    let first = start(&shop, actor(hold.customer), &hold, None).await?;
    let sql =
        "select reserved_until - clock_timestamp() between interval '9 minutes' and interval '10 minutes'
            and (select bool_and(l.blocks_until = r.reserved_until) from public.reservation_lines l)
        from public.reservations r";
    assert!(shop.database.value::<bool>(sql, &[]).await?);
    db::record_payment_intent(&shop.db, &first, "pi_1").await?;
    shop.database
        .execute(
            "update public.reservations set reserved_until = clock_timestamp() + interval '1 minute'",
            &[],
        )
        .await?;
    let again = start(&shop, actor(hold.customer), &hold, None).await?;
    assert!(
        again.reserved_until < first.reserved_until,
        "a card declined again and again does not hold the gear for ever"
    );
    Ok(())
}

#[tokio::test]
async fn a_hold_that_lasts_longer_is_not_shortened() -> Result<()> {
    let shop = Shop::open_with(
        &Provider { hold_minutes: 60, ..Provider::default() },
        &test_support::Gear::default(),
    )
    .await?;
    let hold = shop.hold().await?;
    start(&shop, actor(hold.customer), &hold, None).await?;
    let sql = "select reserved_until - clock_timestamp() > interval '59 minutes' from public.reservations";
    assert!(shop.database.value::<bool>(sql, &[]).await?);
    Ok(())
}

#[tokio::test]
async fn a_spent_key_starts_the_next_generation_once() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let customer = actor(hold.customer);
    let first = start(&shop, customer, &hold, None).await?;
    let second = start(&shop, customer, &hold, Some(&first)).await?;
    assert!(is_create(&second));
    assert_eq!(second.idempotency_key(), format!("{}:create:2", first.payment_id));
    assert_eq!(
        refused(start(&shop, customer, &hold, Some(&first)).await)?,
        Code::PaymentStarting,
        "whoever else found it spent comes too late"
    );
    Ok(())
}

#[tokio::test]
async fn a_cancelled_intent_makes_way_for_another_payment() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let customer = actor(hold.customer);
    let first = shop.start_payment(&hold, "pi_1").await?;
    let second = start(&shop, customer, &hold, Some(&first)).await?;
    assert!(is_create(&second));
    assert_ne!(second.payment_id, first.payment_id);
    assert_eq!(
        shop.payments(&hold).await?,
        ["requires_payment_method (superseded)", "requires_payment_method"],
        "whether the first is cancelled, Stripe has to say"
    );
    assert_eq!(
        refused(start(&shop, customer, &hold, Some(&first)).await)?,
        Code::PaymentStarting,
        "whoever else found it cancelled comes too late"
    );
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Canceled).await?, Decision::PaymentCanceled);
    assert_eq!(shop.state(&hold).await?, "hold", "its cancelling is not the reservation's any more");
    Ok(())
}

#[tokio::test]
async fn money_on_an_intent_that_was_wrongly_taken_for_spent_goes_back() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let first = shop.start_payment(&hold, "pi_1").await?;
    start(&shop, actor(hold.customer), &hold, Some(&first)).await?;
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Succeeded).await?, Decision::DuplicatePayment);
    let sql = "select count(*) from public.jobs where kind = 'refund_payment' and status = 'queued'";
    assert_eq!(shop.database.value::<i64>(sql, &[]).await?, 1);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn only_the_customer_and_staff_may_start_to_pay() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let elsewhere = Provider::default().insert(&shop.database).await?;
    let staff_elsewhere = Uuid::new_v4();
    shop.database.add_member(elsewhere, staff_elsewhere, "owner").await?;
    for stranger in [Uuid::new_v4(), staff_elsewhere] {
        assert_eq!(refused(start(&shop, actor(stranger), &hold, None).await)?, Code::ReservationNotFound);
    }
    db::release_payment_claim(&shop.db, &start(&shop, actor(shop.staff), &hold, None).await?).await?;
    db::release_payment_claim(&shop.db, &start(&shop, admin(), &hold, None).await?).await?;
    start(&shop, actor(hold.customer), &hold, None).await?;
    let nowhere = Hold { id: kitloop::domain::ReservationId(Uuid::new_v4()), ..hold };
    assert_eq!(refused(start(&shop, admin(), &nowhere, None).await)?, Code::ReservationNotFound);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_paid_says_why() -> Result<()> {
    let shop = Shop::open().await?;
    let customer_starts = async |hold: &Hold| refused(start(&shop, actor(hold.customer), hold, None).await);

    let lapsed = shop.hold().await?;
    let taken = shop.lose(&lapsed).await?;
    assert_eq!(customer_starts(&lapsed).await?, Code::HoldExpired);
    db::expire_holds(&shop.db, 10).await?;
    assert_eq!(customer_starts(&lapsed).await?, Code::HoldExpired);
    assert_eq!(
        shop.hear_of(&lapsed, "pi_late", PaymentStatus::Succeeded).await?,
        Decision::CancelledConflict
    );
    assert_eq!(customer_starts(&lapsed).await?, Code::CancelledConflict);

    shop.answer(shop.staff, &taken, ConfirmationAction::Decline, None).await?;
    assert_eq!(customer_starts(&taken).await?, Code::ReservationOver);

    let authorized = shop.authorized("pi_2").await?;
    assert_eq!(customer_starts(&authorized).await?, Code::AlreadyPaid);
    shop.hear_of(&authorized, "pi_2", PaymentStatus::Succeeded).await?;
    assert_eq!(customer_starts(&authorized).await?, Code::AlreadyPaid);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_costs_nothing_needs_no_payment() -> Result<()> {
    let free = test_support::Gear { day_price_minor: 0, ..Default::default() };
    let shop = Shop::open_with(&Provider::default(), &free).await?;
    let hold = shop.hold().await?;
    assert_eq!(refused(start(&shop, actor(hold.customer), &hold, None).await)?, Code::NothingToPay);
    Ok(())
}

#[tokio::test]
async fn an_intent_recorded_after_the_hold_was_swept_is_called_off() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let payment = start(&shop, actor(hold.customer), &hold, None).await?;
    shop.database.lapse(hold.id.0).await?;
    db::expire_holds(&shop.db, 10).await?;
    assert_eq!(shop.jobs().await?, Vec::<String>::new(), "there was no intent to cancel yet");
    let recorded = db::record_payment_intent(&shop.db, &payment, "pi_1").await;
    assert_eq!(refused(recorded)?, Code::HoldExpired);
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"]);
    Ok(())
}

#[tokio::test]
async fn an_intent_of_an_older_generation_is_not_recorded() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let first = start(&shop, actor(hold.customer), &hold, None).await?;
    let second = start(&shop, actor(hold.customer), &hold, Some(&first)).await?;
    assert_eq!(refused(db::record_payment_intent(&shop.db, &first, "pi_1").await)?, Code::PaymentStarting);
    db::record_payment_intent(&shop.db, &second, "pi_2").await?;
    db::record_payment_intent(&shop.db, &second, "pi_2").await?;
    assert_eq!(refused(db::record_payment_intent(&shop.db, &second, "pi_3").await)?, Code::PaymentStarting);
    Ok(())
}

#[tokio::test]
async fn an_intent_created_while_the_shop_took_cash_is_called_off() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let payment = start(&shop, actor(hold.customer), &hold, None).await?;
    shop.answer(shop.staff, &hold, ConfirmationAction::Confirm, None).await?;
    let recorded = db::record_payment_intent(&shop.db, &payment, "pi_1").await;
    assert_eq!(refused(recorded)?, Code::AlreadyPaid);
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"]);
    Ok(())
}

#[tokio::test]
async fn the_webhook_may_bring_the_intent_before_it_is_recorded() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let payment = start(&shop, actor(hold.customer), &hold, None).await?;
    let intent = PaymentIntentFact {
        payment_id: Some(payment.payment_id.0),
        generation: Some(payment.generation),
        ..shop.intent(&hold, "pi_1", PaymentStatus::Processing)
    };
    let other_generation = PaymentIntentFact {
        generation: Some(payment.generation + 1),
        payment_intent_id: "pi_other".to_owned(),
        ..intent.clone()
    };
    assert_eq!(shop.hear(&Fact::PaymentIntent(other_generation)).await?, Decision::Processing);
    assert_eq!(shop.payments(&hold).await?, ["requires_payment_method"], "it is about another intent");
    assert_eq!(shop.hear(&Fact::PaymentIntent(intent)).await?, Decision::Processing);
    db::record_payment_intent(&shop.db, &payment, "pi_1").await?;
    assert_eq!(shop.payments(&hold).await?, ["processing"]);
    Ok(())
}
