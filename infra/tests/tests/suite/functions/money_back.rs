//! Cancelling, refunding and reconciling through the functions' own processes, with the answers of the contract, member by
//! member.

use anyhow::Result;
use serde_json::{Value, json};
use stripe_stand_in::EventAction;
use test_support::{CRON_SECRET, Gear, HttpCall, Provider};
use uuid::Uuid;

use super::product::{PROBLEM, Product, Shop, assert_shape, cancel, refund, scheduled_event, start_payment};

const CANCELLATION: &[&str] = &["reservation_id", "status", "refund_minor", "refund_percent", "currency"];
const REFUND: &[&str] = &["refund_id", "status", "amount_minor", "currency"];
const RECONCILIATION: &[&str] = &[
    "cron_run_id",
    "reconciliation_id",
    "from",
    "to",
    "examined_count",
    "found_count",
    "mended_count",
    "findings",
    "is_partial",
];
const FINDING: [&str; 5] = ["decision", "difference", "is_mended", "object_id", "reservation_id"];

/// A reservation whose customer has paid by card at Stripe.
async fn paid(product: &Product, shop: Shop, customer: Uuid) -> Result<Uuid> {
    let reservation_id = product.hold(shop, customer).await?;
    let pay = product.run("create_payment_intent").await?;
    let payment = pay.call(&start_payment(reservation_id, customer)?).await?;
    product.pay(&payment.body, "pm_card_visa").await?;
    Ok(reservation_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_looks_then_cancels_and_the_worker_sends_the_money_back() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let customer = Uuid::new_v4();
    let _webhook = product.run_webhook().await?;
    let reservation_id = paid(&product, shop, customer).await?;
    product.wait_for_status(reservation_id, "confirmed").await?;

    let function = product.run("cancel_reservation").await?;
    let preview = cancel(reservation_id, customer)?.patch(&json!({"preview": true}))?;
    let preview = function.call(&preview).await?;
    assert_shape(&preview, 200, CANCELLATION);
    assert_eq!(product.database.status(reservation_id).await?, "confirmed");
    let cancelled = function.call(&cancel(reservation_id, customer)?).await?;
    assert_shape(&cancelled, 200, CANCELLATION);
    assert_eq!(cancelled.body, preview.body);
    assert_eq!(cancelled.body["refund_minor"], 50_000);
    let again = function.call(&cancel(reservation_id, customer)?).await?;
    assert_shape(&again, 409, PROBLEM);

    let worker = product.run("run_jobs").await?;
    let done = worker.address.invoke(&scheduled_event("run_jobs")?).await?;
    assert_eq!(done, json!({"succeeded": 1, "unsuccessful": 0}));
    let answer = product.webhook_answer("charge.refunded").await?;
    assert_eq!(answer, (Some(200), json!({"received": true, "decision": "refunded"})));
    assert_eq!(product.database.status(reservation_id).await?, "cancelled");
    product.assert_keys_stand_for_one_request().await?;
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_refunds_a_part_and_is_refused_what_is_not_there() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let (customer, staff) = (Uuid::new_v4(), Uuid::new_v4());
    product.database.add_member(shop.provider_id, staff, "staff").await?;
    let _webhook = product.run_webhook().await?;
    let reservation_id = paid(&product, shop, customer).await?;
    product.wait_for_status(reservation_id, "confirmed").await?;

    let function = product.run("refund_reservation").await?;
    let refused = function.call(&refund(reservation_id, 50_001, "A binding was loose", staff)?).await?;
    assert_shape(&refused, 409, &[PROBLEM, &["refundable_minor", "currency", "step_minor"]].concat());
    let accepted = function.call(&refund(reservation_id, 20_000, "A binding was loose", staff)?).await?;
    assert_shape(&accepted, 202, REFUND);
    assert_eq!(accepted.body["status"], "pending");

    let worker = product.run("run_jobs").await?;
    worker.address.invoke(&scheduled_event("run_jobs")?).await?;
    let answer = product.webhook_answer("charge.refunded").await?;
    assert_eq!(answer, (Some(200), json!({"received": true, "decision": "partially_refunded"})));
    let refunds = product.at_stripe("refunds").await?;
    assert_eq!((refunds.len(), &refunds[0]["amount"]), (1, &json!(20_000)));
    product.assert_keys_stand_for_one_request().await?;
    product.database.assert_consistent().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_event_is_found_by_schedule_and_nothing_is_left_to_find_by_hand() -> Result<()> {
    let product = Product::start().await?;
    let shop = product.open_shop(&Provider::default(), &Gear::default()).await?;
    let _webhook = product.run_webhook().await?;
    product.admin().add_event_fault("payment_intent.succeeded", EventAction::Lose).await?;
    let reservation_id = paid(&product, shop, Uuid::new_v4()).await?;
    assert_eq!(product.database.status(reservation_id).await?, "hold");

    let reconcile = product.run("reconcile_payments").await?;
    let found = reconcile.address.invoke(&scheduled_event("reconcile_payments")?).await?;
    assert_eq!((&found["found_count"], &found["mended_count"]), (&json!(1), &json!(1)), "{found:#}");
    let finding = &found["findings"][0];
    let members: Vec<&String> = finding.as_object().into_iter().flat_map(|finding| finding.keys()).collect();
    assert_eq!(members, FINDING);
    assert_eq!(
        (&finding["decision"], &finding["reservation_id"]),
        (&json!("confirmed"), &json!(reservation_id))
    );
    assert_eq!(product.database.status(reservation_id).await?, "confirmed");

    let by_hand = HttpCall::new("POST", "/reconcile_payments");
    assert_shape(&reconcile.call(&by_hand).await?, 401, PROBLEM);
    let answer = reconcile.call(&by_hand.bearer(CRON_SECRET)).await?;
    assert_shape(&answer, 200, RECONCILIATION);
    assert_eq!(
        (&answer.body["found_count"], &answer.body["findings"]),
        (&json!(0), &Value::Array(Vec::new()))
    );
    product.database.assert_consistent().await
}
