//! Events as AWS delivers them, over a real database, Stripe and worker.

mod counter;
mod disputes;
mod door;
mod failures;
mod idempotency;
mod refunds;
mod refusals;

use anyhow::Result;
use serde_json::{Value, json};
use test_support::{HttpCall, Reply, Shop};
use uuid::Uuid;

use super::handle;

const PATH: &str = "/refund_reservation";

/// What the function answers.
async fn answer(shop: &Shop, call: &HttpCall) -> Result<Reply> {
    Reply::read(handle(&shop.app, call.request()?).await)
}

/// Staff sends money back: this much, or (null) all that is left.
fn refund_call(shop: &Shop, reservation_id: Uuid, amount_minor: impl Into<Value>) -> Result<HttpCall> {
    let amount_minor: Value = amount_minor.into();
    HttpCall::post(PATH, &json!({"reservation_id": reservation_id, "reason": "A binding was loose"}))
        .patch(&json!({"amount_minor": amount_minor}))?
        .by(shop.staff_id)
}

/// The same, handed over at the counter.
fn counter_call(shop: &Shop, reservation_id: Uuid, amount_minor: impl Into<Value>) -> Result<HttpCall> {
    refund_call(shop, reservation_id, amount_minor)?.patch(&json!({"offline": true}))
}

/// Fails unless the answer says that this much goes back, and is in this state.
fn assert_refunding(reply: &Reply, status: &str, amount_minor: i64) {
    assert_eq!(reply.status, 202, "{}", reply.body);
    let refund_id = reply.at("/refund_id");
    assert!(refund_id.as_str().is_some_and(|id| id.parse::<Uuid>().is_ok()), "{refund_id}");
    let expected =
        json!({"refund_id": refund_id, "status": status, "amount_minor": amount_minor, "currency": "CZK"});
    assert_eq!(reply.body, expected);
}

/// The refunds that are stored, oldest first, as (amount, status, reason, whether at the counter).
async fn stored(shop: &Shop) -> Result<Value> {
    let sql = "select coalesce(jsonb_agg(
            jsonb_build_array(amount_minor, status, reason, is_offline) order by created_at
        ), '[]') from public.refunds";
    shop.database.value(sql, &[]).await
}

/// What is credited to the customer and has neither arrived nor is on its way, of all payments together.
async fn owed(shop: &Shop) -> Result<i64> {
    shop.database.value("select sum(kitloop.owed_minor(p))::bigint from public.payments p", &[]).await
}

/// A job of this kind in this status, as [`Shop::jobs`] tells it.
fn job(kind: &str, status: &str) -> (String, String) {
    (kind.to_owned(), status.to_owned())
}
