//! From hold to paid through every function, with the answers of the contract, member by member.

use anyhow::Result;
use serde_json::json;
use test_support::{CRON_SECRET, Gear, HttpCall, Provider};
use uuid::Uuid;

use super::product::{PROBLEM, Product, assert_shape, confirm, id, scheduled_event, start_payment};

const RESERVATION: &[&str] =
    &["reservation_id", "status", "reserved_until", "amount_total_minor", "currency", "lines"];
const PAYMENT: &[&str] = &[
    "reservation_id",
    "payment_intent_id",
    "client_secret",
    "amount_minor",
    "currency",
    "capture_method",
    "reserved_until",
];
const CONFIRMATION: &[&str] = &["reservation_id", "status", "paid_at"];

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_reserves_pays_by_card_and_stripes_webhook_confirms() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let customer = Uuid::new_v4();
    let _webhook = product.run_webhook().await?;

    let reserved = product.run("reserve_gear").await?.call(&shop.reserve(customer)?).await?;
    assert_shape(&reserved, 201, RESERVATION);
    let reservation_id = id(&reserved, "reservation_id")?;
    assert_eq!(
        (&reserved.body["status"], &reserved.body["amount_total_minor"]),
        (&json!("hold"), &json!(50_000))
    );
    assert_eq!(
        reserved.body["lines"],
        json!([{"gear_id": shop.gear_id, "quantity": 1, "unit_price_minor": 50_000}])
    );

    let pay = product.run("create_payment_intent").await?;
    let payment = pay.call(&start_payment(reservation_id, customer)?).await?;
    assert_shape(&payment, 200, PAYMENT);
    assert_eq!(payment.body["amount_minor"], 50_000);
    assert_eq!(
        (&payment.body["currency"], &payment.body["capture_method"]),
        (&json!("CZK"), &json!("automatic"))
    );

    product.pay(&payment.body, "pm_card_visa").await?;
    let answer = product.webhook_answer("payment_intent.succeeded").await?;
    assert_eq!(answer, (Some(200), json!({"received": true, "decision": "confirmed"})));
    assert_eq!(product.database.status(reservation_id).await?, "confirmed");

    let confirm_reservation = product.run("confirm_reservation").await?;
    let confirmed = confirm_reservation.call(&confirm(reservation_id, "confirm", customer)?).await?;
    assert_shape(&confirmed, 200, CONFIRMATION);
    assert_eq!(confirmed.body["status"], "confirmed");
    assert!(confirmed.body["paid_at"].is_string());
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorised_payment_is_captured_when_staff_confirms() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::manual(), &Gear::default()).await?;
    let (customer, staff) = (Uuid::new_v4(), Uuid::new_v4());
    product.database.add_member(shop.provider_id, staff, "staff").await?;
    let _webhook = product.run_webhook().await?;
    let reservation_id = product.hold(shop, customer).await?;

    let pay = product.run("create_payment_intent").await?;
    let payment = pay.call(&start_payment(reservation_id, customer)?).await?;
    assert_eq!(payment.body["capture_method"], "manual");
    product.pay(&payment.body, "pm_card_visa").await?;
    product.wait_for_status(reservation_id, "authorized").await?;

    let confirm_reservation = product.run("confirm_reservation").await?;
    let authorised = confirm_reservation.call(&confirm(reservation_id, "confirm", customer)?).await?;
    let expected = json!({"reservation_id": reservation_id, "status": "authorized", "paid_at": null});
    assert_eq!((authorised.status, authorised.body), (200, expected));

    let captured = confirm_reservation.call(&confirm(reservation_id, "confirm", staff)?).await?;
    assert_shape(&captured, 200, CONFIRMATION);
    assert_eq!(captured.body["status"], "confirmed");
    assert!(captured.body["paid_at"].is_string());
    let intents = product.at_stripe("payment_intents").await?;
    assert_eq!(intents.len(), 1);
    assert_eq!(
        (&intents[0]["status"], &intents[0]["amount_received"]),
        (&json!("succeeded"), &json!(50_000))
    );
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn money_for_gear_that_is_gone_is_refunded_by_the_worker() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let (late, quick) = (Uuid::new_v4(), Uuid::new_v4());
    let _webhook = product.run_webhook().await?;
    let reserve = product.run("reserve_gear").await?;
    let reservation_id = product.hold(shop, late).await?;
    let pay = product.run("create_payment_intent").await?;
    let payment = pay.call(&start_payment(reservation_id, late)?).await?;

    product.database.lapse(reservation_id).await?;
    assert_eq!(reserve.call(&shop.reserve(quick)?).await?.status, 201);
    product.pay(&payment.body, "pm_card_visa").await?;
    let answer = product.webhook_answer("payment_intent.succeeded").await?;
    assert_eq!(answer, (Some(409), json!({"received": true, "decision": "cancelled_conflict"})));

    let worker = product.run("run_jobs").await?;
    let done = worker.address.invoke(&scheduled_event("run_jobs")?).await?;
    assert_eq!(done, json!({"succeeded": 1, "unsuccessful": 0}));
    let refunds = product.at_stripe("refunds").await?;
    assert_eq!(refunds.len(), 1);
    assert_eq!((&refunds[0]["amount"], &refunds[0]["status"]), (&json!(50_000), &json!("succeeded")));
    let answer = product.webhook_answer("charge.refunded").await?;
    assert_eq!(answer, (Some(200), json!({"received": true, "decision": "refunded"})));
    assert_eq!(product.database.status(reservation_id).await?, "cancelled");
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_keeps_the_hold_and_another_one_pays() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let customer = Uuid::new_v4();
    let _webhook = product.run_webhook().await?;
    let reservation_id = product.hold(shop, customer).await?;
    let pay = product.run("create_payment_intent").await?;
    let payment = pay.call(&start_payment(reservation_id, customer)?).await?;

    let declined = product.pay(&payment.body, "pm_card_chargeDeclined").await;
    assert!(declined.is_err_and(|error| error.to_string().contains("card_declined")));
    let answer = product.webhook_answer("payment_intent.payment_failed").await?;
    assert_eq!(answer, (Some(200), json!({"received": true, "decision": "payment_failed"})));
    assert_eq!(product.database.status(reservation_id).await?, "hold");
    product.pay(&payment.body, "pm_card_visa").await?;
    product.wait_for_status(reservation_id, "confirmed").await?;
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_expires_what_lapsed_by_schedule_and_by_hand() -> Result<()> {
    const SWEEP: &[&str] = &["cron_run_id", "deleted_count", "released_count", "is_partial"];
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::of(2)).await?;
    let sweep = product.run("cleanup_reservation_holds").await?;

    let first = product.hold(shop, Uuid::new_v4()).await?;
    product.database.lapse(first).await?;
    let answer = sweep.address.invoke(&scheduled_event("cleanup_reservation_holds")?).await?;
    assert_eq!(answer["deleted_count"], 1, "{answer}");
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(SWEEP.len()), "{answer}");

    let second = product.hold(shop, Uuid::new_v4()).await?;
    product.database.lapse(second).await?;
    let by_hand = HttpCall::new("POST", "/cleanup_reservation_holds");
    let closed = sweep.call(&by_hand).await?;
    assert_shape(&closed, 401, PROBLEM);
    let answer = sweep.call(&by_hand.header("authorization", &format!("Bearer {CRON_SECRET}"))).await?;
    assert_shape(&answer, 200, SWEEP);
    assert_eq!(answer.body["deleted_count"], 1);
    for reservation_id in [first, second] {
        assert_eq!(product.database.status(reservation_id).await?, "expired");
    }
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_a_problem_document_with_the_callers_correlation_id() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let reserve = product.run("reserve_gear").await?;
    product.hold(shop, Uuid::new_v4()).await?;

    let call = shop.reserve(Uuid::new_v4())?.header("x-correlation-id", "spring-tour_1");
    let refused = reserve.call(&call).await?;
    assert_shape(&refused, 409, &[PROBLEM, &["lines"]].concat());
    assert_eq!(refused.error(), "insufficient_availability");
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.header("x-correlation-id"), Some("spring-tour_1"));
    assert_eq!(refused.body["correlation_id"], "spring-tour_1");
    assert_eq!(refused.body["lines"], json!([{"gear_id": shop.gear_id, "requested": 1, "available": 0}]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_is_there_once_a_worker_has_reported() -> Result<()> {
    const HEALTH: &[&str] = &["status", "version", "environment", "timestamp"];
    let product = Product::start().await?;
    let health = product.run("health").await?;
    let worker = product.run("run_jobs").await?;

    let alive = health.call(&HttpCall::new("GET", "/health")).await?;
    assert_shape(&alive, 200, &[HEALTH, &["configured"]].concat());
    let unready = health.call(&HttpCall::new("GET", "/ready")).await?;
    assert_shape(&unready, 503, &[HEALTH, &["parts"]].concat());
    assert_eq!(unready.body["parts"]["worker"], "down");

    worker.address.invoke(&scheduled_event("run_jobs")?).await?;
    let ready = health.call(&HttpCall::new("GET", "/ready")).await?;
    assert_shape(&ready, 200, &[HEALTH, &["parts"]].concat());
    let parts = json!({
        "database": "ok", "migrations": "ok", "worker": "ok", "sweep": "ok", "guard": "off", "stripe": "ok",
    });
    assert_eq!(ready.body["parts"], parts);
    Ok(())
}
