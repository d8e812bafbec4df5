//! Many want the same thing at once.

use std::sync::Arc;

use anyhow::{Context, Result};
use kitloop::db::{self, Db, ReserveRequest, reserve_gear};
use kitloop::domain::{
    Booking, ClaimedJob, ConfirmationAction, Contact, Decision, Fact, PaymentStatus, ReservationStatus,
};
use kitloop::error::{Code, Error};
use kitloop_tests::{is_refusal, race};
use test_support::{Gear, Provider, actor, booking, reserve};
use uuid::Uuid;

use super::shop::{Shop, booking_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_callers_for_five_units_exactly_five_win() -> Result<()> {
    const CALLERS: usize = 200;
    let shop = Shop::open_with(&Provider::default(), &Gear::of(5)).await?;
    let booking = Arc::new(booking(shop.provider, shop.gear, 1)?);
    let outcomes = race(&shop.database, CALLERS, |_, db| {
        let booking = Arc::clone(&booking);
        async move { reserve(&db, Uuid::new_v4(), &booking).await }
    })
    .await?;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 5);
    // At the end of so long a queue, one may be told to come again.
    let is_loser = |outcome: &Result<_, Error>| {
        is_refusal(outcome, Code::InsufficientAvailability)
            || matches!(outcome, Err(Error::DatabaseUnavailable(_)))
    };
    assert_eq!(outcomes.iter().filter(|outcome| is_loser(outcome)).count(), CALLERS - 5, "{outcomes:#?}");
    shop.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_raced_fifty_times_makes_one_reservation() -> Result<()> {
    const CALLERS: usize = 50;
    let shop = Shop::open_with(&Provider::default(), &Gear::of(50)).await?;
    let booking = Arc::new(booking(shop.provider, shop.gear, 1)?);
    let user = Uuid::new_v4();
    let outcomes = race(&shop.database, CALLERS, |_, db| {
        let booking = Arc::clone(&booking);
        async move { reserve_under_one_key(&db, user, &booking).await }
    })
    .await?;
    let answers = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(answers.iter().filter(|(_, replayed)| !replayed).count(), 1);
    let first = answers.first().map(|(id, _)| *id);
    assert!(answers.iter().all(|(id, _)| Some(*id) == first));
    assert_eq!(shop.database.value::<i64>("select count(*) from public.reservations", &[]).await?, 1);
    shop.database.assert_consistent().await
}

/// Which reservation it became, and whether by an earlier request.
async fn reserve_under_one_key(db: &Db, user: Uuid, booking: &Booking) -> Result<(Uuid, bool), Error> {
    let request = ReserveRequest {
        caller: &format!("user:{user}"),
        idempotency_key: "one-key",
        request_hash: "one-body",
        actor: actor(user),
        profile: &Contact::default(),
        booking,
    };
    reserve_gear(db, &request).await.map(|reserved| (reserved.reservation_id.0, reserved.replayed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_items_asked_for_in_opposite_order_never_deadlock() -> Result<()> {
    const CALLERS: usize = 30;
    let shop = Shop::open_with(&Provider::default(), &Gear::of(100)).await?;
    let rafts = Gear::of(100).insert(&shop.database, shop.provider).await?;
    let lines = [(shop.gear, 1), (rafts, 1)];
    let bookings = [
        Arc::new(booking_of(shop.provider, &lines)?),
        Arc::new(booking_of(shop.provider, &[lines[1], lines[0]])?),
    ];
    let outcomes = race(&shop.database, CALLERS, |caller, db| {
        let booking = Arc::clone(&bookings[caller % 2]);
        async move {
            for _ in 0..3 {
                reserve(&db, Uuid::new_v4(), &booking).await?;
            }
            Ok(())
        }
    })
    .await?;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:#?}");
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(shop.database.value::<i64>(deadlocks, &[]).await?, 0);
    shop.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_asks_often_at_once_gets_no_more_holds_than_allowed() -> Result<()> {
    const CALLERS: usize = 30;
    let limited = Provider { max_open_holds: Some(3), ..Provider::default() };
    let shop = Shop::open_with(&limited, &Gear::of(100)).await?;
    // Another item for each caller, so that it is not the item's lock that puts them in a row.
    let mut bookings = Vec::new();
    for _ in 0..CALLERS {
        let gear = Gear::of(1).insert(&shop.database, shop.provider).await?;
        bookings.push(Arc::new(booking(shop.provider, gear, 1)?));
    }
    let user = Uuid::new_v4();
    let outcomes = race(&shop.database, CALLERS, |caller, db| {
        let booking = Arc::clone(&bookings[caller]);
        async move { reserve(&db, user, &booking).await }
    })
    .await?;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    let refused = outcomes.iter().filter(|outcome| is_refusal(outcome, Code::TooManyOpenHolds)).count();
    assert_eq!(refused, CALLERS - 3, "{outcomes:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_and_a_new_reservation_at_the_end_of_a_hold_never_both_get_the_unit() -> Result<()> {
    const ROUNDS: i32 = 500;
    let shop = Shop::open().await?;
    let (payer, newcomer) = (shop.database.db()?, shop.database.db()?);
    let (mut paid, mut taken) = (0, 0);
    for round in 0..ROUNDS {
        let gear = Gear::default().insert(&shop.database, shop.provider).await?;
        let wanted = booking(shop.provider, gear, 1)?;
        let held = reserve(&shop.db, Uuid::new_v4(), &wanted).await?;
        let fact = paid_intent(&shop, &held, &format!("pi_{round}"));
        // From well before the two begin to well after.
        let sql = "update public.reservations
            set reserved_until = clock_timestamp() + make_interval(secs => $2::integer / 1000.0) where id = $1";
        shop.database.execute(sql, &[&held.reservation_id.0, &(round % 8 - 2)]).await?;
        let (event_id, payload, new_customer) =
            (format!("evt_{round}"), serde_json::json!({}), Uuid::new_v4());
        let pay = db::apply_stripe_event(&payer, &event_id, "test.event", &payload, Some(&fact));
        let (paying, taking) = tokio::join!(pay, reserve(&newcomer, new_customer, &wanted));
        match (paying?.decision, taking) {
            (Decision::Confirmed, taking) if is_refusal(&taking, Code::InsufficientAvailability) => paid += 1,
            (Decision::CancelledConflict, Ok(_)) => taken += 1,
            (decision, taking) => anyhow::bail!("round {round}: {decision:?} and {taking:?}"),
        }
    }
    assert!(paid > 0 && taken > 0, "the instants did not meet: {paid} paid, {taken} taken");
    shop.database.assert_consistent().await
}

fn paid_intent(shop: &Shop, held: &db::Reserved, intent_id: &str) -> Fact {
    let hold = super::shop::Hold {
        id: held.reservation_id,
        customer: Uuid::nil(),
        amount_minor: held.amount_total_minor,
    };
    Fact::PaymentIntent(shop.intent(&hold, intent_id, PaymentStatus::Succeeded))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customer_webhook_and_staff_confirming_at_once_have_one_effect() -> Result<()> {
    const ROUNDS: usize = 30;
    let shop = Arc::new(Shop::open_with(&Provider::default(), &Gear::of(100)).await?);
    for round in 0..ROUNDS {
        let hold = shop.hold().await?;
        let intent_id = format!("pi_{round}");
        shop.start_payment(&hold, &intent_id).await?;
        let fact = Fact::PaymentIntent(shop.intent(&hold, &intent_id, PaymentStatus::Succeeded));
        let (webhook, customer) = (shop.database.db()?, shop.database.db()?);
        let (event_id, payload) = (format!("evt_{round}"), serde_json::json!({}));
        let (by_webhook, by_customer, by_staff) = tokio::join!(
            db::apply_stripe_event(&webhook, &event_id, "test.event", &payload, Some(&fact)),
            db::settle_payment_intent(&customer, &fact),
            shop.answer(shop.staff, &hold, ConfirmationAction::Confirm, None),
        );
        by_staff?;
        by_webhook?;
        let settled = by_customer?.context("no reservation")?;
        assert_eq!(settled.status, ReservationStatus::Confirmed);
        let payments = shop.payments(&hold).await?;
        let counted = payments.iter().filter(|payment| !payment.ends_with("(superseded)"));
        assert_eq!(counted.count(), 1, "{payments:?}");
    }
    let refunds = "select count(*) from public.jobs where kind = 'refund_payment'";
    let audited = "select count(*) from public.audit_logs where action = 'reservation_offline'";
    assert_eq!(
        shop.database.value::<i64>(refunds, &[]).await?,
        shop.database.value::<i64>(audited, &[]).await?,
        "money goes back exactly where cash was taken"
    );
    shop.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_ever_held_by_two_workers() -> Result<()> {
    const JOBS: usize = 40;
    let shop = Shop::open_with(&Provider::default(), &Gear::of(100)).await?;
    for job in 0..JOBS {
        let hold = shop.hold().await?;
        shop.start_payment(&hold, &format!("pi_{job}")).await?;
        shop.database.lapse(hold.id.0).await?;
    }
    db::expire_holds(&shop.db, 100).await?;
    let outcomes = race(&shop.database, 8, |worker, db| async move {
        let mut claimed = Vec::new();
        while let Some(ClaimedJob::Intent(job)) =
            db::claim_job(&db, &format!("worker-{worker}"), super::shop::LEASE).await?
        {
            claimed.push(job.claim.id);
        }
        Ok(claimed)
    })
    .await?;
    let mut claimed: Vec<_> = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    assert_eq!(claimed.len(), JOBS);
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!(claimed.len(), JOBS, "some job was claimed twice");
    Ok(())
}
