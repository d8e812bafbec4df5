//! Stripe that hangs, and functions that die while Stripe works: nothing is locked meanwhile, and nothing is done twice.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stripe_stand_in::{Fault, FaultKind, RequestMatch};
use test_support::{Gear, HttpCall, Provider, Reply, wait_until};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::lambda::Function;
use super::product::{Product, Shop, confirm, scheduled_event, start_payment};

/// An answer that waited for nobody.
const AT_ONCE: Duration = Duration::from_secs(1);

fn in_background(function: &Function, call: HttpCall) -> JoinHandle<Result<Reply>> {
    let address = function.address.clone();
    tokio::spawn(async move { address.call(&call).await })
}

/// The work of another customer and of the database while a call hangs at Stripe.
async fn assert_nothing_waits(
    product: &Product,
    shop: Shop,
    hanging: &JoinHandle<Result<Reply>>,
) -> Result<()> {
    let reserve = product.run("reserve_gear").await?;
    let started = Instant::now();
    let reserved = reserve.call(&shop.reserve(Uuid::new_v4())?).await?;
    assert_eq!(reserved.status, 201, "{reserved:?}");
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    let open_transactions = "select count(*) from pg_stat_activity
        where datname = current_database() and usename = 'kitloop_app' and state <> 'idle'";
    assert_eq!(product.database.value::<i64>(open_transactions, &[]).await?, 0);
    assert!(!hanging.is_finished(), "Stripe did not hang long enough to show anything");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_locked_while_stripe_hangs_over_a_new_intent() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::of(2)).await?;
    let customer = Uuid::new_v4();
    let reservation_id = product.hold(shop, customer).await?;
    let pay = product.run_many("create_payment_intent", 2).await?;
    product.admin().fail_next("POST", "/v1/payment_intents", 1, FaultKind::Hang).await?;

    let hanging = in_background(&pay, start_payment(reservation_id, customer)?);
    product.wait_for_stripe_request("POST", "/v1/payment_intents").await?;
    assert_nothing_waits(&product, shop, &hanging).await?;
    let second = pay.call(&start_payment(reservation_id, customer)?).await?;
    assert_eq!((second.status, second.error()), (409, "payment_starting"));
    assert!(!hanging.is_finished());

    // The second attempt, after the first one's timeout, gets through.
    assert_eq!(hanging.await??.status, 200);
    assert_eq!(product.at_stripe("payment_intents").await?.len(), 1);
    product.assert_keys_stand_for_one_request().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_locked_while_stripe_hangs_over_a_capture() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::manual(), &Gear::of(2)).await?;
    let (customer, staff) = (Uuid::new_v4(), Uuid::new_v4());
    product.database.add_member(shop.provider_id, staff, "staff").await?;
    let _webhook = product.run_webhook().await?;
    let reservation_id = product.hold(shop, customer).await?;
    let pay = product.run("create_payment_intent").await?;
    let payment = pay.call(&start_payment(reservation_id, customer)?).await?;
    product.pay(&payment.body, "pm_card_visa").await?;
    product.wait_for_status(reservation_id, "authorized").await?;
    let confirm_reservation = product.run_many("confirm_reservation", 2).await?;
    let captures = RequestMatch { path_suffix: Some("/capture".to_owned()), ..RequestMatch::default() };
    product.admin().add_fault(&Fault { request: captures, times: 1, kind: FaultKind::Hang }).await?;

    let hanging = in_background(&confirm_reservation, confirm(reservation_id, "confirm", staff)?);
    let intent = payment.body["payment_intent_id"].as_str().context("no intent")?;
    product.wait_for_stripe_request("POST", &format!("/v1/payment_intents/{intent}/capture")).await?;
    assert_nothing_waits(&product, shop, &hanging).await?;
    let declined = confirm_reservation.call(&confirm(reservation_id, "decline", staff)?).await?;
    assert_eq!((declined.status, declined.error()), (409, "capture_in_progress"));
    assert!(!hanging.is_finished());

    let captured = hanging.await??;
    assert_eq!((captured.status, &captured.body["status"]), (200, &json!("confirmed")));
    product.assert_keys_stand_for_one_request().await?;
    product.database.assert_consistent().await
}

/// Fails unless the intent of a started payment is the only one there is.
async fn assert_only_intent(product: &Product, payment: &Reply) -> Result<()> {
    assert_eq!(payment.status, 200, "{payment:?}");
    let intents = product.at_stripe("payment_intents").await?;
    let ids: Vec<_> = intents.iter().map(|intent| intent.get("id")).collect();
    assert_eq!(ids, [payment.body.get("payment_intent_id")]);
    Ok(())
}

/// `fault` strikes the first call; the second one must end with the only intent there is.
async fn the_next_call_gets_the_one_intent(fault: FaultKind) -> Result<()> {
    let mut product = Product::start().await?;
    // Less time than production's, so that giving up takes two seconds and not eleven.
    product.settings.insert("FUNCTION_TIMEOUT_SECONDS", "6".to_owned());
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let customer = Uuid::new_v4();
    let reservation_id = product.hold(shop, customer).await?;
    let pay = product.run("create_payment_intent").await?;
    product.admin().fail_next("POST", "/v1/payment_intents", 1, fault).await?;

    let started = Instant::now();
    let failed = pay.call(&start_payment(reservation_id, customer)?).await?;
    assert_eq!((failed.status, failed.error()), (503, "stripe_unavailable"));
    assert!(failed.header("retry-after").is_some());
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    let paid = pay.call(&start_payment(reservation_id, customer)?).await?;
    assert_only_intent(&product, &paid).await?;
    product.assert_keys_stand_for_one_request().await
}

#[tokio::test(flavor = "multi_thread")]
async fn stripe_that_hangs_is_503_in_time_and_the_next_call_gets_an_intent() -> Result<()> {
    the_next_call_gets_the_one_intent(FaultKind::Hang).await
}

#[tokio::test(flavor = "multi_thread")]
async fn stripe_that_hangs_after_its_work_is_503_and_the_next_call_gets_that_intent() -> Result<()> {
    the_next_call_gets_the_one_intent(FaultKind::HangAfter).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_killed_before_it_recorded_the_intent_leaves_it_to_the_next_call() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let customer = Uuid::new_v4();
    let reservation_id = product.hold(shop, customer).await?;
    let pay = product.run("create_payment_intent").await?;
    product.admin().fail_next("POST", "/v1/payment_intents", 1, FaultKind::HangAfter).await?;
    let killed = in_background(&pay, start_payment(reservation_id, customer)?);
    wait_until("Stripe has made the intent", async || {
        Ok(product.at_stripe("payment_intents").await?.len() == 1)
    })
    .await?;
    pay.kill();
    killed.abort();
    let recorded = "select count(payment_intent_id) from public.payments";
    assert_eq!(product.database.value::<i64>(recorded, &[]).await?, 0, "killed too late");

    let pay = product.run("create_payment_intent").await?;
    let claimed = pay.call(&start_payment(reservation_id, customer)?).await?;
    assert_eq!((claimed.status, claimed.error()), (409, "payment_starting"));
    product.database.execute("update public.payments set claimed_until = clock_timestamp()", &[]).await?;
    let paid = pay.call(&start_payment(reservation_id, customer)?).await?;
    assert_only_intent(&product, &paid).await?;
    assert_eq!(product.database.value::<i64>(recorded, &[]).await?, 1);
    product.assert_keys_stand_for_one_request().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_worker_was_killed_is_finished_by_another_once() -> Result<()> {
    let product = Product::start().await?;
    paid_too_late(&product).await?;
    let worker = product.run("run_jobs").await?;
    product.admin().fail_next("POST", "/v1/refunds", 1, FaultKind::HangAfter).await?;
    let killed = {
        let address = worker.address.clone();
        let event = scheduled_event("run_jobs")?;
        tokio::spawn(async move { address.invoke(&event).await })
    };
    wait_until("Stripe has made the refund", async || Ok(product.at_stripe("refunds").await?.len() == 1))
        .await?;
    worker.kill();
    killed.abort();
    let jobs = "select jsonb_agg(jsonb_build_array(status, attempts)) from public.jobs where kind = 'refund_payment'";
    assert_eq!(product.database.value::<Value>(jobs, &[]).await?, json!([["running", 1]]));

    let worker = product.run("run_jobs").await?;
    let idle = worker.address.invoke(&scheduled_event("run_jobs")?).await?;
    assert_eq!(idle, json!({"succeeded": 0, "unsuccessful": 0}), "the lease was not respected");
    let lapse = "update public.jobs set lease_until = clock_timestamp() where status = 'running'";
    product.database.execute(lapse, &[]).await?;
    let done = worker.address.invoke(&scheduled_event("run_jobs")?).await?;
    assert_eq!(done, json!({"succeeded": 1, "unsuccessful": 0}));
    assert_eq!(product.database.value::<Value>(jobs, &[]).await?, json!([["succeeded", 2]]));
    assert_eq!(product.at_stripe("refunds").await?.len(), 1);
    product.assert_keys_stand_for_one_request().await?;
    product.database.assert_consistent().await
}

/// A reservation that was paid when its gear was gone, so that a refund is due; Stripe's later events are lost.
async fn paid_too_late(product: &Product) -> Result<()> {
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let customer = Uuid::new_v4();
    let _webhook = product.run_webhook().await?;
    let reservation_id = product.hold(shop, customer).await?;
    let pay = product.run("create_payment_intent").await?;
    let payment = pay.call(&start_payment(reservation_id, customer)?).await?;
    product.database.lapse(reservation_id).await?;
    product.hold(shop, Uuid::new_v4()).await?;
    product.pay(&payment.body, "pm_card_visa").await?;
    product.wait_for_status(reservation_id, "cancelled").await?;
    product.admin().remove_webhook_endpoint().await
}
