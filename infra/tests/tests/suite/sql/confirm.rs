//! Confirming and declining, by staff and by the customer.

use anyhow::{Context, Result, bail};
use kitloop::db::{self, Confirmation, JobOutcome};
use kitloop::domain::{
    ConfirmationAction::{Confirm, Decline},
    Decision, Fact, IntentStep, JobKind, PaymentStatus, ReservationId, ReservationStatus,
};
use kitloop::error::{Code, Error};
use test_support::{Gear, Provider, actor};
use uuid::Uuid;

use super::shop::{Hold, Shop, refused};

/// The status that a confirmation without further steps answered with, and whether it is paid.
fn answered(outcome: Result<Confirmation, Error>) -> Result<(ReservationStatus, bool)> {
    match outcome? {
        Confirmation::Answered { status, paid_at } => Ok((status, paid_at.is_some())),
        other => bail!("not answered: {other:?}"),
    }
}

async fn audited(shop: &Shop, hold: &Hold) -> Result<Vec<String>> {
    let sql = "select coalesce(array_agg(actor || ' ' || action order by id), '{}') from public.audit_logs
        where reservation_id = $1";
    shop.database.value(sql, &[&hold.id.0]).await
}

#[tokio::test]
async fn staff_takes_cash_for_a_hold() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let confirmed = answered(shop.answer(shop.staff, &hold, Confirm, None).await)?;
    assert_eq!(confirmed, (ReservationStatus::Confirmed, true));
    assert_eq!(audited(&shop, &hold).await?, [format!("user:{} reservation_offline", shop.staff)]);
    assert_eq!(shop.jobs().await?, Vec::<String>::new());
    let again = answered(shop.answer(shop.staff, &hold, Confirm, None).await)?;
    assert_eq!(again, confirmed, "confirming twice is the same answer");
    assert_eq!(audited(&shop, &hold).await?.len(), 1);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn cash_calls_off_the_intent_that_is_open() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    answered(shop.answer(shop.staff, &hold, Confirm, None).await)?;
    assert_eq!(shop.payments(&hold).await?, ["requires_payment_method (superseded)", "succeeded"]);
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued"]);
    assert_eq!(shop.hear_of(&hold, "pi_1", PaymentStatus::Canceled).await?, Decision::PaymentCanceled);
    assert_eq!(shop.state(&hold).await?, "confirmed", "its cancelling is not the reservation's");
    Ok(())
}

#[tokio::test]
async fn staff_captures_an_authorisation_and_nothing_else_happens_meanwhile() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::default()).await?;
    let hold = shop.authorized("pi_1").await?;
    let job = shop.start_capture(&hold).await?;
    assert_eq!(
        (job.claim.kind.as_str(), job.payment_intent_id.as_str(), job.step, job.reservation_id),
        (
            JobKind::CapturePaymentIntent.as_str(),
            "pi_1",
            IntentStep::Capture { amount_minor: hold.amount_minor },
            hold.id
        )
    );
    assert_eq!(shop.payments(&hold).await?, ["capturing"]);
    for action in [Confirm, Decline] {
        let outcome = shop.answer(shop.staff, &hold, action, None).await;
        assert_eq!(refused(outcome)?, Code::CaptureInProgress);
    }
    assert!(shop.claim("worker").await?.is_none(), "the job is the caller's until its lease runs out");

    let fact = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    let finished = db::finish_job(&shop.db, &job, &fact).await?;
    assert_eq!((finished.decision, finished.status), (Decision::Confirmed, ReservationStatus::Confirmed));
    assert!(finished.paid_at.is_some());
    assert_eq!(shop.jobs().await?, ["capture_payment_intent succeeded"]);
    assert_eq!(audited(&shop, &hold).await?, [format!("user:{} reservation_capture", shop.staff)]);
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn a_capture_that_stripe_refuses_for_good_may_be_declined() -> Result<()> {
    let shop = Shop::open_with(&Provider::manual(), &Gear::default()).await?;
    let hold = shop.authorized("pi_1").await?;
    let job = shop.start_capture(&hold).await?;
    let outcome = db::retry_job(&shop.db, &job.claim, "card expired", db::JobRetry::Never).await?;
    assert_eq!(outcome, JobOutcome::Failed);
    assert_eq!(shop.payments(&hold).await?, ["requires_capture"]);
    let declined = answered(shop.answer(shop.staff, &hold, Decline, None).await)?;
    assert_eq!(declined, (ReservationStatus::Cancelled, false));
    assert_eq!(shop.jobs().await?, ["capture_payment_intent failed", "cancel_payment_intent queued"]);
    Ok(())
}

#[tokio::test]
async fn staff_declines_and_what_was_paid_for_goes_back() -> Result<()> {
    let shop = Shop::open_with(&Provider::default(), &Gear::of(3)).await?;
    let bare = shop.hold().await?;
    let started = shop.hold().await?;
    shop.start_payment(&started, "pi_1").await?;
    let authorized = shop.authorized("pi_2").await?;
    for hold in [&bare, &started, &authorized] {
        for attempt in ["first", "again"] {
            let declined = answered(shop.answer(shop.staff, hold, Decline, None).await)?;
            assert_eq!(declined, (ReservationStatus::Cancelled, false), "{attempt}");
        }
        assert_eq!(shop.state(hold).await?, "cancelled: declined");
        assert_eq!(audited(&shop, hold).await?, [format!("user:{} reservation_decline", shop.staff)]);
    }
    assert_eq!(shop.jobs().await?, ["cancel_payment_intent queued", "cancel_payment_intent queued"]);
    shop.hold().await?;
    shop.database.assert_consistent().await
}

#[tokio::test]
async fn what_is_paid_cannot_be_declined() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.confirmed("pi_1").await?;
    assert_eq!(refused(shop.answer(shop.staff, &hold, Decline, None).await)?, Code::AlreadyPaid);
    Ok(())
}

#[tokio::test]
async fn the_customer_who_has_paid_has_the_intent_looked_up() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    for named in [None, Some("pi_1")] {
        let step = shop.answer(hold.customer, &hold, Confirm, named).await?;
        assert!(matches!(&step, Confirmation::LookUp(id) if id == "pi_1"), "{step:?}");
    }
    let fact = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    let settled = db::settle_payment_intent(&shop.db, &fact).await?.context("no reservation")?;
    assert_eq!((settled.reservation_id, settled.status), (hold.id, ReservationStatus::Confirmed));
    assert!(settled.paid_at.is_some() && !settled.is_conflict);
    let again = answered(shop.answer(hold.customer, &hold, Confirm, None).await)?;
    assert_eq!(again, (ReservationStatus::Confirmed, true));
    Ok(())
}

#[tokio::test]
async fn a_late_payment_is_looked_up_although_the_hold_has_lapsed() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.start_payment(&hold, "pi_1").await?;
    shop.database.lapse(hold.id.0).await?;
    db::expire_holds(&shop.db, 10).await?;
    let step = shop.answer(hold.customer, &hold, Confirm, None).await?;
    assert!(matches!(step, Confirmation::LookUp(_)), "{step:?}");
    Ok(())
}

#[tokio::test]
async fn an_intent_that_only_the_customer_knows_is_looked_up_too() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    let step = shop.answer(hold.customer, &hold, Confirm, Some("pi_unrecorded")).await?;
    assert!(matches!(&step, Confirmation::LookUp(id) if id == "pi_unrecorded"), "{step:?}");
    Ok(())
}

#[tokio::test]
async fn a_fact_about_nothing_of_ours_settles_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = Hold { id: ReservationId(Uuid::new_v4()), ..shop.hold().await? };
    let fact = Fact::PaymentIntent(shop.intent(&hold, "pi_1", PaymentStatus::Succeeded));
    assert!(db::settle_payment_intent(&shop.db, &fact).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn confirming_is_refused_where_there_is_nothing_to_confirm() -> Result<()> {
    let shop = Shop::open().await?;
    let lapsed = shop.hold().await?;
    shop.database.lapse(lapsed.id.0).await?;
    let hold = shop.hold().await?;
    let customer_confirms =
        async |hold: &Hold, named| refused(shop.answer(hold.customer, hold, Confirm, named).await);
    assert_eq!(customer_confirms(&hold, None).await?, Code::PaymentRequired);
    assert_eq!(customer_confirms(&lapsed, None).await?, Code::HoldExpired);
    assert_eq!(refused(shop.answer(shop.staff, &lapsed, Confirm, None).await)?, Code::HoldExpired);

    shop.start_payment(&hold, "pi_1").await?;
    assert_eq!(customer_confirms(&hold, Some("pi_other")).await?, Code::PaymentIntentMismatch);
    let by_staff = shop.answer(shop.staff, &hold, Confirm, Some("pi_other")).await;
    assert_eq!(refused(by_staff)?, Code::PaymentIntentMismatch);

    shop.answer(shop.staff, &hold, Decline, None).await?;
    assert_eq!(customer_confirms(&hold, None).await?, Code::ReservationOver);
    assert_eq!(refused(shop.answer(shop.staff, &hold, Confirm, None).await)?, Code::ReservationOver);
    Ok(())
}

#[tokio::test]
async fn an_expired_hold_can_neither_be_paid_in_cash_nor_declined() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    shop.database.lapse(hold.id.0).await?;
    db::expire_holds(&shop.db, 10).await?;
    for action in [Confirm, Decline] {
        assert_eq!(refused(shop.answer(shop.staff, &hold, action, None).await)?, Code::HoldExpired);
    }
    Ok(())
}

#[tokio::test]
async fn a_conflict_is_told_to_all_who_ask_later() -> Result<()> {
    let shop = Shop::open().await?;
    let late = shop.hold().await?;
    shop.lose(&late).await?;
    shop.hear_of(&late, "pi_1", PaymentStatus::Succeeded).await?;
    let fact = Fact::PaymentIntent(shop.intent(&late, "pi_1", PaymentStatus::Succeeded));
    let settled = db::settle_payment_intent(&shop.db, &fact).await?.context("no reservation")?;
    assert!(settled.is_conflict);
    for user in [late.customer, shop.staff] {
        assert_eq!(refused(shop.answer(user, &late, Confirm, None).await)?, Code::CancelledConflict);
    }
    Ok(())
}

#[tokio::test]
async fn only_staff_declines_and_strangers_see_nothing() -> Result<()> {
    let shop = Shop::open().await?;
    let hold = shop.hold().await?;
    assert_eq!(refused(shop.answer(hold.customer, &hold, Decline, None).await)?, Code::Forbidden);
    let elsewhere = Provider::default().insert(&shop.database).await?;
    let staff_elsewhere = Uuid::new_v4();
    shop.database.add_member(elsewhere, staff_elsewhere, "owner").await?;
    for stranger in [Uuid::new_v4(), staff_elsewhere] {
        for action in [Confirm, Decline] {
            let outcome = shop.answer(stranger, &hold, action, None).await;
            assert_eq!(refused(outcome)?, Code::ReservationNotFound);
        }
    }
    let nowhere = Hold { id: ReservationId(Uuid::new_v4()), ..hold.clone() };
    let outcome = shop.answer(actor(shop.staff).user_id, &nowhere, Confirm, None).await;
    assert_eq!(refused(outcome)?, Code::ReservationNotFound);
    assert_eq!(shop.state(&hold).await?, "hold");
    Ok(())
}
